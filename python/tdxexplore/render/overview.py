"""The worst outcome of many points on one screen: for each module kind a line a policy, a column a scenario.

A cell stands for all points of its policy, module kind and scenario, whatever their CPU count, knobs and budgets, and shows the
worst of them. `print_worst` says of which points a cell is true, and how many interleavings end so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from rich.text import Text

from tdxexplore.explore.subject import NONE
from tdxexplore.explore.verdict import VERDICTS as WORST_FIRST
from tdxexplore.model import SEVERITIES as ORDER
from tdxexplore.render.figures import ranges
from tdxexplore.render.terminal import SEVERITIES, VERDICTS, Sheet, console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

Row: TypeAlias = dict[str, Any]


def print_overview(worst: pl.DataFrame, meanings: Mapping[str, str]) -> None:
    """A table of all points for each module kind, and under them the meaning of each outcome.

    Args:
        worst: The rows of `tdxexplore.data.analysis.worst`; policies and scenarios are shown in the order in which they occur.
        meanings: The text of each outcome.
    """
    rows = worst.to_dicts()
    if not rows:
        console().print("no points")
        return
    cells: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["module"], row["policy"], row["scenario"]), []).append(row)
    modules = list(dict.fromkeys(module for module, _, _ in cells))
    counts = f"{ranges(sorted({row['cpus'] for row in rows}))} CPUs"
    shown: dict[str, str] = {}
    for module in modules:
        # A model has neither module kind nor scenario: its table is one of its own.
        here = [key[1:] for key in cells if key[0] == module]
        policies, scenarios = (list(dict.fromkeys(key[axis] for key in here)) for axis in range(2))
        kind = "" if module == NONE else f", module kind {module}"
        sheet = Sheet(f"worst outcome{kind}, {counts}", ["policy"], scenarios)
        for policy in policies:
            found = [_worst(cells.get((module, policy, scenario), [])) for scenario in scenarios]
            sheet.add([policy], [_cell(row) for row in found])
            shown.update((row["outcome"], row["severity"]) for row in found if row["outcome"] is not None)
        sheet.print()
    for outcome, severity in sorted(shown.items(), key=lambda item: (ORDER.index(item[1]), item[0])):
        console().print(Text.assemble((f"{severity} {outcome}", SEVERITIES[severity]), f": {meanings[outcome]}"))


def _worst(rows: Sequence[Row]) -> Row:
    def badness(row: Row) -> tuple[int, int]:
        verdict = WORST_FIRST.index(row["verdict"]) if row["verdict"] in WORST_FIRST else len(WORST_FIRST)
        return verdict, len(ORDER) if row["severity"] is None else ORDER.index(row["severity"])

    return min(rows, key=badness, default={"outcome": None, "verdict": "not applicable"})


def _cell(row: Row) -> Text:
    """The worst outcome, and whether an invariant fails beside one that is no violation; without an outcome the verdict."""
    if row["outcome"] is None:
        text = "-" if row["verdict"] == "not applicable" else row["verdict"]
        return Text(text, VERDICTS.get(row["verdict"], "dim"))
    cell = Text(f"{row['severity']} {row['outcome']}", SEVERITIES[row["severity"]])
    if row["severity"] > "S3" and (broken := (row["broken"] or "") + (row["lost"] or "")):
        cell.append(f", {broken}!", VERDICTS["violated"])
    if row["verdict"] == "incomplete":
        cell.append("?", VERDICTS["incomplete"])
    return cell
