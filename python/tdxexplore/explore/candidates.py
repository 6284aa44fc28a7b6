"""Conditions that are tried as explanations, in the order in which they are preferred.

A condition of two steps of one actor says nothing that the actor does not settle, unless they are on different CPUs. Conditions
that speak of fewer CPUs are preferred; then those that order two steps rather than say that one comes; then those on steps that
do something, such as taking the same lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.orders import ANYWHERE, MOST_TIMES, NEAR, ONE, OTHER, SAID
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.orders import Vocabulary
    from tdxexplore.explore.unfolding import Flags, Numbers


@dataclass(frozen=True, slots=True)
class Offer:
    """The conditions that are offered.

    Attributes:
        places: How many CPUs conditions may speak of: none, "a CPU", or "another CPU" as well.
        kind: Events up to this kind.
        repeats: Whether conditions may count events, or say what has come in between.
        later: The events that a condition may ask to come later.
    """

    places: int
    kind: int
    repeats: bool
    later: frozenset[int]


def candidates(words: Vocabulary, offer: Offer, times: Sequence[int], useful: Flags) -> tuple[Numbers, Numbers]:
    """Conditions as rows of integers, and a row with the cost of each, the plainest first.

    Args:
        words: The events.
        offer: What is offered.
        times: How often each event comes at its place in some run that was seen: anywhere, or on one CPU.
        useful: The events that may be spoken of.
    """
    found = list(_Maker(words, offer, times, useful).made())
    rows, costs = np.concatenate([row for row, _ in found]), np.concatenate([cost for _, cost in found])
    # As conditions are sorted: event, place, the other event, its place.
    order = np.lexsort((*rows[:, [5, 2, 6, 7, 4, 3, 1, 0]].T, *costs.T[::-1]))
    return rows[order], costs[order]


class _Maker:
    def __init__(self, words: Vocabulary, offer: Offer, times: Sequence[int], useful: Flags) -> None:
        self._offer = offer
        events = words.events
        self._times = np.array(times, dtype=np.int64)
        self._placed = np.array([event.placed for event in events])
        self._kind = np.array([event.kind for event in events])
        self._does = np.array([event.does for event in events])
        self._way = np.array([bool(event.way) for event in events])
        locks = {name: n for n, name in enumerate(dict.fromkeys(event.lock for event in events), start=1)}
        self._lock = np.array([locks[event.lock] if event.lock else 0 for event in events])
        actors = {name: n for n, name in enumerate(dict.fromkeys(event.actor for event in events), start=1)}
        # What anybody may say is nobody's.
        self._actor = np.array([actors[e.actor] if e.actor else -n for n, e in enumerate(events, start=1)])
        self._whole = ~self._way
        usable = np.flatnonzero(useful & (self._kind <= offer.kind))
        on_cpus = (ONE, OTHER)[: offer.places]
        if offer.places and len(set(words.graph.package_of)) > 1:
            on_cpus = (*on_cpus, NEAR)
        terms = [(event, ANYWHERE) for event in usable]
        terms += [(event, place) for place in on_cpus for event in usable if self._placed[event]]
        self._terms = np.array(terms, dtype=np.int64).reshape(-1, 2)

    def made(self) -> Iterator[tuple[Numbers, Numbers]]:
        """Rows and their costs, kind by kind."""
        event, at = self._terms.T
        yield self._packed(event, at)
        first, then = np.indices((len(event), len(event))).reshape(2, -1)
        one, p, other, q = event[first], at[first], event[then], at[then]
        apart = (p != q) & (np.minimum(p, q) != ANYWHERE) & (np.maximum(p, q) != NEAR)
        keep = (first != then) & ((p != OTHER) | (q == ONE)) & (apart | (self._actor[one] != self._actor[other]))
        one, p, other, q = one[keep], p[keep], other[keep], q[keep]
        yield self._packed(one, p, before=other, where=q)
        later = np.isin(other, list(self._offer.later))
        yield self._packed(one[later], p[later], before=other[later], where=q[later], comes=1)
        if self._offer.repeats:
            yield from self._counted(one, p, other, q)
            yield from self._since()

    def _counted(self, one: Numbers, p: Numbers, other: Numbers, q: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
        """Those that speak of a second or third time: of events on a CPU, there."""
        event, at = self._terms.T
        own = at == self._own_place(event)
        for nth in range(2, MOST_TIMES + 1):
            often = own & (self._times[event] >= nth)
            yield self._packed(event[often], at[often], nth=nth)
        natural = (p == self._own_place(one)) & (q == self._own_place(other))
        for nth, before_nth in np.ndindex(MOST_TIMES, MOST_TIMES):
            if nth or before_nth:
                often = natural & (self._times[one] > nth) & (self._times[other] > before_nth)
                yield self._packed(
                    one[often], p[often], before=other[often], where=q[often], nth=nth + 1, before_nth=before_nth + 1
                )

    def _own_place(self, events: Numbers) -> Numbers:
        return np.where(self._placed[events] & (self._offer.places > 0), ONE, ANYWHERE)

    def _since(self) -> Iterator[tuple[Numbers, Numbers]]:
        """Those that say what has come, and what has not come since: both by one actor, or both whatever anybody does."""
        event, at = self._terms.T
        whole = self._whole[event] & self._does[event]
        began, ended = np.indices((len(event), len(event))).reshape(2, -1)
        said = self._kind[event] == SAID
        alike = (self._actor[event[began]] == self._actor[event[ended]]) | (said[began] & said[ended])
        keep = alike & (began != ended) & (at[began] == at[ended]) & whole[began] & whole[ended] & (at[began] != OTHER)
        pairs = np.stack([event[began[keep]], event[ended[keep]], at[began[keep]]])
        alone = np.stack([event[whole], np.full(whole.sum(), NONE), at[whole]])[:, at[whole] != OTHER]
        for since, before, where in ((*pairs,), (*alone,)):
            x, y = np.indices((len(event), len(since))).reshape(2, -1)
            comes, p = event[x], at[x]
            keep = (p != OTHER) & (p != NEAR) & (comes != since[y]) & (comes != before[y])
            keep &= self._actor[comes] != self._actor[since[y]]
            # Of what comes once, that it comes after something is an order of two.
            keep &= (before[y] != NONE) | (self._times[comes] > 1)
            x, y = x[keep], y[keep]
            yield self._packed(event[x], at[x], before=before[y], where=where[y], since=since[y])

    def _packed(self, first: Numbers, at: Numbers, **more: Numbers | int) -> tuple[Numbers, Numbers]:
        """Conditions and their costs; what is not given is as in `Condition`."""
        named = {"before": NONE, "where": ANYWHERE, "since": NONE, "comes": 0, "nth": 1, "before_nth": 1, **more}
        column = {name: np.broadcast_to(value, first.shape) for name, value in named.items()}
        before, where, since = column["before"], column["where"], column["since"]
        rows = [first, at, column["nth"], before, where, column["before_nth"], since, column["comes"]]
        alone = (before == NONE) & (since == NONE)
        one = np.isin(at, (ONE, NEAR)) | (~alone & np.isin(where, (ONE, NEAR)))
        other = (at == OTHER) | (~alone & (where == OTHER))
        lock = (before != NONE) & (since == NONE) & (self._lock[first] > 0) & (self._lock[first] == self._lock[before])
        apart = 1 + self._idle(first) + self._idle(before) + self._idle(since) + (since != NONE)
        rest = np.where(alone | lock, 0, apart) + column["comes"] + column["nth"] + column["before_nth"] - 2
        rest = rest + sum(np.where(event == NONE, 0, self._kind[event]) for event in (first, before, since))
        costs = [one.astype(np.int64) + other, alone & ~self._way[first], rest]
        return np.stack(rows, axis=1), np.stack(costs, axis=1).astype(np.int64)

    def _idle(self, events: Numbers) -> Flags:
        found: Flags = (events != NONE) & ~self._does[events]
        return found
