"""``tdxexplore analyze``: questions to a data set, each a command with its own options.

A question is a function of `tdxexplore.data.analysis`. What all of them share is in `_answer`: files that were left out are
named, the table is printed, written or given as JSON, and the exit code says whether results are missing. None loads the
engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import polars as pl
from cyclopts import App, Parameter

from tdxexplore.charts import plot, save
from tdxexplore.charts.files import check as check_name
from tdxexplore.cli import exits
from tdxexplore.cli.output import Json, print_json, warn, write_table
from tdxexplore.data import analysis
from tdxexplore.data.reading import Dataset, in_one_line
from tdxexplore.errors import BadModel, suggest
from tdxexplore.explore.settings import FailOn
from tdxexplore.render.tables import (
    print_differences,
    print_domination,
    print_growth,
    print_prices,
    print_ranking,
    print_shares,
    print_smallest,
)
from tdxexplore.render.worst import print_worst

if TYPE_CHECKING:
    from collections.abc import Callable

analyze = App(name="analyze", help="Ask a data set a question. Exits with 3 if damaged files were left out.")

MANY_FILES = 5_000  # they take about a second

Names: TypeAlias = Annotated[Sequence[str], Parameter(negative="")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Form:
    """The form of the answer.

    Attributes:
        table: Write the whole table there, as .parquet or .csv, instead of printing it.
        plot: Draw the table there, as .svg, .png or .html, instead of printing it; needs the extra `report`.
        as_json: Print the whole table as one JSON document.
    """

    table: Path | None = None
    plot: Path | None = None
    as_json: Json = False


@analyze.command
def worst(data: Path, *, form: Form = Form()) -> int:
    """Which outcome is the worst at each point?

    Args:
        data: The data set.
    """
    opened = Dataset(data)
    return _answer([opened], analysis.worst(opened.answers), print_worst, form)


@analyze.command
def dominates(data: Path, *, fail_on: FailOn = "S3", price: Names = (), form: Form = Form()) -> int:
    """Which policy is nowhere worse than another and somewhere better, by severity, shares of bad runs, and prices?

    Args:
        data: The data set.
        fail_on: The least severe outcome that counts as bad: S0 to S4.
        price: A price that counts; may be repeated; default: seamcalls and steps-under-cpus-lock.
    """
    opened = Dataset(data)
    by = _prices(price, opened) or analysis.COMPARED
    pairs = analysis.domination(opened.answers, opened.prices, fail_on, by)
    return _answer([opened], pairs, print_domination, form)


@analyze.command
def growth(data: Path, *, form: Form = Form()) -> int:
    """How many states does each search store, and with which power of the CPU count do they grow?

    Args:
        data: The data set.
    """
    opened = Dataset(data)
    return _answer([opened], analysis.growth(opened.runs), print_growth, form)


@analyze.command
def shares(data: Path, *, module: Names = (), scenario: Names = (), policy: Names = (), form: Form = Form()) -> int:
    """What share of the interleavings ends in each outcome?

    Args:
        data: The data set.
        module: A module kind; may be repeated; default: all.
        scenario: A scenario; likewise.
        policy: A policy; likewise.
    """
    opened = Dataset(data)
    rows = _of(module, opened.answers, opened)
    for column, names in (("scenario", scenario), ("policy", policy)):
        if names:
            known = _values(opened, "runs", column)
            rows = rows.filter(pl.col(column).is_in([_known(f"--{column}", name, known) for name in names]))
    return _answer([opened], analysis.shares(rows), print_shares, form)


@analyze.command
def smallest(data: Path, *, outcome: str | None = None, form: Form = Form()) -> int:
    """What is the smallest CPU count at which each outcome appears, and each invariant fails?

    Args:
        data: The data set.
        outcome: Look only for this outcome, invariant or response.
    """
    opened = Dataset(data)
    found = analysis.smallest(opened.findings, _finding(outcome, opened))
    return _answer([opened], found, print_smallest, form)


@analyze.command
def diff(old: Path, new: Path, *, form: Form = Form()) -> int:
    """What differs between two data sets, as of two versions of a policy?

    Args:
        old: A data set.
        new: The data set to compare with it.
    """
    opened = [Dataset(old), Dataset(new)]
    findings = [each.findings for each in opened]

    def show(differences: pl.DataFrame) -> None:
        print_differences(differences, opened[0].collect(analysis.compared(*findings)))

    return _answer(opened, analysis.differences(*findings), show, form)


@analyze.command
def rank(data: Path, *, module: Names = (), fail_on: FailOn = "S3", form: Form = Form()) -> int:
    """Which policies are best on each module kind?

    Args:
        data: The data set.
        module: A module kind; may be repeated; default: all.
        fail_on: The least severe outcome that counts as bad: S0 to S4.
    """
    opened = Dataset(data)
    return _answer([opened], analysis.ranking(_of(module, opened.answers, opened), fail_on), print_ranking, form)


@analyze.command
def prices(
    data: Path, *, module: Names = (), outcome: str | None = None, price: Names = (), form: Form = Form()
) -> int:
    """What does each policy cost: SEAMCALLs, VMXON, IPIs, steps under locks?

    Args:
        data: The data set.
        module: A module kind; may be repeated; default: all.
        outcome: Look only at runs that end so; default: all.
        price: A price; may be repeated; default: all.
    """
    opened = Dataset(data)
    rows = _of(module, opened.prices, opened)
    found = analysis.prices(rows, _outcome(outcome, opened), _prices(price, opened))
    return _answer([opened], found, print_prices, form)


def _answer(data: Sequence[Dataset], question: pl.LazyFrame, show: Callable[[pl.DataFrame], None], form: Form) -> int:
    """Ask, say what was left out, and give the table in the form that was asked for."""
    if form.plot is not None:
        check_name(form.plot)
    frame = data[0].collect(question)
    skipped = [one for each in data for one in each.skipped]
    if skipped:
        warn(in_one_line(skipped))
    for each in data:
        versions = sorted(_values(each, "runs", "version"))
        if len(versions) > 1:
            warn(f"{each.root}: its points are of tdxexplore {', '.join(versions)}, whose models may differ")
        if each.files > MANY_FILES:
            warn(
                f"{each.root}: {each.files:,} files were read; after `tdxexplore compact {each.root}` it is a file for "
                "each partition of a table, and quicker"
            )
    if form.as_json:
        print_json({"rows": frame.to_dicts()})
    elif form.table is None and form.plot is None:
        show(frame)
    if form.plot is not None:
        save(plot(frame), form.plot)
    if form.table is not None:
        try:
            write_table(frame, form.table)
        except OSError:
            if not form.as_json:
                show(frame)  # the answer is not lost with the disk
            raise
    return exits.INCOMPLETE if any(one.lost for one in skipped) else exits.HOLDS


def _of(modules: Sequence[str], rows: pl.LazyFrame, data: Dataset) -> pl.LazyFrame:
    """The rows of these module kinds, or all."""
    if not modules:
        return rows
    known = _values(data, "runs", "module")
    return rows.filter(pl.col("module").is_in([_known("--module", name, known) for name in modules]))


def _outcome(name: str | None, data: Dataset) -> str | None:
    return None if name is None else _known("--outcome", name, _values(data, "outcomes", "outcome"))


def _finding(name: str | None, data: Dataset) -> str | None:
    known = [*_values(data, "outcomes", "outcome"), *_values(data, "properties", "property")] if name else []
    return None if name is None else _known("--outcome", name, known)


def _prices(names: Sequence[str], data: Dataset) -> tuple[str, ...]:
    known = _values(data, "prices", "price") if names else []
    return tuple(_known("--price", name, known) for name in names)


def _known(option: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise BadModel(f"{option} is `{name}`; {suggest(name, known)}")
    return name


def _values(data: Dataset, table: str, column: str) -> list[str]:
    found: list[str] = data.collect(data.scan(table).select(column).unique())[column].to_list()
    return found
