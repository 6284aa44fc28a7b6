"""Which policies are best on a module kind?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import BADNESS, DIGITS, KEY, POLICY, QUESTION, answered_by_all, by_point
from tdxexplore.model import SEVERITIES


def ranking(answers: pl.LazyFrame, fail_on: str = "S3") -> pl.LazyFrame:
    """The policies, best first, on each module kind.

    Policies are compared at the questions that all of them answer completely. First comes the one with the fewest questions
    whose worst outcome is S0; among equals the fewest S1, and so on; then the one with the smaller mean share of bad
    interleavings. Equal policies share a place.

    Args:
        answers: See `tdxexplore.data.reading.Dataset.answers`.
        fail_on: The least severe severity that counts as bad.

    Returns:
        A row for each module kind and policy: place, questions, how many of these have each severity as worst, mean bad_share
        and bad_probability, and ``incomplete``, its questions that are left out because its search was cut short.
    """
    policy = ("module", *POLICY)
    policies = answers.select(policy).unique()
    points = by_point(answers, fail_on)
    common = answered_by_all(points, policies, QUESTION)
    incomplete = (
        answers.filter(pl.col("verdict") == "incomplete")
        .unique(KEY)
        .group_by(policy)
        .agg(incomplete=pl.len().cast(pl.Int64))
    )
    counts = [(pl.col("badness") == BADNESS[severity]).sum().cast(pl.Int64).alias(severity) for severity in SEVERITIES]
    means = [pl.col(name).sort_by(QUESTION).mean() for name in ("bad_share", "bad_probability")]
    found = (
        points.join(common, on=QUESTION, how="semi")
        .group_by(policy)
        .agg(pl.len().cast(pl.Int64).alias("questions"), *counts, *means)
    )
    order = [*SEVERITIES[:-1], "bad_share"]
    return (
        policies.join(found, on=policy, how="left")
        .join(incomplete, on=policy, how="left")
        .with_columns(pl.col("questions", "incomplete", *SEVERITIES).fill_null(0))
        .with_columns(pl.col("bad_share", "bad_probability").round_sig_figs(DIGITS))
        .with_columns(place=pl.struct(order).rank("min").over("module").cast(pl.Int64))
        .select("module", "place", *POLICY, "questions", *SEVERITIES, "bad_share", "bad_probability", "incomplete")
        .sort("module", "place", *POLICY)
    )
