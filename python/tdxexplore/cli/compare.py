"""``tdxexplore compare``: a grid of questions, and the worst outcome of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Limits, numbers
from tdxexplore.cli.output import Flag, Json, print_json, progress, writable, write_parquet
from tdxexplore.render.trace import print_trace
from tdxexplore.render.worst import print_worst
from tdxexplore.sweep.comparison import compare as explore
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.tdx.fields import ModuleKind


def compare(
    *names: str,
    module: Annotated[Sequence[str], Parameter(negative="")] = (),
    scenario: Annotated[Sequence[str], Parameter(negative="")] = (),
    cpus: str = "4",
    packages: int = 1,
    limits: Limits = Limits(),
    out: Path | None = None,
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Show the worst outcome in each cell of policies × module kinds × scenarios × CPU counts.

    Args:
        names: Built-in names, or path/to/file.py:NAME; default: all built-in ones.
        module: A module kind; may be repeated; default: all.
        scenario: A scenario; may be repeated; default: all.
        cpus: CPUs in all: a number, a list or a range, as 2,4 or 2-6.
        packages: Packages that the CPUs are spread over.
        out: Write the tables there as Parquet: outcomes, runs and matrix.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    counts = numbers(cpus)
    if out is not None:
        writable(out)
    with progress("compare", quiet=quiet or as_json) as show:
        comparison = explore(
            names,
            modules=cast("tuple[ModuleKind, ...]", tuple(module)) or MODULE_KINDS,
            scenarios=tuple(scenario) or tuple(SCENARIOS),
            cpus=counts,
            packages=packages,
            progress=None
            if show is None
            else lambda done, total, last: show({"done": done, "total": total, "last": last}),
            **limits.values(),
        )
    if out is not None:
        for name in ("outcomes", "runs", "matrix"):
            write_parquet(getattr(comparison, name), out / f"{name}.parquet")
    if as_json:
        print_json({"complete": comparison.complete, "matrix": comparison.matrix.to_dicts()})
    else:
        print_worst(comparison.matrix)
        if (worst := comparison.worst) is not None and worst.worst is not None:
            print_trace(worst.traces[worst.worst], worst, f"the worst cell: shortest trace to {worst.worst}")
    return exits.of(comparison.explorations)
