"""This module decodes a Program on a topology: masks become tests of fields, rules become steps and ways through them.

It does the work that is the same for every language. It finds the values that a mask stands for, the rules that belong to
one step, the tests that all its ways have in common, and the bulk updates whose members must be noted beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.model import Scope

if TYPE_CHECKING:
    from tdxexplore.explore.engine import Found
    from tdxexplore.model import Program, State
    from tdxexplore.model.code import Label
    from tdxexplore.model.expr import Value
    from tdxexplore.model.program import Atom, Bulk, Cube, Guard, Rule, Slot, Update
    from tdxexplore.model.properties import Property


@dataclass(frozen=True, slots=True)
class Test:
    """A field has one of these values."""

    slot: Slot
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """The tests that a CPU or a package of a group must pass, as decoded from a `tdxexplore.model.program.Atom`."""

    over: str
    cpu: tuple[Test, ...]
    package: tuple[Test, ...]
    nested: tuple[tuple[bool, tuple[Test, ...]], ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        """The names of the fields that the tests read."""
        tests = (*self.cpu, *self.package, *(t for _, inner in self.nested for t in inner))
        return frozenset(t.slot.name for t in tests)


@dataclass(frozen=True, slots=True)
class Condition:
    """A decoded guard.

    Attributes:
        own: The tests of the fields of whoever acts, and of global fields.
        quantified: The tests of members of groups, each true if some member must pass them, false if none may.
    """

    own: tuple[Test, ...]
    quantified: tuple[tuple[Member, bool], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A field takes a value, or a counter moves by ``delta``."""

    slot: Slot
    value: Value
    delta: int = 0


@dataclass(frozen=True, slots=True)
class Each:
    """A change in every member that passed some tests before the step.

    Attributes:
        member: The tests.
        changes: The changes.
        early: Whether an earlier bulk change of this step changes a field that these tests read. The text must then note the
            members before it.
    """

    member: Member
    changes: tuple[Change, ...]
    early: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way through a step: a rule, without the tests that all ways of its step have in common.

    Attributes:
        number: The rule's number in the Program.
        choice: The number of its free choices. Ways of a step with one number exclude each other.
        notes: The notes of this way, in kernel words.
        condition: The condition on this way, besides the tests of the step.
        each: The changes in others. They are written before the own ones, as their tests read the state before the step.
        changes: The changes in the fields of whoever acts.
        trap: If given, the way must never be enabled, and the text says what is wrong if it is.
    """

    number: int
    choice: int
    notes: tuple[str, ...]
    condition: Condition
    each: tuple[Each, ...]
    changes: tuple[Change, ...]
    trap: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an actor: the rules of one label.

    Attributes:
        actor: The actor's name.
        label: The label.
        tests: The tests that all ways have in common; those of the program counters are among them.
        ways: The ways through it, at least one.
    """

    actor: str
    label: Label
    tests: tuple[Test, ...]
    ways: tuple[Way, ...]

    @property
    def title(self) -> str:
        """The actor, the functions around the step, its name and its source, in one line."""
        words = [*self.label.frames, self.label.name]
        source = f"  [{self.label.source}]" if self.label.source else ""
        return f"{self.actor}: {': '.join(words)}{source}"


@dataclass(frozen=True, slots=True)
class Expected:
    """The counts that a checker should report.

    Attributes:
        states: The number of distinct states.
        transitions: The number of transitions; the initial state is not counted as one.
        depth: The depth of the deepest state; that of the initial state is 0.
        terminal: For each outcome, the number of terminal states; states that diverge are not terminal.
        orbits: The number of states up to any renaming of CPUs within packages and of packages of one size.
    """

    states: int
    transitions: int
    depth: int
    terminal: dict[str, int]
    orbits: int

    @classmethod
    def of(cls, program: Program, found: Found, renamed: Found) -> Expected | None:
        """Take the concrete figures of an exploration; None if one is not complete.

        Args:
            program: The Program that was explored.
            found: Its exploration with the symmetry of the start.
            renamed: Its exploration with all symmetry.
        """
        if not found.complete or not renamed.complete:
            return None
        import polars as pl  # noqa: PLC0415 -- only counted exports need tables

        names = [p.name for p, _ in program.outcomes]
        rows = pl.DataFrame(found.outcomes()).select("outcome", "terminal_states").iter_rows()
        terminal = {names[code]: int(count) for code, count in rows if code != program.diverges}
        return cls(int(found.states), int(found.transitions), found.depth, terminal, renamed.explored)


class Form:
    """A Program with a labelled initial state, decoded.

    Args:
        program: The Program.
        start: The initial state, which gives the topology.
        expected: The counts for the header, if they are known.
    """

    def __init__(self, program: Program, start: State, expected: Expected | None = None) -> None:
        self.program = program
        self.start = start
        self.expected = expected

    @property
    def cpus(self) -> int:
        """The number of all CPUs."""
        return len(self.start.cpus)

    @property
    def packages(self) -> int:
        """The number of packages."""
        return len(self.start.packages)

    @property
    def title(self) -> str:
        """The model and its topology, in one line."""
        cpus, packages = self.cpus, self.packages
        return f"{self.program.name}: {cpus} CPU{'s' * (cpus > 1)} in {packages} package{'s' * (packages > 1)}"

    def slots(self, scope: Scope) -> list[Slot]:
        """List the fields of a scope that have several values; a field of one value needs no variable."""
        return [s for s in self.program.slots.values() if s.scope is scope and len(s.values) > 1]

    def starts(self, slot: Slot) -> list[Value]:
        """List the initial values of a field: one, or one for each package or CPU."""
        scopes = {Scope.GLOBAL: [self.start.globals], Scope.PACKAGE: self.start.packages, Scope.CPU: self.start.cpus}
        return [values[slot.name] for values in scopes[slot.scope]]

    @cached_property
    def steps(self) -> list[Step]:
        """The steps, in the order of the Program."""
        numbered = list(enumerate(self.program.rules))
        groups = groupby(numbered, key=lambda pair: (pair[1].actor, id(pair[1].label)))
        return [self._step(list(rules)) for _, rules in groups]

    def holds(self, guards: tuple[Guard, ...]) -> list[Condition]:
        """Decode the guards of a property, which holds if one of the conditions does."""
        return [self._condition(g) for g in guards]

    @cached_property
    def fatal(self) -> list[Condition]:
        """The conditions of which any ends a run at once."""
        return [c for p, guards in self.program.outcomes if p.fatal for c in self.holds(guards)]

    @property
    def properties(self) -> list[tuple[str, Property, list[Condition]]]:
        """The outcomes, violated invariants and expectations, as (kind, property, conditions).

        No predicate on single states says that a run never ends, so the outcome of such runs is not among them.
        """
        kinds = {
            "outcome": [(p, guards) for p, guards in self.program.outcomes if not p.diverges],
            "violated": self.program.invariants,
            "expected": self.program.expectations,
        }
        return [(kind, p, self.holds(guards)) for kind, properties in kinds.items() for p, guards in properties]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _step(self, rules: list[tuple[int, Rule]]) -> Step:
        first = rules[0][1]
        conditions = [self._condition(rule.guard) for _, rule in rules]
        shared = tuple(t for t in conditions[0].own if all(t in c.own for c in conditions))
        rest = [replace(c, own=tuple(t for t in c.own if t not in shared)) for c in conditions]
        ways = tuple(self._way(number, rule, c) for (number, rule), c in zip(rules, rest, strict=True))
        counters = (first.label.pc, *first.label.implied)
        tests = sorted(shared, key=lambda t: t.slot.name not in counters)
        return Step(self.program.actors[first.actor], first.label, tuple(tests), ways)

    def _way(self, number: int, rule: Rule, condition: Condition) -> Way:
        each: list[Each] = []
        for bulk in rule.bulk:
            new = self._each(bulk)
            # Two updates with the same changes may both hit a member; other changes must not alter what these tests read.
            touched = {c.slot.name for e in each if e.changes != new.changes for c in e.changes}
            each.append(replace(new, early=bool(touched & new.member.reads)))
        changes = tuple(c for scope, update in rule.own.items() for c in self._changes(scope, update))
        return Way(number, rule.choice, rule.notes, condition, tuple(each), changes, rule.trap)

    def _each(self, bulk: Bulk) -> Each:
        scope = Scope.PACKAGE if bulk.target.over == "packages" else Scope.CPU
        pairs = [(s, s.mask & bulk.clear) for s in self.slots(scope)]
        assert all(mask in (0, s.mask) for s, mask in pairs)
        return Each(self._member(bulk.target), tuple(Change(s, s.decode(bulk.set)) for s, mask in pairs if mask))

    def _changes(self, scope: Scope, update: Update) -> list[Change]:
        found = []
        moves = {offset: delta for offset, _, delta in update.add}
        for slot in self.slots(scope):
            if slot.mask & update.clear:
                assert slot.mask & ~update.clear == 0
                found.append(Change(slot, slot.decode(update.set)))
            elif moves.get(slot.offset):
                found.append(Change(slot, 0, moves[slot.offset]))
        return found

    def _condition(self, guard: Guard) -> Condition:
        own = tuple(t for scope, cube in guard.own.items() for t in self._tests(scope, cube))
        return Condition(own, tuple((self._member(atom), some) for atom, some in guard.quantified))

    def _member(self, atom: Atom) -> Member:
        nested = tuple((some, self._tests(Scope.CPU, cube)) for some, cube in atom.nested)
        cpu, package = self._tests(Scope.CPU, atom.cpu), self._tests(Scope.PACKAGE, atom.package)
        return Member(atom.over, cpu, package, nested)

    def _tests(self, scope: Scope, cube: Cube) -> tuple[Test, ...]:
        found = []
        for slot in self.slots(scope):
            care, value = cube.care & slot.mask, cube.value & slot.mask
            values = tuple(v for v in slot.values if not (slot.encode(v) ^ value) & care)
            if len(values) < len(slot.values):
                found.append(Test(slot, values))
        return tuple(found)
