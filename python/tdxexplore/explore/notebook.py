"""Rows of results as a notebook shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.markup import Html, bar, severity, table
from tdxexplore.quantities import fraction, integer

if TYPE_CHECKING:
    import polars as pl


def outcomes(rows: pl.DataFrame) -> Html:
    """The outcomes of an exploration, with their shares."""
    heads = ("outcome", "", "interleavings", "share", "probability", "terminal states", "steps", "")
    return table(
        heads,
        (
            (
                row["outcome"],
                severity(row["severity"], row["severity"]),
                integer(row["interleavings"], row["log10_interleavings"]),
                bar(fraction(row["interleaving_share"]), row["interleaving_share"]),
                fraction(row["probability"]),
                integer(row["terminal_states"]),
                row["shortest_steps"],
                row["text"],
            )
            for row in rows.iter_rows(named=True)
        ),
    )


def failing(rows: pl.DataFrame) -> Html | None:
    """The properties that fail; columns ``change`` (of a difference), ``property``, ``severity``, ``kind``, ``text``."""
    if rows.is_empty():
        return None
    change = [name for name in ("change",) if name in rows.columns]
    found = (
        (
            *(row[name] for name in change),
            row["property"],
            severity(row["severity"], row["severity"]),
            row["kind"],
            row["text"],
        )
        for row in rows.iter_rows(named=True)
    )
    return table((*change, "fails", "", "", ""), found)


def changed(rows: pl.DataFrame, a: str, b: str) -> Html:
    """The outcomes of a difference between two designs."""
    found = (
        (
            row["change"],
            row["outcome"],
            severity(row["severity"], row["severity"]),
            *(bar(fraction(row[f"interleaving_share_{side}"]), row[f"interleaving_share_{side}"]) for side in "ab"),
        )
        for row in rows.iter_rows(named=True)
    )
    return table(("change", "outcome", "", f"share in {a}", f"share in {b}"), found)
