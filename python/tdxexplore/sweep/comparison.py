"""A comparison: a grid explored into memory, and the worst outcome of each of its points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore.data import analysis
from tdxexplore.data.reading import answers, findings
from tdxexplore.data.schema import polars_types
from tdxexplore.errors import BadModel, InternalError
from tdxexplore.explore.settings import Settings
from tdxexplore.explore.trace import replay
from tdxexplore.markup import page, paragraph
from tdxexplore.model import SEVERITIES
from tdxexplore.sweep.batch import Answer, Failure, explore_points
from tdxexplore.sweep.notebook import matrix
from tdxexplore.sweep.points import expand
from tdxexplore.sweep.points import grid as box

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from tdxexplore.explore.finding import About
    from tdxexplore.explore.trace import Trace
    from tdxexplore.sweep.points import Box, Cell, Point

TABLES = ("runs", "outcomes", "properties", "prices")
"""The tables of a comparison; their columns are those of a data set."""

_LIMITS = ("time", "memory")  # they make a cell incomplete

NOT_APPLICABLE, NOT_EXPLORED = "not applicable", "not explored"


@dataclass(frozen=True)
class Comparison:
    """A grid that was explored.

    Attributes:
        cells: What was asked for, in the order of policies, module kinds, scenarios, knobs, budgets, packages, CPUs.
        runs: A row for each cell that was explored: its verdict and figures.
        outcomes: A row for each outcome that was reached.
        properties: A row for each invariant, expectation and response.
        prices: A row for each outcome and price, if asked for.
        explored: The points that were explored, by their identity.
        late: Why cells have no answer whose policy took too much time to be recorded, by the number of the cell's point.
        interrupted: Whether Ctrl-C ended it.
    """

    cells: tuple[Cell, ...]
    runs: pl.DataFrame
    outcomes: pl.DataFrame
    properties: pl.DataFrame
    prices: pl.DataFrame
    explored: Mapping[str, Point]
    late: Mapping[Point, str]
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every cell that is applicable was explored to the end."""
        return len(self.runs) == sum(cell.point is not None for cell in self.cells) and self.runs["complete"].all()

    @property
    def verdicts(self) -> list[str]:
        """The verdicts of the cells that were explored or took too much time."""
        return [v for v in self.matrix["verdict"] if v not in (NOT_APPLICABLE, NOT_EXPLORED)]

    def tables(self) -> dict[str, pl.DataFrame]:
        """All tables by name; prices only if there are any."""
        found = {name: getattr(self, name) for name in TABLES}
        return {**{name: rows for name, rows in found.items() if name != "prices" or len(rows)}, "matrix": self.matrix}

    @cached_property
    def matrix(self) -> pl.DataFrame:
        """A row for each cell, in order: the key, verdict, reason, and the worst outcome with its figures.

        The columns are those of `tdxexplore.data.analysis.worst`. A cell that is not applicable has this as its verdict, and
        the reason says why; one that Ctrl-C left out is ``not explored``.
        """
        found = answers(self.runs.lazy(), self.outcomes.lazy(), self.properties.lazy())
        worst = analysis.worst(found).collect()
        asked = pl.DataFrame([cell.asked for cell in self.cells], schema=dict(worst.select(analysis.KEY).schema))
        given = [self._without_answer(cell) for cell in self.cells]
        asked = asked.with_columns(
            pl.Series("_verdict", [verdict for verdict, _ in given], dtype=pl.String),
            pl.Series("_reason", [reason for _, reason in given], dtype=pl.String),
        )
        filled = (pl.coalesce(name, f"_{name}").alias(name) for name in ("verdict", "reason"))
        rows = asked.join(worst, on=analysis.KEY, maintain_order="left", how="left")
        return rows.with_columns(*filled).select(worst.columns)

    def _without_answer(self, cell: Cell) -> tuple[str, str | None]:
        """Verdict and reason of a cell, should it have no answer."""
        if cell.point is None:
            return NOT_APPLICABLE, cell.reason
        late = self.late.get(cell.point)
        return (NOT_EXPLORED, None) if late is None else ("incomplete", late)

    @property
    def worst(self) -> tuple[Point, str, Trace] | None:
        """The worst that was found: its cell, its name, and the shortest trace to it.

        An outcome or a lost response is as bad as its severity says, and an invariant that fails is as bad as the least severe
        violation. Of equals that with the shortest trace comes first, then the one in the first cell.
        """
        numbers = {cell.point: number for number, cell in enumerate(self.cells)}
        points = {name: (numbers[point], point) for name, point in self.explored.items()}
        found = findings(self.runs.lazy(), self.outcomes.lazy(), self.properties.lazy()).collect()
        ranked = []
        for row in found.drop_nulls("schedule").iter_rows(named=True):
            number, point = points[row["point"]]
            invariant = row["kind"] == "invariant"
            severity = point.settings.fail_on if invariant else row["severity"]
            if row["kind"] != "expectation":
                ranked.append((SEVERITIES.index(severity), invariant, row["shortest_steps"], number, row))
        if not ranked:
            return None
        row = min(ranked, key=lambda rank: rank[:4])[-1]
        point = points[row["point"]][1]
        return point, row["finding"], replay(point.question, row["schedule"])

    def plot(self) -> Any:  # noqa: ANN401 -- a chart of altair, which is loaded late
        """A heat map of the worst outcomes.

        Raises:
            BadModel: There are no cells, or more parts than can be read.
            MissingExtra: The extra ``report`` is not installed.
        """
        from tdxexplore.charts import plot  # noqa: PLC0415 -- charts are loaded when they are used

        return plot(self.matrix)

    def _repr_html_(self) -> str:
        from tdxexplore.charts.embedded import embedded  # noqa: PLC0415 -- charts are loaded when they are used

        worst = None
        if self.worst is not None:
            point, name, trace = self.worst
            worst = trace.folded(f"to the worst, {name} of {point.question.command('check')}")
        return page(
            paragraph(f"worst outcome of {len(self.runs):,} points"), *matrix(self.matrix), embedded(self.plot), worst
        )


def explore_grid(
    grid: Box,
    settings: Settings,
    *,
    exclude: Sequence[Box] = (),
    executor: Executor | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> Comparison:
    """Explore every cell of a grid into memory.

    Args:
        grid: A box that names every axis.
        settings: How each point is explored.
        exclude: Boxes that are cut out of it.
        executor: Where the points are explored; default: threads of this process. Each gets one thread there.
        progress: Called after each point with how many are done, of how many, and the command line of the last.

    Returns:
        All cells; after Ctrl-C, some are not explored.

    Raises:
        BadModel: Something in a question is not allowed.
    """
    expanded = expand(grid, settings, exclude)
    points = expanded.points
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
    late = {points[number]: failure.error for number, failure in failed.items() if failure.cause in _LIMITS}
    for number, failure in sorted(failed.items()):
        if failure.cause not in _LIMITS:
            kind = InternalError if failure.cause == "internal" else BadModel
            raise kind(f"{points[number].question.command('check')}: {failure.error}")
    runs, outcomes, properties, prices = (_concat(name, [found[number] for number in sorted(found)]) for name in TABLES)
    explored = {str(answer.tables["runs"]["point"][0]): points[number] for number, answer in sorted(found.items())}
    return Comparison(expanded.cells, runs, outcomes, properties, prices, explored, late, interrupted)


def compare(  # noqa: PLR0913 -- the axes, all by name
    policies: Sequence[About] = (),
    *,
    modules: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    cpus: Sequence[int] | int = 4,
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
        cpus: CPU counts, or one.
        packages: Packages that the CPUs are spread over, likewise.
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
    axes = box(
        policies,
        modules=modules,
        scenarios=scenarios,
        cpus=cpus,
        packages=packages,
        knobs=knobs,
        budgets=budgets,
    )
    return explore_grid(axes, Settings.of(settings), executor=executor, progress=progress)


def _concat(table: str, answers: Sequence[Answer]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=polars_types(table)), *(answer.tables[table] for answer in answers)])
