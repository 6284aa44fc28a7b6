"""This module holds the Program: the flat guarded-command form that the engine runs.

Three words (global, package, CPU) hold the fields. A rule can fire for the state, a package or a CPU, as its scope says,
if its guard holds, which is a conjunction of bit-mask matches. Its effect clears bits, sets bits and adds to counters, in
the words of whoever acts and, in bulk, in those of others. Quantifiers and bulk updates never include the acting CPU nor, over
packages, the acting package: lowering writes their part as matches and updates of their own words. As in LTSmin's PINS,
the engine knows nothing of what a Program means.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple
from typing import Any as Json

from tdxexplore.model.expr import Scope
from tdxexplore.model.properties import SEVERITIES, Price, Property, Response

if TYPE_CHECKING:
    from tdxexplore.model.code import Event, Label
    from tdxexplore.model.expr import Value
    from tdxexplore.model.topology import State

FORMAT = 1


class Cube(NamedTuple):
    """A bit-mask match: ``word & care == value``."""

    care: int = 0
    value: int = 0

    def meet(self, other: Cube) -> Cube | None:
        """Return the cube that matches what both match; None if no word can match both."""
        if (self.value ^ other.value) & self.care & other.care:
            return None
        return self.joined(other)

    def joined(self, other: Cube) -> Cube:
        """Return the cube that matches what both match; the caller knows that some word does."""
        return Cube(self.care | other.care, self.value | other.value)

    def within(self, other: Cube) -> bool:
        """Return whether every word that matches this cube also matches ``other``."""
        return not other.care & ~self.care and not (self.value ^ other.value) & other.care

    @lru_cache(maxsize=1 << 14)  # noqa: B019 - a Program has hundreds of cubes and writes each a hundred times
    def to_json(self) -> dict[str, str]:
        """Write it as the engine reads it. The result is shared and not to be changed."""
        return {"care": hex(self.care), "value": hex(self.value)}


ANY = Cube()


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom is the condition that some member of a group matches; quantified conditions are made of atoms.

    Attributes:
        over: The group: ``cpus``, ``package-cpus`` or ``packages``, each without the acting one.
        cpu: The match on the word of a CPU that is a member.
        package: The match on the word of a package that is a member, or of the package of a CPU that is one.
        nested: Conditions on the CPUs of a package that is a member: each is true for some CPU or false for none, and a
            match on the CPU's word.
    """

    over: str
    cpu: Cube = ANY
    package: Cube = ANY
    nested: tuple[tuple[bool, Cube], ...] = ()

    def within(self, other: Atom) -> bool:
        """Return whether this atom implies ``other``."""
        if self.over != other.over:
            return other.over == "cpus" and self._has_cpu(other)
        return (
            self.cpu.within(other.cpu) and self.package.within(other.package) and set(other.nested) <= set(self.nested)
        )

    def _has_cpu(self, other: Atom) -> bool:
        """Return whether the member that satisfies this atom is or contains a CPU that matches ``other``."""
        if self.over == "package-cpus":
            return self.cpu.within(other.cpu) and other.package == ANY
        inside = any(some and cube.within(other.cpu) for some, cube in self.nested)
        return self.package.within(other.package) and (inside or other.cpu == ANY)

    def to_json(self, *, some: bool) -> dict[str, Json]:
        """Write it as the engine reads it."""
        out: dict[str, Json] = {"over": self.over, "some": some}
        if self.over != "packages":
            out["cpu"] = self.cpu.to_json()
        if self.over != "package-cpus":
            out["package"] = self.package.to_json()
        if self.over == "packages":
            out["cpus"] = [{"some": s, "cpu": c.to_json()} for s, c in self.nested]
        return out


@dataclass(frozen=True, slots=True)
class Guard:
    """A conjunction of matches.

    Attributes:
        own: The matches on the global word and on the words of the acting package and CPU.
        quantified: The conditions on others: each is an atom, and true if some member must match, false if none may.
    """

    own: dict[Scope, Cube]
    quantified: tuple[tuple[Atom, bool], ...]

    def to_json(self) -> dict[str, Json]:
        """Write it as the engine reads it."""
        out: dict[str, Json] = {s.value: c.to_json() for s, c in self.own.items() if c.care}
        out["quantified"] = [atom.to_json(some=some) for atom, some in self.quantified]
        return out


@dataclass(frozen=True, slots=True)
class Update:
    """A change of one word: it clears bits, then sets bits, then adds to counters, each given as (offset, width, delta)."""

    clear: int = 0
    set: int = 0
    add: tuple[tuple[int, int, int], ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Write it as the engine reads it."""
        added = [{"offset": o, "width": w, "delta": d} for o, w, d in self.add]
        return {"clear": hex(self.clear), "set": hex(self.set), "add": added}


@dataclass(frozen=True, slots=True)
class Bulk:
    """A change of the word of every member that matched before the step: it clears bits, then sets bits."""

    target: Atom
    clear: int
    set: int

    def to_json(self) -> dict[str, Json]:
        """Write it as the engine reads it."""
        out = self.target.to_json(some=True)
        del out["some"]
        out.pop("cpus", None)
        return {**out, "clear": hex(self.clear), "set": hex(self.set)}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule is the guard and the effect of one way through one step.

    Attributes:
        actor: The index of the actor.
        label: The step.
        choice: The number of the free choices made on this way. Rules of a label with one number exclude each other.
        notes: The notes of this way, for the trace.
        guard: The condition under which the rule may fire.
        own: The effect on the global word and on the words of the acting package and CPU.
        bulk: The effect on others.
        trap: If given, the rule must never be enabled, and the text says what is wrong if it is.
        events: The events that happen on this way; prices count them.
    """

    actor: int
    label: Label
    choice: int
    notes: tuple[str, ...]
    guard: Guard
    own: dict[Scope, Update]
    bulk: tuple[Bulk, ...]
    trap: str | None = None
    events: tuple[Event, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Write it as the engine reads it."""
        effect: dict[str, Json] = {s.value: u.to_json() for s, u in self.own.items()}
        effect["bulk"] = [b.to_json() for b in self.bulk]
        return {
            "actor": self.actor,
            "label": self.label.name,
            "choice": self.choice,
            "scope": self.label.scope.value,
            "notes": list(self.notes),
            "source": self.label.source,
            "guard": self.guard.to_json(),
            "effect": effect,
            "trap": self.trap,
        }


@dataclass(frozen=True)
class Slot:
    """The place of a field in the word of its scope."""

    name: str
    scope: Scope
    offset: int
    values: tuple[Value, ...]

    @cached_property
    def width(self) -> int:
        """The number of its bits."""
        return (len(self.values) - 1).bit_length()

    @cached_property
    def mask(self) -> int:
        """The bits of the field, in the word."""
        return ((1 << self.width) - 1) << self.offset

    @cached_property
    def codes(self) -> dict[Value, int]:
        """The code of each value."""
        return {value: code for code, value in enumerate(self.values)}

    def encode(self, value: Value) -> int:
        """Return the code of a value, shifted to the place of the field."""
        return self.codes[value] << self.offset

    def decode(self, word: int) -> Value:
        """Return the value of the field in a word."""
        return self.values[(word & self.mask) >> self.offset]


@dataclass(frozen=True)
class Program:
    """Rules over packed words, validated by the engine when it reads them.

    Attributes:
        name: The name that messages use.
        slots: The layout, by field name.
        actors: The names of the actors, in order of declaration.
        index: The program counters of actors and CPUs, by which the engine finds the rules that may fire.
        rules: The rules, in order of declaration: by actor, then by step, then by way through it.
        outcomes: The outcomes, each with the guards of the states in which it holds.
        invariants: The invariants, each with the guards of the states in which it is violated.
        expectations: The expectations, each with the guards of the states in which it holds.
        responses: The responses, each with the guards of the states in which it is due, and of those in its goal.
        prices: The prices, each with the guards of the states in which every step costs 1.
    """

    name: str
    slots: dict[str, Slot]
    actors: tuple[str, ...]
    index: tuple[str, ...]
    rules: tuple[Rule, ...]
    outcomes: tuple[tuple[Property, tuple[Guard, ...]], ...]
    invariants: tuple[tuple[Property, tuple[Guard, ...]], ...]
    expectations: tuple[tuple[Property, tuple[Guard, ...]], ...]
    responses: tuple[tuple[Response, tuple[Guard, ...], tuple[Guard, ...]], ...] = ()
    prices: tuple[tuple[Price, tuple[Guard, ...]], ...] = ()

    @property
    def diverges(self) -> int | None:
        """The index of the outcome of runs that never come to an end, if one is declared."""
        return next((at for at, (p, _) in enumerate(self.outcomes) if p.diverges), None)

    def width(self, scope: Scope) -> int:
        """Return the number of bits of a word."""
        return max((s.offset + s.width for s in self.slots.values() if s.scope is scope), default=0)

    def pack(self, state: State) -> str:
        """Write a labelled state as the engine reads it."""

        def word(scope: Scope, values: dict[str, Value]) -> str:
            return hex(sum(s.encode(values[s.name]) for s in self.slots.values() if s.scope is scope))

        sizes = [state.package_of.count(p) for p in range(len(state.packages))]
        cpus = [word(Scope.CPU, c) for c in state.cpus]
        starts = [sum(sizes[:p]) for p in range(len(sizes))]
        packages = [
            {"word": word(Scope.PACKAGE, values), "cpus": cpus[start : start + size]}
            for values, start, size in zip(state.packages, starts, sizes, strict=True)
        ]
        return json.dumps({"global": word(Scope.GLOBAL, state.globals), "packages": packages})

    def unpack(self, scope: Scope, word: int) -> dict[str, Value]:
        """Return the values of the fields in a word."""
        return {s.name: s.decode(word) for s in self.slots.values() if s.scope is scope}

    @cached_property
    def text(self) -> str:
        """The canonical text, which the engine reads and of which the digest is a hash."""
        return json.dumps(self._document(), sort_keys=True, separators=(",", ":"))

    def _document(self) -> dict[str, Json]:
        def named(p: Property | Price, key: str, guards: tuple[Guard, ...]) -> dict[str, Json]:
            return {"name": p.name, key: [g.to_json() for g in guards]}

        def severity(p: Property | Response) -> int:
            return SEVERITIES.index(p.severity)

        def amounts(price: Price) -> list[Json]:
            of = {events: price.of(events) for events in happening}
            return [[number, of[rule.events]] for number, rule in enumerate(self.rules) if of[rule.events]]

        happening = {rule.events for rule in self.rules}
        responses: list[Json] = [
            {
                "name": r.name,
                "severity": severity(r),
                "when": [g.to_json() for g in when],
                "reach": [g.to_json() for g in reach],
            }
            for r, when, reach in self.responses
        ]
        prices: list[Json] = [{**named(p, "during", g), "rules": amounts(p)} for p, g in self.prices]
        return {
            "format": FORMAT,
            "name": self.name,
            "widths": {scope.value: self.width(scope) for scope in Scope},
            "fields": [
                {
                    "name": s.name,
                    "scope": s.scope.value,
                    "offset": s.offset,
                    "width": s.width,
                    "values": [str(v) for v in s.values],
                }
                for s in self.slots.values()
            ],
            "actors": list(self.actors),
            "index": list(self.index),
            "rules": [r.to_json() for r in self.rules],
            "outcomes": [{**named(p, "when", g), "severity": severity(p), "fatal": p.fatal} for p, g in self.outcomes],
            "invariants": [{**named(p, "violated_when", g), "severity": severity(p)} for p, g in self.invariants],
            "expectations": [named(p, "when", g) for p, g in self.expectations],
            **({} if self.diverges is None else {"diverges": self.diverges}),
            **({"responses": responses} if responses else {}),
            **({"prices": prices} if prices else {}),
        }

    @cached_property
    def digest(self) -> str:
        """A stable hash of the canonical text: 32 hex digits of BLAKE2b."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()

    def to_text(self) -> str:
        """Write a dump for people: the fields, then the rules with decoded guards and effects."""
        lines = [f"program {self.name}  digest {self.digest}"]
        for slot in self.slots.values():
            values = " ".join(map(str, slot.values))
            lines.append(f"field {slot.scope.value} {slot.name} @{slot.offset}+{slot.width}: {values}")
        for number, rule in enumerate(self.rules):
            lines.append(f"rule {number} {self.actors[rule.actor]}: {rule.label.name}  [{rule.label.source}]")
            lines += [f"    when {s.value}: {self._match(s, c)}" for s, c in rule.guard.own.items() if c.care]
            lines += [f"    when {'some' if some else 'no'} {self._atom(a)}" for a, some in rule.guard.quantified]
            lines += [f"    set {s.value}: {self._change(s, u)}" for s, u in rule.own.items()]
            for bulk in rule.bulk:
                scope = Scope.PACKAGE if bulk.target.over == "packages" else Scope.CPU
                change = self._change(scope, Update(bulk.clear, bulk.set))
                lines.append(f"    for each {self._atom(bulk.target)}: {change}")
            if rule.notes:
                lines.append(f"    note {'; '.join(rule.notes)}")
            if rule.trap:
                lines.append(f"    trap {rule.trap}")
        return "\n".join(lines) + "\n"

    def _match(self, scope: Scope, cube: Cube) -> str:
        parts = []
        for slot in self.slots.values():
            if slot.scope is scope and slot.mask & cube.care:
                codes = range(len(slot.values))
                bits = [c for c in codes if not ((c << slot.offset) ^ cube.value) & cube.care & slot.mask]
                parts.append(f"{slot.name} in {{{', '.join(str(slot.values[c]) for c in bits)}}}")
        return " & ".join(parts) or "any"

    def _atom(self, atom: Atom) -> str:
        parts = [f"{atom.over}"]
        if atom.cpu.care:
            parts.append(self._match(Scope.CPU, atom.cpu))
        if atom.package.care:
            parts.append(self._match(Scope.PACKAGE, atom.package))
        parts += [f"{'some' if some else 'no'} cpu {self._match(Scope.CPU, cube)}" for some, cube in atom.nested]
        return " with ".join(parts)

    def _change(self, scope: Scope, update: Update) -> str:
        parts = []
        for slot in self.slots.values():
            if slot.scope is scope and slot.mask & (update.clear | update.set):
                parts.append(f"{slot.name} := {slot.decode(update.set)}")
            if slot.scope is scope:
                parts += [f"{slot.name} += {d}" for o, _, d in update.add if o == slot.offset]
        return ", ".join(parts) or "nothing"
