"""The tables of `tdxexplore.data.analysis`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.figures import fraction
from tdxexplore.render.terminal import SEVERITIES, console, table

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from rich.table import Table

_NOT_IN_TEXT = (
    "schedule",
    *("worse", "mixed", "dominates"),  # the text shows those that dominate only
    *(f"{name}_{side}" for name in ("verdict", "interleavings", "probability") for side in ("old", "new")),
)
_KNOBS = {"knobs": "policy", "other_knobs": "other_policy"}


def print_growth(growth: pl.DataFrame) -> None:
    """Stored states against the CPU count, and the exponent of their growth."""
    out = console()
    for (module,), part in growth.group_by(["module"], maintain_order=True):
        title = f"module kind {module}: stored states; growth: exponent of the CPU count"
        out.print(pivot(part, "cpus", lambda row: Text(f"{row['explored']:,}"), title, last="growth"))
        out.print()


def print_prices(prices: pl.DataFrame) -> None:
    """Policies down, prices across, in the order of the table; a block for each module kind."""
    out = console()
    if prices.is_empty():
        out.print("nothing: there is no question at which all policies have a price")
        return
    for (module,), part in prices.group_by(["module"], maintain_order=True):
        counts = " or ".join(map(str, sorted(part["questions"].unique())))
        shown = table(f"module kind {module}: mean (most) of one run, over {counts} questions")
        down = ["policy", *(c for c in ("knobs",) if _varies(part, c))]
        for name in down:
            shown.add_column(name, no_wrap=True)
        across = part["price"].unique(maintain_order=True).to_list()
        for price in across:
            shown.add_column(str(price), justify="right")
        for key, rows in part.group_by(down, maintain_order=True):
            cells = {row["price"]: f"{row['mean']:.2f} ({row['most']:,})" for row in rows.iter_rows(named=True)}
            shown.add_row(*map(str, key), *(cells.get(price, "") for price in across))
        out.print(shown)
        out.print()


def print_table(frame: pl.DataFrame) -> None:
    """Any table, without schedules, what is too much for a terminal, and those key columns that say the same in every row."""
    if frame.is_empty():
        console().print("nothing")
        return
    kept = frame.drop(_NOT_IN_TEXT, strict=False)
    kept = kept.drop(c for c in ("budgets", "packages", *_KNOBS) if c in kept.columns and not _varies(kept, c))
    shown = table()
    for name, dtype in kept.schema.items():
        shown.add_column(name, justify="right" if dtype.is_numeric() else "left", no_wrap=True)
    for row in kept.iter_rows(named=True):
        shown.add_row(*(_value(value) for value in row.values()))
    console().print(shown)


def pivot(
    frame: pl.DataFrame, across: str, cell: Callable[[dict[str, object]], Text], title: str, last: str | None = None
) -> Table:
    """Policies, scenarios and what else of the key varies down, one column across, and a figure of the row at its end."""
    shown = table(title)
    down = ["policy", *(c for c in ("knobs",) if c in frame.columns and _varies(frame, c)), "scenario"]
    down += [c for c in ("budgets", "packages") if c in frame.columns and _varies(frame, c)]
    for name in down:
        shown.add_column(name, no_wrap=True)
    columns = frame[across].unique(maintain_order=True).to_list()
    columns = sorted(columns) if across == "cpus" else columns
    for column in columns:
        shown.add_column(f"{column} CPUs" if across == "cpus" else str(column), no_wrap=True)
    if last is not None:
        shown.add_column(last, justify="right", no_wrap=True)
    before = None
    for key, rows in frame.group_by(down, maintain_order=True):
        cells = {row[across]: cell(row) for row in rows.iter_rows(named=True)}
        names = ["" if key[0] == before else str(key[0]), *map(str, key[1:])]
        ends = [] if last is None else [_value(rows[last][0])]
        shown.add_row(*names, *(cells.get(column, Text("")) for column in columns), *ends)
        before = key[0]
    return shown


def _varies(frame: pl.DataFrame, column: str) -> bool:
    """Whether a part of the key tells rows apart; knobs do so within a policy."""
    if column in _KNOBS:
        return frame.select(_KNOBS[column], column).n_unique() > frame[_KNOBS[column]].n_unique()
    return column in frame.columns and frame[column].n_unique() > 1


def _value(value: object) -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, float):
        return Text(fraction(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(str(value), SEVERITIES.get(str(value), ""))
