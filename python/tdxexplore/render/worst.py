"""The worst outcome of many points, in as few lines as say everything.

What all points have in common is said once, at the top. A block for each scenario follows. A line stands for one policy and for
the module kinds, CPU counts and knobs that it names. Module kinds share a line if all their figures agree, neighbouring CPU
counts if verdict and worst outcome do. A knob that changes no figure of a block is named above it instead of doubling its lines.
A matrix with a column for each CPU count was rejected: seven counts with their interleavings are wider than a terminal.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.text import Text

from tdxexplore.explore.subject import NONE
from tdxexplore.render.figures import SHORT, integer, packages, ranges
from tdxexplore.render.knobs import values, varying
from tdxexplore.render.terminal import SEVERITIES, VERDICTS, console, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl
    from rich.table import Table

Row: TypeAlias = dict[str, Any]

_TITLE = "worst outcome, and how many of all interleavings end in it"
_ENDS = " (with the fewest CPUs ... with the most)"
_HEADS = {"module": "module kind", "cpus": "CPUs"}


def print_worst(worst: pl.DataFrame) -> None:
    """The table of `tdxexplore.data.analysis.worst`.

    Args:
        worst: Its rows; policies, scenarios and module kinds are shown in the order in which they occur.
    """
    out = console()
    if worst.is_empty():
        out.print("no points")
        return
    rows = worst.to_dicts()
    varies = {name for name in ("policy", "budgets", "packages", "module", "scenario", "cpus") if _several(rows, name)}
    out.print(Text(_TITLE + _ENDS * ("cpus" in varies), "bold"), soft_wrap=False)
    out.print(f"{len(rows):,} points: {_same(rows[0], varies)}", soft_wrap=False)
    knobs, kinds = varying(rows), len({row["module"] for row in rows})
    for scenario, here in _by(rows, lambda row: row["scenario"]):
        out.print()
        if "scenario" in varies and scenario != NONE:
            out.print(Text(f"scenario {scenario}", "bold"))
        tables: dict[tuple[str, ...], list[Row]] = {}
        for policy, points in _by(here, lambda row: row["policy"]):
            effective, kept = _effective(points, knobs[policy])
            tables.setdefault(effective, []).extend(kept)
            if idle := [name for name in knobs[policy] if name not in effective]:
                out.print(
                    Text(f"knobs of {policy} without effect on these figures: {', '.join(idle)}", "dim"),
                    soft_wrap=False,
                )
        for effective, points in tables.items():
            out.print(_table(points, effective, varies, kinds))


def _same(row: Row, varies: set[str]) -> str:
    """What all points have in common."""
    said = {
        "policy": f"policy {row['policy']}",
        "module": f"module kind {row['module']}",
        "scenario": f"scenario {row['scenario']}",
        "cpus": f"{row['cpus']} CPUs",
        "packages": packages(row["packages"]),
        "budgets": f"budgets {row['budgets']}" if row["budgets"] else "",
    }
    return ", ".join(text for name, text in said.items() if name not in varies and text and row[name] != NONE)


def _effective(points: list[Row], knobs: Sequence[str]) -> tuple[tuple[str, ...], list[Row]]:
    """The knobs of a policy that change a figure, and the points at one value of each of the others.

    A knob changes none if the points that differ in it only say the same for each of its values; it counts as one that does
    if a value is missing anywhere.
    """
    effective = list(knobs)
    for knob in knobs:
        others = [name for name in effective if name != knob]
        known = dict.fromkeys(values(row["knobs"])[knob] for row in points)
        answers: dict[tuple[object, ...], dict[str, list[object]]] = {}
        for row in points:
            at = values(row["knobs"])
            key = (*(at[name] for name in others), row["budgets"], row["packages"], row["module"], row["cpus"])
            answers.setdefault(key, {}).setdefault(at[knob], []).append((_kind(row), _counts(row)))
        if all(len(found) == len(known) and _one(found.values()) for found in answers.values()):
            effective.remove(knob)
            first = next(iter(known))
            points = [row for row in points if values(row["knobs"])[knob] == first]
    return tuple(effective), points


def _table(rows: Sequence[Row], knobs: tuple[str, ...], varies: set[str], kinds: int) -> Table:
    shown = table()
    names = [name for name in ("policy", *knobs, "budgets", "packages", "module", "cpus") if name in varies | {*knobs}]
    for name in names:
        shown.add_column(_HEADS.get(name, name), no_wrap=True)
    for name in ("worst outcome", "verdict", "interleavings"):
        shown.add_column(name, overflow="fold")
    before = ""
    for series, points in _by(rows, lambda row: (row["policy"], row["knobs"], row["budgets"], row["packages"])):
        for modules, alike in _merged(points):
            for counts, run in _runs(alike):
                named = "all" if len(modules) == kinds else ", ".join(modules)
                cells = {**run[0], **values(run[0]["knobs"]), "module": named, "cpus": ranges(counts)}
                cells["policy"] = "" if series[0] == before else series[0]
                before = series[0]
                shown.add_row(*(str(cells[name]) for name in names), *_answer(run))
    return shown


def _merged(points: Sequence[Row]) -> Iterator[tuple[list[str], list[Row]]]:
    """The module kinds whose answers agree at every CPU count, with the points of one of them by CPU count."""
    alike: dict[tuple[object, ...], tuple[list[str], list[Row]]] = {}
    for module, rows in _by(points, lambda row: row["module"]):
        ascending = sorted(rows, key=lambda row: row["cpus"])
        answers = tuple((row["cpus"], _kind(row), _counts(row)) for row in ascending)
        alike.setdefault(answers, ([], ascending))[0].append(module)
    yield from alike.values()


def _runs(points: Sequence[Row]) -> Iterator[tuple[list[int], list[Row]]]:
    """Neighbouring CPU counts with the same verdict and worst outcome."""
    for _, run in groupby(points, key=_kind):
        rows = list(run)
        yield [row["cpus"] for row in rows], rows


def _kind(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in ("severity", "outcome", "verdict", "complete", "broken", "lost"))


def _counts(row: Row) -> tuple[object, ...]:
    names = ("interleavings", "log10_interleavings")
    return tuple(row[name] for name in (*names, "all_interleavings", "log10_all_interleavings"))


def _answer(run: Sequence[Row]) -> tuple[Text, Text, str]:
    """Worst outcome, verdict and interleavings of neighbouring CPU counts."""
    row = run[0]
    found = []
    if row["outcome"] is not None:
        found.append(Text(f"{row['severity']} {row['outcome']}", SEVERITIES[row["severity"]]))
    broken, lost = ((row[name] or "").split() for name in ("broken", "lost"))
    if broken:
        found.append(Text(f"{', '.join(broken)} fail{'s' * (len(broken) == 1)}", VERDICTS["violated"]))
    if lost:
        found.append(Text(f"{', '.join(lost)} can be lost", VERDICTS["violated"]))
    outcome = Text("; ").join(found) if found else Text("-")
    ends = dict.fromkeys(_counted(end) for end in (run[0], run[-1]))
    verdict = Text(row["verdict"], VERDICTS.get(row["verdict"], "dim"))
    if row["complete"] is False and row["verdict"] != "incomplete":
        verdict.append(" (search incomplete)", VERDICTS["incomplete"])
    return outcome, verdict, " ... ".join(ends)


def _counted(row: Row) -> str:
    """How many interleavings end so, of how many."""
    part = integer(row["interleavings"], row["log10_interleavings"], SHORT)
    whole = integer(row["all_interleavings"], row["log10_all_interleavings"], SHORT)
    return "-" if part == whole == "-" else f"{part} of {whole}"


def _several(rows: Sequence[Row], name: str) -> bool:
    return any(row[name] != rows[0][name] for row in rows)


def _one(values: Iterable[object]) -> bool:
    """Whether all are equal."""
    first, *others = values
    return all(other == first for other in others)


def _by(rows: Iterable[Row], key: Callable[[Row], Any]) -> Iterator[tuple[Any, list[Row]]]:
    """Rows by a key, keys in the order in which they first occur."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    yield from found.items()
