"""Answers as terminal text: tables that people can read, traces in kernel words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tdxexplore.tdx.fields import BUDGETS, MAY_BE_UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import polars as pl

    from tdxexplore.explore.difference import Difference
    from tdxexplore.explore.exploration import Exploration
    from tdxexplore.explore.trace import Trace
    from tdxexplore.sweep.run import Plan, Summary
    from tdxexplore.sweep.spec import Spec

_STYLES = {"S0": "bold red", "S1": "red", "S2": "magenta", "S3": "yellow", "S4": "cyan", "ok": "green"}
_VERDICTS = {"holds": "bold green", "violated": "bold red", "incomplete": "bold yellow"}
_LONGEST_INTEGER = 15
_WIDE = 200


def console() -> Console:
    """Standard output; as wide as it needs to be when nobody watches."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE, highlight=False, soft_wrap=True)


def integer(decimal: str | None, log10: float | None = None) -> str:
    """An exact count, or its power of ten when it is too long to read; ``-`` when it was not measured."""
    if decimal is None:
        return "-" if log10 is None else f"10^{log10:.2f}"
    if len(decimal) <= _LONGEST_INTEGER:
        return f"{int(decimal):,}"
    return f"{decimal[0]}.{decimal[1:4]}e{len(decimal) - 1}"


def fraction(value: float | None) -> str:
    """A share or a probability."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 1e-4 or value == 0 else f"{value:.2e}"  # noqa: PLR2004 -- the digits shown


def print_policies() -> None:
    """The built-in policies, a line each, with their knobs and sources."""
    out = console()
    for policy in BUILT_IN.values():
        out.print(Text(f"{policy.name:<23}", "bold") + Text(policy.title))
        out.print(f"{'':<23}[dim]{policy.source}[/dim]")
        for knob in policy.knobs:
            default, *others = knob.values
            out.print(f"{'':<23}--set {knob.name}={default}|{'|'.join(others)}: {knob.text}")
    out.print()
    out.print("scenarios:")
    for scenario in SCENARIOS.values():
        budgets = ", ".join(f"{name}={value}" for name, value in scenario.budgets.items())
        out.print(f"  {scenario.name:<21}{scenario.text}  [dim]({budgets})[/dim]")
    out.print()
    out.print("budgets, for --budget NAME=N, or NAME=unbounded where marked *:")
    for name, text in BUDGETS.items():
        out.print(f"  {name + '*' * (name in MAY_BE_UNBOUNDED):<21}{text}")


def print_exploration(answer: Exploration) -> None:
    """Verdict, outcome table, the shortest trace to the worst outcome, and the figures behind them."""
    out, run = console(), answer.runs.row(0, named=True)
    packages = f"{run['packages']} package{'s' * (run['packages'] > 1)}"
    out.print(
        f"{run['policy']} on module kind {run['module']}, {run['cpus']} CPUs in {packages}, scenario {run['scenario']}"
    )
    out.print(f"[dim]knobs: {run['knobs']}[/dim]")
    verdict = Text.assemble("verdict: ", (answer.verdict, _VERDICTS[answer.verdict]))
    out.print(verdict + Text(f" ({answer.reason}; what follows is what was seen so far)" if answer.reason else ""))
    out.print()
    if answer.outcomes.is_empty():
        out.print("no run ends: every state has a successor" if answer.complete else "no run has come to an end so far")
    else:
        out.print(_outcomes(answer.outcomes))
    broken = answer.invariants.drop_nulls("shortest_steps")
    for row in broken.iter_rows(named=True):
        states = integer(row["violating_states"])
        out.print(
            f"invariant {row['invariant']} fails in {states} states: {row['text']} (first after {row['shortest_steps']} steps)"
        )
        out.print(f"  replay: {answer.question.command('replay')} {row['schedule']}", markup=False)
    for row in answer.expectations.filter(answer.expectations["shortest_steps"].is_null()).iter_rows(named=True):
        when = "never" if answer.complete else "not yet"
        out.print(f"[yellow]expectation {row['expectation']} is {when} met: {row['text']}[/yellow]")
    for lost in answer.responses.drop_nulls("shortest_steps").partition_by("schedule", maintain_order=True):
        _print_lost(answer, lost)
    if not answer.prices.is_empty():
        out.print()
        out.print(_prices(answer.prices))
    if answer.worst in answer.traces and answer.outcomes["severity"][0] != "ok":
        print_trace(answer.traces[answer.worst], answer, f"shortest trace to {answer.worst}")
    out.print()
    for line in _figures(answer, run):
        out.print(Text(line, "dim"))


def _print_lost(answer: Exploration, lost: pl.DataFrame) -> None:
    """The responses that one trace loses, and that trace."""
    out = console()
    for row in lost.iter_rows(named=True):
        title = Text.assemble((f"{row['response']} can become impossible", _STYLES[row["severity"]]))
        out.print(title + f" ({row['severity']}, in {integer(row['lost_states'])} states): {row['text']}")
        if row["cause"]:
            out.print(f"  cause: {row['cause']}")
    names = lost["response"].to_list()
    print_trace(answer.traces[names[0]], answer, f"shortest trace that loses {', '.join(names)}")
    out.print()


def _prices(prices: pl.DataFrame) -> Table:
    """What runs cost: prices down, outcomes across, the mean over all interleavings and the range."""
    table = Table(box=None, header_style="bold", pad_edge=False, title="mean (least to most) of one run by how it ends")
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("price", no_wrap=True)
    outcomes = prices["outcome"].unique(maintain_order=True).to_list()
    for outcome in outcomes:
        table.add_column(outcome, justify="right")
    for (price,), rows in prices.group_by(["price"], maintain_order=True):
        cells = {r["outcome"]: f"{r['mean']:.2f} ({r['least']} to {r['most']})" for r in rows.iter_rows(named=True)}
        table.add_row(str(price), *(cells.get(outcome, "") for outcome in outcomes))
    return table


def _outcomes(outcomes: pl.DataFrame) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("outcome", "sev"):
        table.add_column(name)
    for name in ("interleavings", "share", "probability", "terminal states", "shortest"):
        table.add_column(name, justify="right")
    for row in outcomes.iter_rows(named=True):
        table.add_row(
            Text(row["outcome"], _STYLES[row["severity"]]),
            row["severity"],
            integer(row["interleavings"], row["log10_interleavings"]),
            fraction(row["interleaving_share"]),
            fraction(row["probability"]),
            integer(row["terminal_states"]),
            f"{row['shortest_steps']} steps",
        )
    return table


def print_trace(trace: Trace, answer: Exploration, title: str) -> None:
    """A trace and the command that replays it."""
    out = console()
    out.print()
    out.print(f"[bold]{title}[/bold] ({len(trace)} steps)")
    out.print(Text(trace.to_text()))
    out.print(f"replay: {answer.question.command('replay')} {trace.schedule}", markup=False)


def _figures(answer: Exploration, run: dict[str, object]) -> Iterator[str]:
    exact = "exact" if answer.complete else "so far"
    named = " from all namings of the initial one" if answer.space == "unnamed" else ""
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
        shown = ", ".join(f"{actor}: {label}" for actor, label in never[:6])
        yield f"steps that were never taken: {shown}{f' and {len(never) - 6} more' if len(never) > 6 else ''}"  # noqa: PLR2004


def print_difference(difference: Difference) -> None:
    """Outcomes side by side, the mass that moves, and the schedule that B does not survive."""
    out, (a, b) = console(), (difference.before, difference.after)
    key, (name_a, name_b) = a.question.key(), _two_names(difference)
    packages = f"{key['packages']} package{'s' * (key['packages'] != 1)}"
    out.print(
        f"A: {name_a}, B: {name_b}; module kind {key['module']}, {key['cpus']} CPUs in {packages}, "
        f"scenario {key['scenario']}"
    )
    verdict = {"violated": "B adds violations", "holds": "B adds no violation", "incomplete": "incomplete"}
    out.print(Text(verdict[difference.verdict], _VERDICTS[difference.verdict]))
    out.print()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("outcome", "sev", "change"):
        table.add_column(name)
    for name in ("A interleavings", "A share", "B interleavings", "B share", "moved", "A shortest", "B shortest"):
        table.add_column(name, justify="right")
    for row in difference.outcomes.iter_rows(named=True):
        counts = [
            cell
            for side in "ab"
            for cell in (
                integer(row[f"interleavings_{side}"], row[f"log10_interleavings_{side}"]),
                fraction(row[f"interleaving_share_{side}"]),
            )
        ]
        steps = [row[f"shortest_steps_{side}"] for side in "ab"]
        shortest = ["-" if count is None else f"{count} steps" for count in steps]
        moved = "-" if row["moved"] is None else f"{row['moved']:+.4f}"
        outcome = Text(row["outcome"], _STYLES[row["severity"]])
        table.add_row(outcome, row["severity"], row["change"], *counts, moved, *shortest)
    out.print(table)
    if difference.moved is not None:
        out.print(f"at least {fraction(difference.moved)} of the interleavings end otherwise")
    if (trace := difference.trace) is not None:
        print_trace(trace, b, f"shortest schedule that A survives and B does not: {difference.worse}")


def _two_names(difference: Difference) -> tuple[str, str]:
    """The policies with their knobs: all that were set, and those in which two of one policy differ."""
    questions = (difference.before.question, difference.after.question)
    keys = [question.key() for question in questions]
    knobs = [dict(knob.split("=", 1) for knob in str(key["knobs"]).split()) for key in keys]
    asked = {name for question in questions for name, _ in question.knobs}
    shown = ([f"{name}={value}" for name, value in some.items() if name in asked] for some in knobs)
    names = (
        f"{key['policy']} ({', '.join(some)})" if some else str(key["policy"])
        for key, some in zip(keys, shown, strict=True)
    )
    return next(names), next(names)


def print_matrix(matrix: pl.DataFrame) -> None:
    """The worst outcome in each cell: policies and scenarios down; module kinds, or CPU counts, across."""
    out = console()
    if matrix.is_empty():
        return
    what, counts = "worst outcome, interleavings that end in it", matrix["cpus"].unique(maintain_order=True).to_list()
    if len(counts) == 1:
        out.print(_pivot(matrix, "module", _cell, f"{counts[0]} CPUs: {what}"))
        return
    for (module,), part in matrix.group_by(["module"], maintain_order=True):
        out.print(_pivot(part, "cpus", _cell, f"module kind {module}: {what}"))
        out.print()


def print_cost(cost: pl.DataFrame) -> None:
    """Stored states against the CPU count, and the exponent of their growth."""
    out = console()
    for (module,), part in cost.group_by(["module"], maintain_order=True):
        title = f"module kind {module}: stored states; growth: exponent of the CPU count"
        out.print(_pivot(part, "cpus", lambda row: Text(f"{row['explored']:,}"), title, last="growth"))
        out.print()


def print_benchmark(prices: pl.DataFrame) -> None:
    """What policies cost: policies down, prices across; in the order of the table."""
    if prices.is_empty():
        console().print("nothing: there is no question at which all policies have a price")
        return
    counts = sorted(prices["questions"].unique())
    title = f"mean (most) of one run, over {' or '.join(map(str, counts))} questions"
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left", title_style="bold")
    down = ["policy", *(c for c in ("knobs",) if _varies(prices, c))]
    for name in down:
        table.add_column(name, no_wrap=True)
    across = prices["price"].unique(maintain_order=True).to_list()
    for price in across:
        table.add_column(str(price), justify="right")
    for key, rows in prices.group_by(down, maintain_order=True):
        cells = {row["price"]: f"{row['mean']:.2f} ({row['most']:,})" for row in rows.iter_rows(named=True)}
        table.add_row(*map(str, key), *(cells.get(price, "") for price in across))
    console().print(table)


def print_table(frame: pl.DataFrame) -> None:
    """A table, without schedules, what is too much for a terminal, and the columns of the key that say the same everywhere."""
    if frame.is_empty():
        console().print("nothing")
        return
    shown = frame.drop(_NOT_IN_TEXT, strict=False)
    shown = shown.drop(c for c in ("budgets", "packages", *_KNOBS) if c in shown.columns and not _varies(shown, c))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, dtype in shown.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", no_wrap=True)
    for row in shown.iter_rows(named=True):
        table.add_row(*(_value(value) for value in row.values()))
    console().print(table)


_NOT_IN_TEXT = (
    "schedule",
    *("worse", "mixed", "dominates"),  # the text shows those that dominate only
    *(f"{name}_{side}" for name in ("verdict", "interleavings", "probability") for side in ("old", "new")),
)
_KNOBS = {"knobs": "policy", "other_knobs": "other_policy"}


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
    return Text(str(value), _STYLES.get(str(value), ""))


def _pivot(
    frame: pl.DataFrame, across: str, cell: Callable[[dict[str, object]], Text], title: str, last: str | None = None
) -> Table:
    """Policies, scenarios and what else of the key varies down, one column across, and a figure of the row at its end."""
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left", title_style="bold")
    down = ["policy", *(c for c in ("knobs",) if c in frame.columns and _varies(frame, c)), "scenario"]
    down += [c for c in ("budgets", "packages") if c in frame.columns and _varies(frame, c)]
    for name in down:
        table.add_column(name, no_wrap=True)
    columns = frame[across].unique(maintain_order=True).to_list()
    for column in sorted(columns) if across == "cpus" else columns:
        table.add_column(f"{column} CPUs" if across == "cpus" else str(column), no_wrap=True)
    if last is not None:
        table.add_column(last, justify="right", no_wrap=True)
    before = None
    for key, rows in frame.group_by(down, maintain_order=True):
        cells = {row[across]: cell(row) for row in rows.iter_rows(named=True)}
        names = ["" if key[0] == before else str(key[0]), *map(str, key[1:])]
        ends = [] if last is None else [_value(rows[last][0])]
        table.add_row(
            *names, *(cells.get(c, Text("")) for c in (sorted(columns) if across == "cpus" else columns)), *ends
        )
        before = key[0]
    return table


def _cell(row: dict[str, object]) -> Text:
    severity, verdict = str(row["severity"]), str(row["verdict"])
    if row["outcome"] is None:
        return Text(verdict, _VERDICTS[verdict])
    count = integer(None if row["interleavings"] is None else str(row["interleavings"]))
    text = Text.assemble((f"{severity} {row['outcome']}", _STYLES[severity]), f" {count}")
    return text.append(" incomplete", _VERDICTS[verdict]) if verdict == "incomplete" else text


def print_plan(spec: Spec, plan: Plan, out: Path) -> None:
    """What a sweep would do."""
    print_ = console().print
    print_(f"sweep {spec.name}: {len(plan.points):,} points", markup=False)
    for number, count in enumerate(plan.excluded, start=1):
        print_(f"cut out by exclude[{number}]: {count:,}", markup=False)
    if plan.impossible:
        print_(f"left out, as too few CPUs for the packages or the scenario: {plan.impossible:,}")
    print_(f"done in {out}: {len(plan.points) - len(plan.pending):,}; to do: {len(plan.pending):,}", markup=False)
    if plan.largest is not None:
        point, size = plan.largest
        print_(f"largest to do: about {size:,.0f} states: {point.question.command('check')}", markup=False)


def print_summary(summary: Summary, out: Path) -> None:
    """What a sweep did."""
    s, rate = summary, summary.explored / max(summary.seconds, 1e-9)
    verdicts = ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(s.verdicts.items()))
    print_ = console().print
    print_(f"{s.before + s.finished:,} of {s.total:,} points in {out}; {s.before:,} were there", markup=False)
    if s.finished:
        print_(
            f"explored {s.finished:,} ({verdicts}) in {s.seconds:.1f} s: {s.explored:,} states, {rate:,.0f} states/s, "
            f"{s.finished / max(s.seconds, 1e-9):,.1f} points/s"
        )
