"""Random small models that use every construct of the language; the same model for the same seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tdxexplore.model import (
    Event,
    Field,
    Group,
    Model,
    Pointer,
    Procedure,
    Scope,
    State,
    Topology,
    package_cpus,
    reference,
)

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr, Value, Variable

SIZES = [(1,), (2,), (3,), (1, 1), (2, 1), (2, 2), (1, 1, 1), (4,)]
ORDER = (Scope.GLOBAL, Scope.PACKAGE, Scope.CPU)
# The groups that mean something where somebody of a scope acts.
GROUPS = {
    Scope.GLOBAL: [Group.CPUS, Group.PACKAGES],
    Scope.PACKAGE: [Group.CPUS, Group.PACKAGES, Group.OTHER_PACKAGES, Group.PACKAGE_CPUS],
    Scope.CPU: [
        Group.CPUS,
        Group.OTHER_CPUS,
        Group.PACKAGE_CPUS,
        Group.OTHER_PACKAGE_CPUS,
        Group.PACKAGES,
        Group.OTHER_PACKAGES,
    ],
}


class Generator:
    """Builds one model.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.model = Model(f"random {seed}")
        self.fields: list[Field] = []
        self.topology = Topology(self.random.choice(SIZES))

    def build(self) -> tuple[Model, State]:
        for scope in ORDER:
            for i in range(self.random.randint(1, 2)):
                self.fields.append(self._field(f"{scope.value}{i}", scope))
        for i in range(self.random.randint(1, 3)):
            scope = self.random.choice([Scope.GLOBAL, Scope.GLOBAL, Scope.CPU])
            self.model.add(self._procedure(f"actor{i}", scope))
        if self.seed % 2 == 0:
            self.model.add(self._spinner())
        self._properties()
        if self.random.random() < 0.8:
            self._forget()
        state = State.initial(self.model, self.topology)
        if self.random.random() < 0.5:
            for values in (*state.cpus, *state.packages):
                for field in self.fields:
                    if field.name in values and self.random.random() < 0.3:
                        values[field.name] = self.random.choice(field.values)
        reference.normalise(self.model, state)
        return self.model, state

    def _field(self, name: str, scope: Scope) -> Field:
        kind = self.random.randrange(3)
        if kind == 0:
            return self.model.flag(name, scope, initial=self.random.random() < 0.3)
        if kind == 1:
            return self.model.enum(name, ["a", "b", "c"][: self.random.randint(2, 3)], scope)
        smallest = self.random.choice([0, 0, -2])
        largest = smallest + self.random.randint(1, 4)
        initial = smallest + self.random.randint(0, 1)
        return self.model.counter(name, largest, scope, smallest=smallest, initial=initial)

    def _properties(self) -> None:
        self.model.outcome("fatal", "S0", self._expr(Scope.GLOBAL) & self._expr(Scope.GLOBAL), fatal=True)
        self.model.outcome("stuck", "S1", self.model.stuck())
        if self.seed % 5:
            self.model.diverges("diverges", "S1")
        self.model.outcome("some", "S2", self._expr(Scope.GLOBAL))
        self.model.outcome("other", "ok", True)
        self.model.invariant("invariant", self._expr(Scope.GLOBAL))
        self.model.expect("expectation", self._expr(Scope.GLOBAL))
        self.model.response("response", self._expr(Scope.GLOBAL), self._expr(Scope.GLOBAL))
        self.model.price("steps", during=True)
        self.model.price("on a step", events=["begin", "each", "1"])
        self.model.price("on a way", events=["a", "1", "True"], during=self._expr(Scope.GLOBAL))

    def _forget(self) -> None:
        """Something is forgotten, whether anything reads it or not: the engine must do as the reference does."""
        fields = self.fields
        self.fields = [next(f for f in fields if f.scope is scope) for scope in ORDER]
        for field in fields:
            if not any(field is kept for kept in self.fields):
                self.model.forget([field], self._expr(Scope.GLOBAL))
        self.fields = fields

    # -- expressions --------------------------------------------------------------------------------------------------

    def _expr(self, scope: Scope, depth: int = 2, *, quantified: bool = False) -> Expr:
        roll = self.random.random()
        if depth == 0 or roll < 0.35:
            return self._atom([f for f in self.fields if ORDER.index(f.scope) <= ORDER.index(scope)])
        if roll < 0.5:
            return ~self._expr(scope, depth - 1, quantified=quantified)
        if roll < 0.75 or quantified:
            left, right = (self._expr(scope, depth - 1, quantified=quantified) for _ in range(2))
            return left & right if self.random.random() < 0.5 else left | right
        group = self.random.choice(GROUPS[scope])
        if group.scope is Scope.PACKAGE:
            inner = self._atom([f for f in self.fields if f.scope is not Scope.CPU])
            nested = self._quantify(package_cpus, self._atom([f for f in self.fields if f.scope is not Scope.PACKAGE]))
            return self._quantify(group, self.random.choice([inner, nested, inner & nested, inner | nested]))
        return self._quantify(group, self._expr(Scope.CPU, depth - 1, quantified=True))

    def _quantify(self, group: Group, body: Expr) -> Expr:
        return self.random.choice([group.any, group.all, group.none])(body)

    def _atom(self, fields: list[Field]) -> Expr:
        field = self.random.choice(fields)
        alike = [f for f in fields if type(f.values[0]) is type(field.values[0])]
        if self.random.random() < 0.12:
            other, ordered = self.random.choice(alike), type(field.values[0]) is int
            relations = [Field.__eq__, Field.__ne__, *([Field.__lt__, Field.__ge__] if ordered else [])]
            return self.random.choice(relations)(field, other)
        return field.isin(self.random.sample(field.values, self.random.randint(1, len(field.values) - 1)))

    # -- procedures ---------------------------------------------------------------------------------------------------

    def _procedure(self, actor: str, scope: Scope) -> Procedure:
        p = Procedure(actor, scope)
        fuel = self.model.counter(f"fuel.{actor}", 2, scope, initial=self.random.randint(0, 2))
        p.step("begin", rest=True, events=(Event("begin"),))
        if self.random.random() < 0.3:
            with p.loop():
                if self.random.random() < 0.6:
                    p.step("again", rest=True)
                    p.await_(fuel > 0)
                    p.add(fuel, -1)
                else:
                    p.step("again without a budget", rest=True)
                self._block(p, scope, 2, region=False)
        else:
            self._block(p, scope, 3, region=False)
        return p

    def _spinner(self) -> Procedure:
        """Once a condition holds, it goes on for ever: runs in which that happens never end."""
        p = Procedure("spinner")
        p.step("watch", rest=True)
        p.await_(self._expr(Scope.GLOBAL))
        with p.loop():
            p.step("spin", rest=True)
        return p

    def _block(self, p: Procedure, scope: Scope, size: int, *, region: bool) -> None:
        for _ in range(self.random.randint(1, size)):
            self._statement(p, scope, size, region=region)

    def _statement(self, p: Procedure, scope: Scope, size: int, *, region: bool) -> None:
        roll = self.random.random()
        if roll < 0.2:
            p.step("step", rest=self.random.random() < 0.5)
        elif roll < 0.4:
            self._assign(p, scope)
        elif roll < 0.5:
            self._bulk(p, scope)
        elif roll < 0.62:
            with p.if_(self._expr(scope)):
                self._block(p, scope, 1, region=region)
            if self.random.random() < 0.5:
                with p.else_():
                    self._block(p, scope, 1, region=region)
        elif roll < 0.68:
            p.await_(self._expr(scope))
        elif roll < 0.74:
            self._choice(p, scope)
        elif roll < 0.8:
            self._function(p, scope)
        elif not region and p.scope is Scope.GLOBAL and size > 1:
            self._region(p, size)
        else:
            self._assign(p, scope)

    def _choice(self, p: Procedure, scope: Scope) -> None:
        with p.either() as choice:
            for _ in range(2):
                with choice.branch():
                    if self.random.random() < 0.3:
                        self._choice(p, scope)
                    else:
                        self._assign(p, scope)

    def _region(self, p: Procedure, size: int) -> None:
        roll = self.random.random()
        if roll < 0.5:
            with p.on_each_cpu(
                self._expr(Scope.CPU), "each", serial=self.random.random() < 0.5, events=(Event("each"),)
            ) as each:
                self._block(p, Scope.CPU, size - 1, region=True)
                if self.random.random() < 0.3:
                    with p.if_(self._expr(Scope.CPU)):
                        each.stop()
        elif roll < 0.7:
            with p.on_each_package(self._expr(Scope.PACKAGE), "package"):
                self._block(p, Scope.PACKAGE, 1, region=True)
        else:
            with p.on_any_cpu(self._expr(Scope.CPU, 1), "any"):
                self._assign(p, Scope.CPU)
        p.step("after", rest=True)

    def _assign(self, p: Procedure, scope: Scope) -> None:
        field = self.random.choice([f for f in self.fields if ORDER.index(f.scope) <= ORDER.index(scope)])
        if type(field.values[0]) is int and self.random.random() < 0.6:
            up = self.random.random() < 0.5
            if self.random.random() < 0.97:
                with p.if_(field != field.values[-1] if up else field != field.values[0]):
                    p.add(field, 1 if up else -1)
            else:
                p.add(field, 1 if up else -1)
            return
        source: Value | Variable = self.random.choice(field.values)
        p.note(f"{field.name} gets {source}", Event(str(source)))
        same = [f for f in self.fields if f.values == field.values and ORDER.index(f.scope) <= ORDER.index(scope)]
        p.set(field, self.random.choice(same) if self.random.random() < 0.3 else source)

    def _bulk(self, p: Procedure, scope: Scope) -> None:
        group = self.random.choice(GROUPS[scope])
        fields = [f for f in self.fields if f.scope is group.scope]
        field = self.random.choice(fields)
        where = self._atom([f for f in self.fields if ORDER.index(f.scope) <= ORDER.index(group.scope)])
        p.set_each(group, where, {field: self.random.choice(field.values)})

    def _function(self, p: Procedure, scope: Scope) -> None:
        with p.function("f()", returns=("x", "y")) as f:
            with p.if_(self._expr(scope)):
                f.returns("x")
            f.returns("y")
        with p.if_(f.result == "x"):
            self._assign(p, scope)


class Pointing(Generator):
    """Builds a model with fields that hold a CPU: they are set and cleared, and conditions ask about them, at random.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.topology = Topology(self.random.choice([(2,), (3,), (1, 1), (2, 1), (2, 2)]))
        self.pointers = [Pointer(self.model, f"pointer{i}") for i in range(self.random.randint(1, 2))]

    def _atom(self, fields: list[Field]) -> Expr:
        scopes = {field.scope for field in fields}
        if self.random.random() < 0.6 or scopes == {Scope.GLOBAL, Scope.PACKAGE}:
            return super()._atom(fields)
        pointer = self.random.choice(self.pointers)
        if Scope.CPU in scopes:
            return pointer.me.isin([self.random.random() < 0.5])
        return pointer.none if self.random.random() < 0.4 else pointer.holds(super()._atom(self.fields))

    def _assign(self, p: Procedure, scope: Scope) -> None:
        if self.random.random() < 0.5:
            super()._assign(p, scope)
        elif scope is Scope.CPU and self.random.random() < 0.8:
            self.random.choice(self.pointers).set_me(p)
        else:
            self.random.choice(self.pointers).clear(p)
