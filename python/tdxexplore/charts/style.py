"""The common parts of all charts: the door to altair, severities' colours, the names of points, and how much a chart may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore import markup
from tdxexplore.errors import BadModel, MissingExtra
from tdxexplore.model import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COLOURS = {severity: paper for severity, (paper, _) in markup.COLOURS.items()}
"""The colour of each severity."""

NO_ANSWER = "#d9dbe6"
DARK = ("S0", "S1")
"""Severities on whose colour text is white."""

MOST = 60
"""Small charts in one: more are smaller than their labels."""


def altair() -> ModuleType:
    """Altair.

    Raises:
        MissingExtra: The extra is not installed.
    """
    try:
        import altair as alt  # noqa: PLC0415 -- an extra, and slow to load
    except ImportError:
        raise MissingExtra("a chart", "report") from None
    return alt


def severity_scale(alt: ModuleType) -> Any:  # noqa: ANN401 -- altair is loaded late
    """Severities as colours, most severe first."""
    return alt.Scale(domain=list(SEVERITIES), range=[COLOURS[severity] for severity in SEVERITIES])


def named(frame: pl.DataFrame, columns: Sequence[str], into: str) -> pl.DataFrame:
    """A column of names: those of `columns` that vary in the frame, or the first one alone. Of knobs, those that vary."""
    varying = [name for name in columns if name in frame.columns and frame[name].n_unique() > 1] or [columns[0]]
    words = [_varying_knobs(frame) if name == "knobs" else pl.col(name).cast(pl.String) for name in varying]
    return frame.with_columns(pl.concat_str(words, separator=" ").str.strip_chars().alias(into))


def _varying_knobs(frame: pl.DataFrame) -> pl.Expr:
    """The knobs that take several values among the rows of one policy."""
    pairs = frame.select("policy", pl.col("knobs").str.split(" ")).explode("knobs").unique()
    pairs = pairs.with_columns(knob=pl.col("knobs").str.split("=").list.first())
    several = pairs.group_by("policy", "knob").len().filter(pl.col("len") > 1)
    kept = pairs.join(several, on=["policy", "knob"])["knobs"].to_list()
    return pl.col("knobs").str.split(" ").list.eval(pl.element().filter(pl.element().is_in(kept))).list.join(" ")


def panels(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The small charts of a frame: a column ``panel`` with the names of `columns` that vary.

    Raises:
        BadModel: There are more than can be read.
    """
    frame = named(frame, columns, "panel")
    if (count := frame["panel"].n_unique()) > MOST:
        raise BadModel(
            f"a chart of this table would have {count} parts, by {', '.join(columns)}; at most {MOST} can be read: "
            "filter its rows"
        )
    return frame


def common(frame: pl.DataFrame, columns: Sequence[str]) -> str:
    """The values of these columns that all rows of a frame share, without empty texts."""
    values = (frame[name][0] for name in columns if name in frame.columns and frame[name].n_unique() == 1)
    return ", ".join(str(value) for value in values if value != "")


def dressed(chart: Any, title: str, subtitle: str = "") -> Any:  # noqa: ANN401 -- a chart of altair
    """A chart with its title and a plain style."""
    text: Any = {"text": title, "anchor": "start", "fontSize": 15}
    if subtitle:
        text |= {"subtitle": subtitle, "subtitleColor": "#5c636d"}
    return (
        chart.properties(title=text)
        .configure(background="white", font="system-ui, DejaVu Sans, sans-serif")
        .configure_view(strokeWidth=0)
        .configure_axis(labelLimit=260, gridColor="#e7e9ec", domainColor="#9aa2ae", tickColor="#9aa2ae")
        .configure_header(labelFontSize=12, titleFontSize=12, labelFontWeight="bold", labelLimit=320)
        .configure_legend(labelLimit=260)
    )


def ordered(frame: pl.DataFrame, column: str) -> list[str]:
    """The values of a column in the order in which they occur."""
    return frame[column].unique(maintain_order=True).to_list()
