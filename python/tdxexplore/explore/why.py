"""Why an outcome happens: which orders of steps have it, which step decides, and the easiest run to it.

What is printed is re-checked on the whole graph, whoever guessed it: that conditions are *sufficient* (with the orders forced,
every run has the outcome), that one is *necessary* (with it forbidden, no run has it), and that a run has the outcome *if and
only if* some cause is met. A claim that does not pass is not made. Each is checked by itself, so that a time limit leaves those
that had passed.

Causes are kept apart if no set of conditions covers both. Runs that differ only in the order of steps that no condition speaks
of are one cause.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.errors import BadModel, TimeUp, TooLarge, suggest
from tdxexplore.explore import circles, switches
from tdxexplore.explore.decisive import Fate
from tdxexplore.explore.learning import Learning
from tdxexplore.explore.observing import observe
from tdxexplore.explore.orders import Vocabulary
from tdxexplore.explore.proving import Proof, Proved, schedule
from tdxexplore.explore.question import Question
from tdxexplore.explore.reasons import Deciding, Why
from tdxexplore.explore.settings import Settings
from tdxexplore.explore.time_limit import limited
from tdxexplore.explore.trace import Trace, replay
from tdxexplore.explore.unfolding import NONE, unfold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tdxexplore.explore.observing import Observed
    from tdxexplore.explore.unfolding import Flags, Unfolding
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy

MOST_STATES = 300_000
"""The most concrete states of a question that is explained, unless another number is asked for."""

_LEARNING = 0.6  # of the time that is left: the rest is for the re-check


def why(  # noqa: PLR0913 -- the parts of a question, by name
    policy: str | type[Policy],
    *,
    outcome: str | None = None,
    module: ModuleKind = "strict",
    cpus: int = 4,
    packages: int = 1,
    scenario: str = "all-online",
    knobs: Mapping[str, str] | None = None,
    budgets: Mapping[str, int] | None = None,
    max_states: int = MOST_STATES,
    timeout: float | None = None,
) -> Why:
    """Explain an outcome of a policy: the orders of steps that have it, and the step that decides.

    Args:
        policy: A built-in name, ``path/to/file.py:NAME``, or a `Policy` subclass.
        outcome: What is explained; default: the worst outcome that is reached.
        module: TDX-module kind.
        cpus: CPUs in all.
        packages: Packages that they are spread over.
        scenario: What happens around bring-up.
        knobs: Choices that the policy's source leaves open, by name.
        budgets: How often environment actions may happen, where not as in the scenario.
        max_states: The most concrete states, each of which is looked at.
        timeout: After so many seconds, what is proved is returned (`Why.cut`).

    Raises:
        BadModel: Something in the question is not allowed, or no run has the outcome.
        BadSetting: The time limit is not a positive number.
        TimeUp: The time was up before the states were listed.
        TooLarge: There are more states, or a run need not end.

    Example:
        >>> import tdxexplore
        >>> found = tdxexplore.why("v19", cpus=3, scenario="online-mid-enable")
        >>> found.outcome, found.if_and_only_if, len(found.causes[0].orders)
        ('sticky-error', True, 1)
    """
    question = Question.of(
        policy, module=module, cpus=cpus, packages=packages, scenario=scenario, knobs=knobs, budgets=budgets
    )
    return explain(question, outcome, max_states, timeout)


def explain(
    question: Question, outcome: str | None = None, max_states: int = MOST_STATES, timeout: float | None = None
) -> Why:
    """`why` of a question."""
    clock = Clock(Settings(timeout=timeout).timeout)
    question.compile(clock.left)
    return Explainer(question, max_states, clock).why(outcome, clock)


class Clock:
    """The time that is left.

    Args:
        seconds: How much there is; None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        """How many seconds are left; None for no limit."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.001)

    def part(self, share: float) -> float | None:
        """A share of what is left."""
        left = self.left
        return None if left is None else left * share


class Explainer:
    """A question whose states are listed once for all of its outcomes.

    Args:
        question: What is asked.
        max_states: The most concrete states.
        clock: The time that there is for the lists.

    Raises:
        TimeUp: It takes longer.
        TooLarge: There are more states, or a run need not end.
    """

    def __init__(self, question: Question, max_states: int = MOST_STATES, clock: Clock | None = None) -> None:
        self._question = question
        left = None if clock is None else clock.left
        self._scene = limited(lambda: self._listed(max_states), left, "listing the states")

    @property
    def words(self) -> Vocabulary:
        """The events of its graph."""
        return self._scene.words

    def _listed(self, max_states: int) -> _Scene:
        graph = _unfolded(self._question, max_states)
        words = Vocabulary.of(graph)
        return _Scene(words, observe(words, (), count=True))

    def why(self, outcome: str | None = None, clock: Clock | None = None) -> Why:
        """Explain an outcome; default: the worst one that is reached."""
        clock = clock or Clock(None)
        found = limited(
            lambda: _Explanation(self._question, self._scene, outcome), clock.left, "following the runs to the outcome"
        )
        return found.why(clock)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What all outcomes share: the events of the graph, and all runs."""

    words: Vocabulary
    all: Observed


def _unfolded(question: Question, max_states: int) -> Unfolding:
    graph = unfold(question, max_states)
    if isinstance(graph, str):
        raise TooLarge(
            f"why looks at every concrete state, and there are {graph}; at most {max_states:,} are allowed, so ask for fewer "
            "CPUs or budgets, or raise --max-states"
        )
    if graph.layers is None:
        raise TooLarge(
            "why looks at runs that end, and here one need not end: a budget is unbounded, or somebody waits in a loop"
        )
    return graph


class _Explanation:
    def __init__(self, question: Question, scene: _Scene, outcome: str | None) -> None:
        graph = scene.words.graph
        self._question, self._graph, self._words, self._all = question, graph, scene.words, scene.all
        declared = [p for p, _ in graph.compiled.program.outcomes]
        reached = {declared[n].name: n for n in np.unique(graph.outcome[graph.outcome != NONE]).tolist()}
        name = next(iter(reached)) if outcome is None else outcome
        if name not in reached:
            raise BadModel(f"--outcome is `{name}`, and no run ends so; {suggest(name, list(reached))}")
        self._outcome = reached[name]
        self._declared = declared[self._outcome]
        self._bad: Flags = graph.outcome == self._outcome
        self._fate = Fate.of(graph, self._outcome)
        self._proof = Proof(scene.words, self._outcome, self._fate, scene.all)
        self._part = self._proof.bad_part(scene.all)
        self._shortest, self._easiest = self._shortest_run(), switches.fewest(graph, self._bad)
        self._deciding = tuple(self._decided())

    def why(self, clock: Clock) -> Why:
        """All of it, or what is proved when the time is up."""
        graph, always = self._graph, bool(self._fate.certain[0])
        proved = Proved(exact=always, covered=1.0 if always else 0.0)
        if not always:
            learning = Learning(self._words, self._outcome, self._fate, self._circles)
            with suppress(TimeUp, TooLarge):
                limited(learning.learn, clock.part(_LEARNING), "learning")
                proved.cut = False
            try:
                proof = Proof(learning.words, self._outcome, self._fate, self._all)
                limited(lambda: proof.check(learning, proved), clock.left, "the re-check")
            except (TimeUp, TooLarge):
                proved.cut = True
        return Why(
            question=self._question,
            outcome=self._declared.name,
            severity=self._declared.severity,
            text=self._declared.text,
            part=self._part,
            interleavings=self._proof.total,
            states=graph.states,
            always=always,
            causes=tuple(proved.causes),
            if_and_only_if=proved.exact,
            covered=proved.covered,
            necessary=() if proved.exact else tuple(proved.necessary),
            cut=not proved.exact and proved.cut,
            deciding=() if always else self._deciding,
            shortest=self._trace(self._shortest),
            easiest=self._trace(self._easiest),
            switches=(switches.count(graph, self._shortest), switches.count(graph, self._easiest)),
        )

    def _circles(self) -> list[circles.Circle]:
        """The circles of those who wait for each other, where runs end so."""
        found: dict[circles.Circle, None] = {}
        for end in np.flatnonzero(self._all.outcome == self._outcome)[:_MOST_ENDS].tolist():
            path = self._all.path(end)
            circle = circles.circle(self._words, self._trace(path), path)
            if circle is None:
                return []
            found[circle] = None
        return list(found) if len(found) <= _MOST_CIRCLES else []

    # -- runs ---------------------------------------------------------------------------------------------------------

    def _decided(self) -> list[Deciding]:
        """The decisive steps by kind, with the share of the runs that each decides."""
        graph, fate = self._graph, self._fate
        onward = graph.runs_onward()
        arriving = self._all.arriving(graph.states)
        kinds: dict[int, int] = {}
        for edge in fate.decisive.tolist():
            marks = self._words.marks[:, edge]
            kind = int(marks[0] if marks[1] == NONE else marks[1])
            through = arriving[graph.source[edge]] * onward[graph.target[edge]]
            kinds[kind] = kinds.get(kind, 0) + int(through)
        found = [Deciding(self._words.events[kind], runs / self._part.interleavings) for kind, runs in kinds.items()]
        return sorted(found, key=lambda deciding: -deciding.share)

    def _shortest_run(self) -> list[int]:
        """The first of the shortest runs, in canonical order."""
        graph = self._graph
        came = np.full(graph.states, NONE, dtype=np.int64)
        now, known = np.zeros(1, dtype=np.int64), np.zeros(graph.states, dtype=bool)
        known[0] = True
        while not self._bad[now].any():
            out = graph.out_of(now)
            out = out[~known[graph.target[out]]]
            reached, first = np.unique(graph.target[out], return_index=True)
            came[reached], known[reached] = out[first], True
            now = reached
        state, path = int(now[np.argmax(self._bad[now])]), []
        while state:
            path.append(int(came[state]))
            state = int(graph.source[path[-1]])
        return path[::-1]

    def _trace(self, path: Sequence[int]) -> Trace:
        return replay(self._question, schedule(self._graph, path))


_MOST_ENDS = 200  # terminal states that are asked for circles
_MOST_CIRCLES = 6
