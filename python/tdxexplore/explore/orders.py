"""Conditions on the order of steps, which a run of a graph meets or does not.

An *event* is a step of an actor, wherever it is taken, or one way through a step where an actor is free to take several (a fault
that hits or does not). A *condition* is that one event comes before any of another; the other one need not come at all. Events
may be bound to *a CPU* or *another CPU*. A *cause* is a set of conditions. A run meets a cause if there are two different
CPUs c and d (of more than one CPU) such that all of its conditions hold with c for "a CPU" and d for "another CPU": the first
event on the CPU named has happened before any of the second one on the CPU named. An event that is bound to no CPU is taken
wherever it happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.explore.unfolding import NONE
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.unfolding import Unfolding

ANYWHERE, ONE, OTHER = 0, 1, 2
"""Where an event is looked for: wherever it happens, on "a CPU", on "another CPU"."""


@dataclass(frozen=True, slots=True)
class Event:
    """A step of an actor, or one way through it.

    Attributes:
        actor: Who takes it.
        functions: The kernel functions around it, outermost first.
        title: The step.
        way: The way through it, by what only it does; empty for the step itself.
        placed: Whether it is taken on a CPU.
        does: Whether it executes an instruction or a SEAMCALL, takes a lock or is a free choice, in some run.
        lock: The lock that it takes, or nothing.
    """

    actor: str
    functions: tuple[str, ...]
    title: str
    way: str
    placed: bool
    does: bool
    lock: str


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """An event comes before any of another.

    Attributes:
        first: The event that comes, by number.
        at: Where: `ANYWHERE`, `ONE` or `OTHER`.
        before: The event that has not come by then, by number; `NONE` if only the first one matters.
        where: Where that one has not come.
        comes: Whether that one has to come later.
    """

    first: int
    at: int
    before: int = NONE
    where: int = ANYWHERE
    comes: bool = False

    @property
    def places(self) -> tuple[int, ...]:
        """The CPUs that it speaks of."""
        return tuple(sorted({self.at, self.where} - {ANYWHERE}))


Cause = tuple[Condition, ...]


class Vocabulary:
    """The events of a graph.

    Attributes:
        events: Steps in order of declaration, then ways through them.
        marks: Three rows with an event, or `NONE`, for each transition: the step; the way through it, if the actor could have
            gone another one; and the fault on that way, whatever it hits.
    """

    def __init__(self, graph: Unfolding) -> None:
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
        self.marks = np.full((3, len(graph.rule)), NONE, dtype=np.int64)
        self.marks[0] = step_of
        known = list(number)
        ways = _ways(graph)
        for edge, names in ways.items():
            step = known[step_of[edge]]
            # A fault is an event wherever in the step it hits, and another one at each place.
            faults = [name for name in names if name.startswith(_FAULT)]
            for row, name in enumerate(dict.fromkeys(["; ".join(names), *faults[:1]]), start=1):
                self.marks[row, edge] = number.setdefault(replace(step, way=name, does=True), len(number))
        self.events = tuple(number)


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
        hits = 0 < end < len(way) and way[end - 1].startswith(_FAULT) and " = " in way[end]
        names.append(way[: end + hits])
    return names


_FAULT = "fault: "


def pairs(cpus: int) -> Iterator[tuple[int, int]]:
    """Every choice of "a CPU" and "another CPU"."""
    return permutations(range(cpus), 2) if cpus > 1 else iter([(0, NONE - 1)])
