"""Interleavings that are drawn uniformly from all maximal runs, by exact counts over the labelled state graph.

The graph is walked in Python, by the reference's steps, so that this is for models of up to some 100,000 states.
"""

from __future__ import annotations

import random
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel
from tdxexplore.model import reference
from tdxexplore.model.schedule import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.explore.question import Question
    from tdxexplore.model.execution import Transition
    from tdxexplore.model.model import Model
    from tdxexplore.model.topology import State

    # A step that may be taken: its index among those that are enabled, and the step.
    Choice: TypeAlias = tuple[int, Transition]
    Allowed: TypeAlias = Callable[[State, list[Choice]], list[Choice]]

MOST_STATES = 200_000


def _all(_: State, choices: list[Choice]) -> list[Choice]:
    return choices


@dataclass(slots=True)
class _Node:
    """A state: what may follow, by key; and how many runs do, None until they are counted."""

    choices: list[tuple[int, object]]
    runs: int | None = None


class Runs:
    """All maximal runs of a model from a state.

    Args:
        model: What is walked.
        initial: Where it begins.
        allowed: Which of the steps that are enabled in a state are taken; default: all.
        most_states: A limit for the states that are held.

    Attributes:
        total: How many runs there are.

    Raises:
        BadModel: There are more states, or a run need not end.
    """

    def __init__(self, model: Model, initial: State, allowed: Allowed = _all, most_states: int = MOST_STATES) -> None:
        self._model, self._allowed, self._most = model, allowed, most_states
        self._nodes: dict[object, _Node] = {}
        self._root = initial.key()
        self._count(initial)
        self.total = self._runs(self._root)

    def __iter__(self) -> Iterator[str]:
        """The schedule of every run, in canonical order."""
        waiting: list[tuple[object, tuple[int, ...]]] = [(self._root, ())]
        while waiting:
            key, taken = waiting.pop()
            choices = self._nodes[key].choices
            if not choices:
                yield encode(taken)
            waiting += [(target, (*taken, index)) for index, target in reversed(choices)]

    def draw(self, count: int, seed: int) -> Iterator[str]:
        """Draw schedules, each run as likely as any other; one may come twice."""
        dice = random.Random(seed)  # noqa: S311 -- draws schedules, keeps no secrets
        for _ in range(count):
            yield self.at(dice.randrange(self.total))

    def at(self, number: int) -> str:
        """The schedule of the run with that number, from 0."""
        key: object = self._root
        taken: list[int] = []
        while choices := self._nodes[key].choices:
            for index, target in choices:
                runs = self._runs(target)
                if number < runs:
                    taken.append(index)
                    key = target
                    break
                number -= runs
        return encode(taken)

    def _runs(self, key: object) -> int:
        runs = self._nodes[key].runs
        if runs is None:
            raise BadModel("a run of this question need not come to an end, so that runs cannot be counted")
        return runs

    def _count(self, initial: State) -> None:
        """Depth-first: a state is counted when all that follow are; one that follows itself never is."""
        open_: list[tuple[object, State | None]] = [(self._root, initial)]
        while open_:
            key, state = open_.pop()
            node = self._nodes.get(key)
            if node is not None:
                if state is None:
                    node.runs = sum(self._runs(target) for _, target in node.choices) if node.choices else 1
                continue
            if state is None:
                continue
            if len(self._nodes) >= self._most:
                raise BadModel(f"this question has more than {self._most} states; ask with fewer CPUs or budgets")
            chosen = self._allowed(state, list(enumerate(reference.transitions(self._model, state))))
            self._nodes[key] = _Node([(index, step.target.key()) for index, step in chosen])
            open_.append((key, None))
            open_ += [(step.target.key(), step.target) for _, step in chosen]


def runs_of(question: Question, allowed: Allowed = _all) -> Runs:
    """All maximal runs of a question."""
    compiled = question.compile()
    return Runs(compiled.model, compiled.model.initial(question.topology), allowed)


def without_forgetting(model: Model) -> Model:
    """The same model with states that are not brought into normal form: it has the same runs."""
    plain = copy(model)
    plain.forgotten = []
    return plain
