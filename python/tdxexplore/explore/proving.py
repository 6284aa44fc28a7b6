"""Proofs of what was learned: each claim is held against every run, and one that does not pass is not made.

That conditions are *sufficient*: with the orders forced, every run has the outcome. That one is *necessary*: with it forbidden,
no run has it. *If and only if*: as many runs with the outcome meet a cause as there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.learning import MOST_CONDITIONS
from tdxexplore.explore.observing import observe
from tdxexplore.explore.orders import ANYWHERE, OTHER, Condition, Event
from tdxexplore.explore.reasons import Order, Part, Reason
from tdxexplore.explore.unfolding import NONE
from tdxexplore.model.schedule import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.explore.decisive import Fate
    from tdxexplore.explore.learning import Learning
    from tdxexplore.explore.observing import Observed
    from tdxexplore.explore.orders import Cause, Vocabulary
    from tdxexplore.explore.unfolding import Flags, Unfolding


@dataclass(slots=True)
class Proved:
    """The claims that are proved so far."""

    causes: list[Reason] = field(default_factory=list)
    exact: bool = False
    covered: float = 0.0
    necessary: list[Order] = field(default_factory=list)
    tried: dict[Condition, bool] = field(default_factory=dict)
    cut: bool = True


class Proof:
    """Proves what was learned of an outcome.

    Args:
        words: The events.
        outcome: The outcome, by its index.
        fate: Where it is decided.
        every: All runs.
    """

    def __init__(self, words: Vocabulary, outcome: int, fate: Fate, every: Observed) -> None:
        self._words, self._outcome, self._fate, self._all = words, outcome, fate, every

    @cached_property
    def total(self) -> int:
        """How many runs there are."""
        return int(self._all.runs.sum())

    def bad_part(self, seen: Observed, chosen: Flags | None = None) -> Part:
        """The runs that end in the outcome.

        Args:
            seen: What was observed.
            chosen: At which of its ends; None for all.
        """
        bad = seen.outcome == self._outcome
        ends = bad if chosen is None else bad & chosen
        runs = int(seen.runs[ends].sum())
        return Part(runs, runs / self.total, float(seen.probability[ends].sum()))

    @cached_property
    def _part(self) -> Part:
        return self.bad_part(self._all)

    def check(self, learning: Learning, proved: Proved) -> None:
        """Prove what was learned, claim by claim: that causes are sufficient, what they cover, and what is necessary."""
        if not learning.exact:
            self._check_necessary(learning.candidates, proved)
        kept: list[Cause] = []
        for cause in learning.causes:
            reason = self._sufficient(cause, proved)
            if reason is not None:
                kept.append(cause)
                proved.causes.append(reason)
                proved.covered = max(proved.covered, reason.part.interleavings / self._part.interleavings)
        kept = self._needed(kept, proved)
        proved.causes.sort(key=lambda reason: -reason.part.interleavings)
        if kept:
            one = len(kept) == 1  # all that meets it has the outcome
            covered = proved.causes[0].part.interleavings if one else self._covered(kept)
            proved.exact = covered == self._part.interleavings
            proved.covered = covered / self._part.interleavings

    def _needed(self, kept: list[Cause], proved: Proved) -> list[Cause]:
        """Leave out causes that the others make up for: they say nothing."""
        whole = self._covered(kept) if len(kept) > 1 else 0
        for cause in list(kept):
            others = [other for other in kept if other != cause]
            if others and self._covered(others) == whole:
                del proved.causes[kept.index(cause)]
                kept = others
        return kept

    def _sufficient(self, cause: Cause, proved: Proved) -> Reason | None:
        """The cause in words, if with its orders forced every run has the outcome, and there is one."""
        seen = self._observed([cause])
        met = seen.met != 0
        if not met.any() or (met & (seen.outcome != self._outcome)).any():
            return None
        example = schedule(self._words.graph, seen.path(int(np.argmax(met))))
        orders = self._together([self._in_words(condition, proved, cause) for condition in cause])
        return Reason(orders, self.bad_part(seen, met), example)

    def _covered(self, causes: Sequence[Cause]) -> int:
        """How many runs with the outcome meet some cause."""
        seen = self._observed(causes, any_of=True)
        return self.bad_part(seen, seen.met != 0).interleavings

    def _check_necessary(self, conditions: Sequence[Condition], proved: Proved) -> None:
        for condition in conditions:
            if condition.places == (OTHER,):  # says the same of "another CPU" as another one of "a CPU"
                continue
            if len(proved.necessary) == MOST_CONDITIONS:
                break
            if self._necessary(condition, proved):
                proved.necessary.append(self._in_words(condition, proved))

    def _necessary(self, condition: Condition, proved: Proved) -> bool:
        """Whether, with a condition forbidden on all CPUs, no run has the outcome."""
        if condition not in proved.tried:
            seen = observe(self._words, [(condition,)], within=self._fate.possible)
            proved.tried[condition] = bool((seen.met[seen.outcome == self._outcome] != 0).all())
        return proved.tried[condition]

    def _in_words(self, condition: Condition, proved: Proved, cause: Cause = ()) -> Order:
        """A condition in words.

        Args:
            condition: The condition.
            proved: What was found of it before.
            cause: The cause that it is part of: where the second step comes in all of its runs, that is said.
        """
        events = self._words.events
        both = condition.comes
        if not both and condition.before != NONE and condition.where == ANYWHERE and cause and condition.since == NONE:
            later = Condition(condition.before, ANYWHERE, nth=condition.before_nth)
            met = observe(self._words, [cause, (later,)]).met
            both = bool((met[met & 1 != 0] >> 1 & 1 == 1).all())
        return Order(
            events[condition.first],
            _PLACES[condition.at],
            None if condition.before == NONE else events[condition.before],
            _PLACES[condition.where],
            both,
            self._necessary(condition, proved),
            None if condition.since == NONE else events[condition.since],
            condition.nth,
            condition.before_nth,
        )

    @staticmethod
    def _together(orders: Sequence[Order]) -> tuple[Order, ...]:
        """The orders of a cause; those before any of the same events, as of a circle, are one order of them all."""
        found: dict[Event | int, list[Order]] = {}
        for number, order in enumerate(orders):
            same = order.before is not None and order.before.either
            found.setdefault(order.before if same and order.before else number, []).append(order)
        return tuple(
            replace(
                one[0],
                first=Event("", (), "", "", placed=False, does=True, lock="", either=tuple(o.first for o in one)),
                necessary=all(order.necessary for order in one),
            )
            if len(one) > 1
            else one[0]
            for one in found.values()
        )

    def _observed(self, causes: Sequence[Cause], *, any_of: bool = False) -> Observed:
        return observe(self._words, causes, count=True, any_of=any_of)


def schedule(graph: Unfolding, path: Sequence[int]) -> str:
    """The schedule of some transitions."""
    return encode(edge - int(graph.indptr[graph.source[edge]]) for edge in path)


_PLACES = ("", "c", "d", "p")
