"""Runs as examples: which conditions on the order of steps tell those with an outcome from those without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.orders import ANYWHERE, NEAR, ONE, OTHER, Cause, Condition, Vocabulary, pairs
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.explore.decisive import Fate
    from tdxexplore.explore.unfolding import Flags, Numbers, Unfolding

    Path = tuple[int, ...]

MOST_CAUSES = 6
"""The most causes of an outcome."""

_BEAM = 30  # sets of conditions that are grown further
_WIDE = 1000  # sets of conditions that are looked at, of each size
_LATE = np.iinfo(np.int16).max  # when an event comes that does not


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs are examples of: a graph, its events, and where an outcome of it is decided."""

    graph: Unfolding
    words: Vocabulary
    fate: Fate


class Examples:
    """Examples as a table: a row for each run and each choice of CPUs, a column for each condition.

    Args:
        seen: What they are runs of.
        bad: Runs with the outcome.
        good: Runs without it.
        places: How many CPUs conditions may speak of: none, "a CPU", or "another CPU" as well.
        later: The events that a condition may ask to come later.
    """

    def __init__(
        self, seen: Scene, bad: Sequence[Path], good: Sequence[Path], places: int, later: frozenset[int]
    ) -> None:
        graph, words, fate = seen.graph, seen.words, seen.fate
        cpus = graph.cpus
        self.words = words
        self._later = later
        self.pairs = list({(*pair[:places], NONE, NONE)[:2]: None for pair in pairs(cpus)})
        events = len(words.events)
        self.bad = len(bad)
        # By run, event and place: CPUs; for each CPU, the others of its package; and at last anywhere.
        beside = [
            [n for n in range(cpus) if n != cpu and graph.package_of[n] == graph.package_of[cpu]] for cpu in range(cpus)
        ]
        times = np.full((len(bad) + len(good), events, 2 * cpus + 1), _LATE, dtype=np.int16)
        decided = np.full(len(bad) + len(good), _LATE, dtype=np.int16)
        for run, path in enumerate([*bad, *good]):
            taken = np.array(path)
            for at in range(len(path) - 1, -1, -1):
                edge = path[at]
                cpu = int(graph.cpu[edge])
                places_of = [NONE] if cpu == NONE else [NONE, cpu, *(cpus + n for n in beside[cpu])]
                marks = words.marks[:, edge]
                times[run, marks[marks != NONE][:, None], places_of] = at  # NONE is the last place
            if run < self.bad:
                decided[run] = int(np.argmax(fate.certain[graph.target[taken]]))
        # Rows: run by run, each with every choice of CPUs.
        placed = [n for n, event in enumerate(words.events) if event.placed]
        one = np.array([p[0] for p in self.pairs])
        other = np.array([p[1] for p in self.pairs])
        roles = {ONE: one, OTHER: other, NEAR: cpus + one}
        kinds = (ONE, OTHER)[:places]
        if places and len(set(graph.package_of)) > 1:
            kinds = (*kinds, NEAR)
        self.terms = [(n, ANYWHERE) for n in range(events)] + [(n, r) for r in kinds for n in placed]
        anywhere = np.repeat(times[:, :, NONE][:, None, :], len(self.pairs), axis=1)
        parts = [anywhere]
        parts += [times[:, placed, :][:, :, roles[role]].transpose(0, 2, 1) for role in kinds]
        self.when = np.concatenate(parts, axis=2).reshape(-1, len(self.terms))
        self.decided = np.repeat(decided, len(self.pairs))
        self._columns()

    def _columns(self) -> None:
        width = len(self.pairs)
        border = self.bad * width
        found: dict[bytes, tuple[tuple[int, ...], Condition, Flags]] = {}
        never = np.full((len(self.when), 1), _LATE, dtype=np.int16)
        then = np.concatenate([self.when, never], axis=1)  # by row and term
        terms = [*self.terms, (NONE, ANYWHERE)]
        for n, (first, at) in enumerate(self.terms):
            mine = self.when[:, n]
            settled = mine <= self.decided
            usable = [m for m, term in enumerate(terms) if self._allowed((first, at), term)]
            weak = (mine[:, None] < then[:, usable]) & settled[:, None]
            strict = [k for k, m in enumerate(usable) if terms[m][0] in self._later]
            table = np.concatenate([weak, weak[:, strict] & (then[:, usable] < _LATE)[:, strict]], axis=1)
            bad, good = table[:border], table[border:]
            useful = bad.any(0) & ~good.all(0)
            for k in np.flatnonzero(useful).tolist():
                comes = k >= len(usable)
                before, where = terms[usable[strict[k - len(usable)] if comes else k]]
                condition = Condition(first, at, before, where, comes)
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
        return first[1] != where and ANYWHERE not in (first[1], where) and NEAR not in (first[1], where)

    def _cost(self, c: Condition) -> tuple[int, ...]:
        events = self.words.events
        a = events[c.first]
        alone = c.before == NONE
        b = a if alone else events[c.before]
        apart = 0 if alone or (a.lock and a.lock == b.lock) else 1 + (not a.does) + (not b.does)
        return (len(c.places), alone and not a.way, apart + c.comes, c.first, c.before)

    def shared(self, most: int) -> tuple[Condition, ...]:
        """Conditions that all bad runs meet, the plainest first."""
        return tuple(self.conditions[n] for n in np.flatnonzero(self.on_bad.any(1).all(0))[:most])

    def single(self, most: int) -> tuple[Cause, ...]:
        """A cause of at most so many conditions that all bad runs meet and no good one, if there is one."""
        every = np.flatnonzero(self.on_bad.any(1).all(0))
        found = self._grown(every, np.ones(self.bad, dtype=bool), most, all_of_them=True)
        return () if found is None else (self._cause(found.which),)

    def several(self, most: int) -> tuple[int, tuple[Cause, ...]]:
        """Some causes, each of which no good run meets; and how many bad runs meet none of them."""
        missed = 0
        causes: list[Cause] = []
        open_ = np.ones(self.bad, dtype=bool)
        while open_.any() and len(causes) < MOST_CAUSES:
            seed = int(np.argmax(open_))
            stars = [
                star
                for usable in _widest(self.on_bad[seed])
                if (star := self._grown(np.flatnonzero(usable), open_, most, all_of_them=False)) is not None
            ]
            open_[seed] = False
            if stars:
                best = min(stars, key=lambda star: star.score)
                causes.append(self._cause(best.which))
                open_ &= ~best.covered
            else:
                missed += 1
        return missed + int(open_.sum()), tuple(causes)

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


def _widest(rows: Flags) -> Flags:
    """Rows that are part of no other one, each once: CPUs that take no part allow nothing that others do not."""
    rows = rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
    part = (rows[:, None, :] <= rows[None, :, :]).all(axis=2)
    widest: Flags = rows[part.sum(axis=1) == 1]
    return widest


@dataclass(frozen=True, slots=True)
class _Star:
    """Conditions that no good run meets: how good they are (less is better), which, and the bad runs that meet them."""

    score: tuple[int, ...]
    which: tuple[int, ...]
    covered: Flags
