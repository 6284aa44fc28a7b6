"""All labelled states and transitions of a small question, as arrays: what `graph`, `decisive` and `why` look at.

The engine stores orbits; here every CPU keeps its number, so that a run can be followed step by step. That is for graphs of some
100,000 states, and a larger one is refused before it is begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.explore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tdxexplore.explore.engine import Listed, Words
    from tdxexplore.explore.question import Compiled, Question

    Numbers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

NONE = -1
"""Stands for no CPU, no package and no outcome."""


@dataclass(frozen=True, eq=False)
class Unfolding:
    """All labelled states and transitions. State 0 is the initial one; numbers follow a breadth-first search.

    Attributes:
        compiled: What was unfolded.
        indptr: The transitions of state s are those from ``indptr[s]`` up to ``indptr[s + 1]``, in canonical order.
        source: The state that each transition leaves.
        target: The state that each transition leads to.
        rule: The index in the Program of each transition's rule.
        package: Where it acts, or `NONE`.
        cpu: Where it acts, or `NONE`.
        outcome: The index of each state's outcome if it is terminal, else `NONE`.
        listed: The same as the engine holds it.
    """

    compiled: Compiled
    indptr: Numbers
    source: Numbers
    target: Numbers
    rule: Numbers
    package: Numbers
    cpu: Numbers
    outcome: Numbers
    listed: Listed

    @property
    def states(self) -> int:
        """How many states there are."""
        return len(self.outcome)

    @cached_property
    def cpus(self) -> int:
        """How many CPUs there are, counted up to the last one that does anything."""
        return int(self.cpu.max(initial=0)) + 1

    def words(self, state: int) -> Words:
        """A state as the engine packs it."""
        return self.listed.words(state)

    def out_of(self, states: Numbers) -> Numbers:
        """The transitions that leave some states, in the order of these."""
        counts = self.indptr[states + 1] - self.indptr[states]
        starts = np.repeat(self.indptr[states] - np.cumsum(counts) + counts, counts)
        return starts + np.arange(len(starts))

    @cached_property
    def layers(self) -> tuple[Numbers, ...] | None:
        """The states by the length of the longest path to them: transitions lead to later layers. None if there is a cycle."""
        waiting = np.bincount(self.target, minlength=self.states)
        layers, now, seen = [], np.flatnonzero(waiting == 0), 0
        while len(now):
            layers.append(now)
            seen += len(now)
            reached, times = np.unique(self.target[self.out_of(now)], return_counts=True)
            waiting[reached] -= times
            now = reached[waiting[reached] == 0]
        return tuple(layers) if seen == self.states else None

    def leads_to(self, marked: Flags) -> Flags:
        """The states from which a marked one can be reached."""
        found = marked.copy()
        while True:
            before = int(found.sum())
            for layer in self._backwards():
                out = self.out_of(layer)
                found[self.source[out[found[self.target[out]]]]] = True
            if self.layers is not None or int(found.sum()) == before:
                return found

    def runs_onward(self) -> NDArray[np.object_]:
        """How many ways there are from each state to the end, as Python integers, in a graph without cycles."""
        found = np.where(self.outcome == NONE, 0, 1).astype(object)
        for layer in self._backwards():
            out = self.out_of(layer)
            np.add.at(found, self.source[out], found[self.target[out]])
        return found

    def _backwards(self) -> Iterator[Numbers]:
        yield from reversed(self.layers or (np.arange(self.states),))


def unfold(question: Question, most: int) -> Unfolding | str:
    """List every state and transition of a question.

    Args:
        question: What is asked.
        most: The most concrete states.

    Returns:
        The lists; or how many states there are, in words, if there are more.

    Raises:
        Trap: The Program is wrong about itself in a reachable state.
    """
    compiled, initial = question.compile(), question.initial()
    found = compiled.engine.explore(initial, Settings(measures=False, max_states=most))
    if not found.complete:
        return f"more than {int(found.states):,}"
    # Many concrete states may stand behind one that is stored.
    listed = compiled.engine.unfold(initial, most) if int(found.states) <= most else None
    if listed is None:
        return f"{int(found.states):,}"
    states, taken = pl.DataFrame(listed.states()), pl.DataFrame(listed.transitions())
    indptr = np.concatenate([[0], states["end"].to_numpy().astype(np.int64)])
    return Unfolding(
        compiled=compiled,
        indptr=indptr,
        source=np.repeat(np.arange(len(states)), np.diff(indptr)),
        target=_numbers(taken["target"]),
        rule=_numbers(taken["rule"]),
        package=_numbers(taken["package"]),
        cpu=_numbers(taken["cpu"]),
        outcome=_numbers(states["outcome"]),
        listed=listed,
    )


def _numbers(column: pl.Series) -> Numbers:
    return column.cast(pl.Int64).fill_null(NONE).to_numpy()
