"""This module finds the variables that an expression reads, and checks that they mean something for whoever acts.

A CPU field, for example, means nothing in a step that no CPU takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import And, Any, Compare, Expr, Field, In, Late, Not, Or, Scope, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.expr import Group


def variables(expr: Expr) -> Iterator[Variable]:
    """Yield every variable that an expression reads, as often as it reads it."""
    match expr:
        case In(variable, _):
            yield variable
        case Compare(left, _, right):
            yield left
            yield right
        case Not(operand):
            yield from variables(operand)
        case And(left, right) | Or(left, right):
            yield from variables(left)
            yield from variables(right)
        case Any(_, body):
            yield from variables(body)
        case Late(make):
            yield from variables(make())


_ORDER = (Scope.GLOBAL, Scope.PACKAGE, Scope.CPU)


def has(acting: Scope, wanted: Scope) -> bool:
    """Return whether an actor of scope ``acting`` is, or belongs to, one of scope ``wanted``: a CPU belongs to a package."""
    return _ORDER.index(wanted) <= _ORDER.index(acting)


def check_scopes(expr: Expr, acting: Scope) -> None:
    """Check that every field and group of an expression means something where ``acting`` acts.

    Raises:
        BadModel: A CPU field or `other_cpus` is used where no CPU acts, or the like.
    """
    match expr:
        case In(variable, _):
            _check_field(variable, acting)
        case Compare(left, _, right):
            _check_field(left, acting)
            _check_field(right, acting)
        case Not(operand):
            check_scopes(operand, acting)
        case And(left, right) | Or(left, right):
            check_scopes(left, acting)
            check_scopes(right, acting)
        case Any(group, body):
            check_group(group, acting)
            check_scopes(body, group.scope)
        case Late(make):
            check_scopes(make(), acting)


def check_group(group: Group, acting: Scope) -> None:
    """Check that a group means something where ``acting`` acts.

    Raises:
        BadModel: The group means nothing there.
    """
    if not has(acting, group.relative_to):
        raise BadModel(f"`{group.value}` is used where no {group.relative_to.value} acts")


def _check_field(variable: Variable, acting: Scope) -> None:
    if isinstance(variable, Field) and not has(acting, variable.scope):
        raise BadModel(f"field `{variable.name}` of a {variable.scope.value} is used where none acts")
