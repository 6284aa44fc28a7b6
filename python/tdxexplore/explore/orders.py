"""Conditions on the order of steps, and the observer that says of every run at once whether it meets them.

An *event* is a step of an actor, wherever it is taken, or one way through a step where an actor is free to take several (a fault
that hits or does not). A *condition* is that one event comes before any of another; the other one need not come at all. Events
may be bound to *a CPU* or *another CPU*. A *cause* is a set of conditions. A run meets a cause if there are two different
CPUs c and d (of more than one CPU) such that all of its conditions hold with c for "a CPU" and d for "another CPU": the first
event on the CPU named has happened before any of the second one on the CPU named. An event that is bound to no CPU is taken
wherever it happens.

The observer is a finite automaton that reads the steps of a run and remembers of each condition, for each choice of CPUs, whether
it is met, broken or open. `observe` explores the product of the graph with it: what it finds is true of every run, for it
looks at all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.unfolding import Numbers, Unfolding
    from tdxexplore.model.program import Rule

ANYWHERE, ONE, OTHER = 0, 1, 2
"""Where an event is looked for: wherever it happens, on "a CPU", on "another CPU"."""

MOST_NODES = 4_000_000
"""The most pairs of a state and what was observed on the way to it."""


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
    """

    actor: str
    functions: tuple[str, ...]
    title: str
    way: str
    placed: bool
    does: bool


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """An event comes before any of another.

    Attributes:
        first: The event that comes, by number.
        at: Where: `ANYWHERE`, `ONE` or `OTHER`.
        before: The event that has not come by then, by number; `NONE` if only the first one matters.
        where: Where that one has not come.
    """

    first: int
    at: int
    before: int = NONE
    where: int = ANYWHERE

    @property
    def places(self) -> tuple[int, ...]:
        """The CPUs that it speaks of."""
        return tuple(sorted({self.at, self.where} - {ANYWHERE}))


Cause = tuple[Condition, ...]


class Vocabulary:
    """The events of a graph.

    Attributes:
        events: In order of declaration.
        step: The event of each transition that is a step.
        way: That of each transition that is a way through it, or `NONE`.
    """

    def __init__(self, graph: Unfolding) -> None:
        program = graph.compiled.program
        rules = program.rules
        number: dict[Event, int] = {}
        doing: dict[tuple[str, tuple[str, ...], str], bool] = {}
        for rule in rules:
            key = (program.actors[rule.actor], rule.label.frames, rule.label.title)
            doing[key] = doing.get(key, False) or any(e.name for e in rule.events) or rule.label.takes is not None
        of_rule, placed = [], [rule.label.scope.value == "cpu" for rule in rules]
        for rule, at_cpu in zip(rules, placed, strict=True):
            key = (program.actors[rule.actor], rule.label.frames, rule.label.title)
            of_rule.append(number.setdefault(Event(*key, "", at_cpu, doing[key]), len(number)))
        free, names = _free(graph), _ways(rules)
        ways = []
        for at, rule in enumerate(rules):
            step, name = list(number)[of_rule[at]], names.get((rule.label.pc, rule.label.name, rule.choice), "")
            event = Event(step.actor, step.functions, step.title, name, step.placed, does=True)
            ways.append(number.setdefault(event, len(number)) if name else NONE)
        self.events = tuple(number)
        self.step = np.array(of_rule, dtype=np.int64)[graph.rule]
        self.way = np.where(free, np.array(ways, dtype=np.int64)[graph.rule], NONE)


def _free(graph: Unfolding) -> np.ndarray:
    """Whether the actor of each transition could have gone another way through the same step."""
    rules = graph.compiled.program.rules
    labels = {id(rule.label): n for n, rule in enumerate(rules)}
    frame = pl.DataFrame(
        {
            "source": graph.source,
            "label": np.array([labels[id(rule.label)] for rule in rules])[graph.rule],
            "package": graph.package,
            "cpu": graph.cpu,
            "choice": np.array([rule.choice for rule in rules])[graph.rule],
        }
    )
    several = pl.col("choice").n_unique().over("source", "label", "package", "cpu") > 1
    return frame.select(several).to_series().to_numpy()


def _ways(rules: Sequence[Rule]) -> dict[tuple[str, str, int], str]:
    """A name for each way through a step that does something which no other way does: the first note that only it has."""
    notes: dict[tuple[str, str], dict[int, list[tuple[str, ...]]]] = {}
    for rule in rules:
        notes.setdefault((rule.label.pc, rule.label.name), {}).setdefault(rule.choice, []).append(rule.notes)
    names = {}
    for label, ways in notes.items():
        for choice, own in ways.items():
            others = {note for other, each in ways.items() if other != choice for said in each for note in said}
            name = next((n for n in own[0] if n not in others and all(n in said for said in own)), "")
            if name and len(ways) > 1:
                names[*label, choice] = name
    return names


class Observer:
    """The automaton of some causes.

    Args:
        graph: What is observed.
        words: Its events.
        causes: What is looked for.

    Attributes:
        symbol: What it reads of each transition.
    """

    def __init__(self, graph: Unfolding, words: Vocabulary, causes: Sequence[Cause]) -> None:
        cpus = int(graph.cpu.max(initial=0)) + 1
        instances: dict[tuple[int, int, int, int], int] = {}
        self._wholes: list[tuple[int, tuple[int, ...]]] = []  # a cause, and its conditions on two given CPUs
        for number, cause in enumerate(causes):
            wholes = {}
            for one, other in pairs(cpus):
                at = (NONE, one, other)
                parts = [(c.first, at[c.at], c.before, at[c.where] if c.before != NONE else NONE) for c in cause]
                wholes[tuple(instances.setdefault(part, len(instances)) for part in parts)] = None
            self._wholes += [(number, whole) for whole in wholes]
        self._count = len(instances)
        read = np.stack([words.step, words.way, graph.cpu])
        letters, self.symbol = np.unique(read, axis=1, return_inverse=True)
        self.symbol = self.symbol.reshape(-1)
        self._letters = [tuple(_read(letter, instance) for instance in instances) for letter in letters.T.tolist()]
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        self._states: list[tuple[int, tuple[int, ...]]] = []
        self._after: dict[tuple[int, int], int] = {}
        self.start = self._state(0, (_OPEN,) * self._count)

    def after(self, state: int, symbol: int) -> int:
        """The state after a transition."""
        pair = (state, symbol)
        if pair not in self._after:
            met, open_ = self._states[state]
            now = tuple(new if old == _OPEN and new != _OPEN else old for old, new in zip(open_, self._letters[symbol], strict=True))
            self._after[pair] = self._state(met, now)
        return self._after[pair]

    def met(self, state: int) -> int:
        """The causes that are met, as bits."""
        return self._states[state][0]

    def _state(self, met: int, parts: tuple[int, ...]) -> int:
        """A number for what is known; what cannot matter any more is forgotten."""
        for cause, whole in self._wholes:
            if all(parts[part] == _MET for part in whole):
                met |= 1 << cause
        matters = {
            part
            for cause, whole in self._wholes
            if not met >> cause & 1 and all(parts[p] != _BROKEN for p in whole)
            for part in whole
        }
        parts = tuple(value if part in matters else _BROKEN for part, value in enumerate(parts))
        number = self._known.setdefault((met, parts), len(self._states))
        if number == len(self._states):
            self._states.append((met, parts))
        return number


_OPEN, _MET, _BROKEN = 0, 1, 2


def _read(letter: list[int], instance: tuple[int, int, int, int]) -> int:
    step, way, cpu = letter
    first, at, before, where = instance
    if before != NONE and before in (step, way) and where in (NONE, cpu):
        return _BROKEN
    return _MET if first in (step, way) and at in (NONE, cpu) else _OPEN


def pairs(cpus: int) -> Iterator[tuple[int, int]]:
    """Every choice of "a CPU" and "another CPU"."""
    return permutations(range(cpus), 2) if cpus > 1 else iter([(0, NONE - 1)])


@dataclass(frozen=True, eq=False)
class Observed:
    """Every way through the graph, as far as an observer tells ways apart.

    Attributes:
        state: The state of each node, in an order in which transitions lead forward.
        parent: A node before it, or `NONE`.
        edge: The transition from there, or `NONE`.
        met: The causes that are met when it is reached, as bits.
        ends: The nodes whose states are terminal.
        runs: How many runs lead to each node, exactly (Python integers); None unless they were asked for.
        probability: How likely it is that a run comes to each node, each enabled transition being equally likely; None likewise.
    """

    state: Numbers
    parent: Numbers
    edge: Numbers
    met: Numbers
    ends: Numbers
    runs: np.ndarray | None
    probability: np.ndarray | None

    def path(self, node: int) -> list[int]:
        """The transitions of a run to a node."""
        taken: list[int] = []
        while self.parent[node] != NONE:
            taken.append(int(self.edge[node]))
            node = int(self.parent[node])
        return taken[::-1]


def observe(graph: Unfolding, words: Vocabulary, causes: Sequence[Cause], *, count: bool = False) -> Observed | None:
    """Explore the product of a graph with the observer of some causes.

    Returns:
        All of it; None if there are more than `MOST_NODES` nodes.
    """
    layers = graph.layers
    if layers is None:
        raise ValueError("the graph has a cycle")
    layer_of = np.empty(graph.states, dtype=np.int64)
    for number, layer in enumerate(layers):
        layer_of[layer] = number
    observer = Observer(graph, words, causes)
    degree = np.diff(graph.indptr)
    zero = np.zeros(1, dtype=np.int64)
    first = _Arrivals(zero, zero + observer.start, zero + NONE, zero + NONE)
    if count:
        first = _Arrivals(first.state, first.seen, first.parent, first.edge, np.array([1], dtype=object), np.ones(1))
    waiting: list[list[_Arrivals]] = [[] for _ in layers]
    waiting[layer_of[0]].append(first)
    done: list[_Arrivals] = []
    base = 0
    for number in range(len(layers)):
        if not waiting[number]:
            continue
        here = _merged(waiting[number])
        waiting[number] = []
        done.append(here)
        nodes = base + np.arange(len(here.state))
        base += len(nodes)
        if base > MOST_NODES:
            return None
        edges = graph.out_of(here.state)
        times = degree[here.state]
        seen = _after(observer, np.repeat(here.seen, times), observer.symbol[edges])
        target = graph.target[edges]
        runs = None if here.runs is None else np.repeat(here.runs, times)
        probability = None if here.probability is None else np.repeat(here.probability / np.maximum(times, 1), times)
        arrived = _Arrivals(target, seen, np.repeat(nodes, times), edges, runs, probability)
        goes_to = layer_of[target]
        for other in np.unique(goes_to).tolist():
            waiting[other].append(arrived.where(goes_to == other))
    met = np.array([observer.met(s) for s in range(len(observer._states))], dtype=np.int64)
    every = [np.concatenate([getattr(part, name) for part in done]) for name in ("state", "seen", "parent", "edge")]
    runs = np.concatenate([part.runs for part in done]) if count else None
    probability = np.concatenate([part.probability for part in done]) if count else None
    state, seen, parent, edge = every
    return Observed(state, parent, edge, met[seen], np.flatnonzero(graph.outcome[state] != NONE), runs, probability)


def _after(observer: Observer, seen: Numbers, symbols: Numbers) -> Numbers:
    width = int(observer.symbol.max(initial=0)) + 1
    keys, back = np.unique(seen * width + symbols, return_inverse=True)
    after = [observer.after(*divmod(key, width)) for key in keys.tolist()]
    return np.array(after, dtype=np.int64)[back.reshape(-1)]


@dataclass(frozen=True, eq=False)
class _Arrivals:
    """Steps that arrive at nodes of a layer."""

    state: Numbers
    seen: Numbers
    parent: Numbers
    edge: Numbers
    runs: np.ndarray | None = None
    probability: np.ndarray | None = None

    def where(self, chosen: np.ndarray) -> _Arrivals:
        return _Arrivals(*(None if a is None else a[chosen] for a in self._all()))

    def _all(self) -> tuple[np.ndarray | None, ...]:
        return self.state, self.seen, self.parent, self.edge, self.runs, self.probability


def _merged(parts: list[_Arrivals]) -> _Arrivals:
    """One arrival for each node, with the runs of all."""
    columns = [None if parts[0]._all()[n] is None else np.concatenate([p._all()[n] for p in parts]) for n in range(6)]
    state, seen, parent, edge, runs, probability = columns
    _, index, back = np.unique(state * (1 << 32) + seen, return_index=True, return_inverse=True)
    if runs is not None:
        back = back.reshape(-1)
        total = np.zeros(len(index), dtype=object)
        np.add.at(total, back, runs)
        chance = np.bincount(back, probability, len(index))
        return _Arrivals(state[index], seen[index], parent[index], edge[index], total, chance)
    return _Arrivals(state[index], seen[index], parent[index], edge[index])
