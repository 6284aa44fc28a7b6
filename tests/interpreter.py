"""An interpreter of Programs on plain words, as the format says and as nobody would optimise it. Shared by the tests.

The engine's own code is not asked: what lowering makes of a step is compared with the reference interpreter directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.model import Scope, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model import Model, Program, State
    from tdxexplore.model.program import Atom, Cube, Guard, Rule, Update


@dataclass
class Words:
    """A state: the words of the globals, of the packages and of the CPUs."""

    shared: int
    packages: list[int]
    cpus: list[int]
    package_of: tuple[int, ...]

    @classmethod
    def of(cls, program: Program, state: State) -> Words:
        slots = program.slots.values()

        def word(scope: Scope, values: dict[str, bool | int | str]) -> int:
            return sum(s.encode(values[s.name]) for s in slots if s.scope is scope)

        return cls(
            word(Scope.GLOBAL, state.globals),
            [word(Scope.PACKAGE, p) for p in state.packages],
            [word(Scope.CPU, c) for c in state.cpus],
            state.package_of,
        )

    def key(self) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        return self.shared, tuple(self.packages), tuple(self.cpus)


def agrees(model: Model, program: Program, state: State) -> None:
    """From a state, the Program takes the transitions that the model takes, in the same order and to the same values."""
    expected = reference.transitions(model, state)
    found = transitions(program, Words.of(program, state))
    assert [order[:3] for order, _ in found] == [(t.actor, t.package, t.cpu) for t in expected], (model.name, state)
    assert [w.key() for _, w in found] == [Words.of(program, t.target).key() for t in expected], (model.name, state)
    assert len({order for order, _ in found}) == len(found), f"{model.name}: two transitions have one number"


def transitions(program: Program, state: Words) -> list[tuple[tuple[int, int, int, int], Words]]:
    """Actor, package, CPU and choice of each transition, and where it leads; in canonical order."""
    found = []
    for rule in program.rules:
        for p, c in instances(rule.label.scope, state):
            if holds(rule.guard, state, p, c):
                found.append(((rule.actor, p, c, rule.choice), fire(rule, state, p, c)))
    return sorted(found, key=lambda pair: pair[0])


def instances(scope: Scope, state: Words) -> list[tuple[int, int]]:
    match scope:
        case Scope.GLOBAL:
            return [(-1, -1)]
        case Scope.PACKAGE:
            return [(p, -1) for p in range(len(state.packages))]
    return [(p, c) for c, p in enumerate(state.package_of)]


def matches(cube: Cube, word: int) -> bool:
    return word & cube.care == cube.value


def holds(guard: Guard, state: Words, p: int, c: int) -> bool:
    own = {Scope.GLOBAL: state.shared, Scope.PACKAGE: state.packages[p], Scope.CPU: state.cpus[c]}
    for scope, cube in guard.own.items():
        assert not cube.care or (scope is Scope.GLOBAL) or (p >= 0 if scope is Scope.PACKAGE else c >= 0)
        if cube.care and not matches(cube, own[scope]):
            return False
    return all(any(members(atom, state, p, c)) is some for atom, some in guard.quantified)


def members(atom: Atom, state: Words, p: int, c: int) -> Iterator[bool]:
    """Of each member of the group of an atom, whether it matches."""
    return (like for _, like in alike(atom, state, p, c))


def alike(atom: Atom, state: Words, p: int, c: int) -> Iterator[tuple[int, bool]]:
    if atom.over == "packages":
        for q, word in enumerate(state.packages):
            if q != p:
                inside = [state.cpus[i] for i, home in enumerate(state.package_of) if home == q]
                nested = all(any(matches(cube, w) for w in inside) is some for some, cube in atom.nested)
                yield q, nested and matches(atom.package, word)
        return
    assert atom.over == "cpus" or p >= 0
    for i, q in enumerate(state.package_of):
        if i != c and (atom.over == "cpus" or q == p):
            yield i, matches(atom.cpu, state.cpus[i]) and matches(atom.package, state.packages[q])


def fire(rule: Rule, state: Words, p: int, c: int) -> Words:
    assert rule.trap is None, rule.trap
    after = Words(state.shared, list(state.packages), list(state.cpus), state.package_of)
    for bulk in rule.bulk:
        words = after.packages if bulk.target.over == "packages" else after.cpus
        for i, hit in alike(bulk.target, state, p, c):
            if hit:
                words[i] = words[i] & ~bulk.clear | bulk.set
    for scope, update in rule.own.items():
        match scope:
            case Scope.GLOBAL:
                after.shared = updated(update, after.shared)
            case Scope.PACKAGE:
                after.packages[p] = updated(update, after.packages[p])
            case Scope.CPU:
                after.cpus[c] = updated(update, after.cpus[c])
    return after


def updated(update: Update, word: int) -> int:
    word = word & ~update.clear | update.set
    for offset, width, delta in update.add:
        mask = ((1 << width) - 1) << offset
        value = ((word & mask) >> offset) + delta
        assert 0 <= value < 1 << width
        word = word & ~mask | value << offset
    return word
