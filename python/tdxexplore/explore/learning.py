"""Few conditions that tell the runs with an outcome from all others: guessed from some runs, checked on all.

Guessing is learning from examples. Some runs with the outcome and some without are drawn. First a single cause is looked for,
of as few conditions as possible. If there is none, causes are grown one by one, each from the first run that is not covered
yet: of the conditions that it meets, a small set that no run without the outcome meets and that covers many of the runs with it
(the star of Michalski's AQ, by beam search). The causes together are then observed on the whole graph. A run that they judge
wrongly is a further example, and the guess is made again, until there is none. So what is learned is exact, however few
examples there were.

Only what has come to pass by the decisive step counts as met by an example with the outcome, so that no consequence of the
outcome is given for its cause.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.examples import Examples, Scene
from tdxexplore.explore.observing import observe
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.explore.decisive import Fate
    from tdxexplore.explore.observing import Observed
    from tdxexplore.explore.orders import Cause, Condition, Vocabulary
    from tdxexplore.explore.unfolding import Flags, Numbers, Unfolding

MOST_CONDITIONS = 4
"""The most conditions of a cause."""

_ROUNDS = 25
_EACH = 3  # examples for each kind of decisive step
_TRIED = 8  # conditions that may be necessary
_WRONG = 12  # examples that a wrong guess gives, of each kind


class Learning:
    """Guess and check until every run is judged rightly, or too many rounds have passed.

    Args:
        graph: The graph.
        words: Its events.
        outcome: The outcome, by its index.
        fate: Where it is decided.
        seed: Of the examples that are drawn.

    Attributes:
        causes: The last guess, also while `learn` is at work.
        candidates: Conditions that all examples with the outcome meet, the plainest first: they may be necessary.
        exact: Whether some cause is met exactly by the runs with the outcome.
        rounds: How often it was guessed.
    """

    def __init__(self, graph: Unfolding, words: Vocabulary, outcome: int, fate: Fate, seed: int = 0) -> None:
        self._graph, self._words, self._outcome, self._fate = graph, words, outcome, fate
        self._dice = random.Random(seed)  # noqa: S311 -- draws examples, keeps no secrets
        self._into = np.argsort(graph.target, kind="stable")
        self._into_ptr = np.concatenate([[0], np.cumsum(np.bincount(graph.target, minlength=graph.states))])
        # What comes in every run says nothing by coming; what only runs with the outcome do is no part of an explanation of it.
        self._always = frozenset(n for n in range(len(words.events)) if self._comes(n))
        self._avoidable = frozenset(np.unique(words.marks[:, ~fate.certain[graph.target]]).tolist()) - {NONE}
        self._most = 2 if graph.cpus > 1 else 0  # CPUs that conditions speak of
        self._hopes = [(later, n) for later in (self._always, self._avoidable) for n in range(self._most + 1)]
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
        for self.rounds in range(1, _ROUNDS + 1):
            self.causes = self._guess()
            wrong = self._wrong(self.causes)
            known = len(self._bad) + len(self._good)
            for path in wrong:
                self._add(path)
            self.exact = not wrong
            if not wrong or len(self._bad) + len(self._good) == known:
                return

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

    # -- examples -----------------------------------------------------------------------------------------------------

    def _add(self, path: Sequence[int]) -> None:
        end = int(self._graph.target[path[-1]])
        examples = self._bad if self._graph.outcome[end] == self._outcome else self._good
        examples[tuple(path)] = None

    def _some_of_each_kind(self, edges: Numbers) -> Iterable[int]:
        kinds: dict[tuple[int, ...], list[int]] = {}
        for edge in edges.tolist():
            kinds.setdefault(tuple(self._words.marks[:, edge].tolist()), []).append(edge)
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

        One cause at a time has few pasts to tell apart, and only where the outcome can still be avoided it matters whether it is
        met. Runs that meet no cause are followed only as long as they can have the outcome.
        """
        graph, fate, found = self._graph, self._fate, []
        for cause in causes:
            seen = observe(graph, self._words, [cause], within=~fate.certain)
            found += self._some(seen, seen.met != 0, max(_WRONG // len(causes), 3))
        if not found:
            seen = observe(graph, self._words, causes, any_of=True, within=fate.possible)
            found = self._some(seen, (seen.met == 0) & (graph.outcome[seen.state] == self._outcome), _WRONG)
        return found

    def _some(self, seen: Observed, wrong: Flags, most: int) -> list[list[int]]:
        nodes = seen.ends[wrong[seen.ends]].tolist()
        return [seen.path(node) for node in self._dice.sample(nodes, min(most, len(nodes)))]

    # -- guesses ------------------------------------------------------------------------------------------------------

    def _guess(self) -> tuple[Cause, ...]:
        """A single cause if there is one, by what it speaks of: no CPU, one, two. More examples bring back none that failed."""
        for later, places in list(self._hopes):
            table = self._examples(places, later)
            self.candidates = table.shared(_TRIED)
            cause = table.single(MOST_CONDITIONS)
            if not cause:
                self._hopes.remove((later, places))
                continue
            # A smaller set is worth naming a CPU.
            for more in range(places + 1, self._most + 1):
                if len(cause[0]) > 1 and (later, more) in self._hopes:
                    cause = self._examples(more, later).single(len(cause[0]) - 1) or cause
            return cause
        found: list[tuple[int, tuple[Cause, ...]]] = []
        for places in range(self._most + 1):
            table = self._examples(places, self._avoidable)
            self.candidates = table.shared(_TRIED)
            found.append(table.several(MOST_CONDITIONS))
            if not found[-1][0]:
                break
        return min(found, key=lambda guess: guess[0])[1]

    def _examples(self, places: int, later: frozenset[int]) -> Examples:
        scene = Scene(self._graph, self._words, self._fate)
        return Examples(scene, list(self._bad), list(self._good), places, later)
