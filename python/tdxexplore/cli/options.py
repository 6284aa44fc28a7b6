"""The options that several commands share, and what their words mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

from cyclopts import Parameter

from tdxexplore.cli.output import warn, watched
from tdxexplore.errors import BadModel
from tdxexplore.explore.engine import worker_threads
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import Settings
from tdxexplore.quantities import RANGES, whole_numbers
from tdxexplore.tdx.fields import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.sweep.points import Box

T = TypeVar("T")

How: TypeAlias = Annotated[Settings, Parameter(name="*")]
"""How it is explored: an option for each field of `Settings`, with its doc and default."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one policy or model, or of two.

    Attributes:
        module: TDX-module kind: strict (default; public sources), subset or subset-nocheck; a model has none.
        cpus: CPUs in all.
        packages: Packages (sockets) that the CPUs are spread over.
        scenario: What happens around bring-up, default all-online; see `tdxexplore policies`. A model has none.
        set: A knob of the policy, or a parameter of the model, as KNOB=VALUE; may be repeated.
        budget: How often an environment action or a fault may happen, as NAME=N or NAME=unbounded; see
            `tdxexplore policies`; may be repeated.
    """

    module: str | None = None
    cpus: int = 4
    packages: int = 1
    scenario: str | None = None
    set: Annotated[Sequence[str], Parameter(negative="")] = ()
    budget: Annotated[Sequence[str], Parameter(negative="")] = ()

    def question(self, policy: str) -> Question:
        """What they ask about a policy or a model.

        Raises:
            BadModel: A knob or a budget is not written NAME=VALUE, or a number is not allowed.
        """
        return Question.of(
            policy,
            module=self.module,
            cpus=self.cpus,
            packages=self.packages,
            scenario=self.scenario,
            knobs=_pairs("--set", self.set, str),
            budgets=_pairs("--budget", self.budget, _budget),
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Axes:
    """What is asked of each policy of a grid.

    Attributes:
        module: A module kind; may be repeated; default: all.
        scenario: A scenario; may be repeated; default: all.
        cpus: CPUs in all: a number, a list or a range, as 2,4 or 2-6.
        packages: Packages that the CPUs are spread over, likewise.
        set: Values of a knob, for the policies and models that have it, as KNOB=VALUE,VALUE; may be repeated.
        budget: Values of a budget, as NAME=0-2 or NAME=unbounded; may be repeated.
    """

    module: Annotated[Sequence[str], Parameter(negative="")] = ()
    scenario: Annotated[Sequence[str], Parameter(negative="")] = ()
    cpus: str = "4"
    packages: str = "1"
    set: Annotated[Sequence[str], Parameter(negative="")] = ()
    budget: Annotated[Sequence[str], Parameter(negative="")] = ()

    def grid(self, policies: Sequence[str]) -> Box:
        """The grid of some policies, or of all.

        Raises:
            BadModel: Something is not written so, or not allowed.
        """
        from tdxexplore.sweep.points import grid  # noqa: PLC0415 -- check has no grid, and should start without it

        return grid(
            policies,
            modules=self.module,
            scenarios=self.scenario,
            cpus=_numbers("--cpus", self.cpus),
            packages=_numbers("--packages", self.packages),
            knobs=_pairs("--set", self.set, lambda text: text.split(",")),
            budgets=_pairs("--budget", self.budget, _budgets, RANGES),
        )


def say_if_capped(threads: int | None, *, quiet: bool) -> None:
    """Say in a line, where someone watches, that fewer threads are started than were asked for."""
    started = worker_threads(threads)
    if threads is not None and threads > started and watched() and not quiet:
        warn(f"--threads is {threads}; this process may use {started} CPUs, and {started} threads are started")


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return whole_numbers(text)
    except OverflowError as error:
        raise BadModel(f"{option} is `{text}`; {error}") from None
    except ValueError:
        raise BadModel(f"{option} is `{text}`; write {RANGES}") from None


def _pairs(
    option: str, words: Sequence[str], kind: Callable[[str], T], allowed: str = "a whole number"
) -> dict[str, T]:
    pairs: dict[str, T] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise BadModel(f"{option} is `{word}`; write {option} NAME=VALUE")
        try:
            pairs[name] = kind(value)
        except OverflowError as error:
            raise BadModel(f"{option} {name} is `{value}`; {error}") from None
        except ValueError:
            raise BadModel(f"{option} {name} is `{value}`; write {allowed}") from None
    return pairs


def _budget(text: str) -> int:
    return UNBOUNDED if text == "unbounded" else int(text)


def _budgets(text: str) -> tuple[int, ...]:
    return (UNBOUNDED,) if text == "unbounded" else whole_numbers(text)
