"""Runs drawn at random: the verdict, how they end, what that proves, and the shortest trace to the worst end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.figures import fraction
from tdxexplore.render.heading import print_heading
from tdxexplore.render.terminal import SEVERITIES, console, table
from tdxexplore.render.trace import print_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from tdxexplore.explore.sample import Sample


def print_sample(drawn: Sample, traces: Sequence[str] | None = None, *, changes: bool = False) -> None:
    """A sample.

    Args:
        drawn: What was drawn.
        traces: The outcomes and invariants whose traces are shown; default: the worst outcome, if it is bad.
        changes: Show what each step of a trace changed.
    """
    out = console()
    print_heading(drawn)
    if drawn.outcomes.is_empty():
        out.print("no run has come to an end")
    else:
        out.print(_outcomes(drawn))
    for row in drawn.invariants.drop_nulls("schedule").iter_rows(named=True):
        out.print(f"invariant {row['invariant']} fails in {row['runs']:,} runs: {row['text']}")
        out.print(f"  replay: {drawn.question.command('replay', row['schedule'])}")
    for row in drawn.expectations.filter(drawn.expectations["runs"] == 0).iter_rows(named=True):
        out.print(Text(f"expectation {row['expectation']} is not yet met: {row['text']}", "yellow"))
    bad = drawn.worst is not None and drawn.outcomes["severity"][0] != "ok"
    for name in [str(drawn.worst)] * bad if traces is None else traces:
        print_trace(drawn.traces[name], drawn.question, f"shortest trace drawn to {name}", changes=changes)
    if drawn.draws.scheduler == "exact":
        out.print()
        for schedule, outcome in drawn.schedules.select("schedule", "outcome").iter_rows():
            out.print(f"{schedule}  {outcome}")
    out.print()
    for line in drawn.chances:
        out.print(Text(line, "dim"), soft_wrap=False)
    rate = drawn.drawn.steps / max(drawn.drawn.seconds, 1e-9)
    out.print(Text(f"{drawn.runs:,} {drawn.kind}, seed {drawn.seed}", "dim"), soft_wrap=False)
    figures = f"{drawn.drawn.steps:,} steps, the longest run has {drawn.drawn.longest:,}; {drawn.drawn.seconds:.3f} s"
    out.print(Text(f"{figures}, {rate:,.0f} steps/s", "dim"), soft_wrap=False)


def _outcomes(drawn: Sample) -> Table:
    shown = table()
    for name in ("outcome", "sev"):
        shown.add_column(name)
    for name in ("runs", "share", "95 %", "shortest"):
        shown.add_column(name, justify="right")
    for row in drawn.outcomes.iter_rows(named=True):
        shown.add_row(
            Text(row["outcome"], SEVERITIES[row["severity"]]),
            row["severity"],
            f"{row['runs']:,}",
            fraction(row["share"]),
            f"{fraction(row['share_least'])} to {fraction(row['share_most'])}",
            f"{row['shortest_steps']} steps",
        )
    return shown
