"""Which policy dominates which?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.data.analysis.keys import KEY, POLICY, QUESTION, SAME, by_point, price_by_point

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPARED = ("seamcalls", "steps-under-cpus-lock")
"""The prices by which policies are compared unless others are asked for."""


def domination(
    answers: pl.LazyFrame, prices: pl.LazyFrame, fail_on: str = "S3", by: Sequence[str] = COMPARED
) -> pl.LazyFrame:
    """How each policy compares with each other one on each module kind, and whether it dominates it (Pareto).

    Two policies are compared at every question that both answer completely and not vacuously. The objectives, of which less is
    better, are the severity of the worst outcome or lost response, whether an invariant fails, the share of interleavings and
    the probability that end at least as bad as `fail_on`, and each price, as the mean over all interleavings. An objective that
    is null on either side is left out at that question; prices are null where runs need not end.

    Args:
        answers: See `tdxexplore.data.reading.Dataset.answers`.
        prices: See `tdxexplore.data.reading.Dataset.prices`.
        fail_on: The least severe severity that counts as bad.
        by: The prices that count, by name.

    Returns:
        A row for each module kind and ordered pair of policies: ``questions`` compared; at how many of them the first is
        better in some objective and worse in none (``better``), the reverse (``worse``), or better in one and worse in
        another (``mixed``); and whether it ``dominates``: never worse or mixed, and better at least once.
    """
    objectives = ["badness", "broken", "bad_share", "bad_probability", *by]
    means = price_by_point(prices.filter(pl.col("price").is_in(list(by))))
    wide = means.group_by(KEY).agg(pl.col("mean").filter(pl.col("price") == name).first().alias(name) for name in by)
    points = by_point(answers, fail_on).join(wide, on=KEY, how="left").cache()
    # Numbers stand for names: there are as many rows in `pairs` as points times policies.
    names, modules = (points.select(key).unique().sort(key).with_row_index("number") for key in (POLICY, ("module",)))
    slim = (
        points.with_columns(pl.struct(QUESTION).rank("dense").alias("question"))
        .join(names.rename({"number": "one"}), on=POLICY)
        .join(modules.rename({"number": "kind"}), on="module")
        .select("question", "kind", "one", *objectives)
    )
    other = slim.select("question", pl.col("one").alias("two"), *(pl.col(o).alias(f"other_{o}") for o in objectives))
    less = [pl.col(o) < pl.col(f"other_{o}") * (1 - SAME) for o in objectives]
    more = [pl.col(o) * (1 - SAME) > pl.col(f"other_{o}") for o in objectives]
    better, worse = pl.any_horizontal(*less).fill_null(value=False), pl.any_horizontal(*more).fill_null(value=False)
    pairs = (
        slim.join(other, on="question")
        .filter(pl.col("one") != pl.col("two"))
        .select("kind", "one", "two", better=better, worse=worse)
        .group_by("kind", "one", "two")
        .agg(
            questions=pl.len().cast(pl.Int64),
            better=(pl.col("better") & ~pl.col("worse")).sum().cast(pl.Int64),
            worse=(pl.col("worse") & ~pl.col("better")).sum().cast(pl.Int64),
            mixed=(pl.col("worse") & pl.col("better")).sum().cast(pl.Int64),
        )
    )
    pair = ("module", *POLICY, *(f"other_{name}" for name in POLICY))
    second = names.rename({name: f"other_{name}" for name in POLICY})
    return (
        pairs.join(names, left_on="one", right_on="number")
        .join(second, left_on="two", right_on="number")
        .join(modules, left_on="kind", right_on="number")
        .select(*pair, "questions", "better", "worse", "mixed")
        .with_columns(dominates=(pl.col("worse") == 0) & (pl.col("mixed") == 0) & (pl.col("better") > 0))
        .sort(pair)
    )
