"""Few conditions that tell the runs with an outcome from all others: guessed from some runs, checked on all.

Guessing is learning from examples. Some runs with the outcome and some without are drawn. First a single cause is looked for,
of as few conditions as possible. If there is none, causes are grown one by one, each from the first run that is not covered
yet: of the conditions that it meets, a small set that no run without the outcome meets and that covers many of the runs with it
(the star of Michalski's AQ, by beam search). The causes together are then observed on the whole graph. A run that they judge
wrongly is a further example, and the guess is made again, until there is none. So what is learned is exact, however few
examples there were.

Conditions on the order of two steps come first. If these do not do, the circle of those who wait in a deadlock is tried
(`tdxexplore.explore.circles`); then conditions that count how often a step comes, or say what has come since; then those that
speak of what a step returned.

Only what has come to pass by the decisive step counts as met by an example with the outcome, so that no consequence of the
outcome is given for its cause. Where a few runs are decided much earlier than all others, that leaves no short answer, and a
step counts also after it, if in other runs it decides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.errors import TooLarge
from tdxexplore.explore import circles
from tdxexplore.explore.candidates import Offer
from tdxexplore.explore.examples import Examples, times
from tdxexplore.explore.observing import observe
from tdxexplore.explore.orders import RESULTS, SAID, STEPS
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tdxexplore.explore.circles import Circle
    from tdxexplore.explore.decisive import Fate
    from tdxexplore.explore.observing import Observed
    from tdxexplore.explore.orders import Cause, Condition, Vocabulary
    from tdxexplore.explore.unfolding import Flags, Numbers

MOST_CONDITIONS = 4
"""The most conditions of a cause."""

_SHORT = 2  # conditions of an answer that is not made shorter by others that are less plain
_ANY = 1 << 30
_ROUNDS = 40
_EACH = 3  # examples for each kind of decisive step
_TRIED = 8  # conditions that may be necessary
_WRONG = 12  # examples that a wrong guess gives, of each kind


@dataclass(frozen=True, slots=True)
class _Level:
    """Which conditions are offered; the plainest come first."""

    kind: int
    repeats: bool
    strict: bool = False
    """Whether a condition may ask only for what always comes to come later."""
    late: bool = False
    """Whether what comes after the decisive step may be spoken of."""


_PLAINEST, _PLAIN = _Level(STEPS, repeats=False, strict=True), _Level(STEPS, repeats=False)
_LATE = _Level(STEPS, repeats=False, late=True)
_COUNTED, _RETURNED = _Level(SAID, repeats=True, late=True), _Level(RESULTS, repeats=True, late=True)


class Learning:
    """Guess and check until every run is judged rightly, or nothing is left to try.

    Args:
        words: The events of the graph.
        outcome: The outcome, by its index.
        fate: Where it is decided.
        ends_in: Asks for the circles in which runs with the outcome end.
        seed: Of the examples that are drawn.

    Attributes:
        words: The events, with those that causes speak of besides.
        causes: The best guess so far, also while `learn` is at work.
        candidates: Conditions that all examples with the outcome meet, the plainest first: they may be necessary.
        exact: Whether some cause is met exactly by the runs with the outcome.
        rounds: How often it was guessed.
    """

    def __init__(
        self,
        words: Vocabulary,
        outcome: int,
        fate: Fate,
        ends_in: Callable[[], Sequence[Circle]] = tuple,
        seed: int = 0,
    ) -> None:
        graph = self._graph = words.graph
        self.words = self._words = words
        self._outcome, self._fate, self._circles = outcome, fate, ends_in
        self._dice = random.Random(seed)  # noqa: S311 -- draws examples, keeps no secrets
        self._into = np.argsort(graph.target, kind="stable")
        self._into_ptr = np.concatenate([[0], np.cumsum(np.bincount(graph.target, minlength=graph.states))])
        # What only runs with the outcome do is no part of an explanation of it.
        avoidable = self._happen(~fate.certain[graph.target])
        self._avoidable = frozenset(np.flatnonzero(avoidable).tolist())
        results = np.array([event.kind == RESULTS for event in words.events])
        self._useful = self._happen(~fate.certain[graph.source]) & (avoidable | ~results)
        self._most = 2 if graph.cpus > 1 else 0  # CPUs that conditions speak of
        self._tables: dict[tuple[_Level, int], Examples] = {}
        self._failed: set[tuple[_Level, int]] = set()
        self._always: frozenset[int] = frozenset()
        self._times: list[int] = []
        self.causes: tuple[Cause, ...] = ()
        self.candidates: tuple[Condition, ...] = ()
        self.exact, self.rounds = False, 0
        self._bad: dict[tuple[int, ...], None] = {}
        self._good: dict[tuple[int, ...], None] = {}

    def learn(self) -> None:
        """Learn; what was learned until an exception stays."""
        fate = self._fate
        for edges in (fate.decisive, fate.escapes):
            for edge in self._some_of_each_kind(edges):
                self._add(self._through(edge))
        examples = (*self._bad, *self._good)
        self._times = times(self._words, examples)
        # What comes in every run says nothing by coming.
        in_all = np.all([self._happen(np.array(path)) for path in examples], axis=0)
        self._always = frozenset(n for n in np.flatnonzero(in_all).tolist() if self._comes(n))
        for guess, enough in self._ways_to_guess():
            if self.exact and self._size(self.causes) <= enough:
                return
            self._settle(guess)
        if not self.exact:
            self._settle_some()

    def _ways_to_guess(self) -> Iterator[tuple[Callable[[], tuple[Cause, ...]], int]]:
        """The conditions that are tried, unless an answer has at most so many conditions already."""
        yield lambda: self._single(_PLAINEST), _SHORT
        yield lambda: self._single(_PLAIN), MOST_CONDITIONS
        yield self._circle, MOST_CONDITIONS
        yield lambda: self._single(_LATE), _SHORT
        yield lambda: self._single(_COUNTED), _SHORT
        yield lambda: self._several(_PLAIN, _SHORT), _SHORT
        yield lambda: self._several(_LATE, _SHORT), _SHORT
        yield lambda: self._several(_COUNTED, _SHORT), MOST_CONDITIONS
        yield lambda: self._single(_RETURNED), MOST_CONDITIONS
        yield lambda: self._several(_RETURNED, _SHORT), MOST_CONDITIONS
        for level in (_PLAIN, _COUNTED):
            yield lambda level=level: self._several(level), _ANY  # type: ignore[misc]

    def _settle(self, guess: Callable[[], tuple[Cause, ...]]) -> None:
        """Guess in one way until every run is judged rightly, or no more can come of it."""
        for _ in range(_ROUNDS):
            self.rounds += 1
            causes = guess()
            if not causes or (self.exact and self._size(causes) >= self._size(self.causes)):
                return
            if not self.exact:
                self.causes = causes
            try:
                wrong = self._wrong(causes)
            except TooLarge:  # these conditions cannot be checked; others may be
                return
            if not wrong:
                self.causes, self.exact = causes, True
                return
            known = len(self._bad) + len(self._good)
            for path in wrong:
                self._add(path)
            if len(self._bad) + len(self._good) == known:
                return

    def _settle_some(self) -> None:
        """Find causes that are sufficient, where they do not cover all runs."""
        for _ in range(_ROUNDS):
            self.causes = self._several(_COUNTED, whole=False)
            wrong = self._met_wrongly(self.causes)
            if not wrong:
                return
            for path in wrong:
                self._add(path)

    def _comes(self, event: int) -> bool:
        """Whether an event comes in every run: nobody can get to an end past its transitions."""
        graph = self._graph
        without = np.zeros(graph.states, dtype=bool)
        without[0] = True
        free = ~(self._words.marks == event).any(axis=0)
        for layer in graph.layers or ():
            out = graph.out_of(layer[without[layer]])
            without[graph.target[out[free[out]]]] = True
        return not (without & (graph.outcome != NONE)).any()

    def _happen(self, edges: Flags | Numbers) -> Flags:
        """Which events happen at some of the transitions."""
        found = np.zeros(len(self._words.events) + 1, dtype=bool)
        found[self._words.marks[:, edges]] = True
        return found[:-1]  # NONE is the last one

    # -- examples -----------------------------------------------------------------------------------------------------

    def _add(self, path: Sequence[int]) -> None:
        end = int(self._graph.target[path[-1]])
        examples = self._bad if self._graph.outcome[end] == self._outcome else self._good
        examples[tuple(path)] = None

    def _some_of_each_kind(self, edges: Numbers) -> Iterable[int]:
        kinds: dict[tuple[int, ...], list[int]] = {}
        for edge in edges.tolist():
            kinds.setdefault(tuple(self._words.marks[:3, edge].tolist()), []).append(edge)
        for kind in sorted(kinds):
            yield from self._dice.sample(kinds[kind], min(_EACH, len(kinds[kind])))

    def _through(self, edge: int) -> list[int]:
        """A run that takes a transition."""
        before, state = [], int(self._graph.source[edge])
        while state:
            came = int(self._into[self._dice.randrange(self._into_ptr[state], self._into_ptr[state + 1])])
            before.append(came)
            state = int(self._graph.source[came])
        path, state = [*reversed(before), edge], int(self._graph.target[edge])
        indptr = self._graph.indptr
        while indptr[state] < indptr[state + 1]:
            path.append(self._dice.randrange(indptr[state], indptr[state + 1]))
            state = int(self._graph.target[path[-1]])
        return path

    def _wrong(self, causes: tuple[Cause, ...]) -> list[list[int]]:
        """Some runs that the causes judge wrongly: those without the outcome that meet one; if there are none, others.

        Runs that meet no cause are followed only as long as they can have the outcome.
        """
        found = self._met_wrongly(causes)
        if not found:
            seen = observe(self.words, causes, any_of=True, within=self._fate.possible)
            found = self._some(seen, (seen.met == 0) & (seen.outcome == self._outcome), _WRONG)
        return found

    def _met_wrongly(self, causes: tuple[Cause, ...]) -> list[list[int]]:
        """Some runs without the outcome that meet a cause.

        One cause at a time has few pasts to tell apart, and only where the outcome can still be avoided it matters whether it is
        met.
        """
        found = []
        for cause in causes:
            seen = observe(self.words, [cause], within=~self._fate.certain)
            found += self._some(seen, seen.met != 0, max(_WRONG // len(causes), 3))
        return found

    def _some(self, seen: Observed, wrong: Flags, most: int) -> list[list[int]]:
        ends = np.flatnonzero(wrong).tolist()
        return [seen.path(end) for end in self._dice.sample(ends, min(most, len(ends)))]

    # -- guesses ------------------------------------------------------------------------------------------------------

    def _single(self, level: _Level) -> tuple[Cause, ...]:
        """A single cause if there is one, by what it speaks of: no CPU, one, two. More examples bring back none that failed."""
        for places in range(self._most + 1):
            if (level, places) in self._failed:
                continue
            table = self._table(level, places)
            if not level.repeats:
                self.candidates = table.shared(_TRIED)
            cause = table.single(MOST_CONDITIONS)
            if not cause:
                self._failed.add((level, places))
                continue
            # A smaller set is worth naming a CPU.
            for more in range(places + 1, self._most + 1):
                if len(cause) > 1 and (level, more) not in self._failed:
                    cause = self._table(level, more).single(len(cause) - 1) or cause
            return (cause,)
        return ()

    def _several(self, level: _Level, most: int = MOST_CONDITIONS, *, whole: bool = True) -> tuple[Cause, ...]:
        """The causes that miss the fewest examples; none if the whole is wanted and each misses some."""
        found: list[tuple[int, tuple[Cause, ...]]] = []
        for places in range(self._most + 1):
            found.append(self._table(level, places).several(most))
            if not found[-1][0]:
                break
        missed, causes = min(found, key=lambda guess: guess[0])
        return () if missed and whole else causes

    def _table(self, level: _Level, places: int) -> Examples:
        """The table of a kind of conditions, with all examples."""
        key = level, places
        if key not in self._tables:
            self._tables[key] = self._new_table(level, places)
        self._tables[key].feed(self._bad, self._good)
        return self._tables[key]

    def _new_table(self, level: _Level, places: int) -> Examples:
        later = self._always if level.strict else self._avoidable
        offer = Offer(places, level.kind, level.repeats, later)
        fate = None if level.late else self._fate
        return Examples(self._words, fate, offer, self._times, self._useful)

    def _circle(self) -> tuple[Cause, ...]:
        """Each circle as a cause."""
        self.words, causes = circles.causes(self._words, self._circles())
        narrowed = [self._narrowed(cause) for cause in causes]
        return tuple(cause for cause in narrowed if cause)

    def _narrowed(self, cause: Cause) -> Cause:
        """A cause with a few conditions more, so that no run without the outcome meets it and none with it is lost.

        That a reader came before a grace period began is no part of the circle, for one. Empty if no few conditions do.
        """
        bad: dict[tuple[int, ...], None] = {}
        good: dict[tuple[int, ...], None] = {}
        more: Cause = ()
        places = 0
        for _ in range(_ROUNDS):
            seen = observe(self.words, [cause, (*cause, *more)])
            with_it = seen.outcome == self._outcome
            wrong = self._some(seen, (seen.met & 2 != 0) & ~with_it, _WRONG)
            lost = self._some(seen, (seen.met & 1 != 0) & with_it & ((seen.met & 2 == 0) | (not bad)), _WRONG)
            if not wrong and (not lost or not bad):
                return (*cause, *more) if lost or bad else ()
            good.update(dict.fromkeys(map(tuple, wrong)))
            bad.update(dict.fromkeys(map(tuple, lost)))
            more = ()
            while not more and places <= self._most:
                table = self._new_table(_PLAIN, places)
                table.feed(bad, good)
                more = table.single(MOST_CONDITIONS - 1)
                places += not more
            if not more:
                return ()
        return ()

    def _size(self, causes: Sequence[Cause]) -> int:
        """How many conditions some causes have together. That all of a circle come before any of it goes on is one."""
        events = self.words.events
        return len({c.before if c.before != NONE and events[c.before].either else c for cause in causes for c in cause})
