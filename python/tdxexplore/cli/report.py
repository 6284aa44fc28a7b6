"""``tdxexplore report``: a data set as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.output import Flag, progress, say, warn
from tdxexplore.data.reading import in_one_line
from tdxexplore.errors import BadModel
from tdxexplore.explore.settings import Settings
from tdxexplore.report import write

WHY_SECONDS = 5.0
"""The time for the explanation of a cell, unless another one is asked for."""


def report(
    data: Path,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("report.html"),
    policy: Annotated[Sequence[str], Parameter(negative="")] = (),
    traces: bool = True,
    why: Flag = False,
    timeout: float | None = None,
    title: str = "",
    quiet: Flag = False,
) -> int:
    """Write a data set as one HTML file: a heat map, and behind each cell its traces, step by step.

    It exits with 3 if damaged files were left out.

    Args:
        data: What `tdxexplore sweep --out` or `tdxexplore compare --out` wrote.
        out: The HTML file.
        policy: A policy of one's own in it, as path/to/file.py:NAME; may be repeated.
        traces: Draw the traces that are not kept beside the tables yet; this records their models again, about ten a second.
        why: Explain each outcome of S0 to S3 (`tdxexplore why`); what is found is kept beside the tables.
        timeout: Explain a cell for so many seconds at most; default: 5. What is cut says so.
        title: The title of the page; default: the name of the sweep.
        quiet: No progress.
    """
    if timeout is not None and not why:
        raise BadModel("--timeout is for --why; give both")
    seconds = (Settings(timeout=timeout).timeout or WHY_SECONDS) if why else None
    with progress("report", quiet=quiet) as show:
        told = None if show is None else lambda done, total: show({"done": done, "total": total, "unit": "traces"})
        written = write(data, out, policies=policy, traces=traces, why=seconds, title=title, progress=told)
    if written.skipped:
        warn(in_one_line(written.skipped))
    for name in written.unknown:
        warn(f"policy `{name}` is not built in: with --policy FILE.py:NAME it has traces and commands")
    for name in written.changed:
        warn(f"policy `{name}` is not what it was when these points were explored: some of its traces are not drawn")
    if written.left_out:
        warn(f"{written.left_out:,} traces of the least severe outcomes are left out, as the file would be too large")
    say(
        f"{out}: {written.points:,} points, {written.traces:,} traces, {written.size / 1e6:.1f} MB; open it in a browser"
    )
    return exits.INCOMPLETE if any(one.lost for one in written.skipped) else exits.HOLDS
