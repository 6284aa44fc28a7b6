"""Why a condition holds in a state, or why it does not: the fields that decide it.

A true conjunction is decided by both sides, a false one by a side that is false. Where one of several would do, the first is
taken, so that the evidence is enough but not always the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.model.execution import evaluate, members
from tdxexplore.model.expr import And, Any, Compare, Const, Expr, Field, In, Late, Not, Or, Scope

if TYPE_CHECKING:
    from tdxexplore.model import State
    from tdxexplore.model.expr import Variable


@dataclass(frozen=True, slots=True)
class Evidence:
    """Whether a condition holds, and the fields that decide it, as in `TraceStep.changes`: ``vmx_on[2]``."""

    holds: bool
    cells: frozenset[str]


def evidence(expr: Expr, state: State, package: int = -1, cpu: int = -1) -> Evidence | None:
    """The fields that decide a condition.

    Args:
        expr: The condition; it reads no temporary.
        state: Where.
        package: Who acts, -1 for nobody.
        cpu: Who acts, -1 for nobody.

    Returns:
        None where it cannot be evaluated, as it speaks of the acting CPU and none is given.
    """
    acts = {Scope.GLOBAL: 0, Scope.PACKAGE: package, Scope.CPU: cpu}
    read: tuple[Variable, ...]
    match expr:
        case Const(value):
            return Evidence(value, frozenset())
        case In(variable, _):
            read = (variable,)
        case Compare(left, _, right):
            read = (left, right)
        case Not(operand):
            inner = evidence(operand, state, package, cpu)
            return inner and Evidence(not inner.holds, inner.cells)
        case And(left, right) | Or(left, right):
            return _both(
                evidence(left, state, package, cpu), evidence(right, state, package, cpu), isinstance(expr, Or)
            )
        case Any(group, body):
            if acts[group.relative_to] < 0:
                return None
            found = [evidence(body, state, p, c) for p, c in members(group, state, package, cpu)]
            known = [e for e in found if e is not None]
            some = next((e for e in known if e.holds), None)
            return some or Evidence(holds=False, cells=frozenset().union(*(e.cells for e in known)))
        case Late(make):
            return evidence(make(), state, package, cpu)
        case _:
            return None
    if any(isinstance(v, Field) and acts[v.scope] < 0 for v in read):
        return None
    cells = frozenset(_cell(v, package, cpu) for v in read if isinstance(v, Field) and not v.constant)
    return Evidence(evaluate(expr, state, package, cpu, {}), cells)


def _both(left: Evidence | None, right: Evidence | None, some: bool) -> Evidence | None:
    """Of two sides: one that decides alone, else both."""
    known = [e for e in (left, right) if e is not None]
    alone = next((e for e in known if e.holds is some), None)
    if alone is not None or len(known) < 2:  # noqa: PLR2004 -- both
        return alone
    return Evidence(not some, known[0].cells | known[1].cells)


def _cell(field: Variable, package: int, cpu: int) -> str:
    scope = field.scope if isinstance(field, Field) else Scope.GLOBAL
    return f"{field.name}{ {Scope.GLOBAL: '', Scope.PACKAGE: f'[{package}]', Scope.CPU: f'[{cpu}]'}[scope] }"
