"""The worst outcome of many points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.figures import integer
from tdxexplore.render.tables import pivot
from tdxexplore.render.terminal import SEVERITIES, VERDICTS, console

if TYPE_CHECKING:
    import polars as pl


def print_worst(worst: pl.DataFrame) -> None:
    """Policies and scenarios down; module kinds, or CPU counts, across."""
    out = console()
    if worst.is_empty():
        return
    what, counts = "worst outcome, interleavings that end in it", worst["cpus"].unique(maintain_order=True).to_list()
    if len(counts) == 1:
        out.print(pivot(worst, "module", _cell, f"{counts[0]} CPUs: {what}"))
        return
    for (module,), part in worst.group_by(["module"], maintain_order=True):
        out.print(pivot(part, "cpus", _cell, f"module kind {module}: {what}"))
        out.print()


def _cell(row: dict[str, object]) -> Text:
    severity, verdict = str(row["severity"]), str(row["verdict"])
    if row["outcome"] is None:
        text = Text(verdict, VERDICTS.get(verdict, "dim"))
    else:
        count = integer(None if row["interleavings"] is None else str(row["interleavings"]))
        text = Text.assemble((f"{severity} {row['outcome']}", SEVERITIES[severity]), f" {count}")
        if verdict == "vacuous":
            text.append(f" {verdict}", VERDICTS[verdict])
    for names, what in ((row["broken"], "fails"), (row["lost"], "can be lost")):
        if names:
            text.append(f"; {str(names).replace(' ', ', ')} {what}", VERDICTS["violated"])
    if row["complete"] is False and text.plain != "incomplete":
        text.append(" incomplete", VERDICTS["incomplete"])
    return text
