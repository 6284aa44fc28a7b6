"""A grid and its points: what each asks, how it is explored, and what it is called for ever."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

from tdxexplore._version import __version__
from tdxexplore.errors import BadModel, suggest
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import Settings, having
from tdxexplore.tdx.catalogue import find_policy, find_scenario
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Box:
    """Allowed values of each axis; an axis that is not named allows all. A grid is a box that names them all.

    Attributes:
        axes: Values by axis: policy, module, scenario, cpus, packages.
        knobs: Values by knob; a knob counts for the policies that have it.
        budgets: Values by budget.
    """

    axes: Mapping[str, tuple[Any, ...]]
    knobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    budgets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __contains__(self, question: Question) -> bool:
        knobs, budgets = dict(question.knobs), dict(question.budgets)
        axes = {
            "policy": question.policy,
            "module": question.module,
            "scenario": question.scenario,
            "cpus": question.topology.cpus,
            "packages": question.topology.packages,
        }
        return (
            all(axes[axis] in values for axis, values in self.axes.items())
            and all(knobs.get(name) in values for name, values in self.knobs.items())
            and all(budgets.get(name) in values for name, values in self.budgets.items())
        )


def grid(
    policies: Sequence[str | type[Policy]] = (),
    *,
    modules: Sequence[ModuleKind] = (),
    scenarios: Sequence[str] = (),
    cpus: Sequence[int] = (4,),
    packages: Sequence[int] = (1,),
    knobs: Mapping[str, Sequence[str]] | None = None,
    budgets: Mapping[str, Sequence[int]] | None = None,
) -> Box:
    """A box that names every axis; of policies, module kinds and scenarios it has all if none are named.

    Raises:
        BadModel: No policy has a knob.
    """
    chosen = tuple(policies) or tuple(BUILT_IN)
    axes = {
        "policy": chosen,
        "module": tuple(modules) or MODULE_KINDS,
        "scenario": tuple(scenarios) or tuple(SCENARIOS),
        "packages": tuple(packages),
        "cpus": tuple(cpus),
    }
    known = {knob.name for policy in chosen for knob in _class(policy).knobs}
    for name in knobs or {}:
        if name not in known:
            raise BadModel(f"no policy has a knob `{name}`; {suggest(name, known)}")
    return Box(axes, _tuples(knobs), _tuples(budgets))


def _tuples(values: Mapping[str, Sequence[T]] | None) -> dict[str, tuple[T, ...]]:
    return {name: tuple(some) for name, some in (values or {}).items()}


@dataclass(frozen=True, slots=True)
class Point:
    """One element of a grid. It travels to another process or machine as it is.

    Attributes:
        question: What is asked.
        settings: How it is explored.
    """

    question: Question
    settings: Settings

    @property
    def id(self) -> str:
        """A stable hash of everything that decides the rows: 32 hex digits of BLAKE2b.

        These are the question with the digest of its model, the version of tdxexplore, and the settings that decide an answer.
        Limits are left out: they decide only how far an incomplete search goes.
        """
        return _id(self.question.policy_class(), self, __version__)  # type: ignore[arg-type] # see Question.compile


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


def expand(grid: Box, settings: Settings, exclude: Sequence[Box] = ()) -> Points:
    """The points of a grid. Nothing is recorded yet.

    Args:
        grid: A box that names every axis.
        settings: How each point is explored.
        exclude: Boxes that are cut out.
    """
    points: dict[Point, None] = {}
    excluded, impossible = [0] * len(exclude), 0
    for question in _questions(grid):
        if question is None:
            impossible += 1
            continue
        cut = next((number for number, box in enumerate(exclude) if question in box), None)
        if cut is not None:
            excluded[cut] += 1
            continue
        points[Point(question, settings)] = None
    return Points(tuple(points), tuple(excluded), impossible)


def _questions(grid: Box) -> Iterator[Question | None]:
    axes = grid.axes
    for policy, module, scenario in product(axes["policy"], axes["module"], axes["scenario"]):
        known = {knob.name for knob in _class(policy).knobs}
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


def _class(policy: str | type[Policy]) -> type[Policy]:
    return find_policy(policy) if isinstance(policy, str) else policy


@lru_cache(maxsize=1 << 17)
def _id(_: type[Policy], point: Point, version: str) -> str:
    how = {name: getattr(point.settings, name) for name in having("identity")}
    text = json.dumps([point.question.key(), how, version], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
