"""The keys by which questions group and join, and what the answers to a point add up to."""

from __future__ import annotations

import polars as pl

from tdxexplore.model import SEVERITIES

POLICY = ("policy", "knobs")
"""A policy is its name with the values of its knobs."""

QUESTION = ("module", "scenario", "budgets", "packages", "cpus")
"""What a policy is asked."""

SERIES = (*POLICY, *QUESTION[:-1])
"""Points that differ in the CPU count only."""

KEY = (*SERIES, "cpus")
"""One point."""

SAME = 1e-9
"""Shares and probabilities are equal within this relative error: they are sums of floats, and may be as small as 1e-30."""

DIGITS = 9
"""To so many significant digits means are rounded, so that equal policies share a place."""

BADNESS = {severity: len(SEVERITIES) - 1 - rank for rank, severity in enumerate(SEVERITIES)}
"""Severities as numbers: 0 is ok, more is worse."""


def answered(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows whose search was not cut short, and whose answer says something."""
    return rows.filter(pl.col("complete") & (pl.col("verdict") != "vacuous"))


def _badness(column: str) -> pl.Expr:
    return pl.col(column).replace_strict(BADNESS, return_dtype=pl.Int64)


def by_point(answers: pl.LazyFrame, fail_on: str) -> pl.LazyFrame:
    """A row for each point that was answered completely.

    Columns after the key: ``badness`` of its worst outcome or lost response; ``broken``, 1 if an invariant fails, else 0;
    ``bad_share`` and ``bad_probability`` of all its outcomes at least as severe as `fail_on`, null where they were not
    measured.
    """
    bad = pl.col("severity").is_in(SEVERITIES[: SEVERITIES.index(fail_on) + 1])

    def total(name: str) -> pl.Expr:
        return (
            pl.when(pl.col(name).is_null().any())
            .then(None)
            .otherwise(pl.col(name).sort_by("rank").filter(bad.sort_by("rank")).sum())
        )

    return (
        answered(answers)
        .group_by(KEY)
        .agg(
            badness=pl.max_horizontal(_badness("severity").max(), _badness("lost_severity").max()),
            broken=(pl.col("broken") != "").any().cast(pl.Int64),
            bad_share=total("interleaving_share"),
            bad_probability=total("probability"),
        )
    )


def price_by_point(prices: pl.LazyFrame) -> pl.LazyFrame:
    """A row for each price and point that was answered completely: mean over its interleavings, least and most of any."""
    return (
        answered(prices)
        .group_by(*KEY, "price")
        .agg(
            mean=(pl.col("mean") * pl.col("interleaving_share")).sort_by("rank").sum(),
            least=pl.col("least").min(),
            most=pl.col("most").max(),
        )
    )


def answered_by_all(points: pl.LazyFrame, policies: pl.LazyFrame, question: tuple[str, ...]) -> pl.LazyFrame:
    """The questions to which every policy has an answer: a row with `question` for each.

    Args:
        points: A row for each answer, with `POLICY` and `question`.
        policies: A row for each module kind and policy that counts.
        question: The key of a question; it contains ``module``.
    """
    asked = policies.group_by("module").agg(policies=pl.len())
    answered = points.group_by(question).agg(answered=pl.len())
    return answered.join(asked, on="module").filter(pl.col("answered") == pl.col("policies")).select(question)
