"""The points of a sweep: what each asks, what it is called for ever, and how large it will be."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from tdxexplore import _core
from tdxexplore._version import __version__
from tdxexplore.explore.question import Question
from tdxexplore.model import Topology
from tdxexplore.sweep.spec import LIMITS, Settings
from tdxexplore.tdx.catalogue import find_policy, find_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.sweep.spec import Box, Spec
    from tdxexplore.tdx.policy import Policy

_PROBE_STEPS = (0, 1, 2, 4, 7)
_PROBE_STATES = 50_000
_STEEP = 6.0  # a guess for models whose smallest topology already fills the probe


@dataclass(frozen=True, slots=True)
class Point:
    """One element of a sweep.

    Attributes:
        question: What is asked.
        settings: How it is explored.
    """

    question: Question
    settings: Settings

    @property
    def id(self) -> str:
        """A stable hash of everything that decides the rows: 32 hex digits of BLAKE2b.

        These are the question with the digest of its model, the version of tdxexplore, and the settings but for the limits,
        which decide only how far an incomplete search goes.
        """
        return _id(self.question.policy_class(), self, __version__)  # type: ignore[arg-type] # see Question.compile

    def to_task(self) -> dict[str, Any]:
        """As plain data, for another process or machine."""
        q = self.question
        return {
            "id": self.id,
            "policy": q.policy,
            "module": q.module,
            "scenario": q.scenario,
            "cpus": q.topology.cpus,
            "packages": q.topology.packages,
            "knobs": dict(q.knobs),
            "budgets": dict(q.budgets),
            "settings": asdict(self.settings),
        }

    @classmethod
    def from_task(cls, task: dict[str, Any]) -> Point:
        """The inverse of `to_task`; the identity is computed anew."""
        names = ("module", "cpus", "packages", "scenario", "knobs", "budgets")
        return cls(Question.of(task["policy"], **{n: task[n] for n in names}), Settings(**task["settings"]))


@dataclass(frozen=True, slots=True)
class Points:
    """The points of a grid.

    Attributes:
        points: In the order of the axes, CPU counts last, without repeats: those of a model side by side.
        excluded: How many points each exclusion cuts out; one that an earlier cut has is not counted again.
        impossible: How many combinations do not exist: more packages than CPUs, or no CPU online at first.
    """

    points: tuple[Point, ...]
    excluded: tuple[int, ...]
    impossible: int


def expand(spec: Spec) -> Points:
    """The points of a checked sweep file. Nothing is recorded yet."""
    points: dict[Point, None] = {}
    excluded, impossible = [0] * len(spec.exclude), 0
    for question in _questions(spec.grid):
        if question is None:
            impossible += 1
            continue
        cut = next((i for i, box in enumerate(spec.exclude) if _inside(question, box)), None)
        if cut is not None:
            excluded[cut] += 1
            continue
        points[Point(question, spec.settings)] = None
    return Points(tuple(points), tuple(excluded), impossible)


def _questions(grid: Box) -> Iterator[Question | None]:
    axes = grid.axes
    for policy, module, scenario in product(axes["policy"], axes["module"], axes["scenario"]):
        known = {knob.name for knob in find_policy(policy).knobs}
        knobs = {name: values for name, values in grid.knobs.items() if name in known}
        for setting, budget in product(product(*knobs.values()), product(*grid.budgets.values())):
            for packages, cpus in product(axes["packages"], axes["cpus"]):
                if cpus < packages or cpus <= find_scenario(scenario).offline:
                    yield None
                    continue
                yield Question.of(
                    policy,
                    module=module,
                    scenario=scenario,
                    cpus=cpus,
                    packages=packages,
                    knobs=dict(zip(knobs, setting, strict=True)),
                    budgets=dict(zip(grid.budgets, budget, strict=True)),
                )


def _inside(question: Question, box: Box) -> bool:
    knobs, budgets = dict(question.knobs), dict(question.budgets)
    axes = {
        "policy": question.policy,
        "module": question.module,
        "scenario": question.scenario,
        "cpus": question.topology.cpus,
        "packages": question.topology.packages,
    }
    return (
        all(axes[axis] in values for axis, values in box.axes.items())
        and all(knobs.get(name) in values for name, values in box.knobs.items())
        and all(budgets.get(name) in values for name, values in box.budgets.items())
    )


@lru_cache(maxsize=1 << 17)
def _id(_: type[Policy], point: Point, version: str) -> str:
    how = {name: value for name, value in asdict(point.settings).items() if name not in LIMITS}
    text = json.dumps([point.question.key(), how, version], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def estimate(point: Point) -> float:
    """About how many states its search will store: those of smaller topologies of the same model, continued.

    In the orbit space states grow like a power of the CPU count, in the others exponentially.
    """
    question, settings = point.question, point.settings
    packages, cpus = question.topology.packages, question.topology.cpus
    probed: list[tuple[int, float]] = []
    least = 0.0
    for step in _PROBE_STEPS:
        size = max(packages, find_scenario(question.scenario).offline + 1) + step
        smaller = Question(
            question.policy,
            question.module,
            question.scenario,
            Topology.of(min(size, cpus), packages),
            question.knobs,
            question.budgets,
        )
        stored, complete = _probe(smaller, settings)
        least = max(least, stored)
        if complete or not probed:
            probed.append((min(size, cpus), stored))
        if size >= cpus or not complete:
            break
    expected = max(least, _continued(probed, cpus, exponential=settings.space != "orbit"))
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
    try:
        found = question.compile().native.explore(
            question.initial(),
            space=settings.space,
            symmetry=settings.symmetry,
            threads=1,
            max_states=limit,
            measures=False,
        )
    except _core.Trap:
        return 1.0, False  # the sweep itself says what is wrong
    return float(max(found.explored, 1)), found.complete
