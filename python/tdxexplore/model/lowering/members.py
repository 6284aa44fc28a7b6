"""This module translates conditions on other CPUs and packages from the middle of a step to the state before it.

A step reads the values that it has written: after a bulk assignment, a quantifier means the new ones. A guard reads the
state before the step. `before` translates a condition; `alike` says whether one condition serves near and far CPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model.expr import And, Any, Compare, Const, Expr, Field, In, Not, Or, Scope, always, never
from tdxexplore.model.lowering.path import Members
from tdxexplore.model.scopes import variables

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.model.lowering.path import BulkStep, Path


def before(expr: Expr, bulk: tuple[BulkStep, ...], members: Members) -> Expr:
    """Return the condition that held of a member before the step exactly if ``expr`` holds of it now.

    Args:
        expr: A condition that reads fields of the member only, and if this is a CPU also fields of its package.
        bulk: The bulk assignments of the step so far.
        members: The class of the member. If it is ``NEAR``, ``expr`` reads no package field: that package is the acting
            one, and the path knows its fields.
    """
    match expr:
        case In(variable, values) if isinstance(variable, Field):
            now: Expr = expr
            for step, where in _history(variable, bulk, members):
                hit = always if step.assigns(variable) in values else never
                now = disjoin(conjoin(where, hit), conjoin(negate(where), now))
            return now
        case Compare(left, _, right):
            touched = any(_history(v, bulk, members) for v in (left, right))
            return before(expr.by_value(), bulk, members) if touched else expr
        case Not(operand):
            return Not(before(operand, bulk, members))
        case And(left, right):
            return And(before(left, bulk, members), before(right, bulk, members))
        case Or(left, right):
            return Or(before(left, bulk, members), before(right, bulk, members))
        case Any(group, body):
            # These are the `package_cpus` of another package, which are far CPUs.
            return Any(group, before(body, bulk, Members.FAR))
        case _:
            return expr


def alike(expr: Expr, path: Path) -> bool:
    """Return whether one condition on the state before the step means ``expr`` now, both for near and for far CPUs."""
    for variable in variables(expr):
        if isinstance(variable, Field):
            if variable.scope is Scope.PACKAGE:
                if path.changes_own(variable) or _history(variable, path.bulk, Members.FAR):
                    return False
            elif any(not step.together for step in path.bulk if step.assigns(variable) is not None):
                return False
    return True


def _history(variable: Variable, bulk: tuple[BulkStep, ...], members: Members) -> list[tuple[BulkStep, Expr]]:
    """List the bulk assignments to a field of a member, or of its package, with the condition under which each changes it."""
    over = Members.PACKAGES if isinstance(variable, Field) and variable.scope is Scope.PACKAGE else members
    return [(step, step.where[over]) for step in bulk if over in step.where and step.assigns(variable) is not None]


def negate(expr: Expr) -> Expr:
    """Negate a condition; constants are folded."""
    return Const(not expr.value) if isinstance(expr, Const) else Not(expr)


def conjoin(left: Expr, right: Expr) -> Expr:
    """Join two conditions by and; constants are folded."""
    if isinstance(left, Const):
        return right if left.value else never
    if isinstance(right, Const):
        return left if right.value else never
    return And(left, right)


def disjoin(left: Expr, right: Expr) -> Expr:
    """Join two conditions by or; constants are folded."""
    if isinstance(left, Const):
        return always if left.value else right
    if isinstance(right, Const):
        return always if right.value else left
    return Or(left, right)
