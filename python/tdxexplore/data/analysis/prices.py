"""What does each policy cost: SEAMCALLs, VMXON, IPIs, steps under locks?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.data.analysis.keys import DIGITS, POLICY, QUESTION, answered_by_all, price_by_point

if TYPE_CHECKING:
    from collections.abc import Sequence


def prices(rows: pl.LazyFrame, outcome: str | None = None, names: Sequence[str] = ()) -> pl.LazyFrame:
    """The prices of each policy on each module kind.

    Policies are compared at the questions at which all of them have a price: their searches are complete, and every run
    ends. Among the policies are those that have a price at any question.

    Args:
        rows: See `tdxexplore.data.reading.Dataset.prices`.
        outcome: Look only at runs that end so: what success costs, or a failure. Default: all runs.
        names: The prices, by name; default: all.

    Returns:
        A row for each module kind, price and policy: place by ``mean``, questions, the mean of the questions' means over all
        interleavings (``mean``), the least and the most of any interleaving of any question.
    """
    if outcome is not None:
        rows = rows.filter(pl.col("outcome") == outcome).with_columns(interleaving_share=pl.lit(1.0))
    if names:
        rows = rows.filter(pl.col("price").is_in(list(names)))
    points = price_by_point(rows).cache()
    question = (*QUESTION, "price")
    common = answered_by_all(points, points.select("module", *POLICY).unique(), question)
    figures = {
        "questions": pl.len().cast(pl.Int64),
        "mean": pl.col("mean").sort_by(QUESTION).mean().round_sig_figs(DIGITS),
        "least": pl.col("least").min(),
        "most": pl.col("most").max(),
    }
    return (
        points.join(common, on=question, how="semi")
        .group_by("module", "price", *POLICY)
        .agg(**figures)
        .with_columns(place=pl.col("mean").rank("min").over("module", "price").cast(pl.Int64))
        .select("module", "price", "place", *POLICY, *figures)
        .sort("module", "price", "place", *POLICY)
    )
