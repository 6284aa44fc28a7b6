"""Runs as examples: which conditions on the order of steps tell those with an outcome from those without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.candidates import candidates
from tdxexplore.explore.orders import Condition
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.explore.candidates import Offer
    from tdxexplore.explore.decisive import Fate
    from tdxexplore.explore.orders import Cause, Vocabulary
    from tdxexplore.explore.unfolding import Flags

    Path = tuple[int, ...]


class Examples:
    """Examples, and conditions that may tell them apart.

    Args:
        words: The events of the graph that they are runs of.
        fate: Where the outcome is decided, if only what has come by then counts.
        offer: Which conditions are offered.
        times: How often each event comes at its place in some run that was seen.
        useful: The events that may be spoken of.
    """

    def __init__(self, words: Vocabulary, fate: Fate | None, offer: Offer, times: Sequence[int], useful: Flags) -> None:
        self._words, self._fate = words, fate
        self._rows, costs = candidates(words, offer, times, useful)
        packed = (table.astype(np.int32).tobytes() for table in (self._rows, costs))
        self._table = words.ordered.examples(offer.places, *packed)
        self._known: set[Path] = set()

    def feed(self, bad: Iterable[Path], good: Iterable[Path]) -> None:
        """Take runs with the outcome and runs without it; those that it has are not taken again."""
        graph = self._words.graph
        for runs, with_it in ((bad, True), (good, False)):
            for path in runs:
                if path not in self._known:
                    self._known.add(path)
                    by = None
                    if with_it and self._fate is not None:
                        by = int(np.argmax(self._fate.certain[graph.target[np.array(path)]]))
                    self._table.add(list(path), with_it, by)

    def shared(self, most: int) -> tuple[Condition, ...]:
        """Conditions that all runs with the outcome meet, the plainest first."""
        return self._cause(self._table.shared(most))

    def single(self, most: int) -> Cause:
        """A cause of at most so many conditions that all runs with the outcome meet and no other one; empty if none was found."""
        return tuple(sorted(self._cause(self._table.single(most) or [])))

    def several(self, most: int) -> tuple[int, tuple[Cause, ...]]:
        """Some causes, each of which no run without the outcome meets; and how many of the other runs meet none of them."""
        missed, causes = self._table.several(most)
        return missed, tuple(tuple(sorted(self._cause(which))) for which in causes)

    def _cause(self, which: Sequence[int]) -> Cause:
        return tuple(Condition.unpacked(self._rows[n]) for n in which)


def times(words: Vocabulary, paths: Iterable[Path]) -> list[int]:
    """How often each event comes in the run in which it comes most: on one CPU, if it is on CPUs, else anywhere."""
    most = np.zeros(len(words.events), dtype=np.int64)
    placed = np.array([event.placed for event in words.events])
    cpus = words.graph.cpus
    for path in paths:
        taken = np.array(path)
        marks, cpu = words.marks[:, taken], np.broadcast_to(words.graph.cpu[taken], (len(words.marks), len(taken)))
        events, where = marks[marks != NONE], cpu[marks != NONE]
        where = np.where(placed[events] & (where != NONE), where, cpus)
        counted = np.bincount(events * (cpus + 1) + where, minlength=len(most) * (cpus + 1))
        most = np.maximum(most, counted.reshape(len(most), -1).max(axis=1))
    found: list[int] = most.tolist()
    return found
