"""Which policies are best on a module kind?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import BADNESS, DIGITS, KEY, POLICY, QUESTION, answered_by_all, by_point
from tdxexplore.model import SEVERITIES


def ranking(answers: pl.LazyFrame, fail_on: str = "S3") -> pl.LazyFrame:
    """The policies, best first, on each module kind.

    Policies are compared at the questions that all of them answer completely and not vacuously. First comes the one with the
    fewest questions whose worst outcome or lost response is S0; among equals the fewest S1, and so on. An invariant that fails
    is a violation: the questions where one does count after those of the severities from `fail_on` on, and before the others.
    Last comes the mean share of bad interleavings. Equal policies share a place.

    Args:
        answers: See `tdxexplore.data.reading.Dataset.answers`.
        fail_on: The least severe severity that counts as bad.

    Returns:
        A row for each module kind and policy: place, questions, how many of these have each severity as worst, at how many
        an invariant fails (``invariants``), mean bad_share and bad_probability, and its questions that are left out because
        its search was cut short (``incomplete``) or its answer says nothing (``vacuous``).
    """
    policy = ("module", *POLICY)
    policies = answers.select(policy).unique()
    points = by_point(answers, fail_on)
    common = answered_by_all(points, policies, QUESTION)
    left_out = (
        answers.unique(KEY)
        .group_by(policy)
        .agg(
            incomplete=(~pl.col("complete")).sum().cast(pl.Int64),
            vacuous=(pl.col("verdict") == "vacuous").sum().cast(pl.Int64),
        )
    )
    counts = [(pl.col("badness") == BADNESS[severity]).sum().cast(pl.Int64).alias(severity) for severity in SEVERITIES]
    shares = ("bad_share", "bad_probability")
    means = [pl.col(name).sort_by(QUESTION).mean() for name in shares]
    found = (
        points.join(common, on=QUESTION, how="semi")
        .group_by(policy)
        .agg(pl.len().cast(pl.Int64).alias("questions"), *counts, *means, invariants=pl.col("broken").sum())
    )
    bad = SEVERITIES.index(fail_on) + 1
    order = [*SEVERITIES[:bad], "invariants", *SEVERITIES[bad:-1], "bad_share"]
    return (
        policies.join(found, on=policy, how="left")
        .join(left_out, on=policy, how="left")
        .with_columns(pl.col("questions", "invariants", *SEVERITIES).fill_null(0))
        .with_columns(pl.col(shares).round_sig_figs(DIGITS))
        .with_columns(place=pl.struct(order).rank("min").over("module").cast(pl.Int64))
        .select("module", "place", *POLICY, "questions", *SEVERITIES, "invariants", *shares, "incomplete", "vacuous")
        .sort("module", "place", *POLICY)
    )
