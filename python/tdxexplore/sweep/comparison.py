"""A comparison: a grid explored into memory, and the worst outcome of each of its points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore.data import analysis
from tdxexplore.data.reading import answers
from tdxexplore.data.schema import polars_types
from tdxexplore.errors import BadModel, InternalError
from tdxexplore.explore.settings import Settings
from tdxexplore.explore.trace import replay
from tdxexplore.sweep.batch import Answer, Failure, explore_points
from tdxexplore.sweep.points import expand, grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from tdxexplore.explore.trace import Trace
    from tdxexplore.sweep.points import Box, Point
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy

TABLES = ("runs", "outcomes", "prices")
"""The tables of a comparison; their columns are those of a data set."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A grid that was explored.

    Attributes:
        points: The cells that were asked for, in the order of policies, module kinds, scenarios, knobs, budgets, packages, CPUs.
        runs: A row for each cell that was explored: its verdict and figures.
        outcomes: A row for each outcome that was reached.
        prices: A row for each outcome and price, if asked for.
        interrupted: Whether Ctrl-C ended it.
    """

    points: tuple[Point, ...]
    runs: pl.DataFrame
    outcomes: pl.DataFrame
    prices: pl.DataFrame
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every cell was explored to the end."""
        return len(self.runs) == len(self.points) and "incomplete" not in self.runs["verdict"]

    def tables(self) -> dict[str, pl.DataFrame]:
        """All tables by name; prices only if there are any."""
        found = {name: getattr(self, name) for name in TABLES}
        return {**{name: rows for name, rows in found.items() if name != "prices" or len(rows)}, "matrix": self.matrix}

    @property
    def matrix(self) -> pl.DataFrame:
        """The worst outcome of each cell, in the order of the points; see `tdxexplore.data.analysis.worst`."""
        worst = analysis.worst(answers(self.runs.lazy(), self.outcomes.lazy())).collect()
        types = dict(worst.select(analysis.KEY).schema)
        asked = pl.DataFrame([{n: p.question.key()[n] for n in analysis.KEY} for p in self.points], schema=types)
        return asked.join(worst, on=analysis.KEY, maintain_order="left")

    @property
    def worst(self) -> tuple[Point, Trace] | None:
        """The cell whose worst outcome is most severe, of equals that with the shortest trace, and this trace."""
        rows = [row for row in self.matrix.iter_rows(named=True) if row["schedule"] is not None]
        if not rows:
            return None
        row = min(rows, key=lambda row: (row["severity"], row["shortest_steps"]))
        point = next(p for p in self.points if all(p.question.key()[name] == row[name] for name in analysis.KEY))
        return point, replay(point.question, row["schedule"])


def explore_grid(
    cells: Box,
    settings: Settings,
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> Comparison:
    """Explore every point of a grid into memory.

    Args:
        cells: A box that names every axis.
        settings: How each point is explored.
        executor: Where the points are explored; default: threads of this process. Each gets one thread there.
        progress: Called after each point with how many are done, of how many, and the command line of the last.

    Returns:
        All points; fewer than asked for after Ctrl-C.

    Raises:
        BadModel: Something in a question is not allowed.
    """
    points = expand(cells, settings).points
    found: dict[int, Answer] = {}
    failed: dict[int, Failure] = {}

    def receive(number: int, result: Answer | Failure) -> None:
        if isinstance(result, Failure):
            failed[number] = result
        else:
            found[number] = result
        if progress is not None:
            progress(len(found) + len(failed), len(points), points[number].question.command("check"))

    interrupted = False
    threads = None if executor is not None else settings.threads
    try:
        explore_points(points, receive, tables=TABLES, executor=executor, threads=threads)
    except KeyboardInterrupt:
        interrupted = True
    for number, failure in sorted(failed.items()):
        kind = InternalError if failure.internal else BadModel
        raise kind(f"{points[number].question.command('check')}: {failure.error}")
    runs, outcomes, prices = (_concat(name, [found[number] for number in sorted(found)]) for name in TABLES)
    return Comparison(points, runs, outcomes, prices, interrupted)


def compare(  # noqa: PLR0913 -- the axes, all by name
    policies: Sequence[str | type[Policy]] = (),
    *,
    modules: Sequence[ModuleKind] = (),
    scenarios: Sequence[str] = (),
    cpus: Sequence[int] = (4,),
    packages: Sequence[int] | int = 1,
    knobs: Mapping[str, Sequence[str]] | None = None,
    budgets: Mapping[str, Sequence[int]] | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int, str], object] | None = None,
    **settings: Any,  # noqa: ANN401 -- of the types of the fields of `Settings`
) -> Comparison:
    """Explore every combination.

    Args:
        policies: Names, files or classes; default: all built-in ones.
        modules: TDX-module kinds; default: all.
        scenarios: Scenarios by name; default: all.
        cpus: CPU counts.
        packages: Packages that the CPUs are spread over; one number or several.
        knobs: Values by knob, for the policies that have it.
        budgets: Values by budget, where not as in the scenario.
        executor: See `explore_grid`.
        progress: See `explore_grid`.
        settings: How, by name: the fields of `tdxexplore.Settings`.

    Returns:
        All cells; fewer than asked for after Ctrl-C.

    Raises:
        BadModel: Something in a question or the settings is not allowed.

    Example:
        >>> import tdxexplore
        >>> tdxexplore.compare(["v19"], modules=["subset"], scenarios=["late-online"], cpus=[2, 3]).matrix["outcome"].to_list()
        ['td-error', 'td-error']
    """
    cells = grid(
        policies,
        modules=modules,
        scenarios=scenarios,
        cpus=cpus,
        packages=(packages,) if isinstance(packages, int) else packages,
        knobs=knobs,
        budgets=budgets,
    )
    return explore_grid(cells, Settings.of(settings), executor=executor, progress=progress)


def _concat(table: str, answers: Sequence[Answer]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=polars_types(table)), *(answer.tables[table] for answer in answers)])
