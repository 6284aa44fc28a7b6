"""Conditions on the order of steps, which a run of a graph meets or does not.

An *event* is a step of an actor, wherever it is taken; one way through a step where an actor is free to take several (a fault
that hits or does not); or what a step says, at one step or whoever takes it ("VMXON", "TDH.SYS.INIT = TDX_SUCCESS"). A
*condition* is that one event comes before any of another; the other one need not come at all, unless the condition says so.
Where events repeat, it may speak of the second or third time, or say that an event comes after another one and none of a third
has come in between. Events may be bound to *a CPU*, to *another CPU*, or to the *other CPUs in the package* of the first one.
A *cause* is a set of conditions. A run meets a cause if there are two different CPUs c and d such that all of its conditions hold
with c for "a CPU" and d for "another CPU". An event that is bound to no CPU is taken wherever it happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.explore.unfolding import NONE
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.explore.engine import Ordered
    from tdxexplore.explore.unfolding import Numbers, Unfolding

ANYWHERE, ONE, OTHER, NEAR = 0, 1, 2, 3
"""Where an event is looked for: wherever it happens, on "a CPU", on "another CPU", on any other CPU in the package of "a CPU"."""

STEPS, SAID, RESULTS = 0, 1, 2
"""Kinds of events: a step or a way through it; what steps say, whoever takes them; what a step returned or came to do."""

MOST_TIMES = 3
"""How often an event is told apart."""


@dataclass(frozen=True, slots=True)
class Event:
    """A step of an actor, one way through it, or what a step says.

    Attributes:
        actor: Who takes it; empty for anybody, of an event that is only what steps say.
        functions: The kernel functions around it, outermost first.
        title: The step, or what steps say.
        way: The way through it, by what only it does, or what the step says; empty for the step itself.
        placed: Whether it is taken on a CPU.
        does: Whether it executes an instruction or a SEAMCALL, takes a lock or is a free choice, in some run.
        lock: The lock that it takes, or nothing.
        kind: `STEPS`, `SAID` or `RESULTS`.
        either: The steps of which any is meant, if it stands for several.
    """

    actor: str
    functions: tuple[str, ...]
    title: str
    way: str
    placed: bool
    does: bool
    lock: str
    kind: int = STEPS
    either: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """An event comes before any of another, or after a third one with none of the other in between.

    Attributes:
        first: The event that comes, by number.
        at: Where: `ANYWHERE`, `ONE`, `OTHER` or `NEAR`.
        before: The event that has not come by then, by number; `NONE` if only the first one matters.
        where: Where that one has not come, and `since` has.
        comes: Whether that one has to come later.
        since: The event that has come by then; `NONE` if from the beginning `before` must not have come.
        nth: For which time `first` comes.
        before_nth: Which time of `before` is meant.
    """

    first: int
    at: int
    before: int = NONE
    where: int = ANYWHERE
    comes: bool = False
    since: int = NONE
    nth: int = 1
    before_nth: int = 1

    @property
    def places(self) -> tuple[int, ...]:
        """The CPUs that it speaks of."""
        return tuple(sorted({ONE if place == NEAR else place for place in (self.at, self.where)} - {ANYWHERE}))

    def packed(self) -> list[int]:
        """As the engine reads it."""
        return [
            self.first,
            self.at,
            self.nth,
            self.before,
            self.where,
            self.before_nth,
            self.since,
            int(self.comes),
        ]

    @staticmethod
    def unpacked(numbers: Sequence[int]) -> Condition:
        """The condition that is packed so."""
        first, at, nth, before, where, before_nth, since, comes = (int(number) for number in numbers)
        return Condition(first, at, before, where, bool(comes), since, nth, before_nth)


Cause = tuple[Condition, ...]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The events of a graph.

    Attributes:
        graph: The graph.
        events: Steps in order of declaration, then ways through them, then what they say.
        marks: Rows with an event, or `NONE`, for each transition. The first three are the step; the way through it, if the actor
            could have gone another one; and the fault on that way, whatever it hits.
    """

    graph: Unfolding
    events: tuple[Event, ...]
    marks: Numbers

    @staticmethod
    def of(graph: Unfolding) -> Vocabulary:
        """Name the events of a graph."""
        program = graph.compiled.program
        does: dict[tuple[str, tuple[str, ...], str], bool] = {}
        keys = _titles(graph)
        for rule, key in zip(program.rules, keys, strict=True):
            does[key] = does.get(key, False) or any(e.name for e in rule.events) or rule.label.takes is not None
        number: dict[Event, int] = {}
        steps = []
        for rule, key in zip(program.rules, keys, strict=True):
            lock = rule.label.takes.name if rule.label.takes else ""
            step = Event(*key, "", rule.label.scope is Scope.CPU, does[key], lock)
            steps.append(number.setdefault(step, len(number)))
        step_of = np.array(steps, dtype=np.int64)[graph.rule]
        marks = np.full((3, len(graph.rule)), NONE, dtype=np.int64)
        marks[0] = step_of
        known = list(number)
        ways = _ways(graph)
        for edge, names in ways.items():
            step = known[step_of[edge]]
            # A fault is an event wherever in the step it hits, and another one at each place.
            faults = [name for name in names if name.startswith(FAULT)]
            for row, name in enumerate(dict.fromkeys(["; ".join(names), *faults[:1]]), start=1):
                marks[row, edge] = number.setdefault(replace(step, way=name, does=True), len(number))
        said = _said(graph, [known[n] for n in steps], number)
        return Vocabulary(graph, tuple(number), np.concatenate([marks, said[:, graph.rule]]))

    @cached_property
    def ordered(self) -> Ordered:
        """The same as the engine holds it."""
        return self.graph.listed.orders(self.marks.astype(np.int32).tobytes())

    def with_any(self, events: Iterable[int]) -> tuple[Vocabulary, int]:
        """The same with an event more, which is any of some others, and its number."""
        which = sorted(set(events))
        either = tuple(self.events[n] for n in which)
        placed = all(event.placed for event in either)
        new = Event("", (), "", "", placed, does=True, lock="", kind=SAID, either=either)
        row = np.where(np.isin(self.marks, which).any(axis=0), len(self.events), NONE)
        marks = np.concatenate([self.marks, row[None, :]])
        return Vocabulary(self.graph, (*self.events, new), marks), len(self.events)


def _said(graph: Unfolding, steps: Sequence[Event], number: dict[Event, int]) -> Numbers:
    """Rows with what each rule says: whoever says it, if several steps do; and at its step, if it says different things.

    Args:
        graph: The graph.
        steps: The step of each rule.
        number: The numbers of events, to which these are added.
    """
    rules = graph.compiled.program.rules
    taken = np.unique(graph.rule).tolist()
    sayers: dict[str, set[Event]] = {}
    at: dict[Event, list[tuple[str, ...]]] = {}
    for rule in taken:
        at.setdefault(steps[rule], []).append(rules[rule].notes)
        for note in rules[rule].notes:
            sayers.setdefault(note, set()).add(steps[rule])
    found: list[list[int]] = []
    for rule, step in enumerate(steps):
        mine = []
        for note in rules[rule].notes if rule in set(taken) else ():
            if note.startswith(_WARNING):
                continue
            by = sayers[note]
            if len(by) > 1:
                placed = all(one.placed for one in by)
                kind = RESULTS if " = " in note or (": " in note and not note.startswith(FAULT)) else SAID
                event = Event("", (), note, "", placed, does=True, lock="", kind=kind)
                mine.append(number.setdefault(event, len(number)))
            if not note.startswith(FAULT) and any(note not in notes for notes in at[step]):
                event = replace(step, way=note, does=True, kind=RESULTS)
                mine.append(number.setdefault(event, len(number)))
        found.append(mine)
    width = max(map(len, found), default=0)
    rows = np.full((width, len(rules)), NONE, dtype=np.int64)
    for rule, mine in enumerate(found):
        rows[: len(mine), rule] = mine
    return rows


def _titles(graph: Unfolding) -> list[tuple[str, tuple[str, ...], str]]:
    """Actor, functions and step of each rule. What a step outside of any function always says belongs to its name: ``echo 0``."""
    program = graph.compiled.program
    notes: dict[int, set[tuple[str, ...]]] = {}
    for rule in program.rules:
        notes.setdefault(id(rule.label), set()).add(rule.notes)
    titles = []
    for rule in program.rules:
        always = rule.notes if not rule.label.frames and len(notes[id(rule.label)]) == 1 else ()
        title = " -> ".join([rule.label.title, *always])
        titles.append((program.actors[rule.actor], rule.label.frames, title))
    return titles


def _ways(graph: Unfolding) -> dict[int, tuple[str, ...]]:
    """Of each transition beside which the actor could have gone another way through the same step: what tells it apart.

    That is the shortest beginning of its notes that none of the others has; the notes that all have are left out.
    """
    rules = graph.compiled.program.rules
    labels = {id(rule.label): n for n, rule in enumerate(rules)}
    frame = pl.DataFrame(
        {
            "edge": np.arange(len(graph.rule)),
            "source": graph.source,
            "label": np.array([labels[id(rule.label)] for rule in rules])[graph.rule],
            "package": graph.package,
            "cpu": graph.cpu,
            "rule": graph.rule,
        }
    )
    same = ("source", "label", "package", "cpu")
    several = frame.filter(pl.len().over(same) > 1).group_by(same, maintain_order=True).agg("edge", "rule")
    known: dict[tuple[int, ...], list[tuple[str, ...]]] = {}
    found = {}
    for edges, taken in several.select("edge", "rule").iter_rows():
        key = tuple(taken)
        if key not in known:
            known[key] = _told_apart([rules[rule].notes for rule in taken])
        found.update({edge: name for edge, name in zip(edges, known[key], strict=True) if name})
    return found


def _told_apart(ways: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    common = set(ways[0]).intersection(*ways)
    own = [tuple(note for note in way if note not in common) for way in ways]
    names = []
    for way in own:
        end = next((n for n in range(1, len(way) + 1) if sum(o[:n] == way[:n] for o in own) == 1), len(way))
        # Of a fault, the call that it hits: the same fault may hit another one elsewhere.
        hits = 0 < end < len(way) and way[end - 1].startswith(FAULT) and " = " in way[end]
        names.append(way[: end + hits])
    return names


FAULT = "fault: "
"""How a note begins that names a fault."""

_WARNING = "WARN"
