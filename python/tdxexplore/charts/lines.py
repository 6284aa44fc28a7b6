"""Figures against a number: shares and stored states against CPUs, the levels of a search."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl

from tdxexplore.charts.style import COLOURS, altair, common, dressed, named, panels
from tdxexplore.errors import BadModel
from tdxexplore.model import SEVERITIES

_ASKED = ("policy", "module", "scenario", "budgets")
"""Columns that a subtitle names if all rows agree."""


def shares(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair
    """The share of the interleavings that ends in each outcome, by CPU count; a part for each series.

    Args:
        frame: The outcomes of an exploration, a comparison or a data set, as `tdxexplore.data.analysis.shares` gives them.
    """
    alt = altair()
    frame = frame.drop_nulls(["outcome", "interleaving_share"])
    if frame.is_empty():
        raise BadModel("there is no outcome whose interleavings were counted, and so no shares to show")
    order = pl.col("severity").replace_strict({s: n for n, s in enumerate(SEVERITIES)}, return_dtype=pl.Int64)
    frame = frame.sort(order, "outcome", maintain_order=True).with_columns(order=order)
    outcomes = frame.unique("outcome", maintain_order=True)
    names, severities = outcomes["outcome"].to_list(), outcomes["severity"].to_list()
    colours = alt.Scale(domain=names, range=_shades(severities))
    frame = panels(frame, ("policy", "knobs", "module", "scenario", "budgets", "packages")).sort("panel")
    columns = ("panel", "cpus", "outcome", "severity", "interleaving_share", "probability", "order")
    bars = (
        alt.Chart(frame.select(columns))
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("cpus:O", title="CPUs", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("sum(interleaving_share):Q", title="share of interleavings", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("outcome:N", scale=colours, sort=names, title="outcome, most severe first"),
            order=alt.Order("order:Q", sort="descending"),
            tooltip=list(columns[1:-1]),
        )
        .properties(width=max(190, 24 * frame["cpus"].n_unique()), height=130)
    )
    several = frame["panel"].n_unique() > 1
    parts = bars.facet(facet=alt.Facet("panel:N", sort=None, title=None), columns=4)
    return dressed(parts if several else bars, "How runs end", common(frame, _ASKED))


def growth(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair
    """Stored states against CPUs, both logarithmic: a power of the CPU count is a straight line.

    Args:
        frame: As `tdxexplore.data.analysis.growth` gives it.
    """
    alt = altair()
    frame = named(frame, ("policy", "knobs"), "row")
    frame = panels(frame, ("module", "scenario", "budgets", "packages"))
    points = alt.Chart(frame.select("panel", "row", "cpus", "explored", "growth", "r_squared")).encode(
        x=alt.X(
            "cpus:Q",
            scale=alt.Scale(type="log", nice=False),
            title="CPUs",
            axis=alt.Axis(format="d", values=_ticks(frame)),
        ),
        y=alt.Y("explored:Q", scale=alt.Scale(type="log"), title="stored states", axis=alt.Axis(format="~s")),
        color=alt.Color("row:N", title="policy", scale=alt.Scale(scheme="tableau20")),
        tooltip=["row:N", "cpus:Q", "explored:Q", "growth:Q", "r_squared:Q"],
    )
    layered = alt.layer(points.mark_line(), points.mark_point(filled=True, size=28)).properties(width=240, height=190)
    several = frame["panel"].n_unique() > 1
    parts = layered.facet(facet=alt.Facet("panel:N", title=None), columns=4)
    return dressed(parts if several else layered, "Growth of the search", "a straight line is a power of the CPU count")


def levels(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair
    """New states and generated transitions at each depth of a search.

    Args:
        frame: The levels of one exploration.
    """
    alt = altair()
    frame = panels(frame, (*_ASKED, "knobs", "packages", "cpus"))
    names = {"explored": "new stored states", "generated": "generated transitions"}
    long = frame.rename(names).unpivot(
        list(names.values()), index=["panel", "depth"], variable_name="what", value_name="n"
    )
    base = alt.Chart(long).encode(
        x=alt.X("depth:Q", title="depth (steps from the initial state)", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("n:Q", title="at this depth", stack=None),
        color=alt.Color("what:N", title=None, scale=alt.Scale(range=["#b4540a", "#1f5fbf"])),
        tooltip=["depth:Q", "what:N", "n:Q"],
    )
    drawn = alt.layer(base.mark_area(opacity=0.18), base.mark_line()).properties(width=520, height=230)
    several = frame["panel"].n_unique() > 1
    parts = drawn.properties(width=260, height=150).facet(facet=alt.Facet("panel:N", title=None), columns=3)
    return dressed(parts if several else drawn, "Levels of the search", common(frame, _ASKED))


def _ticks(frame: pl.DataFrame) -> list[int]:
    """CPU counts that are labelled: all of a few, else those that are far enough apart on a logarithmic axis."""
    counts = sorted(frame["cpus"].unique())
    kept = counts[:1]
    for before, count in pairwise(counts):
        if before and count >= kept[-1] * 1.3:
            kept.append(count)
    return kept


def _shades(severities: list[str]) -> list[str]:
    """A colour for each outcome: that of its severity, lighter for each further one of the same."""
    used: dict[str, int] = {}
    found = []
    for severity in severities:
        n = used[severity] = used.get(severity, -1) + 1
        found.append(_lighter(COLOURS[severity], 0.28 * n))
    return found


def _lighter(colour: str, by: float) -> str:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * min(by, 0.8)):02x}" for part in parts)
