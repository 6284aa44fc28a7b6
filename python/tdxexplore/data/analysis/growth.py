"""How does the search grow with the CPU count?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import KEY, SERIES


def growth(runs: pl.LazyFrame) -> pl.LazyFrame:
    """States, time and memory of each complete search, and how they grow with the CPU count.

    Returns:
        A row for each complete point: stored states, generated transitions, seconds, memory; and for its series, that is all
        its CPU counts: ``growth`` and ``growth_of_seconds``, the exponents *a* of the least-squares fits ``states ~ cpus^a``
        and ``seconds ~ cpus^a`` on logarithms, and ``r_squared`` of the first. They are null with fewer than two counts.
    """
    figures = ("explored", "generated", "seconds", "peak_memory_bytes")
    x, states, seconds = (pl.col(name).sort_by("cpus").log() for name in ("cpus", "explored", "seconds"))
    several = pl.col("cpus").n_unique() > 1

    def fitted(value: pl.Expr) -> pl.Expr:
        return pl.when(several).then(pl.cov(x, value) / x.var())

    correlation = pl.when(several & (pl.col("explored").n_unique() > 1)).then(pl.corr(x, states))
    fits = {
        "growth": fitted(states),
        "growth_of_seconds": fitted(seconds),
        "r_squared": correlation**2,
    }
    points = runs.filter("complete")
    # In one order, as sums of floating-point numbers depend on theirs.
    exponents = points.sort(*SERIES, "cpus").group_by(SERIES, maintain_order=True).agg(**fits)
    return points.select(*KEY, *figures).join(exponents, on=SERIES).sort(KEY)
