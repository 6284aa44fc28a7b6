"""At how many CPUs does an outcome first appear?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import SERIES


def smallest(answers: pl.LazyFrame, outcome: str | None = None) -> pl.LazyFrame:
    """The smallest CPU count at which each series reaches an outcome.

    Args:
        answers: See `tdxexplore.data.reading.Dataset.answers`.
        outcome: The outcome; default: all.

    Returns:
        A row for each series and outcome that appears: the smallest CPU count, with its severity, steps and schedule;
        ``tried``, the smallest CPU count in the data set: if both are equal, fewer CPUs may do; and ``unsure``, how many
        smaller counts have an incomplete search, which may have missed it.
    """
    counts = answers.select(*SERIES, "cpus", incomplete=pl.col("verdict") == "incomplete").unique()
    tried = counts.group_by(SERIES).agg(tried=pl.col("cpus").min())
    cut = counts.filter("incomplete").select(*SERIES, cut="cpus")
    wanted = pl.col("outcome").is_not_null() if outcome is None else pl.col("outcome") == outcome
    figures = ("severity", "cpus", "shortest_steps", "schedule")
    first = answers.filter(wanted).group_by(*SERIES, "outcome").agg(pl.col(figures).sort_by("cpus").first())
    return (
        first.join(cut, on=SERIES, how="left")
        .group_by(*SERIES, "outcome", *figures)
        .agg(unsure=(pl.col("cut") < pl.col("cpus")).sum().cast(pl.Int64))
        .join(tried, on=SERIES)
        .sort(*SERIES, "severity", "outcome")
    )
