"""What share of the interleavings ends in each outcome?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import KEY

_FIGURES = ("outcome", "severity", "interleavings", "interleaving_share", "probability", "shortest_steps")


def shares(answers: pl.LazyFrame) -> pl.LazyFrame:
    """How the runs of each point end.

    Args:
        answers: See `tdxexplore.data.reading.Dataset.answers`.

    Returns:
        A row for each point that was answered completely and each outcome that it reaches, most severe first.
    """
    rows = answers.filter(pl.col("complete") & pl.col("outcome").is_not_null())
    return rows.sort(*KEY, "rank").select(*KEY, *_FIGURES)
