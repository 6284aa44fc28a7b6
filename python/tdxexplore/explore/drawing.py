"""Drawing runs at random, by one of three schedulers, and what they met on their way.

- *exact*: each interleaving is as likely as any other. All states are listed for it, so it is for small questions.
- *random*: in each state each enabled step is as likely as any other, as for the column ``probability`` of `check`.
- *pct*: probabilistic concurrency testing: whoever has the highest of random priorities goes on, and at a few random steps
  he falls below all others. A bug that needs few constraints on the order of steps has a chance that is known.

The last two store nothing: the engine makes each run, and only sums stay.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import polars as pl

from tdxexplore.errors import BadModel, BadSetting, shown, suggest
from tdxexplore.explore.sampling import runs_of
from tdxexplore.explore.settings import DESCRIBED, Settings
from tdxexplore.explore.time_limit import limited
from tdxexplore.explore.trace import replay
from tdxexplore.model import reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tdxexplore.explore.engine import Counters, Table
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.trace import Trace

Scheduler: TypeAlias = Literal["exact", "random", "pct"]

COUNTS = {"exact": 10, "random": 10_000, "pct": 10_000}
"""How many runs are drawn, unless it is said."""

LONGEST = 10_000
"""Steps after which a run is cut, unless ``max_depth`` says otherwise."""

_DEPTH = 3
_DEEPEST = 64
_MOST = 2**63 - 1
_SEEDS = 2**64
_LEAST = 1e-6  # seconds, when recording has taken all

_USED = {"exact": ("fail_on", "max_memory", "timeout", "threads"), "walk": ("max_depth",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Which runs are drawn.

    Attributes:
        scheduler: Who chooses the next step: each interleaving as likely as any other (exact, for some 100,000 states), each
            enabled step as likely as any other (random), or random priorities with few changes (pct); the last two
            store no states.
        count: How many runs; default: 10 of exact, 10,000 of the others.
        seed: The same seed draws the same runs, on any number of threads.
        bug_depth: Of pct: how many constraints on the order of two steps a bug may need; default: 3.

    Raises:
        BadModel: A value is not allowed.
    """

    scheduler: Scheduler = "exact"
    count: int | None = None
    seed: int = 0
    bug_depth: int | None = None

    def __post_init__(self) -> None:
        known = get_args(Scheduler)
        if self.scheduler not in known:
            said = self.scheduler if isinstance(self.scheduler, str) else ""
            raise BadModel(f"--scheduler is {shown(self.scheduler)}; {suggest(said, known)}")
        if self.count is not None:
            _whole("--count", self.count, 1, _MOST)
        _whole("--seed", self.seed, 0, _SEEDS - 1)
        if self.bug_depth is not None:
            _whole("--bug-depth", self.bug_depth, 1, _DEEPEST)
            if self.scheduler != "pct":
                raise BadModel(f"--bug-depth is for --scheduler `pct`, and the scheduler is `{self.scheduler}`")

    @property
    def runs(self) -> int:
        """How many runs are asked for."""
        return COUNTS[self.scheduler] if self.count is None else self.count

    @property
    def depth(self) -> int | None:
        """The bug depth; None but for pct."""
        return (self.bug_depth or _DEPTH) if self.scheduler == "pct" else None


@dataclass(slots=True)
class Met:
    """How often something was met, and the shortest run up to there; of equal ones the first."""

    runs: int = 0
    shortest_steps: int | None = None
    schedule: str | None = None

    def add(self, steps: int, schedule: str) -> None:
        """Count one more run."""
        self.runs += 1
        if self.shortest_steps is None or steps < self.shortest_steps:
            self.shortest_steps, self.schedule = steps, schedule


@dataclass(slots=True)
class Drawn:
    """The runs that were drawn.

    Attributes:
        outcomes: For each outcome of the Program the runs that end so.
        invariants: For each invariant the runs in which it fails somewhere.
        expectations: For each expectation the runs in which it is met somewhere.
        runs: How many there are.
        cut: Those that were cut, so that they have no outcome.
        steps: Of all of them.
        longest: Steps of the longest.
        actors: Instances of actors that were ever enabled; 0 where nobody counted.
        bounded: The runs for which the bound of pct holds.
        interleavings: Of how many they were drawn, where these are counted.
        schedules: Each run, where it is kept.
        reason: Why there are fewer than asked for.
        interrupted: Whether Ctrl-C was the reason.
        seconds: Time taken.
    """

    outcomes: list[Met]
    invariants: list[Met]
    expectations: list[Met]
    runs: int = 0
    cut: int = 0
    steps: int = 0
    longest: int = 0
    actors: int = 0
    bounded: int = 0
    interleavings: int | None = None
    schedules: list[tuple[str, int]] = field(default_factory=list)
    reason: str | None = None
    interrupted: bool = False
    seconds: float = 0.0


def draw(
    question: Question, draws: Draws, settings: Settings, progress: Callable[[Counters], object] | None = None
) -> Drawn:
    """Draw runs of a question.

    Args:
        question: What is asked.
        draws: Which runs.
        settings: The limits that apply to runs: ``max_depth``, ``timeout``, ``max_memory`` of recording, ``threads``.
        progress: Called about twice a second while runs are made. An exception ends them.

    Raises:
        BadModel: There are too many states to count interleavings, or a run need not end, so that they cannot be counted.
        BadSetting: A setting has no meaning for runs.
        TimeUp: The time is up before there is anything.
    """
    exact = draws.scheduler == "exact"
    _refuse(settings, _USED["exact"] if exact else (*_USED["exact"], *_USED["walk"]))
    if exact:
        what = "counting the interleavings"
        return limited(lambda: _counted(question, draws), settings.timeout, what, settings.memory_limit)
    began = time.monotonic()
    question.compile(settings.timeout, settings.memory_limit)
    left = None if settings.timeout is None else max(settings.timeout - (time.monotonic() - began), _LEAST)
    return _walked(question, draws, settings, left, progress)


def _walked(
    question: Question,
    draws: Draws,
    settings: Settings,
    timeout: float | None,
    progress: Callable[[Counters], object] | None,
) -> Drawn:
    found = question.compile().engine.walk(
        question.initial(),
        bug_depth=draws.depth,
        walks=draws.runs,
        seed=draws.seed,
        threads=settings.threads,
        max_depth=settings.max_depth or LONGEST,
        timeout=timeout,
        progress=progress,
    )
    return Drawn(
        _rows(found.outcomes()),
        _rows(found.invariants()),
        _rows(found.expectations()),
        runs=found.walks,
        cut=found.cut,
        steps=found.steps,
        longest=found.longest,
        actors=found.actors,
        bounded=found.bounded,
        reason=f"timeout {settings.timeout:g} s" if found.reason and not found.interrupted else found.reason,
        interrupted=found.interrupted,
        seconds=found.seconds,
    )


def _rows(table: Table) -> list[Met]:
    return [Met(*row) for row in pl.DataFrame(table).select("walks", "shortest_steps", "schedule").iter_rows()]


def _counted(question: Question, draws: Draws) -> Drawn:
    began = time.monotonic()
    runs, program = runs_of(question), question.compile().program
    drawn = Drawn(
        [Met() for _ in program.outcomes],
        [Met() for _ in program.invariants],
        [Met() for _ in program.expectations],
        interleavings=runs.total,
    )
    numbers = {outcome.name: number for number, (outcome, _) in enumerate(program.outcomes)}
    for schedule in runs.draw(draws.runs, draws.seed):
        trace = replay(question, schedule)
        assert trace.outcome is not None  # a maximal run
        outcome = numbers[trace.outcome]
        drawn.outcomes[outcome].add(len(trace), schedule)
        _met(trace, drawn)
        drawn.schedules.append((schedule, outcome))
        drawn.runs += 1
        drawn.steps += len(trace)
        drawn.longest = max(drawn.longest, len(trace))
    drawn.seconds = time.monotonic() - began
    return drawn


def _met(trace: Trace, drawn: Drawn) -> None:
    """The invariants that fail and the expectations that are met in some state of a run, each up to the first."""
    model, tokens = trace.question.compile().model, [step.token for step in trace]
    for properties, found, wanted in (
        (model.invariants, drawn.invariants, False),
        (model.expectations, drawn.expectations, True),
    ):
        for declared, met in zip(properties, found, strict=True):
            holds = (reference.evaluate(declared.when, state, -1, -1, {}) for state in trace.states)
            first = next((steps for steps, value in enumerate(holds) if bool(value) is wanted), None)
            if first is not None:
                met.add(first, "".join(tokens[:first]))


def _refuse(settings: Settings, used: Iterable[str]) -> None:
    """Refuse a setting that would have no effect."""
    defaults = Settings()
    for each in DESCRIBED:
        value = getattr(settings, each.name)
        if each.name not in used and value != getattr(defaults, each.name):
            raise BadSetting(each.name, value, "it has no meaning for runs that are drawn with this scheduler")


def _whole(what: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadModel(f"{what} is {shown(value)}; allowed are whole numbers from {least} to {most}")
