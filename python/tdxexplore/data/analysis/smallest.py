"""At how many CPUs does something first appear?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import SERIES


def smallest(findings: pl.LazyFrame, name: str | None = None) -> pl.LazyFrame:
    """The smallest CPU count at which each series reaches an outcome, fails an invariant, or can lose a response.

    Args:
        findings: See `tdxexplore.data.reading.findings`.
        name: The outcome, invariant or response; default: all.

    Returns:
        A row for each series and finding that appears: the smallest CPU count, with its severity, steps and schedule;
        ``tried``, the smallest CPU count in the data set: if both are equal, fewer CPUs may do; and ``unsure``, how many
        smaller counts have a search that was cut short, and may have missed it.
    """
    counts = findings.select(*SERIES, "cpus", incomplete=~pl.col("complete")).unique()
    tried = counts.group_by(SERIES).agg(tried=pl.col("cpus").min())
    cut = counts.filter("incomplete").select(*SERIES, cut="cpus")
    wanted = pl.col("finding").is_not_null() & (pl.col("kind") != "expectation")
    if name is not None:
        wanted &= pl.col("finding") == name
    what, figures = ("kind", "finding"), ("severity", "cpus", "shortest_steps", "schedule")
    first = findings.filter(wanted).group_by(*SERIES, *what).agg(pl.col(figures).sort_by("cpus").first())
    return (
        first.join(cut, on=SERIES, how="left")
        .group_by(*SERIES, *what, *figures)
        .agg(unsure=(pl.col("cut") < pl.col("cpus")).sum().cast(pl.Int64))
        .join(tried, on=SERIES)
        .sort(*SERIES, "severity", *what)
    )
