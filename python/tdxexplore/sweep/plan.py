"""What a sweep would do: which points its data set does not hold yet, and how large they will be."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore.data.reading import finished
from tdxexplore.data.schema import QUESTION
from tdxexplore.errors import BadDataset, Trap
from tdxexplore.explore.settings import Settings, having
from tdxexplore.model import Topology
from tdxexplore.sweep.batch import POLL
from tdxexplore.tdx.catalogue import find_scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tdxexplore.data.reading import Skipped
    from tdxexplore.explore.question import Question
    from tdxexplore.sweep.points import Point
    from tdxexplore.sweep.spec import Spec

_PROBE_STEPS = (0, 1, 2, 4, 7)
_PROBE_STATES = 50_000
_STEEP = 6.0  # a guess for models whose smallest topology already fills the probe


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep would do.

    Attributes:
        points: All points.
        excluded: How many points each exclusion cuts out.
        impossible: How many combinations do not exist.
        pending: The points that the data set does not hold.
        incomplete: Points that the data set holds and these limits would cut short again.
        skipped: Files in the data set that are not read.
    """

    points: tuple[Point, ...]
    excluded: tuple[int, ...]
    impossible: int
    pending: tuple[Point, ...]
    incomplete: int
    skipped: tuple[Skipped, ...]

    def largest(self) -> tuple[Point, float] | None:
        """The pending point that is expected to be the largest, and about how many states it stores.

        Small searches say so: of each model only the most CPUs are looked at, as states grow with them.
        """
        models: dict[Question, Point] = {}
        for point in self.pending:
            packages, cpus = point.question.topology.packages, point.question.topology.cpus
            model = replace(point.question, topology=Topology.of(packages, packages))
            if cpus >= models.setdefault(model, point).question.topology.cpus:
                models[model] = point
        sizes = ((estimate(point), -number, point) for number, point in enumerate(models.values()))
        size, _, largest = max(sizes, default=(0.0, 0, None), key=lambda ranked: ranked[:2])
        return None if largest is None else (largest, size)


def plan(spec: Spec, out: Path, report: Callable[[int, int, int], object] | None = None) -> Plan:
    """Expand a sweep file and compare it with what the data set holds. Nothing is explored.

    Args:
        spec: The checked sweep file.
        out: The data set.
        report: Called about twice a second with the points that were looked at, those of them that the data set holds, and
            all points.

    Raises:
        BadModel: A user's policy cannot be recorded.
        BadDataset: The data set holds answers of another model, version or setting to the same questions.
        OSError: The data set cannot be read.
    """
    grid = spec.points()
    runs, skipped = finished(out)
    done = _done(runs, spec.settings)
    known = {row[1:]: row[0] for row in runs.select("point", *QUESTION).iter_rows()}
    pending: list[Point] = []
    incomplete = 0
    told = time.monotonic()
    for number, point in enumerate(grid.points):  # once: a model is recorded for its first point, and not kept for ever
        if report is not None and (now := time.monotonic()) - told > POLL:
            told = now
            report(number, number - len(pending), len(grid.points))
        key = point.question.key()
        other = known.get(tuple(key[name] for name in QUESTION), point.id)
        if other != point.id:
            raise _another_answer(out, point, runs.row(by_predicate=pl.col("point") == other, named=True))
        if point.id in done:
            incomplete += done[point.id] == "incomplete"
        else:
            pending.append(point)
    return Plan(grid.points, grid.excluded, grid.impossible, tuple(pending), incomplete, tuple(skipped))


def _done(runs: pl.DataFrame, settings: Settings) -> dict[str, str]:
    """Points that need not run, with their verdicts: complete ones, and incomplete ones that the same limits cut short."""
    same_limits = [pl.col(name).eq_missing(pl.lit(getattr(settings, name))) for name in having("limit")]
    done = runs.filter((pl.col("verdict") != "incomplete") | pl.all_horizontal(same_limits))
    return dict(done.select("point", "verdict").iter_rows())


def _another_answer(out: Path, point: Point, row: dict[str, Any]) -> BadDataset:
    there = " ".join(f"{name}={row[name]}" for name in ("digest", "version", *having("identity")))
    return BadDataset(
        f"{out}: holds another answer to `{point.question.command('check')}`, of {there}, "
        f"where now digest={point.question.digest()}; sweep a changed model, version or setting into another folder"
    )


def estimate(point: Point) -> float:
    """About how many states its search will store: those of smaller topologies of the same model, continued.

    In the orbit space states grow like a power of the CPU count, in the concrete space exponentially.
    """
    question, settings = point.question, point.settings
    packages, cpus = question.topology.packages, question.topology.cpus
    probed: list[tuple[int, float]] = []
    least = 0.0
    for step in _PROBE_STEPS:
        size = min(max(packages, find_scenario(question.scenario).offline + 1) + step, cpus)
        stored, complete = _probe(replace(question, topology=Topology.of(size, packages)), settings)
        least = max(least, stored)
        if complete or not probed:
            probed.append((size, stored))
        if size >= cpus or not complete:
            break
    expected = max(least, _continued(probed, cpus, exponential=settings.space == "concrete"))
    return min(expected, settings.max_states or math.inf)


def _continued(probed: list[tuple[int, float]], cpus: int, *, exponential: bool) -> float:
    (before, fewer), (last, stored) = (probed[-2:] * 2)[-2:]
    if last == cpus:
        return stored
    if before == last:
        return float(stored * (cpus / last) ** _STEEP)
    if exponential:
        return float(stored * (stored / fewer) ** ((cpus - last) / (last - before)))
    return float(stored * (cpus / last) ** (math.log(stored / fewer) / math.log(last / before)))


@lru_cache(maxsize=1 << 14)
def _probe(question: Question, settings: Settings) -> tuple[float, bool]:
    limit = min(_PROBE_STATES, settings.max_states or _PROBE_STATES)
    how = Settings(space=settings.space, symmetry=settings.symmetry, threads=1, max_states=limit, measures=False)
    try:
        found = question.compile().engine.explore(question.initial(), how)
    except Trap:
        return 1.0, False  # the sweep itself says what is wrong
    return float(max(found.explored, 1)), found.complete
