"""``tdxexplore sweep``: the points of a sweep file, into a data set."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import say_if_capped
from tdxexplore.cli.output import Flag, Json, print_json, warn, watched
from tdxexplore.data.reading import in_one_line
from tdxexplore.explore.settings import Settings
from tdxexplore.render.progress import sweeping
from tdxexplore.render.sweep import print_plan, print_summary
from tdxexplore.sweep.cluster import dask as connect
from tdxexplore.sweep.plan import plan
from tdxexplore.sweep.run import sweep as explore
from tdxexplore.sweep.spec import load

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from tdxexplore.sweep.plan import Plan
    from tdxexplore.sweep.run import Summary


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Dry:
    """Options that say what a sweep would do, and explore nothing.

    Attributes:
        dry_run: Say how many points there are, and how many are done; explore nothing.
        largest: The same, and the point that is expected to be the largest to do; each model is recorded for this.
    """

    dry_run: Flag = False
    largest: Flag = False


def sweep(
    spec: Path,
    *,
    out: Path,
    dry: Dry = Dry(),
    dask: str | None = None,
    threads: int | None = None,
    verbose: Flag = False,
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Explore the points of a sweep file into a data set; run again to continue. Exits with 3 if a limit cut one short.

    Args:
        spec: The sweep file, TOML; `tdxexplore.sweep.spec` describes it.
        out: The data set: a folder.
        dask: Run on a Dask scheduler, as tcp://host:8786, or on a cluster of local processes: local.
        threads: Threads in all, default all; with --dask threads of each point, default 1.
        verbose: A line for each point.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    Settings(threads=threads)  # which checks it
    checked = load(spec)
    if dry.dry_run or dry.largest:
        planned = plan(checked, out)
        if planned.skipped:
            warn(in_one_line(planned.skipped))
        if as_json:
            print_json(_of_plan(planned, largest=dry.largest))
        else:
            print_plan(checked, planned, out, largest=dry.largest)
        return exits.HOLDS
    say_if_capped(threads, quiet=quiet or as_json)
    bar = watched() and not quiet and not as_json
    with sweeping(quiet=not bar, verbose=verbose) as report, _executor(dask) as executor:
        summary = explore(
            checked,
            out,
            executor=executor,
            threads=threads,
            report=report,
            warn=lambda skipped: warn(in_one_line(skipped)),
        )
    if as_json:
        print_json(_of_summary(summary))
    else:
        print_summary(summary, out)
    for point, error in summary.failed:
        exits.complain(f"{point.question.command('check')}: {error}", exits.USAGE)
    if summary.interrupted:
        there = summary.before + summary.finished
        said = f"interrupted; {there:,} of {summary.total:,} points are in {out}, and the same command goes on"
        return exits.complain(said, exits.INTERRUPTED)
    if summary.failed:
        return exits.of_failures(summary.causes)
    return exits.INCOMPLETE if summary.incomplete else exits.HOLDS


def _executor(dask: str | None) -> AbstractContextManager[Executor | None]:
    return nullcontext() if dask is None else connect(dask)


def _of_plan(plan: Plan, *, largest: bool) -> dict[str, object]:
    expected = None
    if largest and (found := plan.largest()) is not None:
        point, size = found
        expected = {"command": point.question.command("check"), "expected_states": round(size)}
    return {
        "total": len(plan.points),
        "done": len(plan.points) - len(plan.pending),
        "pending": len(plan.pending),
        "excluded": list(plan.excluded),
        "not_applicable": plan.not_applicable,
        "largest": expected,
    }


def _of_summary(summary: Summary) -> dict[str, object]:
    figures = ("total", "before", "finished", "incomplete", "verdicts", "explored", "seconds", "interrupted")
    failed = [{"command": point.question.command("check"), "error": error} for point, error in summary.failed]
    return {**{name: getattr(summary, name) for name in figures}, "failed": failed}
