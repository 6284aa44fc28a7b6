"""What a question is about: something that has a name and knobs, and that records a Model for each choice of their values.

A question, a sweep and a comparison know no more than this. A TDX policy is one kind (`tdxexplore.explore.design`), a model in
the public language another (`tdxexplore.explore.own_model`); `tdxexplore.explore.finding` tells which one is meant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from tdxexplore.errors import BadModel, suggest
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tdxexplore.model import Model, Topology
    from tdxexplore.model.knob import Knob
    from tdxexplore.tdx.policy import Policy

NONE = "-"
"""The one value of an axis that a subject does not have, in tables and data sets."""

Given = tuple[tuple[str, str], ...]
"""Values of knobs, sorted by name."""


class Recorded(NamedTuple):
    """What a subject has recorded.

    Attributes:
        model: The model.
        policy: The TDX policy that recorded it, with its hooks; None of another model.
    """

    model: Model
    policy: Policy | None


_LONGEST = (
    50  # characters of a file and a name in a table; with the name of a policy, they are also the name of a folder
)


def in_tables(place: str) -> str:
    """A file and a name, as short and plain as a table and a folder want them."""
    return one_line(place.encode("ascii", "backslashreplace").decode(), _LONGEST)


class Subject(ABC):
    """What a question is about. Subjects are compared, and equal ones record equal models.

    Attributes:
        modules: The TDX-module kinds that it can be asked with, the default first.
        scenarios: The scenarios, likewise.
        records_to_tell: `least_cpus` and `cannot_happen` record the model, which may take any time.
    """

    modules: tuple[str, ...] = (NONE,)
    scenarios: tuple[str, ...] = (NONE,)
    records_to_tell: bool = False

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in tables."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is defined: the name of the file and the name in it."""

    @property
    @abstractmethod
    def word(self) -> str:
        """What the command line calls it."""

    @property
    @abstractmethod
    def knobs(self) -> tuple[Knob, ...]:
        """What it leaves open.

        Raises:
            BadModel: They cannot be read.
        """

    @abstractmethod
    def setting(self, given: Given) -> dict[str, str]:
        """The value of every knob. Nothing is recorded for this.

        Raises:
            BadModel: A name or a value is not allowed.
        """

    @abstractmethod
    def record(self, module: str, scenario: str, given: Given, budgets: Mapping[str, int]) -> Recorded:
        """Record the model.

        Raises:
            BadModel: A name or a value is not allowed, or the model cannot be recorded.
        """

    @abstractmethod
    def source(self) -> str | None:
        """A hash of the sources that it records from (`tdxexplore.explore.source`); None where there are none."""

    def least_cpus(self, scenario: str, given: Given) -> int:
        """The smallest number of CPUs with which it can be asked."""
        return 1

    def cannot_happen(self, scenario: str, given: Given, topology: Topology) -> str:
        """Why the scenario cannot happen to it, or on this topology; empty if it can."""
        return ""

    def running(self) -> AbstractContextManager[None]:
        """Code of the subject runs: a mistake in a user's file becomes one line that says where."""
        return nullcontext()

    def asked(self, axis: str, value: str | None, allowed: tuple[str, ...]) -> str:
        """The value of an axis, its default where none is given.

        Raises:
            BadModel: The value is not allowed.
        """
        if value is None:
            return allowed[0]
        if value not in allowed:
            if allowed == (NONE,):
                raise BadModel(f"{axis} is `{value}`; `{self.name}` is a model, which has none")
            raise BadModel(f"{axis} `{value}` is not known; {suggest(value, allowed)}")
        return value
