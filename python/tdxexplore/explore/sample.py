"""Interleavings drawn uniformly from all, and how they end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.errors import BadModel, shown
from tdxexplore.explore.question import Question
from tdxexplore.explore.sampling import runs_of
from tdxexplore.explore.trace import replay
from tdxexplore.markup import bar, folded, page, paragraph, severity, table
from tdxexplore.model import SEVERITIES
from tdxexplore.quantities import fraction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.explore.finding import About


@dataclass(frozen=True)
class Sample:
    """Interleavings that were drawn.

    Attributes:
        question: What was asked.
        interleavings: Of how many they were drawn.
        seed: The same seed draws the same.
        schedules: A row for each: ``schedule``, ``outcome`` and ``severity``; one may come twice.
    """

    question: Question
    interleavings: int
    seed: int
    schedules: pl.DataFrame

    @cached_property
    def counts(self) -> pl.DataFrame:
        """How often each outcome was drawn: ``outcome``, ``severity``, ``count``; most severe first."""
        order = {severity: n for n, severity in enumerate(SEVERITIES)}
        counts = self.schedules.group_by("outcome", "severity").agg(count=pl.len().cast(pl.Int64))
        return counts.sort(pl.col("severity").replace_strict(order, return_dtype=pl.Int64), "outcome")

    def _repr_html_(self) -> str:
        total = len(self.schedules)
        counts = (
            (outcome, severity(level, level), count, bar(fraction(count / total), count / total))
            for outcome, level, count in self.counts.iter_rows()
        )
        schedules = table(("schedule", "outcome"), self.schedules.select("schedule", "outcome").rows())
        return page(
            paragraph(f"{total} of {self.interleavings:,} interleavings, seed {self.seed}"),
            table(("outcome", "", "drawn", "part"), counts),
            folded("schedules", schedules),
        )


def draw(question: Question, count: int, seed: int) -> Sample:
    """Draw interleavings of a question, each as likely as any other.

    Raises:
        BadModel: The count is none, there are too many states, or a run need not end.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise BadModel(f"--count is {shown(count)}; allowed are whole numbers from 1")
    runs = runs_of(question)
    severities = {outcome.name: outcome.severity for outcome, _ in question.compile().program.outcomes}
    drawn = [(schedule, replay(question, schedule).outcome) for schedule in runs.draw(count, seed)]
    rows = [(schedule, outcome, severities[outcome or ""]) for schedule, outcome in drawn]
    schema = {"schedule": pl.String, "outcome": pl.String, "severity": pl.String}
    return Sample(question, runs.total, seed, pl.DataFrame(rows, schema=schema, orient="row"))


def sample(  # noqa: PLR0913 -- the arguments of `check`, all by name
    policy: About,
    *,
    count: int = 10,
    seed: int = 0,
    module: str | None = None,
    cpus: int = 4,
    packages: int = 1,
    scenario: str | None = None,
    knobs: Mapping[str, str | bool | int] | None = None,
    budgets: Mapping[str, int] | None = None,
) -> Sample:
    """Draw interleavings uniformly from all maximal runs, by exact counts.

    Args:
        policy: See `tdxexplore.check`, as for all that follow but `count` and `seed`.
        count: How many are drawn.
        seed: The same seed draws the same.
        module: TDX-module kind.
        cpus: CPUs in all.
        packages: Packages that they are spread over.
        scenario: What happens around bring-up.
        knobs: Choices that the policy's source leaves open, by name.
        budgets: How often environment actions may happen, where not as in the scenario.

    Raises:
        BadModel: Something in the question is not allowed, there are too many states, or a run need not end.

    Example:
        >>> import tdxexplore
        >>> tdxexplore.sample("v19", module="subset", cpus=2, scenario="late-online", count=3).counts.rows()
        [('td-error', 'S2', 3)]
    """
    question = Question.of(
        policy, module=module, cpus=cpus, packages=packages, scenario=scenario, knobs=knobs, budgets=budgets
    )
    return draw(question, count, seed)
