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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.errors import BadModel, TimeUp, TooLarge, suggest
from tdxexplore.explore import switches
from tdxexplore.explore.decisive import Fate
from tdxexplore.explore.learning import MOST_CONDITIONS, Learning
from tdxexplore.explore.observing import observe
from tdxexplore.explore.orders import ANYWHERE, OTHER, Condition, Vocabulary
from tdxexplore.explore.question import Question
from tdxexplore.explore.reasons import Deciding, Order, Part, Reason, Why
from tdxexplore.explore.settings import Settings
from tdxexplore.explore.time_limit import limited
from tdxexplore.explore.trace import Trace, replay
from tdxexplore.explore.unfolding import NONE, unfold
from tdxexplore.model.schedule import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tdxexplore.explore.observing import Observed
    from tdxexplore.explore.orders import Cause
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

    def _listed(self, max_states: int) -> _Scene:
        graph = _unfolded(self._question, max_states)
        words = Vocabulary(graph)
        return _Scene(graph, words, observe(graph, words, (), count=True))

    def why(self, outcome: str | None = None, clock: Clock | None = None) -> Why:
        """Explain an outcome; default: the worst one that is reached."""
        clock = clock or Clock(None)
        found = limited(
            lambda: _Explanation(self._question, self._scene, outcome), clock.left, "following the runs to the outcome"
        )
        return found.why(clock)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What all outcomes share: the graph, its events, and all runs."""

    graph: Unfolding
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
        graph = scene.graph
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
        self._part = self._bad_part(self._all)
        self._shortest, self._easiest = self._shortest_run(), switches.fewest(graph, self._bad)
        self._deciding = tuple(self._decided())

    def why(self, clock: Clock) -> Why:
        """All of it, or what is proved when the time is up."""
        graph, always = self._graph, bool(self._fate.certain[0])
        proved = _Proved(exact=always, covered=1.0 if always else 0.0)
        if not always:
            learning = Learning(graph, self._words, self._outcome, self._fate)
            with suppress(TimeUp):
                limited(learning.learn, clock.part(_LEARNING), "learning")
                proved.cut = False
            try:
                limited(lambda: self._check(learning, proved), clock.left, "the re-check")
            except TimeUp:
                proved.cut = True
        return Why(
            question=self._question,
            outcome=self._declared.name,
            severity=self._declared.severity,
            text=self._declared.text,
            part=self._part,
            interleavings=self._total,
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

    @property
    def _total(self) -> int:
        return int(self._all.counts(self._all.ends).sum())

    def _bad_part(self, seen: Observed, chosen: Flags | None = None) -> Part:
        """The runs that end in the outcome, at some of the ends."""
        bad = self._bad[seen.state[seen.ends]]
        ends = seen.ends[bad if chosen is None else bad & chosen]
        runs = int(seen.counts(ends).sum())
        return Part(runs, runs / self._total, float(seen.chances(ends).sum()))

    # -- the re-check -------------------------------------------------------------------------------------------------

    def _check(self, learning: Learning, proved: _Proved) -> None:
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

    def _needed(self, kept: list[Cause], proved: _Proved) -> list[Cause]:
        """Leave out causes that the others make up for: they say nothing."""
        whole = self._covered(kept) if len(kept) > 1 else 0
        for cause in list(kept):
            others = [other for other in kept if other != cause]
            if others and self._covered(others) == whole:
                del proved.causes[kept.index(cause)]
                kept = others
        return kept

    def _sufficient(self, cause: Cause, proved: _Proved) -> Reason | None:
        """The cause in words, if with its orders forced every run has the outcome, and there is one."""
        seen = self._observed([cause])
        met = seen.met[seen.ends] != 0
        if not met.any() or (met & ~self._bad[seen.state[seen.ends]]).any():
            return None
        schedule = self._schedule(seen.path(int(seen.ends[np.argmax(met)])))
        orders = tuple(self._in_words(condition, proved, cause) for condition in cause)
        return Reason(orders, self._bad_part(seen, met), schedule)

    def _covered(self, causes: Sequence[Cause]) -> int:
        """How many runs with the outcome meet some cause."""
        seen = self._observed(causes, any_of=True)
        return self._bad_part(seen, seen.met[seen.ends] != 0).interleavings

    def _check_necessary(self, conditions: Sequence[Condition], proved: _Proved) -> None:
        for condition in conditions:
            if condition.places == (OTHER,):  # says the same of "another CPU" as another one of "a CPU"
                continue
            if len(proved.necessary) == MOST_CONDITIONS:
                break
            if self._necessary(condition, proved):
                proved.necessary.append(self._in_words(condition, proved))

    def _necessary(self, condition: Condition, proved: _Proved) -> bool:
        """Whether, with a condition forbidden on all CPUs, no run has the outcome."""
        if condition not in proved.tried:
            seen = observe(self._graph, self._words, [(condition,)], within=self._fate.possible)
            proved.tried[condition] = bool((seen.met[seen.ends][self._bad[seen.state[seen.ends]]] != 0).all())
        return proved.tried[condition]

    def _in_words(self, condition: Condition, proved: _Proved, cause: Cause = ()) -> Order:
        """A condition in words.

        Args:
            condition: The condition.
            proved: What was found of it before.
            cause: The cause that it is part of: where the second step comes in all of its runs, that is said.
        """
        events = self._words.events
        both = condition.comes
        if not both and condition.before != NONE and condition.where == ANYWHERE and cause:
            seen = observe(self._graph, self._words, [cause, (Condition(condition.before, ANYWHERE),)])
            met = seen.met[seen.ends]
            both = bool((met[met & 1 != 0] >> 1 & 1 == 1).all())
        return Order(
            events[condition.first],
            _PLACES[condition.at],
            None if condition.before == NONE else events[condition.before],
            _PLACES[condition.where],
            both,
            self._necessary(condition, proved),
        )

    def _observed(self, causes: Sequence[Cause], *, any_of: bool = False) -> Observed:
        return observe(self._graph, self._words, causes, count=True, any_of=any_of)

    # -- runs ---------------------------------------------------------------------------------------------------------

    def _decided(self) -> list[Deciding]:
        """The decisive steps by kind, with the share of the runs that each decides."""
        graph, fate = self._graph, self._fate
        onward = graph.runs_onward()
        arriving = np.zeros(graph.states, dtype=object)
        arriving[self._all.state] = self._all.counts(np.arange(len(self._all.state)))
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

    def _schedule(self, path: Sequence[int]) -> str:
        graph = self._graph
        return encode(edge - int(graph.indptr[graph.source[edge]]) for edge in path)

    def _trace(self, path: Sequence[int]) -> Trace:
        return replay(self._question, self._schedule(path))


_PLACES = ("", "c", "d", "p")


@dataclass(slots=True)
class _Proved:
    """What is proved so far."""

    causes: list[Reason] = field(default_factory=list)
    exact: bool = False
    covered: float = 0.0
    necessary: list[Order] = field(default_factory=list)
    tried: dict[Condition, bool] = field(default_factory=dict)
    cut: bool = True
