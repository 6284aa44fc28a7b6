"""Lowering turns a recorded model into a Program.

Each step is executed symbolically from its label. A *path* is one way through it. It knows facts of the state before the
step (the values that each field may have had, and the quantified matches that hold or do not) and the assignments so
far. A condition that the facts do not decide forks the path, so the paths of a step exclude each other. Each path becomes
one rule, or several where a set of values is not a single bit-mask match. So a state has exactly one transition for each
actor, instance and free choice, as in the reference.

Assignments are constants or small additions; the copy of a variable forks the path on its value. Every condition thus
stays a condition on the state before the step. Rejected: lowering by truth tables over all fields, which needs no
symbolic execution but is exponential in the fields that a step reads.

`layout` places the fields in words. `path` holds the facts and assignments of a path. `symbolic` decides conditions and
applies assignments; `members` translates a condition on others to the state before the step. `normal_form` ends a step in
normal form. `matches` turns facts into guards, and `updates` turns assignments into effects. `steps` runs all of them for
the steps of an actor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import Not, Scope
from tdxexplore.model.lowering.layout import layout
from tdxexplore.model.lowering.steps import rules_of
from tdxexplore.model.lowering.symbolic import Symbolic
from tdxexplore.model.program import Program

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr
    from tdxexplore.model.model import Model
    from tdxexplore.model.program import Guard
    from tdxexplore.model.properties import Price, Property, Response


def lower(model: Model) -> Program:
    """Turn a model into a Program.

    Raises:
        BadModel: A step never ends, or a Program cannot express it; the message names the step.
    """
    try:
        return _lower(model)
    except RecursionError:
        raise BadModel(
            f"a condition of model `{model.name}` is nested too deeply; keep part of it in a field"
        ) from None


def _lower(model: Model) -> Program:
    slots = layout(model)

    def guards(kind: str, asked: Property | Response | Price, when: Expr) -> tuple[Guard, ...]:
        return Symbolic(model, slots, Scope.GLOBAL, f"{kind} `{asked.name}`").guards(when)

    for forgotten in model.forgotten:
        names = ", ".join(f"`{f.name}`" for f in forgotten.fields)
        # This refuses a condition that asks for an acting CPU.
        Symbolic(model, slots, Scope.GLOBAL, f"where {names} is forgotten").guards(forgotten.when)
    return Program(
        name=model.name,
        slots=slots,
        actors=tuple(code.actor for code in model.codes),
        index=tuple(
            name
            for code in model.codes
            for name, scope in code.counters.items()
            if scope is not Scope.PACKAGE and slots[name].width
        ),
        rules=tuple(rule for actor, code in enumerate(model.codes) for rule in rules_of(model, slots, actor, code)),
        outcomes=tuple((p, guards("outcome", p, p.when)) for p in model.outcomes),
        invariants=tuple((p, guards("invariant", p, Not(p.when))) for p in model.invariants),
        expectations=tuple((p, guards("expectation", p, p.when)) for p in model.expectations),
        responses=tuple((r, guards("response", r, r.when), guards("response", r, r.reach)) for r in model.responses),
        prices=tuple((p, guards("price", p, p.during)) for p in model.prices),
    )
