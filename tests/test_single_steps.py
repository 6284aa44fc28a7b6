"""Thousands of random steps: what a step reads after it has written, for every scope and group, lowered and unlowered."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

import interpreter
from random_models import GROUPS, ORDER
from slices import every
from tdxexplore.errors import BadModel
from tdxexplore.model import Field, Group, Model, Procedure, Scope, State, Topology, lower, package_cpus, reference

if TYPE_CHECKING:
    from tdxexplore.model import Expr

BATCHES = 24
MODELS = 500
STATES = 6
SIZES = [(1,), (2,), (3,), (1, 1), (2, 1), (2, 2), (1, 2, 1)]


class Step:
    """One step of one actor: it assigns, alone and in bulk, and reads what it has assigned."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.model = Model(f"step {seed}")
        self.fields: list[Field] = []
        for scope in ORDER:
            for i in range(2):
                self.fields.append(self._field(f"{scope.value}{i}", scope))
        self.scope = self.random.choice([Scope.GLOBAL, Scope.PACKAGE, Scope.CPU, Scope.CPU])
        self.p = p = Procedure("actor", self.scope)
        p.step("step")
        for _ in range(self.random.randint(2, 4)):
            self._statement(1)
        self.model.add(p)
        self.model.outcome("some", "S2", self.expr(Scope.GLOBAL))
        self.model.outcome("other", "ok", when=True)

    def _field(self, name: str, scope: Scope) -> Field:
        kind = self.random.randrange(3)
        if kind == 0:
            return self.model.flag(name, scope)
        if kind == 1:
            return self.model.enum(name, ["a", "b", "c"], scope)
        return self.model.counter(name, self.random.randint(1, 3), scope)

    # -- statements ---------------------------------------------------------------------------------------------------

    def _statement(self, depth: int) -> None:
        p, roll = self.p, self.random.random()
        if roll < 0.3:
            group = self.random.choice(GROUPS[self.scope])
            field = self.random.choice([f for f in self.fields if f.scope is group.scope])
            # Packages cannot be assigned by what their CPUs are like.
            own = [f for f in self.fields if f.scope is not Scope.CPU]
            where = self._atom(own) if group.scope is Scope.PACKAGE else self.expr(Scope.CPU, 1, inside=True)
            p.set_each(group, where, {field: self.random.choice(field.values)})
        elif roll < 0.5:
            self._assign()
        elif roll < 0.6 and depth:
            with p.either() as choice:
                for _ in range(self.random.randint(1, 3)):
                    with choice.branch():
                        for _ in range(self.random.randint(0, 2)):
                            self._statement(depth - 1)
        elif roll < 0.67:
            p.await_(self.expr(self.scope))
        elif depth:
            with p.if_(self.expr(self.scope)):
                self._statement(depth - 1)
            if self.random.random() < 0.3:
                with p.else_():
                    self._statement(depth - 1)

    def _assign(self) -> None:
        p, own = self.p, self.own(self.scope)
        counters = [f for f in own if type(f.values[0]) is int]
        if counters and self.random.random() < 0.5:
            field = self.random.choice(counters)
            up = self.random.random() < 0.5
            with p.if_(field < len(field.values) - 1 if up else field > 0):
                p.add(field, 1 if up else -1)
            return
        field = self.random.choice(own)
        alike = [f for f in own if f.values == field.values and type(f.values[0]) is type(field.values[0])]
        p.set(field, self.random.choice([*field.values, *alike]))

    # -- conditions ---------------------------------------------------------------------------------------------------

    def own(self, scope: Scope) -> list[Field]:
        return [f for f in self.fields if ORDER.index(f.scope) <= ORDER.index(scope)]

    def expr(self, scope: Scope, depth: int = 2, *, inside: bool = False) -> Expr:
        roll = self.random.random()
        if depth == 0 or roll < 0.25:
            return self._atom(self.own(scope))
        if roll < 0.35:
            return ~self.expr(scope, depth - 1, inside=inside)
        if roll < 0.55 or (inside and scope is Scope.CPU):
            left, right = (self.expr(scope, depth - 1, inside=inside) for _ in range(2))
            return left & right if self.random.random() < 0.5 else left | right
        group = package_cpus if inside else self.random.choice(GROUPS[scope])
        return self._quantify(group, self.expr(group.scope, depth - 1, inside=True))

    def _quantify(self, group: Group, body: Expr) -> Expr:
        return self.random.choice([group.any, group.all, group.none])(body)

    def _atom(self, fields: list[Field]) -> Expr:
        field = self.random.choice(fields)
        others = [f for f in fields if type(f.values[0]) is type(field.values[0])]
        if self.random.random() < 0.25:
            other = self.random.choice(others)
            if type(field.values[0]) is int and self.random.random() < 0.5:
                return self.random.choice([Field.__lt__, Field.__le__, Field.__gt__, Field.__ge__])(field, other)
            return field == other if self.random.random() < 0.5 else field != other
        return field.isin(self.random.sample(field.values, self.random.randint(1, len(field.values) - 1)))

    # -- states -------------------------------------------------------------------------------------------------------

    def state(self) -> State:
        state = State.initial(self.model, Topology(self.random.choice(SIZES)))
        for values in (state.globals, *state.packages, *state.cpus):
            values.update({f.name: self.random.choice(f.values) for f in self.fields if f.name in values})
        return state


@pytest.mark.parametrize("batch", every(12, range(BATCHES)))
def test_a_lowered_step_does_what_the_recorded_one_does(batch: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(batch * MODELS, (batch + 1) * MODELS):
        seen[compare(seed)] += 1
    # What a Program cannot express is refused, and that is rare.
    assert seen["agree"] >= 0.8 * MODELS, seen
    assert seen["agree"] + seen["refused"] == MODELS


def compare(seed: int) -> str:
    step = Step(seed)
    try:
        program = lower(step.model)
    except BadModel:
        return "refused"
    for _ in range(STATES):
        state = step.state()
        interpreter.agrees(step.model, program, state)
        when, guards = program.outcomes[0][0].when, program.outcomes[0][1]
        held = [interpreter.holds(g, interpreter.Words.of(program, state), -1, -1) for g in guards]
        assert sum(held) == reference.evaluate(when, state, -1, -1, {}), (seed, state)
    return "agree"
