"""The answer to one question: verdict, outcomes, what fails, traces, and the figures of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.quantities import SHARE_AND_PROBABILITY
from tdxexplore.render.figures import fraction, integer, price_range
from tdxexplore.render.heading import print_heading
from tdxexplore.render.terminal import SEVERITIES, Sheet, console, table
from tdxexplore.render.trace import print_trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from rich.table import Table

    from tdxexplore.explore.exploration import Exploration

_NEVER_TAKEN = 6  # so many steps are named


def print_exploration(answer: Exploration, traces: Sequence[str] | None = None, *, changes: bool = False) -> None:
    """Verdict, outcomes, what fails, traces, and the figures of the search.

    Args:
        answer: What was found.
        traces: The outcomes whose traces are shown; default: the worst one, if it is bad.
        changes: Show what each step of a trace changed.
    """
    out = console()
    print_heading(answer)
    if answer.outcomes.is_empty():
        out.print("no run ends: every state has a successor" if answer.complete else "no run has come to an end so far")
    else:
        out.print(_outcomes(answer.outcomes))
        for name, text in answer.outcomes.select("outcome", "text").iter_rows():
            if text:
                out.print(Text(f"{name}: {text}"), soft_wrap=False)
        if not answer.outcomes["interleaving_share"].has_nulls():
            out.print(Text(SHARE_AND_PROBABILITY, "dim"), soft_wrap=False)
    _print_invariants(answer)
    _print_expectations(answer)
    for lost in answer.responses.drop_nulls("shortest_steps").partition_by("schedule", maintain_order=True):
        _print_lost(answer, lost)
    if not answer.prices.is_empty():
        out.print()
        _print_prices(answer.prices)
    bad = answer.worst in answer.traces and answer.outcomes["severity"][0] != "ok"
    for name in [str(answer.worst)] * bad if traces is None else traces:
        print_trace(answer.traces[name], answer.question, f"shortest trace to {name}", changes=changes)
    out.print()
    for line in _figures(answer, answer.runs.row(0, named=True)):
        out.print(Text(line, "dim"))


def _outcomes(outcomes: pl.DataFrame) -> Table:
    shown = table()
    for name in ("outcome", "sev"):
        shown.add_column(name)
    for name in ("interleavings", "share", "probability", "terminal states", "shortest"):
        shown.add_column(name, justify="right")
    for row in outcomes.iter_rows(named=True):
        shown.add_row(
            Text(row["outcome"], SEVERITIES[row["severity"]]),
            row["severity"],
            integer(row["interleavings"], row["log10_interleavings"]),
            fraction(row["interleaving_share"]),
            fraction(row["probability"]),
            integer(row["terminal_states"]),
            f"{row['shortest_steps']} steps",
        )
    return shown


def _print_invariants(answer: Exploration) -> None:
    """The invariants that fail, each with the shortest way to a state where it does."""
    out = console()
    for row in answer.invariants.drop_nulls("shortest_steps").iter_rows(named=True):
        states = integer(row["violating_states"])
        out.print(
            f"invariant {row['invariant']} fails in {states} states: {row['text']} (first after {row['shortest_steps']} steps)"
        )
        out.print(f"  replay: {answer.question.command('replay', row['schedule'])}")


def _print_expectations(answer: Exploration) -> None:
    """The expectations that no state meets."""
    for row in answer.expectations.filter(answer.expectations["shortest_steps"].is_null()).iter_rows(named=True):
        when = "never" if answer.complete else "not yet"
        console().print(Text(f"expectation {row['expectation']} is {when} met: {row['text']}", "yellow"))


def _print_lost(answer: Exploration, responses: pl.DataFrame) -> None:
    """The responses that one trace loses, and that trace."""
    out = console()
    for row in responses.iter_rows(named=True):
        title = Text.assemble((f"{row['response']} can become impossible", SEVERITIES[row["severity"]]))
        out.print(title + f" ({row['severity']}, in {integer(row['lost_states'])} states): {row['text']}")
        if row["cause"]:
            out.print(f"  cause: {row['cause']}")
    names = responses["response"].to_list()
    print_trace(answer.traces[names[0]], answer.question, f"shortest trace that loses {', '.join(names)}")
    out.print()


def _print_prices(prices: pl.DataFrame) -> None:
    """Prices down, outcomes across: the mean over all interleavings that end so, and the range."""
    outcomes = prices["outcome"].unique(maintain_order=True).to_list()
    sheet = Sheet("mean (least to most) of one run by how it ends", ["price"], outcomes)
    for (price,), rows in prices.group_by(["price"], maintain_order=True):
        cells = {r["outcome"]: price_range(r["mean"], r["least"], r["most"]) for r in rows.iter_rows(named=True)}
        sheet.add([str(price)], [Text(cells.get(outcome, "")) for outcome in outcomes])
    sheet.print()


def _figures(answer: Exploration, run: dict[str, object]) -> Iterator[str]:
    exact = "exact" if answer.complete else "so far"
    named = " from all renamings of the initial one" if answer.settings.symmetry == "all" else ""
    yield (
        f"{exact}: {integer(str(run['states']))} concrete states, {integer(str(run['transitions']))} transitions{named}; "
        f"{run['explored']:,} states stored, {run['generated']:,} generated, depth {run['depth']}"
    )
    yield (
        f"{run['seconds']:.3f} s, {run['states_per_second']:,.0f} stored states/s, {run['threads']} threads, "
        f"{run['state_bits']} bits a state, tdxexplore {run['version']}, digest {run['digest']}"
    )
    if run["log10_error"] is not None:
        yield f"interleavings are too large for exact integers; their base-10 logarithms are within {run['log10_error']:.1e}"
    if answer.complete and (never := answer.never_taken):
        shown = ", ".join(f"{actor}: {label}" for actor, label in never[:_NEVER_TAKEN])
        more = len(never) - _NEVER_TAKEN
        yield f"steps that were never taken: {shown}{f' and {more} more' if more > 0 else ''}"
