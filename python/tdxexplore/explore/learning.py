"""Few conditions that tell the runs with an outcome from all others: guessed from some runs, checked on all.

Guessing is learning from examples. Some runs with the outcome and some without are drawn. A cause is grown from the first run
that is not covered yet: of the conditions that it meets, a smallest set that no run without the outcome meets, and among these one
that covers most of the runs with it (the star of Michalski's AQ, by beam search). The causes together are then observed on the
whole graph. A run that they judge wrongly is a further example, and the guess is made again, until there is none. So what is
learned is exact, however few examples there were.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.orders import ANYWHERE, ONE, OTHER, Cause, Condition, Observed, Vocabulary, observe, pairs
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.explore.unfolding import Flags, Numbers, Unfolding

MOST_CONDITIONS = 4
"""The most conditions of a cause."""
MOST_CAUSES = 6
_ROUNDS = 25
_EACH = 3  # examples for each kind of decisive step
_WRONG = 12  # examples that a wrong guess gives, of each kind
_BEAM = 30
_WIDE = 1000
_LATE = np.iinfo(np.int16).max


@dataclass(frozen=True, eq=False)
class Fate:
    """Where an outcome is still possible, and where it can no longer be avoided.

    Attributes:
        possible: The states from which some run has the outcome.
        certain: The states from which every run has it.
        decisive: The transitions after which it is certain, and before which it is not.
    """

    possible: Flags
    certain: Flags
    decisive: Numbers

    @staticmethod
    def of(graph: Unfolding, outcome: int) -> Fate:
        """That of an outcome, by its index."""
        ends = graph.outcome != NONE
        possible = graph.leads_to(graph.outcome == outcome)
        certain = ~graph.leads_to(ends & (graph.outcome != outcome))
        decisive = np.flatnonzero(~certain[graph.source] & certain[graph.target])
        return Fate(possible, certain, decisive)


@dataclass(frozen=True, slots=True)
class Guess:
    """What was learned.

    Attributes:
        causes: Some cause is met exactly by the runs with the outcome, if `exact`.
        exact: Whether that is so of every run.
        rounds: How often it was guessed.
        examples: How many runs were looked at one by one.
    """

    causes: tuple[Cause, ...]
    exact: bool
    rounds: int
    examples: int


def learn(graph: Unfolding, words: Vocabulary, outcome: int, fate: Fate, seed: int = 0) -> Guess:
    """Guess and check until every run is judged rightly, or too many rounds have passed."""
    return _Learning(graph, words, outcome, fate, seed).learn()


class _Learning:
    def __init__(self, graph: Unfolding, words: Vocabulary, outcome: int, fate: Fate, seed: int) -> None:
        self._graph, self._words, self._outcome, self._fate = graph, words, outcome, fate
        self._dice = random.Random(seed)  # noqa: S311 -- draws examples, keeps no secrets
        self._into = np.argsort(graph.target, kind="stable")
        self._into_ptr = np.concatenate([[0], np.cumsum(np.bincount(graph.target, minlength=graph.states))])
        self._cpus = int(graph.cpu.max(initial=0)) + 1
        self._bad: dict[tuple[int, ...], None] = {}
        self._good: dict[tuple[int, ...], None] = {}

    def learn(self) -> Guess:
        graph, fate = self._graph, self._fate
        lost = np.flatnonzero(fate.possible[graph.source] & ~fate.possible[graph.target])
        for edges in (fate.decisive, lost):
            for edge in self._some_of_each_kind(edges):
                self._add(self._through(edge))
        causes: tuple[Cause, ...] = ()
        for number in range(1, _ROUNDS + 1):
            causes = self._guess()
            wrong = self._wrong(causes)
            if not wrong:
                return Guess(causes, True, number, len(self._bad) + len(self._good))
            for path in wrong:
                self._add(path)
        return Guess(causes, False, _ROUNDS, len(self._bad) + len(self._good))

    # -- examples -----------------------------------------------------------------------------------------------------

    def _add(self, path: Sequence[int]) -> None:
        end = int(self._graph.target[path[-1]])
        examples = self._bad if self._graph.outcome[end] == self._outcome else self._good
        examples[tuple(path)] = None

    def _some_of_each_kind(self, edges: Numbers) -> Iterable[int]:
        kinds: dict[tuple[int, int], list[int]] = {}
        for edge in edges.tolist():
            kinds.setdefault((int(self._words.step[edge]), int(self._words.way[edge])), []).append(edge)
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
        """Some runs that the causes judge wrongly."""
        seen = observe(self._graph, self._words, causes)
        if seen is None:
            raise MemoryError
        bad = self._graph.outcome[seen.state[seen.ends]] == self._outcome
        met = seen.met[seen.ends] != 0
        found = []
        for kind in (bad & ~met, ~bad & met):
            nodes = seen.ends[kind].tolist()
            found += [seen.path(node) for node in self._dice.sample(nodes, min(_WRONG, len(nodes)))]
        return found

    # -- guesses ------------------------------------------------------------------------------------------------------

    def _guess(self) -> tuple[Cause, ...]:
        bad, good = list(self._bad), list(self._good)
        tables = [
            _Examples(self._graph, self._words, self._fate, bad, good, self._cpus, places)
            for places in (range(3) if self._cpus > 1 else (0,))
        ]
        best: tuple[Cause, ...] = ()
        for table in tables:  # a smaller set is worth naming a CPU
            found = table.single(len(best[0]) - 1 if best else MOST_CONDITIONS)
            best = found or best
        if not best:
            several = [table.several() for table in tables]
            best = min(several, key=lambda causes: sum(map(len, causes)))
        return best


class _Examples:
    """Examples as a table: a row for each run and each choice of two CPUs, a column for each condition."""

    def __init__(self, graph, words, fate, bad, good, cpus, places) -> None:
        self.words = words
        self.pairs = list({(p + (NONE, NONE))[:2]: None for p in (q[:places] for q in pairs(cpus))})
        events = len(words.events)
        self.bad, self.good = len(bad), len(good)
        times = np.full((self.bad + self.good, events, cpus + 1), _LATE, dtype=np.int16)  # the last column: anywhere
        decided = np.full(self.bad + self.good, _LATE, dtype=np.int16)
        for run, path in enumerate([*bad, *good]):
            taken = np.array(path)
            for at in range(len(path) - 1, -1, -1):
                edge = path[at]
                for event in (words.step[edge], words.way[edge]):
                    if event != NONE:
                        times[run, event, graph.cpu[edge]] = at  # NONE is the last column
                        times[run, event, cpus] = at
            if run < self.bad:
                decided[run] = int(np.argmax(fate.certain[graph.target[taken]]))
        # Rows: run by run, each with every choice of CPUs.
        placed = [n for n, event in enumerate(words.events) if event.placed]
        one = np.array([p[0] for p in self.pairs])
        other = np.array([p[1] for p in self.pairs])
        self.terms = [(n, ANYWHERE) for n in range(events)] + [(n, r) for r in (ONE, OTHER)[:places] for n in placed]
        anywhere = np.repeat(times[:, :, cpus][:, None, :], len(self.pairs), axis=1)
        parts = [anywhere]
        parts += [times[:, placed, :][:, :, cpu].transpose(0, 2, 1) for cpu in (one, other)[:places]]
        self.when = np.concatenate(parts, axis=2).reshape(-1, len(self.terms))
        self.decided = np.repeat(decided, len(self.pairs))
        self._columns()

    def _columns(self) -> None:
        width = len(self.pairs)
        border = self.bad * width
        found: dict[bytes, tuple[tuple[int, ...], Condition, np.ndarray]] = {}
        never = np.full((len(self.when), 1), _LATE, dtype=np.int16)
        then = np.concatenate([self.when, never], axis=1)
        terms = [*self.terms, (NONE, ANYWHERE)]
        for n, (first, at) in enumerate(self.terms):
            mine = self.when[:, n]
            settled = mine <= self.decided
            usable = [m for m, term in enumerate(terms) if self._allowed((first, at), term)]
            table = (mine[:, None] < then[:, usable]) & settled[:, None]
            bad, good = table[:border], table[border:]
            useful = bad.any(0) & ~good.all(0)
            for k in np.flatnonzero(useful).tolist():
                before, where = terms[usable[k]]
                condition = Condition(first, at, before, where)
                cost = self._cost(condition)
                key = np.packbits(table[:, k]).tobytes()
                if key not in found or cost < found[key][0]:
                    found[key] = (cost, condition, table[:, k])
        chosen = sorted(found.values(), key=lambda f: (f[0], f[1]))
        self.conditions = [f[1] for f in chosen]
        self.costs = [f[0] for f in chosen]
        table = np.stack([f[2] for f in chosen], axis=1) if chosen else np.zeros((len(self.when), 0), dtype=bool)
        self.on_bad = table[:border].reshape(self.bad, width, -1)
        self.on_good = table[border:]

    def _allowed(self, first: tuple[int, int], then: tuple[int, int]) -> bool:
        a, (b, where) = self.words.events[first[0]], then
        if first[1] == OTHER and where != ONE:
            return False
        if b == NONE:
            return True
        if first == then:
            return False
        other = self.words.events[b]
        if a.actor != other.actor:
            return True
        return ANYWHERE not in (first[1], where) and first[1] != where

    def _cost(self, c: Condition) -> tuple[int, ...]:
        events = self.words.events
        a = events[c.first]
        alone = c.before == NONE
        b = a if alone else events[c.before]
        return (len(c.places), alone and not a.way, (not a.does) + (not b.does), c.first, c.before)

    def single(self, most: int) -> tuple[Cause, ...]:
        """A cause of at most so many conditions that all bad runs meet and no good one, if there is one."""
        every = np.flatnonzero(self.on_bad.any(1).all(0))
        found = self._grown(every, np.ones(self.bad, dtype=bool), most, all_of_them=True)
        return () if found is None else (self._cause(found.which),)

    def several(self) -> tuple[Cause, ...]:
        """Some causes, each of which no good run meets, so that every bad run meets one; the last may be missing."""
        causes: list[Cause] = []
        open_ = np.ones(self.bad, dtype=bool)
        while open_.any() and len(causes) < MOST_CAUSES:
            seed = int(np.argmax(open_))
            stars = [
                star
                for choice in range(len(self.pairs))
                if (star := self._grown(np.flatnonzero(self.on_bad[seed, choice]), open_, MOST_CONDITIONS, all_of_them=False)) is not None
            ]
            open_[seed] = False
            if stars:
                best = min(stars, key=lambda star: star.score)
                causes.append(self._cause(best.which))
                open_ &= ~best.covered
        return tuple(causes)

    def _cause(self, which: Sequence[int]) -> Cause:
        return tuple(sorted(self.conditions[n] for n in which))

    def _grown(self, usable: Numbers, open_: Flags, most: int, *, all_of_them: bool) -> _Star | None:
        """A smallest set of some conditions that no good run meets, by beam search.

        Args:
            usable: The conditions.
            open_: The bad runs that it should cover.
            all_of_them: Whether it has to cover all, or as many as it can.
        """
        if not len(usable):
            return None
        good, bad = self.on_good[:, usable].astype(np.float32), self.on_bad[:, :, usable]
        costs = np.array([self.costs[n][:3] for n in usable])
        beam = np.zeros((1, 0), dtype=np.int64)
        alive, rows = np.ones((1, len(good)), dtype=np.float32), np.ones((1, *bad.shape[:2]), dtype=bool)
        best: _Star | None = None
        for size in range(1, most + 1):
            left = (alive @ good).astype(np.int64)  # by partial set and condition: the good rows that would remain
            if size > 1:
                left[np.arange(len(beam))[:, None], beam] = np.iinfo(np.int64).max
            flat = np.argsort(left, axis=None, kind="stable")[:_WIDE]
            partial, new = np.unravel_index(flat, left.shape)
            sets = np.sort(np.concatenate([beam[partial], new[:, None]], axis=1), axis=1)
            _, kept = np.unique(sets, axis=0, return_index=True)
            kept.sort()
            sets, partial, new, left = sets[kept], partial[kept], new[kept], left[partial[kept], new[kept]]
            grown = rows[partial] & bad[:, :, new].transpose(2, 0, 1)
            covers = grown.any(2)
            count = (covers & open_).sum(1)
            enough = count == open_.sum() if all_of_them else count > 0
            cost = costs[sets].sum(1)
            done = np.flatnonzero((left == 0) & enough)
            if len(done):
                first = done[np.lexsort((*sets[done].T[::-1], *cost[done].T[::-1], -count[done]))[0]]
                score = (-int(count[first]), size, *cost[first].tolist(), *sets[first].tolist())
                if best is None or score < best.score:
                    best = _Star(score, tuple(int(n) for n in usable[sets[first]]), covers[first])
                if count[first] == open_.sum():
                    return best
            going = np.flatnonzero((left > 0) & enough)
            worth = left[going] / max(len(good), 1) - (0 if all_of_them else count[going] / open_.sum())
            going = going[np.lexsort((*sets[going].T[::-1], *cost[going].T[::-1], worth))[:_BEAM]]
            if not len(going):
                break
            beam, alive = sets[going], alive[partial[going]] * good[:, new[going]].T
            rows = grown[going]
        return best


@dataclass(frozen=True, slots=True)
class _Star:
    """Conditions that no good run meets: how good they are (less is better), which, and the bad runs that meet them."""

    score: tuple[int, ...]
    which: tuple[int, ...]
    covered: Flags
