"""The worst outcome of each point as a heat map, and the places of policies by severity."""

from __future__ import annotations

from typing import Any

import polars as pl

from tdxexplore.charts.style import DARK, NO_ANSWER, altair, common, dressed, named, ordered, panels, severity_scale
from tdxexplore.model import SEVERITIES

_ROOM = 12  # columns of all charts beside each other that have room for the names of outcomes


def worst(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair
    """Policies down, scenarios across, coloured by the severity of the worst outcome; a part for each module kind and topology.

    Args:
        frame: As `tdxexplore.data.analysis.worst` gives it, or the matrix of a comparison.
    """
    alt = altair()
    frame = named(named(frame, ("policy", "knobs"), "row"), ("scenario", "budgets"), "column")
    frame = panels(_with_topology(frame), ("module", "topology"))
    beside = "topology" if frame["topology"].n_unique() > 1 else "module"
    wide = frame["column"].n_unique() * frame[beside].n_unique() <= _ROOM
    answer = pl.coalesce("outcome", "verdict")
    frame = frame.with_columns(
        answer=answer,
        words=answer if wide else pl.coalesce("severity", pl.lit("-")),
        ink=pl.when(pl.col("severity").is_in(DARK)).then(pl.lit("white")).otherwise(pl.lit("#222")),
    )
    columns = ("row", "column", "module", "topology", "severity", "answer", "words", "ink", "interleaving_share")
    across = alt.X("column:N", sort=ordered(frame, "column"), title=None, axis=alt.Axis(orient="top", labelAngle=-40))
    base = alt.Chart(frame.select(columns)).encode(
        x=across,
        y=alt.Y("row:N", sort=ordered(frame, "row"), title=None),
        tooltip=["row:N", "column:N", "severity:N", "answer:N", "interleaving_share:Q"],
    )
    cells = base.mark_rect(stroke="white", strokeWidth=2 if wide else 1, cornerRadius=3).encode(
        color=alt.condition(
            "datum.severity === null",
            alt.value(NO_ANSWER),
            alt.Color("severity:N", scale=severity_scale(alt), sort=list(SEVERITIES), title="severity"),
        )
    )
    text = base.mark_text(fontSize=10 if wide else 9).encode(text="words:N", color=alt.Color("ink:N", scale=None))
    layered = alt.layer(cells, text).properties(width={"step": 86 if wide else 22}, height={"step": 24 if wide else 18})
    facets = {
        side: alt.Facet(f"{name}:N", sort=ordered(frame, name), title=None)
        for side, name in (("column", beside), ("row", "module"))
        if frame[name].n_unique() > 1 and (side, name) != ("row", beside)
    }
    chart = layered.facet(**facets) if facets else layered
    return dressed(chart, "Worst outcome", common(frame, ("module", "topology")))


def ranking(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair
    """Policies in the order of their places, with the number of questions whose worst outcome has each severity.

    Args:
        frame: As `tdxexplore.data.analysis.ranking` gives it.
    """
    alt = altair()
    frame = panels(named(frame, ("policy", "knobs"), "row"), ("module",))
    long = frame.unpivot(
        list(SEVERITIES), index=["panel", "place", "row"], variable_name="severity", value_name="count"
    )
    long = long.with_columns(
        order=pl.col("severity").replace_strict({s: n for n, s in enumerate(SEVERITIES)}, return_dtype=pl.Int64)
    )
    parts = []
    for panel in ordered(frame, "panel"):
        rows = frame.filter(panel=panel)
        parts.append(
            alt.Chart(long.filter(panel=panel), title=f"module kind {panel}")
            .mark_bar()
            .encode(
                x=alt.X("count:Q", title="questions"),
                y=alt.Y("row:N", sort=ordered(rows, "row"), title=None),
                color=alt.Color("severity:N", scale=severity_scale(alt), sort=list(SEVERITIES), title="worst"),
                order=alt.Order("order:Q"),
                tooltip=["row:N", "place:Q", "severity:N", "count:Q"],
            )
            .properties(width=320, height={"step": 20})
        )
    return dressed(alt.hconcat(*parts), "Policies, best first", "questions by the severity of their worst outcome")


def _with_topology(frame: pl.DataFrame) -> pl.DataFrame:
    packages = pl.when(pl.col("packages") > 1).then(pl.format(" in {} packages", "packages")).otherwise(pl.lit(""))
    return frame.sort("module", "packages", "cpus", maintain_order=True).with_columns(
        topology=pl.concat_str(pl.format("{} CPUs", "cpus"), packages)
    )
