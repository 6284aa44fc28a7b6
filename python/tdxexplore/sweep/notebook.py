"""A matrix of worst outcomes as a notebook shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tdxexplore.markup import Html, paragraph, severity, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

_ROWS = 200
"""So many lines are shown: more are for `tdxexplore report`."""


def matrix(rows: pl.DataFrame) -> Iterator[Html]:
    """A table for each module kind and topology: policies down, scenarios across, coloured by severity."""
    shown = 0
    for (module, packages, cpus), part in rows.group_by(["module", "packages", "cpus"], maintain_order=True):
        scenarios = part.select("scenario", "budgets").unique(maintain_order=True).rows()
        cells: dict[tuple[str, str], dict[tuple[str, str], Html]] = {}
        for row in part.iter_rows(named=True):
            line = cells.setdefault((row["policy"], row["knobs"]), {})
            line[row["scenario"], row["budgets"]] = _cell(row)
        shown += len(cells)
        if shown > _ROWS:
            yield paragraph("and more: `tdxexplore report` shows them all")
            return
        several = len({policy for policy, _ in cells}) < len(cells)
        heads = ("policy", *(" ".join(of).strip() for of in scenarios))
        lines = [
            (f"{policy} {knobs}" if several else policy, *(line.get(of) for of in scenarios))
            for (policy, knobs), line in cells.items()
        ]
        where = f"{cpus} CPUs" + (f" in {packages} packages" if packages > 1 else "")
        yield paragraph(f"module kind {module}, {where}")
        yield table(heads, lines)


def _cell(row: dict[str, Any]) -> Html:
    if row["outcome"] is None:
        return severity(row["verdict"], None)
    beside = "!" if row["verdict"] == "violated" and row["severity"] > "S3" else ""
    return severity(
        f"{row['severity']} {row['outcome']}{beside}{'?' * (row['verdict'] == 'incomplete')}", row["severity"]
    )
