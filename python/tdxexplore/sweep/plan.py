"""What a sweep would do: which points its data set does not hold yet, and how large they will be."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tdxexplore.data.reading import finished
from tdxexplore.data.schema import QUESTION
from tdxexplore.errors import BadDataset, Trap
from tdxexplore.explore.machine import MACHINE, memory_limit
from tdxexplore.explore.settings import Settings, having
from tdxexplore.model import Topology
from tdxexplore.sweep.batch import POLL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from tdxexplore.data.reading import Skipped
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.settings import Role
    from tdxexplore.sweep.points import Point
    from tdxexplore.sweep.spec import Spec

_PROBE_STEPS = (0, 1, 2, 4, 7)
_PROBE_STATES = 50_000
_LARGER = 1.25  # so much more memory is worth another try
_STEEP = 6.0  # a guess for models whose smallest topology already fills the probe


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep would do.

    Attributes:
        points: All points.
        excluded: How many cells of the grid each exclusion cuts out.
        not_applicable: How many cells of the grid have no point: the scenario cannot happen to the design, or needs more CPUs.
        pending: The points that the data set does not hold.
        incomplete: Points that the data set holds and these limits would cut short again.
        skipped: Files in the data set that are not read.
    """

    points: tuple[Point, ...]
    excluded: tuple[int, ...]
    not_applicable: int
    pending: tuple[Point, ...]
    incomplete: int
    skipped: tuple[Skipped, ...]

    def largest(self) -> tuple[Point, float] | None:
        """The pending point that is expected to be the largest, and about how many states it stores.

        Small searches say so, which need recording. Of each policy and scenario only the most CPUs are looked at, as states
        grow with them, and only one module kind and one value of each knob, which change states less.
        """
        candidates: dict[tuple[object, ...], Point] = {}
        for point in self.pending:
            q = point.question
            alike = (q.policy, q.axes()[1], q.budgets, q.topology.packages)
            if q.topology.cpus > candidates.setdefault(alike, point).question.topology.cpus:
                candidates[alike] = point
        sizes = ((estimate(point), -number, point) for number, point in enumerate(candidates.values()))
        size, _, largest = max(sizes, default=(0.0, 0, None), key=lambda ranked: ranked[:2])
        return None if largest is None else (largest, size)


def plan(spec: Spec, out: Path, report: Callable[[int, int, int], object] | None = None) -> Plan:
    """Expand a sweep file and compare it with what the data set holds. Nothing is explored.

    Points are compared by what is asked, the settings and the sources of their models, so that nothing is recorded, except
    where the data set holds an answer to the same question from other sources: then the models themselves are compared.

    Args:
        spec: The checked sweep file.
        out: The data set.
        report: Called about twice a second with the points that were looked at, those of them that the data set holds, and
            all points.

    Raises:
        BadModel: A user's policy cannot be recorded.
        BadDataset: The data set holds answers of another model, version or setting to the same questions.
        OSError: The data set cannot be read.
        KeyboardInterrupt: Ctrl-C; says how far it came.
    """
    cells = spec.cells()
    runs, skipped = finished(out)
    held = _Held(out, runs, spec.settings)
    pending: list[Point] = []
    incomplete = 0
    told = time.monotonic()
    number, points = 0, cells.points
    try:
        for number, point in enumerate(points):
            if report is not None and (now := time.monotonic()) - told > POLL:
                told = now
                report(number, number - len(pending), len(points))
            done = held.answer(point)
            if done is None:
                pending.append(point)
            else:
                incomplete += not done
    except KeyboardInterrupt:
        here = points[number].question.command("check")
        raise KeyboardInterrupt(f"while planning, at point {number + 1:,} of {len(points):,}: {here}") from None
    return Plan(points, cells.excluded, cells.not_applicable, tuple(pending), incomplete, tuple(skipped))


class _Held:
    """The answers that a data set holds.

    Args:
        out: The data set.
        runs: Its finished points.
        settings: How the points of the sweep are explored.
    """

    def __init__(self, out: Path, runs: pl.DataFrame, settings: Settings) -> None:
        self.out, self.settings = out, settings
        self.rows = {tuple(row[name] for name in QUESTION): row for row in runs.iter_rows(named=True)}

    def answer(self, point: Point) -> bool | None:
        """Whether the answer to a point is complete; None if it has none, or one that other limits may complete.

        Raises:
            BadDataset: The answer to its question is of another model, version or setting.
        """
        asked = point.question.asked()
        row = self.rows.get(tuple(asked[name] for name in QUESTION))
        if row is None:
            return None
        source = point.question.source()  # empty where there is none
        if not (source and self._same(row, "identity") and row["source"] == source) and row["point"] != point.id:
            there = " ".join(f"{name}={row[name]}" for name in ("digest", "version", *having("identity")))
            raise BadDataset(
                f"{self.out}: holds another answer to `{point.question.command('check')}`, of {there}, "
                f"where now digest={point.question.digest()}; sweep a changed model, version or setting into another folder"
            )
        complete: bool = row["complete"]
        return complete if complete or not self._may_get_farther(row) else None

    def _may_get_farther(self, row: dict[str, Any]) -> bool:
        """Whether one of the limits is wider than those of an incomplete search, and none is below what that search did."""
        now = self.settings
        if (now.max_states or math.inf) < row["explored"] or (now.max_depth or math.inf) < row["depth"]:
            return False
        reason = str(row["reason"] or "")
        if reason.startswith(MACHINE):  # which has perhaps become larger, or is another
            had = int(reason.removeprefix(MACHINE).split()[0])
            if (memory_limit(1, asked=now.memory_limit) or 0) > had * _LARGER:
                return True
        return any((getattr(now, name) or math.inf) > (row[name] or math.inf) for name in having("limit"))

    def _same(self, row: dict[str, Any], role: Role) -> bool:
        return all(row[name] == getattr(self.settings, name) for name in having(role))


def estimate(point: Point) -> float:
    """About how many states its search will store: those of smaller topologies of the same model, continued.

    In the orbit space states grow like a power of the CPU count, in the concrete space exponentially.
    """
    question, settings = point.question, point.settings
    least = question.subject().least_cpus(question.axes()[1], question.knobs)
    packages, cpus = question.topology.packages, question.topology.cpus
    probed: list[tuple[int, float]] = []
    found = 0.0
    for step in _PROBE_STEPS:
        size = min(max(packages, least) + step, cpus)
        stored, complete = _probe(replace(question, topology=Topology.of(size, packages)), settings)
        found = max(found, stored)
        if complete or not probed:
            probed.append((size, stored))
        if size >= cpus or not complete:
            break
    expected = max(found, _continued(probed, cpus, exponential=settings.space == "concrete"))
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
