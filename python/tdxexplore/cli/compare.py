"""``tdxexplore compare``: a grid of questions, and the worst outcome of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.cli import exits
from tdxexplore.cli.options import Axes, How, say_if_capped
from tdxexplore.cli.output import Flag, Json, print_json, progress, writable
from tdxexplore.data.single import write_table
from tdxexplore.errors import BadModel
from tdxexplore.explore.settings import Settings
from tdxexplore.render.overview import print_overview
from tdxexplore.render.trace import print_trace
from tdxexplore.render.worst import print_worst
from tdxexplore.sweep.comparison import explore_grid
from tdxexplore.sweep.spec import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.sweep.points import Box


def compare(
    *names: str,
    axes: Axes = Axes(),
    settings: How = Settings(),
    overview: bool = False,
    out: Path | None = None,
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Show the worst outcome in each cell of policies × module kinds × scenarios × CPU counts.

    Args:
        names: Built-in names, or path/to/file.py:NAME with a policy or a model; or a sweep file, whose grid is compared; default:
            all built-in ones.
        overview: One table with a column for each scenario, instead of one for each scenario with its counts.
        out: Write the tables there as Parquet: outcomes, runs, matrix and, with --prices, prices.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    grid, exclude = _grid(names, axes)
    if out is not None:
        writable(out)
    say_if_capped(settings.threads, quiet=quiet or as_json)
    with progress("compare", quiet=quiet or as_json) as show:
        told = None if show is None else lambda done, total, last: show({"done": done, "total": total, "last": last})
        comparison = explore_grid(grid, settings, exclude=exclude, progress=told)
    if as_json:
        print_json({"complete": comparison.complete, "matrix": comparison.matrix.to_dicts()})
    else:
        if overview:
            print_overview(comparison.matrix, dict(comparison.outcomes.select("outcome", "text").iter_rows()))
        else:
            print_worst(comparison.matrix)
        if (worst := comparison.worst) is not None:
            point, name, trace = worst
            print_trace(trace, point.question, f"the worst cell: shortest trace to {name}")
    if out is not None:  # after the answer, which is not lost with the disk
        for name, table in comparison.tables().items():
            write_table(out / f"{name}.parquet", name, table)
    if comparison.interrupted:
        done, total = len(comparison.runs), sum(cell.point is not None for cell in comparison.cells)
        return exits.complain(f"interrupted; {done:,} of {total:,} cells were explored", exits.INTERRUPTED)
    return exits.of(comparison.verdicts)


def _grid(names: Sequence[str], axes: Axes) -> tuple[Box, Sequence[Box]]:
    """The grid of the names and options, or of a sweep file, with what is cut out of it.

    Raises:
        BadModel: Something is not allowed, or stands beside a sweep file, which names every axis.
        BadSpec: The sweep file is wrong.
    """
    files = [name for name in names if name.endswith(".toml")]
    if not files:
        return axes.grid(names), ()
    if len(names) > 1 or axes != Axes():
        raise BadModel(
            f"`{files[0]}` is a sweep file, which names every axis; give no other name and no axis beside it"
        )
    spec = load(Path(files[0]))
    return spec.grid, spec.exclude
