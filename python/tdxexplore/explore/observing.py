"""An observer that says of every run at once whether it meets conditions on the order of its steps.

It is a finite automaton that reads the steps of a run and remembers of each condition, for each choice of CPUs, whether it is
met, broken or open. `observe` explores the product of the graph with it: what it finds is true of every run, for it looks at
all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.errors import TooLarge
from tdxexplore.explore.orders import Cause, Vocabulary, pairs
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tdxexplore.explore.unfolding import Flags, Numbers, Unfolding

    Objects = NDArray[np.object_]
    Reals = NDArray[np.float64]

MOST_NODES = 4_000_000
"""The most pairs of a state and what was observed on the way to it."""


class Observer:
    """The automaton of some causes.

    Args:
        graph: What is observed.
        words: Its events.
        causes: What is looked for.
        any_of: Whether it is enough that some cause is met, whichever: bit 0 then stands for all.

    Attributes:
        symbol: What it reads of each transition.
        width: How many symbols there are.
    """

    def __init__(self, graph: Unfolding, words: Vocabulary, causes: Sequence[Cause], *, any_of: bool) -> None:
        instances: dict[tuple[int, int, int, int, bool], int] = {}
        self._wholes: list[tuple[int, tuple[int, ...]]] = []  # a cause, and its conditions on two given CPUs
        for number, cause in enumerate(causes):
            wholes: dict[tuple[int, ...], None] = {}
            for one, other in pairs(graph.cpus):
                at = (NONE, one, other, _beside(one))
                parts = [
                    (c.first, at[c.at], c.before, at[c.where] if c.before != NONE else NONE, c.comes) for c in cause
                ]
                wholes[tuple(instances.setdefault(part, len(instances)) for part in parts)] = None
            self._wholes += [(0 if any_of else number, whole) for whole in wholes]
        self._count = len(instances)
        marks = np.concatenate([words.marks, graph.cpu[None, :]])
        letters, letter = np.unique(marks, axis=1, return_inverse=True)
        # Transitions of which it reads the same are one symbol: most say nothing.
        said: dict[tuple[int, ...], int] = {}
        symbols = [
            said.setdefault(tuple(_read(each, instance, graph.package_of) for instance in instances), len(said))
            for each in letters.T.tolist()
        ]
        self.symbol = np.array(symbols, dtype=np.int64)[letter.reshape(-1)]
        self.width = len(said)
        self._letters = [[(part, word) for part, word in enumerate(read) if word != _NOTHING] for read in said]
        self._in: list[list[int]] = [[] for _ in instances]  # the wholes that a condition is part of
        for number, (_, whole) in enumerate(self._wholes):
            for part in set(whole):
                self._in[part].append(number)
        self._known: dict[tuple[int, bytes], int] = {}
        self._states: list[tuple[int, bytes]] = []
        self._after: dict[tuple[int, int], int] = {}
        self.start = self._state(0, bytearray([_OPEN]) * self._count, range(len(self._wholes)))

    def after(self, state: int, symbol: int) -> int:
        """The state after a transition."""
        pair = (state, symbol)
        found = self._after.get(pair)
        if found is None:
            met, parts = self._states[state]
            now, changed = bytearray(parts), dict[int, None]()
            for part, said in self._letters[symbol]:
                new = _next(parts[part], said)
                if new != parts[part]:
                    now[part] = new
                    changed.update(dict.fromkeys(self._in[part]))
            found = self._after[pair] = self._state(met, now, changed) if changed else state
        return found

    @property
    def met(self) -> Numbers:
        """The causes that are met in each of its states, as bits."""
        return np.array([met for met, _ in self._states], dtype=np.int64)

    def _state(self, met: int, parts: bytearray, changed: Iterable[int]) -> int:
        """A number for what is known; what cannot matter any more is forgotten."""
        before, forget = met, False
        for number in changed:
            cause, whole = self._wholes[number]
            known = [parts[part] for part in whole]
            if all(each == _MET for each in known):
                met |= 1 << cause
            forget = forget or _BROKEN in known
        if forget or met != before:
            matters: set[int] = set()
            for cause, whole in self._wholes:
                if not met >> cause & 1 and not any(parts[part] == _BROKEN for part in whole):
                    matters.update(whole)
            for part in range(self._count):
                if part not in matters:
                    parts[part] = _BROKEN
        key = (met, bytes(parts))
        number = self._known.setdefault(key, len(self._states))
        if number == len(self._states):
            self._states.append(key)
        return number


_OPEN, _HALF, _MET, _BROKEN = 0, 1, 2, 3
"""What is known of a condition: nothing yet; its first event has come and the other one has to; it is met; it is broken."""

_NOTHING, _FIRST, _FIRST_OF_TWO, _SECOND = 0, 1, 2, 3


def _read(letter: list[int], instance: tuple[int, int, int, int, bool], package_of: Sequence[int]) -> int:
    """What a transition says about a condition."""
    *marks, cpu = letter
    there = {NONE, cpu}
    if cpu != NONE:
        there |= {_beside(n) for n, package in enumerate(package_of) if package == package_of[cpu] and n != cpu}
    first, at, before, where, comes = instance
    if before != NONE and before in marks and where in there:
        return _SECOND
    if first in marks and at in there:
        return _FIRST_OF_TWO if comes else _FIRST
    return _NOTHING


def _beside(cpu: int) -> int:
    """The other CPUs of the package of one, as a place: CPUs are numbered from 0 up, so these places go down."""
    return -10 - cpu


def _next(known: int, said: int) -> int:
    if known == _OPEN and said != _NOTHING:
        return {_FIRST: _MET, _FIRST_OF_TWO: _HALF, _SECOND: _BROKEN}[said]
    return _MET if known == _HALF and said == _SECOND else known


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
    runs: Objects | None
    probability: Reals | None

    def counts(self, nodes: Numbers) -> Objects:
        """How many runs lead to some nodes, as Python integers."""
        if self.runs is None:
            raise ValueError("runs were not counted")
        return self.runs[nodes]

    def chances(self, nodes: Numbers) -> Reals:
        """How likely it is that a run comes to some nodes."""
        if self.probability is None:
            raise ValueError("runs were not counted")
        return self.probability[nodes]

    def path(self, node: int) -> list[int]:
        """The transitions of a run to a node."""
        taken: list[int] = []
        while self.parent[node] != NONE:
            taken.append(int(self.edge[node]))
            node = int(self.parent[node])
        return taken[::-1]


def observe(
    graph: Unfolding,
    words: Vocabulary,
    causes: Sequence[Cause],
    *,
    count: bool = False,
    any_of: bool = False,
    within: Flags | None = None,
) -> Observed:
    """Explore the product of a graph with the observer of some causes.

    Args:
        graph: A graph without cycles.
        words: Its events.
        causes: What is looked for.
        count: Whether runs and probabilities are wanted.
        any_of: Whether it is enough to know that some cause is met: bit 0 of ``met`` then stands for all of them.
        within: The states that are looked at; default: all. Runs that leave them are not followed.

    Raises:
        TooLarge: There are more than `MOST_NODES` nodes.
    """
    layers = graph.layers
    if layers is None:
        raise ValueError("the graph has a cycle")
    layer_of = np.empty(graph.states, dtype=np.int64)
    for number, layer in enumerate(layers):
        layer_of[layer] = number
    observer = Observer(graph, words, causes, any_of=any_of)
    degree = np.diff(graph.indptr)
    zero = np.zeros(1, dtype=np.int64)
    first = _Arrivals(zero, zero + observer.start, zero + NONE, zero + NONE)
    if count:
        first = replace(first, runs=np.array([1], dtype=object), probability=np.ones(1))
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
            raise TooLarge(
                f"the orders of steps tell more than {MOST_NODES:,} pasts of states apart, too many to look at"
            )
        edges = graph.out_of(here.state)
        times = degree[here.state]
        seen = _after(observer, np.repeat(here.seen, times), observer.symbol[edges])
        target = graph.target[edges]
        runs = None if here.runs is None else np.repeat(here.runs, times)
        probability = None if here.probability is None else np.repeat(here.probability / np.maximum(times, 1), times)
        arrived = _Arrivals(target, seen, np.repeat(nodes, times), edges, runs, probability)
        if within is not None:
            arrived = arrived.where(within[target])
        goes_to = layer_of[arrived.state]
        for other in np.unique(goes_to).tolist():
            waiting[other].append(arrived.where(goes_to == other))
    state, seen = np.concatenate([part.state for part in done]), np.concatenate([part.seen for part in done])
    return Observed(
        state=state,
        parent=np.concatenate([part.parent for part in done]),
        edge=np.concatenate([part.edge for part in done]),
        met=observer.met[seen],
        ends=np.flatnonzero(graph.outcome[state] != NONE),
        runs=np.concatenate([part.runs for part in done if part.runs is not None]) if count else None,
        probability=np.concatenate([part.probability for part in done if part.probability is not None])
        if count
        else None,
    )


def _after(observer: Observer, seen: Numbers, symbols: Numbers) -> Numbers:
    width = observer.width
    keys, back = np.unique(seen * width + symbols, return_inverse=True)
    after = np.array([observer.after(*divmod(key, width)) for key in keys.tolist()], dtype=np.int64)
    found: Numbers = after[back.reshape(-1)]
    return found


@dataclass(frozen=True, eq=False)
class _Arrivals:
    """Steps that arrive at nodes of a layer."""

    state: Numbers
    seen: Numbers
    parent: Numbers
    edge: Numbers
    runs: Objects | None = None
    probability: Reals | None = None

    def where(self, chosen: Flags | Numbers) -> _Arrivals:
        """Some of them."""
        runs = None if self.runs is None else self.runs[chosen]
        probability = None if self.probability is None else self.probability[chosen]
        return _Arrivals(
            self.state[chosen], self.seen[chosen], self.parent[chosen], self.edge[chosen], runs, probability
        )


def _merged(parts: list[_Arrivals]) -> _Arrivals:
    """One arrival for each node, with the runs of all."""
    state, seen = np.concatenate([part.state for part in parts]), np.concatenate([part.seen for part in parts])
    parent, edge = np.concatenate([part.parent for part in parts]), np.concatenate([part.edge for part in parts])
    _, index, back = np.unique(state * (1 << 32) + seen, return_index=True, return_inverse=True)
    counted = [
        (part.runs, part.probability) for part in parts if part.runs is not None and part.probability is not None
    ]
    one = _Arrivals(state, seen, parent, edge).where(index)
    if not counted:
        return one
    runs, back = np.zeros(len(index), dtype=object), back.reshape(-1)
    np.add.at(runs, back, np.concatenate([each for each, _ in counted]))
    probability = np.zeros(len(index))
    np.add.at(probability, back, np.concatenate([each for _, each in counted]))
    return replace(one, runs=runs, probability=probability)
