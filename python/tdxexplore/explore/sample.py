"""Runs drawn at random: how they end, what they met, and what that proves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore.explore import confidence
from tdxexplore.explore.check import asking
from tdxexplore.explore.drawing import Draws, draw
from tdxexplore.explore.trace import replay
from tdxexplore.explore.verdict import Finding, Judged
from tdxexplore.markup import bar, folded, page, paragraph, severity, table
from tdxexplore.markup import verdict as verdict_badge
from tdxexplore.model import SEVERITIES
from tdxexplore.quantities import fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tdxexplore.explore.drawing import Drawn, Met, Scheduler
    from tdxexplore.explore.engine import Counters
    from tdxexplore.explore.finding import About
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.settings import Settings
    from tdxexplore.explore.trace import Trace
    from tdxexplore.model.properties import Property

_MET = {"runs": pl.Int64, "shortest_steps": pl.Int64, "schedule": pl.String}
_OUTCOMES = {
    "outcome": pl.String,
    "severity": pl.String,
    "runs": pl.Int64,
    "share": pl.Float64,
    "share_least": pl.Float64,
    "share_most": pl.Float64,
    "shortest_steps": pl.Int64,
    "schedule": pl.String,
    "text": pl.String,
}


@dataclass(frozen=True)
class Sample(Judged):
    """Runs that were drawn. What none of them met may occur all the same: no sample says that a design holds.

    Attributes:
        question: What was asked.
        draws: Which runs were drawn.
        settings: The limits, and what counts as a violation.
        drawn: What they met, and how many there are.
        complete: False, so that the verdict is ``violated`` or ``incomplete``.
    """

    complete = False
    question: Question
    draws: Draws
    settings: Settings
    drawn: Drawn

    @property
    def runs(self) -> int:
        """How many runs were drawn."""
        return self.drawn.runs

    @property
    def interleavings(self) -> int | None:
        """Of how many they were drawn; None where they were not counted."""
        return self.drawn.interleavings

    @property
    def seed(self) -> int:
        """The same seed draws the same."""
        return self.draws.seed

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.drawn.interrupted

    @property
    def reason(self) -> str:
        """Why it is no exploration."""
        cut = self.drawn.reason
        asked = "" if cut is None else f" of {self.draws.runs:,}"
        return f"a sample of {self.runs:,}{asked} runs{'' if cut is None else f', {cut}'}"

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The grounds of the verdict: outcomes that runs came to, and invariants that failed on the way."""
        outcomes = self.outcomes.select("outcome", "severity").iter_rows()
        failed = self.invariants.filter(pl.col("runs") > 0).select("invariant", "severity", "text").iter_rows()
        return (
            *(Finding("outcome", name, level) for name, level in outcomes),
            *(Finding("invariant", name, level, text) for name, level, text in failed),
        )

    @cached_property
    def outcomes(self) -> pl.DataFrame:
        """A row for each outcome that a run came to, most severe first.

        Columns: ``outcome``, ``severity``, ``runs`` that end so, ``share`` of all that were drawn, ``share_least`` and
        ``share_most`` (between which the chance that such a run ends so lies, with a confidence of 95 %), ``shortest_steps`` and
        ``schedule`` of the shortest of them, ``text``.
        """
        declared = [outcome for outcome, _ in self.question.compile().program.outcomes]
        order = sorted(range(len(declared)), key=lambda number: SEVERITIES.index(declared[number].severity))
        rows = [
            (
                declared[number].name,
                declared[number].severity,
                met.runs,
                met.runs / self.runs,
                *confidence.interval(met.runs, self.runs),
                met.shortest_steps,
                met.schedule,
                declared[number].text,
            )
            for number in order
            if (met := self.drawn.outcomes[number]).runs
        ]
        return pl.DataFrame(rows, schema=_OUTCOMES, orient="row")

    @cached_property
    def counts(self) -> pl.DataFrame:
        """How often each outcome was drawn: ``outcome``, ``severity``, ``count``; most severe first."""
        return self.outcomes.select("outcome", "severity", pl.col("runs").alias("count"))

    @cached_property
    def invariants(self) -> pl.DataFrame:
        """A row for each invariant: ``runs`` in which it fails somewhere, the shortest way to there or nulls, ``text``."""
        return _properties("invariant", self.question.compile().model.invariants, self.drawn.invariants)

    @cached_property
    def expectations(self) -> pl.DataFrame:
        """A row for each expectation: ``runs`` that meet it somewhere, the shortest way to there or nulls, ``text``."""
        return _properties("expectation", self.question.compile().model.expectations, self.drawn.expectations)

    @cached_property
    def schedules(self) -> pl.DataFrame:
        """Schedules that replay: ``schedule``, ``outcome``, ``severity``.

        Of a sample by exact counts a row for each run in the order of drawing, and one may come twice; otherwise a row for each
        outcome, the shortest run to it.
        """
        if self.draws.scheduler != "exact":
            return self.outcomes.select("schedule", "outcome", "severity")
        declared = [outcome for outcome, _ in self.question.compile().program.outcomes]
        rows = [(s, declared[number].name, declared[number].severity) for s, number in self.drawn.schedules]
        schema = {"schedule": pl.String, "outcome": pl.String, "severity": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    @cached_property
    def traces(self) -> dict[str, Trace]:
        """The shortest run that was drawn to each outcome and each invariant that fails, by name."""
        found = self.outcomes.select(pl.col("outcome").alias("name"), "schedule")
        failed = self.invariants.select(pl.col("invariant").alias("name"), "schedule").drop_nulls()
        return {name: replay(self.question, schedule) for name, schedule in pl.concat([found, failed]).iter_rows()}

    @property
    def unseen(self) -> float | None:
        """The most, with a confidence of 95 %, that the chance of an outcome may be that no run came to; None without runs."""
        return confidence.unseen(self.runs) if self.runs else None

    @property
    def found(self) -> float | None:
        """Of pct: the least chance that one run meets a bug of the depth that was asked for; None where nothing is known."""
        if self.draws.depth is None or not self.drawn.bounded:
            return None
        return confidence.found(self.drawn.actors, self.drawn.longest, self.draws.depth)

    @property
    def missed(self) -> float | None:
        """Of pct: the most that the chance may be that all runs missed such a bug; None where nothing is known."""
        return None if self.found is None else confidence.missed(self.drawn.bounded, self.found)

    @property
    def chances(self) -> tuple[str, ...]:
        """What the sample proves of what it has not met, in sentences."""
        return tuple(_chances(self))

    def _repr_html_(self) -> str:
        outcomes = (
            (name, severity(level, level), runs, bar(fraction(share), share), f"{fraction(least)} to {fraction(most)}")
            for name, level, runs, share, least, most in self.outcomes.select(
                "outcome", "severity", "runs", "share", "share_least", "share_most"
            ).iter_rows()
        )
        schedules = table(("schedule", "outcome"), self.schedules.select("schedule", "outcome").rows())
        return page(
            paragraph(verdict_badge(self.verdict), self.verdict_line.removeprefix(self.verdict)),
            paragraph(f"{self.runs:,} {self.kind}, seed {self.seed}"),
            table(("outcome", "", "runs", "share", "95 %"), outcomes),
            *(paragraph(line) for line in self.chances),
            folded("schedules", schedules),
        )

    @property
    def kind(self) -> str:
        """What was drawn, in words, after its number."""
        kinds: dict[Scheduler, str] = {
            "exact": f"of {self.interleavings or 0:,} interleavings, each as likely as any other",
            "random": "random runs, each enabled step as likely as any other",
            "pct": f"runs by random priorities that change {(self.draws.depth or 1) - 1} times",
        }
        return kinds[self.draws.scheduler]


def _properties(column: str, declared: Iterable[Property], met: list[Met]) -> pl.DataFrame:
    schema = {column: pl.String, "severity": pl.String, **_MET, "text": pl.String}
    rows = [
        (p.name, p.severity, m.runs, m.shortest_steps, m.schedule, p.text) for p, m in zip(declared, met, strict=True)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _chances(drawn: Sample) -> Iterable[str]:
    if drawn.unseen is None:
        yield "no run was drawn, and nothing is known"
        return
    yield (
        f"an outcome that is not listed has, in each run drawn so, a chance of at most {fraction(drawn.unseen)} "
        f"(confidence 95 %, {drawn.runs:,} runs)"
    )
    if drawn.draws.depth is not None:
        yield _bound(drawn, drawn.draws.depth)
    if drawn.drawn.cut:
        yield f"{drawn.drawn.cut:,} runs were cut after {drawn.drawn.longest:,} steps: how they end is not known"


def _bound(drawn: Sample, depth: int) -> str:
    if drawn.found is None or drawn.missed is None:
        return "the last run was longer than all before it, so that no bound is known; draw more runs"
    actors, steps = drawn.drawn.actors, drawn.drawn.longest
    return (
        f"a bug of depth {depth} or less that needs no choice was missed with a chance of at most {drawn.missed:.3g}: each of "
        f"{drawn.drawn.bounded:,} runs meets it with one of at least 1/(n k^{depth - 1}) = {drawn.found:.3g}, n = {actors:,} "
        f"actors and k = {steps:,} steps as seen"
    )


def sample(
    policy: About,
    *,
    scheduler: Scheduler = "exact",
    count: int | None = None,
    seed: int = 0,
    bug_depth: int | None = None,
    progress: Callable[[Counters], object] | None = None,
    **asked: Any,  # noqa: ANN401 -- of the types of the arguments of `check`
) -> Sample:
    """Draw runs at random: by exact counts, by equal chances of all that is enabled, or by random priorities (PCT).

    Args:
        policy: See `tdxexplore.check`.
        scheduler: Who chooses: ``exact`` (each interleaving as likely as any other; for some 100,000 states), ``random`` or
            ``pct``, which store no states.
        count: How many runs; default: 10 of ``exact``, 10,000 of the others.
        seed: The same seed draws the same runs, on any number of threads.
        bug_depth: Of ``pct``, how many constraints on the order of two steps a bug may need; default: 3.
        progress: Called about twice a second while runs are made.
        asked: What is asked and within which limits, as for `tdxexplore.check`: ``max_depth`` cuts a run, default 10,000 steps.

    Raises:
        BadModel: Something is not allowed; or there are too many states to count interleavings, or a run need not end.

    Example:
        >>> import tdxexplore
        >>> tdxexplore.sample("v19", module="subset", cpus=2, scenario="late-online", count=3).counts.rows()
        [('td-error', 'S2', 3)]
        >>> drawn = tdxexplore.sample("v19", module="subset", cpus=64, scenario="late-online", scheduler="pct", count=100)
        >>> drawn.verdict, drawn.worst
        ('violated', 'td-error')
    """
    question, settings = asking(policy, asked)
    draws = Draws(scheduler=scheduler, count=count, seed=seed, bug_depth=bug_depth)
    return Sample(question, draws, settings, draw(question, draws, settings, progress))
