"""Why an outcome happens: which orders of steps have it, which step decides, and the easiest run to it.

What is printed is re-checked on the whole graph, whoever guessed it: that conditions are *sufficient* (with the orders forced,
every run has the outcome), that one is *necessary* (with it forbidden, no run has it), and that a run has the outcome *if and
only if* some cause is met. A claim that does not pass is not made.

Causes are kept apart if no set of conditions covers both. Runs that differ only in the order of steps that no condition speaks
of are one cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.errors import BadModel, TooLarge, suggest
from tdxexplore.explore import switches
from tdxexplore.explore.decisive import Fate
from tdxexplore.explore.learning import learn
from tdxexplore.explore.observing import observe
from tdxexplore.explore.orders import ANYWHERE, Condition, Vocabulary
from tdxexplore.explore.question import Question
from tdxexplore.explore.trace import Trace, replay
from tdxexplore.explore.unfolding import NONE, unfold
from tdxexplore.model.schedule import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tdxexplore.explore.observing import Observed
    from tdxexplore.explore.orders import Cause, Event
    from tdxexplore.explore.unfolding import Flags, Unfolding
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy

MOST_STATES = 300_000
"""The most concrete states of a question that is explained, unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class Part:
    """How much of all runs some runs are.

    Attributes:
        interleavings: How many there are, exactly.
        share: Of all interleavings.
        probability: That a run is one of them, each enabled transition being equally likely.
    """

    interleavings: int
    share: float
    probability: float


@dataclass(frozen=True, slots=True)
class Order:
    """A condition on the order of steps, in words.

    Attributes:
        first: The step that comes.
        on: ``c`` or ``d`` if it is on a certain CPU, else empty.
        before: The step that it comes before, or None if it is enough that the first one comes.
        where: As `on`, of that step.
        both_come: Whether the second step comes in every run that meets the cause; else it may also be left out.
        necessary: Whether no run without it has the outcome.
    """

    first: Event
    on: str
    before: Event | None
    where: str
    both_come: bool
    necessary: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Conditions that together are sufficient: every run that meets all of them, on some CPUs c and d, has the outcome.

    Attributes:
        orders: The conditions.
        part: The runs that meet them.
        schedule: One of them.
    """

    orders: tuple[Order, ...]
    part: Part
    schedule: str


@dataclass(frozen=True, slots=True)
class Deciding:
    """A step after which the outcome can no longer be avoided.

    Attributes:
        step: The step.
        share: Of the interleavings with the outcome, those that it decides.
    """

    step: Event
    share: float


@dataclass(frozen=True, slots=True)
class Why:
    """Why an outcome happens.

    Attributes:
        question: What was asked.
        outcome: The outcome.
        severity: Its severity.
        text: What it means, in a sentence.
        part: The runs that have it.
        interleavings: All runs.
        states: Concrete states, all of which were looked at.
        always: Whether every run has it, so that no order matters.
        causes: Sets of conditions, each of them sufficient.
        if_and_only_if: Whether a run has the outcome exactly if it meets some cause.
        covered: The share of the interleavings with the outcome that meet some cause.
        deciding: The steps that decide, those of most runs first; empty if the outcome could never be avoided.
        shortest: A run with the fewest steps.
        easiest: A run with the fewest switches from one actor to another.
        switches: Those of the shortest and of the easiest one.
    """

    question: Question
    outcome: str
    severity: str
    text: str
    part: Part
    interleavings: int
    states: int
    always: bool
    causes: tuple[Reason, ...]
    if_and_only_if: bool
    covered: float
    deciding: tuple[Deciding, ...]
    shortest: Trace
    easiest: Trace
    switches: tuple[int, int]


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

    Raises:
        BadModel: Something in the question is not allowed, or no run has the outcome.
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
    return explain(question, outcome, max_states)


def explain(question: Question, outcome: str | None = None, max_states: int = MOST_STATES) -> Why:
    """`why` of a question."""
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
    return _Explanation(question, graph, outcome).why()


class _Explanation:
    def __init__(self, question: Question, graph: Unfolding, outcome: str | None) -> None:
        self._question, self._graph = question, graph
        declared = [p for p, _ in graph.compiled.program.outcomes]
        reached = {declared[n].name: n for n in np.unique(graph.outcome[graph.outcome != NONE]).tolist()}
        name = next(iter(reached)) if outcome is None else outcome
        if name not in reached:
            raise BadModel(f"--outcome is `{name}`, and no run ends so; {suggest(name, list(reached))}")
        self._outcome = reached[name]
        self._declared = declared[self._outcome]
        self._bad: Flags = graph.outcome == self._outcome
        self._fate = Fate.of(graph, self._outcome)
        self._words = Vocabulary(graph)
        self._all = _observed(graph, self._words, ())

    def why(self) -> Why:
        """All of it."""
        graph, fate = self._graph, self._fate
        always = bool(fate.certain[0])
        part = self._part(self._all, self._bad[self._all.state[self._all.ends]])
        causes: tuple[Reason, ...] = ()
        exact, covered = always, 1.0
        if not always:
            guess = learn(graph, self._words, self._outcome, fate)
            causes, exact, covered = self._checked(guess.causes, part)
        shortest, easiest = self._shortest(), switches.fewest(graph, self._bad)
        return Why(
            self._question,
            self._declared.name,
            self._declared.severity,
            self._declared.text,
            part,
            self._total,
            graph.states,
            always,
            causes,
            exact,
            covered,
            () if always else tuple(self._deciding(part)),
            self._trace(shortest),
            self._trace(easiest),
            (switches.count(graph, shortest), switches.count(graph, easiest)),
        )

    @property
    def _total(self) -> int:
        return int(self._all.counts(self._all.ends).sum())

    def _part(self, seen: Observed, chosen: Flags) -> Part:
        """The runs that end in some of the ends."""
        ends = seen.ends[chosen]
        runs = int(seen.counts(ends).sum())
        return Part(runs, runs / self._total, float(seen.chances(ends).sum()))

    # -- the re-check -------------------------------------------------------------------------------------------------

    def _checked(self, causes: tuple[Cause, ...], whole: Part) -> tuple[tuple[Reason, ...], bool, float]:
        """The causes that are sufficient; whether the outcome needs one of them; the share of its runs that they cover."""
        seen = _observed(self._graph, self._words, causes)
        bad = self._bad[seen.state[seen.ends]]
        met = seen.met[seen.ends]
        # With the orders of a cause forced, every run has the outcome.
        kept = [n for n in range(len(causes)) if not (met[~bad] >> n & 1).any() and (met >> n & 1).any()]
        for n in list(kept):  # one that the others make up for says nothing
            others = sum(1 << m for m in kept if m != n)
            if not (bad & (met >> n & 1 == 1) & (met & others == 0)).any():
                kept.remove(n)
        mask = sum(1 << n for n in kept)
        covers = met & mask != 0
        exact = bool((covers == bad).all())
        orders = self._orders([causes[n] for n in kept])
        reasons = []
        for n, own in zip(kept, orders, strict=True):
            here = met >> n & 1 == 1
            example = seen.path(int(seen.ends[np.argmax(here)]))
            reasons.append(Reason(own, self._part(seen, here), self._schedule(example)))
        reasons.sort(key=lambda reason: -reason.part.interleavings)
        return tuple(reasons), exact, self._part(seen, covers & bad).interleavings / whole.interleavings

    def _orders(self, causes: list[Cause]) -> list[tuple[Order, ...]]:
        """The conditions in words. One is necessary if, with it forbidden on all CPUs, no run has the outcome."""
        conditions = list(dict.fromkeys(condition for cause in causes for condition in cause))
        alone: list[Cause] = [(condition,) for condition in conditions]
        seconds = list(dict.fromkeys(c.before for c in conditions if c.before != NONE and c.where == ANYWHERE))
        alone += [(Condition(event, ANYWHERE),) for event in seconds]
        seen = _observed(self._graph, self._words, [*alone, *causes])
        bad, met = self._bad[seen.state[seen.ends]], seen.met[seen.ends]
        events = self._words.events

        def always(number: int, runs: Flags) -> bool:
            return bool((met[runs] >> number & 1).all())

        def in_words(condition: Condition, cause: int) -> Order:
            runs = met >> (len(alone) + cause) & 1 == 1
            anywhere = condition.before in seconds and condition.where == ANYWHERE
            both = condition.comes or (anywhere and always(len(conditions) + seconds.index(condition.before), runs))
            return Order(
                events[condition.first],
                _PLACES[condition.at],
                None if condition.before == NONE else events[condition.before],
                _PLACES[condition.where],
                both,
                always(conditions.index(condition), bad),
            )

        return [tuple(in_words(condition, n) for condition in cause) for n, cause in enumerate(causes)]

    # -- runs ---------------------------------------------------------------------------------------------------------

    def _deciding(self, part: Part) -> list[Deciding]:
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
        found = [Deciding(self._words.events[kind], runs / part.interleavings) for kind, runs in kinds.items()]
        return sorted(found, key=lambda deciding: -deciding.share)

    def _shortest(self) -> list[int]:
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


_PLACES = ("", "c", "d")


def _observed(graph: Unfolding, words: Vocabulary, causes: Sequence[Cause]) -> Observed:
    return observe(graph, words, causes, count=True)
