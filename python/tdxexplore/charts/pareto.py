"""Two prices against each other, and the policies that no other one beats in both."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from tdxexplore.charts.style import altair, dressed, named, ordered, panels
from tdxexplore.errors import BadModel

PREFERRED = ("seamcalls", "steps-under-cpus-lock")
"""The prices that are set against each other, unless the table has others."""

_BEST, _OTHER = "#1f5fbf", "#9aa2ae"
_LINE = 0.045  # of a chart's height: the height of a label


def prices(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair
    """Two prices of each policy; a part for each module kind.

    Args:
        frame: As `tdxexplore.data.analysis.prices` gives it. Of more than two prices, those of `PREFERRED` are shown, or the
            first two.

    Raises:
        BadModel: The table has fewer than two prices.
    """
    alt = altair()
    known = ordered(frame, "price")
    chosen = PREFERRED if set(PREFERRED) <= set(known) else tuple(known[:2])
    if len(chosen) < len(PREFERRED):
        raise BadModel(f"a chart of prices needs two of them, and the table has {len(known)}: {', '.join(known)}")
    across, up = chosen
    rows = panels(named(frame, ("policy", "knobs"), "row"), ("module",)).filter(pl.col("price").is_in(chosen))
    wide = rows.pivot("price", index=["panel", "row"], values="mean").drop_nulls().rename({across: "across", up: "up"})
    parts = [_part(alt, part, across, up) for part in wide.partition_by("panel", maintain_order=True)]
    return dressed(alt.hconcat(*parts), "Prices of the policies", "blue: no policy is cheaper in both (Pareto)")


def _part(alt: Any, part: pl.DataFrame, across: str, up: str) -> Any:  # noqa: ANN401 -- altair is loaded late
    """The prices of the policies on one module kind."""
    base = alt.Chart(labelled(front(part))).encode(
        x=alt.X("across:Q", title=f"{across} of a run, mean", scale=alt.Scale(zero=False, padding=24)),
        tooltip=["row:N", "across:Q", "up:Q"],
    )
    y = alt.Y("up:Q", title=f"{up} of a run, mean", scale=alt.Scale(zero=False, padding=20))
    line = base.transform_filter("datum.front").mark_line(interpolate="step-after", color=_BEST, strokeDash=[4, 3])
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y, color=alt.condition("datum.front", alt.value(_BEST), alt.value(_OTHER))
    )
    texts = [
        base.transform_filter(f"datum.label != '' && datum.left == {str(left).lower()}")
        .mark_text(align=align, dx=by, dy=-6, fontSize=10, **halo)
        .encode(y=alt.Y("at:Q"), text="label:N")
        for left, align, by in ((False, "left", 8), (True, "right", -8))
        for halo in ({"stroke": "white", "strokeWidth": 3}, {})
    ]
    title = f"module kind {part['panel'][0]}"
    return alt.layer(line.encode(y=y), *texts, dots).properties(width=460, height=320, title=title)


def front(part: pl.DataFrame) -> pl.DataFrame:
    """Which policies no other one beats in both prices.

    Args:
        part: Columns ``row`` (the policy), ``across`` and ``up``.

    Returns:
        The rows by their prices, with ``front``; and ``label``, the names of all that are equal, at the first of them.
    """
    rows = part.sort("across", "up", "row").with_columns(
        front=pl.col("up") < pl.col("up").cum_min().shift(1).fill_null(math.inf),
        same=pl.struct("across", "up"),
    )
    names = pl.col("row").str.join(", ").over("same")
    first = pl.col("row") == pl.col("row").first().over("same")
    return rows.with_columns(
        front=pl.col("front").max().over("same"), label=pl.when(first).then(names).otherwise(pl.lit(""))
    ).drop("same")


def labelled(rows: pl.DataFrame) -> pl.DataFrame:
    """Where the labels stand: ``left`` of dots in the right half, and ``at`` a height where none is over another of its side."""
    xs, ups = rows["across"].to_list(), rows["up"].to_list()
    rows = rows.with_columns(left=pl.col("across") > (min(xs) + max(xs)) / 2).sort("up", "across")
    height = (max(ups) - min(ups)) or 1.0
    last: dict[bool, float] = {}
    at = []
    for up, left, label in rows.select("up", "left", "label").iter_rows():
        at.append(max(up, last.get(left, -math.inf) + height * _LINE))
        if label:
            last[left] = at[-1]
    return rows.with_columns(at=pl.Series(at, dtype=pl.Float64)).sort("across", "up", "row")
