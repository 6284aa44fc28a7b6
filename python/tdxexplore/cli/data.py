"""The commands around data sets: sweep, compact, analyze."""

from __future__ import annotations

import sys
from collections.abc import Sequence  # noqa: TC003 -- cyclopts reads the annotations
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path  # noqa: TC003 -- cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.output import export as export_table
from tdxexplore.cli.output import print_json
from tdxexplore.errors import BadModel, suggest
from tdxexplore.explore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from tdxexplore.data.dataset import Dataset, Skipped
    from tdxexplore.sweep.plan import Plan
    from tdxexplore.sweep.spec import Spec


def sweep(
    spec: Path,
    *,
    out: Path,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    dask: str | None = None,
    threads: int | None = None,
    verbose: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Explore the points of a sweep file into a data set; run again, it continues. Exits with 3 if a limit cut one short.

    Args:
        spec: The sweep file, TOML; `tdxexplore.sweep.spec` describes it.
        out: The data set: a folder.
        dry_run: Say how many points there are, the largest, and what is done; explore nothing.
        dask: Run on a Dask scheduler, as tcp://host:8786, or on a cluster of local processes: local.
        threads: Threads in all, default all; with --dask threads of each point, default 1.
        verbose: A line a point.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    from tdxexplore.cli.options import say_if_capped  # noqa: PLC0415
    from tdxexplore.sweep.plan import plan  # noqa: PLC0415 -- keeps the others quick
    from tdxexplore.sweep.run import sweep as explore_points  # noqa: PLC0415
    from tdxexplore.sweep.spec import load  # noqa: PLC0415

    Settings(threads=threads)
    checked = load(spec)
    if dry_run:
        planned = plan(checked, out)
        _warn(planned.skipped)
        return _print_plan(checked, planned, out, as_json=as_json)
    from tdxexplore.render.progress import sweeping  # noqa: PLC0415

    say_if_capped(threads, quiet=quiet or as_json)
    watched = sys.stderr.isatty() and not quiet and not as_json
    with sweeping(quiet=not watched, verbose=verbose) as report, _executor(dask) as executor:
        summary = explore_points(
            checked, out, executor=executor, threads=threads, report=report, warn=lambda skipped: _warn([skipped])
        )
    if as_json:
        figures = ("total", "before", "finished", "incomplete", "verdicts", "explored", "seconds", "interrupted")
        failed = [{"command": p.question.command("check"), "error": e} for p, e in summary.failed]
        print_json({**{name: getattr(summary, name) for name in figures}, "failed": failed})
    else:
        from tdxexplore.render.text import print_summary  # noqa: PLC0415

        print_summary(summary, out)
    for point, error in summary.failed:
        exits.complain(f"{point.question.command('check')}: {error}", exits.USAGE)
    if summary.interrupted:
        return exits.INTERRUPTED
    if summary.failed:
        return exits.INTERNAL if summary.internal else exits.USAGE
    return exits.INCOMPLETE if summary.incomplete else exits.HOLDS


def _print_plan(spec: Spec, plan: Plan, out: Path, *, as_json: bool) -> int:
    if as_json:
        largest = None
        if (found := plan.largest()) is not None:
            point, size = found
            largest = {"command": point.question.command("check"), "expected_states": round(size)}
        counts = {"total": len(plan.points), "done": len(plan.points) - len(plan.pending), "pending": len(plan.pending)}
        cut = {"excluded": list(plan.excluded), "impossible": plan.impossible}
        print_json({**counts, **cut, "largest": largest})
    else:
        from tdxexplore.render.text import print_plan  # noqa: PLC0415

        print_plan(spec, plan, out)
    return exits.HOLDS


def _executor(dask: str | None) -> AbstractContextManager[Executor | None]:
    if dask is None:
        return nullcontext()
    from tdxexplore.sweep.cluster import dask as connect  # noqa: PLC0415 -- an extra

    return connect(dask)


def compact(out: Path) -> int:
    """Merge the files of a data set: one a table and partition instead of one a point.

    Args:
        out: The data set.
    """
    from tdxexplore.data.dataset import compact as merge  # noqa: PLC0415 -- keeps the others quick

    before, after = merge(out)
    print(f"{out}: {before:,} files became {after:,}")  # noqa: T201 -- the result
    return exits.HOLDS


_MANY_FILES = 5_000  # about a second


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a data set.

    Attributes:
        worst: The worst outcome at each point.
        dominates: Which policy dominates which, by severity, share of interleavings, probability and price.
        cost: Stored states against the CPU count, and the exponent of their growth.
        smallest: The smallest CPU count at which an outcome appears: its name, or all.
        diff: What is different in another data set, as of a newer version.
        rank: The policies ranked for a module kind.
        prices: What the policies cost on a module kind, in SEAMCALLs, VMXON, IPIs, steps under locks.
    """

    worst: Annotated[bool, Parameter(negative="")] = False
    dominates: Annotated[bool, Parameter(negative="")] = False
    cost: Annotated[bool, Parameter(negative="")] = False
    smallest: str | None = None
    diff: Path | None = None
    rank: str | None = None
    prices: str | None = None

    def option(self) -> str:
        """The one that was given."""
        given = [f"--{f.name}" for f in fields(self) if getattr(self, f.name) not in (None, False)]
        if len(given) != 1:
            allowed = ", ".join(f"--{f.name}" for f in fields(self))
            raise BadModel(f"given: {' '.join(given) or 'no question'}; one question is needed of: {allowed}")
        return given[0]


def analyze(
    out: Path,
    *,
    asked: Asked = Asked(),
    fail_on: Literal["S0", "S1", "S2", "S3", "S4"] = "S3",
    price: Annotated[Sequence[str], Parameter(negative="")] = (),
    outcome: str | None = None,
    table: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Ask a data set one question. Exits with 3 if damaged files were left out.

    Args:
        out: The data set.
        fail_on: The least severe outcome that counts as bad: S0 to S4.
        price: With --dominates and --prices, a price that counts; may be repeated; default: seamcalls and
            steps-under-cpus-lock, and all.
        outcome: With --prices, only runs that end so; default: all.
        table: Write the whole table there, as .parquet or .csv.
        as_json: Print one JSON document.
    """
    from tdxexplore.data import analysis  # noqa: PLC0415 -- keeps the others quick
    from tdxexplore.data.dataset import Dataset  # noqa: PLC0415
    from tdxexplore.render import text  # noqa: PLC0415

    option = asked.option()
    for name, given, goes_with in (
        ("--price", price, ("--dominates", "--prices")),
        ("--outcome", outcome, ("--prices",)),
    ):
        if given and option not in goes_with:
            raise BadModel(f"{name} is given with {option}; it goes with {' and '.join(goes_with)}")
    opened = [Dataset(folder) for folder in (out, asked.diff) if folder is not None]
    data = opened[0]
    questions: dict[str, Callable[[], Any]] = {
        "--worst": lambda: analysis.worst(data.answers),
        "--dominates": lambda: analysis.domination(
            data.answers, data.prices, fail_on, _prices(price, data) or analysis.SPENT
        ).filter("dominates"),
        "--cost": lambda: analysis.cost(data.scan("runs")),
        "--smallest": lambda: analysis.smallest(
            data.answers, None if asked.smallest == "all" else _outcome("--smallest", str(asked.smallest), data, "all")
        ),
        "--diff": lambda: analysis.differences(data.answers, opened[-1].answers),
        "--rank": lambda: analysis.ranking(data.answers, _module("--rank", asked.rank, data), fail_on),
        "--prices": lambda: analysis.benchmark(
            data.prices,
            _module("--prices", asked.prices, data),
            None if outcome is None else _outcome("--outcome", outcome, data),
            _prices(price, data),
        ),
    }
    frame = data.collect(questions[option]())
    skipped = [s for each in opened for s in each.skipped]
    _warn(skipped)
    for each in opened:
        if each.files > _MANY_FILES:
            print(  # noqa: T201 -- a message
                f"tdxexplore: {each.root}: {each.files:,} files were read; after `tdxexplore compact {each.root}` it is "
                "a file for each partition of a table, and quicker",
                file=sys.stderr,
            )
    if table is not None:
        export_table(frame, table)
    if as_json:
        print_json({"rows": frame.to_dicts()})
    elif table is None:
        printers = {"--worst": text.print_matrix, "--cost": text.print_cost, "--prices": text.print_benchmark}
        printers.get(option, text.print_table)(frame)
    return exits.INCOMPLETE if any(s.lost for s in skipped) else exits.HOLDS


def _outcome(option: str, name: str, data: Dataset, *more: str) -> str:
    return _known(option, name, [*more, *_values(data, "outcomes", "outcome")])


def _module(option: str, name: str | None, data: Dataset) -> str:
    return _known(option, str(name), _values(data, "runs", "module"))


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


def _warn(skipped: Iterable[Skipped]) -> None:
    for one in skipped:
        print(f"tdxexplore: {one}", file=sys.stderr)  # noqa: T201 -- a message
