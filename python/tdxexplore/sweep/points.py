"""A grid and its points: what each asks, how it is explored, and what it is called for ever."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from tdxexplore._version import __version__
from tdxexplore.errors import BadModel, TimeUp, shown, suggest
from tdxexplore.explore.finding import find
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import Settings, having
from tdxexplore.explore.subject import NONE
from tdxexplore.explore.time_limit import limited
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.finding import About
    from tdxexplore.explore.subject import Subject


MOST_CELLS = 1_000_000
"""A larger grid is a mistake, which would take memory before it is seen."""


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
        module, scenario = question.axes()
        axes = {
            "policy": question.policy,
            "module": module,
            "scenario": scenario,
            "cpus": question.topology.cpus,
            "packages": question.topology.packages,
        }
        return (
            all(axes[axis] in values for axis, values in self.axes.items())
            and all(knobs.get(name) in values for name, values in self.knobs.items())
            and all(budgets.get(name) in values for name, values in self.budgets.items())
        )


def grid(
    policies: Sequence[About] = (),
    *,
    modules: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    cpus: Sequence[int] | int = 4,
    packages: Sequence[int] | int = 1,
    knobs: Mapping[str, Sequence[str]] | None = None,
    budgets: Mapping[str, Sequence[int]] | None = None,
) -> Box:
    """A box that names every axis; of policies, module kinds and scenarios it has all if none are named.

    Raises:
        BadModel: An axis is not a list.
    """
    axes = {
        "policy": _several("policies", policies) or tuple(BUILT_IN),
        "module": _several("modules", modules) or MODULE_KINDS,
        "scenario": _several("scenarios", scenarios) or tuple(SCENARIOS),
        "packages": _some("packages", packages),
        "cpus": _some("cpus", cpus),
    }
    return Box(axes, _each("knobs", knobs), _each("budgets", budgets))


def _several(what: str, values: object) -> tuple[Any, ...]:
    """The values of a list; a number stands for a list of one. A text is none, as Python would take it letter by letter."""
    if isinstance(values, int):
        return (values,)
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise BadModel(f"{what} is {shown(values)}; a list is needed")
    return tuple(values)


def _some(what: str, values: object) -> tuple[Any, ...]:
    found = _several(what, values)
    if not found:
        raise BadModel(f"{what} is an empty list, which has no cells")
    return found


def _each(what: str, values: object) -> dict[str, tuple[Any, ...]]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise BadModel(f"{what} is {shown(values)}; a mapping of names to lists of values is needed")
    return {name: _some(f"{what}: `{name}`", some) for name, some in values.items()}


@dataclass(frozen=True, slots=True)
class Point:
    """One element of a grid. It travels to another process or machine as it is.

    Attributes:
        question: What is asked.
        settings: How it is explored.
    """

    question: Question
    settings: Settings

    def stamp(self) -> str:
        """What tells a worker's sources from those of the sweep: equal stamps are of equal answers.

        It takes no recording, except of a policy whose source cannot be read.
        """
        return self.question.source() or self.id

    @property
    def id(self) -> str:
        """A stable hash of everything that decides the rows: 32 hex digits of BLAKE2b.

        These are the question with the digest of its model, the version of tdxexplore, and the settings that decide an answer.
        Limits are left out: they decide only how far an incomplete search goes.
        """
        return _id(self.question.subject(), self, __version__)


@dataclass(frozen=True, slots=True)
class Cell:
    """A combination of the values of all axes.

    Attributes:
        asked: What is asked, as columns of a table; see `Question.asked`.
        point: Its point; None if it is not applicable.
        reason: Why it is not applicable: the scenario cannot happen to the design, or needs more CPUs.
    """

    asked: Mapping[str, str | int]
    point: Point | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a grid.

    Attributes:
        cells: In the order of the axes, CPU counts last, without repeats: those of a model side by side.
        excluded: How many cells each exclusion cuts out; one that an earlier cut has is not counted again.
    """

    cells: tuple[Cell, ...]
    excluded: tuple[int, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the cells that have one."""
        return tuple(cell.point for cell in self.cells if cell.point is not None)

    @property
    def not_applicable(self) -> int:
        """How many cells have no point."""
        return sum(cell.point is None for cell in self.cells)


def expand(grid: Box, settings: Settings, exclude: Sequence[Box] = ()) -> Cells:
    """The cells of a grid. Nothing is recorded yet.

    Args:
        grid: A box that names every axis.
        settings: How each point is explored.
        exclude: Boxes that are cut out.

    Raises:
        BadModel: A value is not allowed, no policy has a knob, or two policies have one name.
        TimeUp: A policy's file takes longer to import than the timeout.
    """
    limited(lambda: _check(grid), settings.timeout, "importing the policies")
    if (count := _size(grid)) > MOST_CELLS:
        raise BadModel(f"the grid has {count:,} cells; at most {MOST_CELLS:,} are allowed")
    cells: dict[tuple[str | int, ...], Cell] = {}
    excluded = [0] * len(exclude)
    for cell in _cells(grid, settings):
        cut = next((number for number, box in enumerate(exclude) if cell.point and cell.point.question in box), None)
        if cut is None:
            cells.setdefault(tuple(cell.asked.values()), cell)
        else:
            excluded[cut] += 1
    return Cells(tuple(cells.values()), tuple(excluded))


def _size(grid: Box) -> int:
    """How many cells a grid has, which are not made yet."""
    axes = grid.axes
    sizes = [len(axes[name]) for name in ("module", "scenario", "packages", "cpus")]
    each = math.prod([*sizes, *map(len, grid.budgets.values())])
    known = ({knob.name for knob in find(policy).knobs} for policy in axes["policy"])
    return sum(each * math.prod(len(v) for name, v in grid.knobs.items() if name in knobs) for knobs in known)


def _check(grid: Box) -> None:
    policies = grid.axes["policy"]
    # They are made once here, where the time is limited.
    subjects = [find(policy) for policy in policies]
    for subject in subjects:
        subject.setting(())
    known = {knob.name for subject in subjects for knob in subject.knobs}
    for name in grid.knobs:
        if name not in known:
            raise BadModel(f"no policy has a knob `{name}`; {suggest(name, known)}")
    if (problem := of_one_name(subjects)) is not None:
        place, what = problem
        raise BadModel(f"policy `{place}`: {what}")


def of_one_name(subjects: Sequence[Subject]) -> tuple[str, str] | None:
    """Two subjects that tables would take for one: the second, and what is wrong with it."""
    owners: dict[str, Subject] = {}
    for subject in subjects:
        other = owners.setdefault(subject.name, subject)
        if other != subject:
            return subject.place, f"its name `{subject.name}` is also that of `{other.place}`; rename one"
    return None


def _cells(grid: Box, settings: Settings) -> Iterator[Cell]:
    axes = grid.axes
    for policy in axes["policy"]:
        subject = find(policy)
        known = {knob.name: knob for knob in subject.knobs}
        knobs = {name: known[name].chosen(values) for name, values in grid.knobs.items() if name in known}
        budgets = {} if subject.scenarios == (NONE,) else grid.budgets
        # An axis that the subject does not have has one value.
        modules, scenarios = (
            of_subject if of_subject == (NONE,) else axes[axis]
            for axis, of_subject in (("module", subject.modules), ("scenario", subject.scenarios))
        )
        for module, scenario, setting, budget in product(
            modules, scenarios, product(*knobs.values()), product(*budgets.values())
        ):
            late = False  # recording takes too long, which the search of each point will say
            for packages, cpus in product(axes["packages"], axes["cpus"]):
                question = Question.of(
                    policy,
                    module=module,
                    scenario=scenario,
                    cpus=max(cpus, packages),
                    packages=packages,
                    knobs=dict(zip(knobs, setting, strict=True)),
                    budgets=dict(zip(budgets, budget, strict=True)),
                )
                reason = "there are fewer CPUs than packages"
                if cpus >= packages:
                    reason, late = ("", True) if late else _why_not(question, subject, settings)
                point = None if reason else Point(question, settings)
                yield Cell({**question.asked(), "cpus": cpus}, point, reason)


def _why_not(question: Question, subject: Subject, settings: Settings) -> tuple[str, bool]:
    """Why a question cannot be asked, empty if it can; and whether it takes too long to tell."""
    if not subject.records_to_tell:
        return question.cannot_happen(), False
    try:
        return limited(question.cannot_happen, settings.timeout, "recording the model"), False
    except TimeUp:
        return "", True


@lru_cache(maxsize=1 << 17)
def _id(_: Subject, point: Point, version: str) -> str:
    how = {name: getattr(point.settings, name) for name in having("identity")}
    text = json.dumps([point.question.key(), how, version], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
