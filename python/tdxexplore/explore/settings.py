"""How a question is explored: one structure with the docs, defaults and checks of every setting.

The command line, the ``[check]`` table of a sweep file, the library functions and the columns of a data set are made from
the fields of `Settings`. A new setting is a field here and an argument of the engine (`tdxexplore.explore.engine`).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from tdxexplore.errors import BadSetting, suggest
from tdxexplore.quantities import MEMORY, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Space: TypeAlias = Literal["orbit", "concrete", "bits"]
Symmetry: TypeAlias = Literal["start", "all"]
FailOn: TypeAlias = Literal["S0", "S1", "S2", "S3", "S4"]
Role: TypeAlias = Literal["identity", "limit", "resource"]

Read: TypeAlias = "Callable[[Any], Any]"
"""Brings a value to its normal form, or raises a ValueError that says what is allowed."""

_MOST = 2**63 - 1  # what a column of a table holds


def _choice(literal: object) -> Read:
    names = get_args(literal)

    def read(value: object) -> object:
        if value not in names:
            raise ValueError(suggest(value if isinstance(value, str) else "", names))
        return value

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("allowed: true, false")  # noqa: TRY004 -- as every other reader
    return value


def _positive(number: Callable[[Any], float], allowed: str, most: int = _MOST) -> Read:
    def read(value: object) -> float:
        try:
            found = -1 if isinstance(value, bool) else number(value)  # Python takes True for 1
        except (TypeError, ValueError, OverflowError):
            found = -1
        if not found > 0:  # which is so for nan
            raise ValueError(allowed)
        if found > most:
            raise ValueError(f"at most {most} is allowed")
        return found

    return read


def _seconds(value: Any) -> float:  # noqa: ANN401 -- whatever the caller gives
    return -1 if isinstance(value, str) else float(value)


def _bytes(value: Any) -> int:  # noqa: ANN401 -- whatever the caller gives
    return memory(value) if isinstance(value, str) else operator.index(value)


_COUNT = _positive(operator.index, "a positive whole number is needed")
_DEPTH = _positive(operator.index, "a positive whole number is needed", 2**32 - 1)
_MEMORY = _positive(_bytes, f"write {MEMORY}")
_TIME = _positive(_seconds, "a positive number is needed")


def _about(read: Read, doc: str, *, kind: type = str, role: Role = "identity", unit: str = "") -> Mapping[str, Any]:
    return {"read": read, "doc": doc, "kind": kind, "role": role, "unit": unit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a question is explored.

    Raises:
        BadSetting: A value is not allowed.
    """

    space: Space = field(
        default="orbit",
        metadata=_about(
            _choice(Space),
            "Count CPUs by kind (orbit), keep the identity of each (concrete, at most 64 CPUs), or use one bit for each state "
            "(bits: totals and levels only, no measures; depth, outcomes and traces come from the orbit space); all are exact.",
        ),
    )
    symmetry: Symmetry = field(
        default="start",
        metadata=_about(
            _choice(Symmetry),
            "In the orbit space, exchange CPUs that start out equal (start), or any CPUs (all): the runs are the same and "
            "fewer states are stored, but concrete states are those that all renamings of the initial state reach.",
        ),
    )
    measures: bool = field(
        default=True,
        metadata=_about(
            _flag, "Count interleavings, compute probabilities, and look for what can become impossible.", kind=bool
        ),
    )
    prices: bool = field(
        default=False,
        metadata=_about(
            _flag, "Compute what runs cost: SEAMCALLs, VMXON, IPIs, steps under locks; needs the measures.", kind=bool
        ),
    )
    fail_on: FailOn = field(
        default="S3", metadata=_about(_choice(FailOn), "The least severe outcome that counts as a violation.")
    )
    max_states: int | None = field(
        default=None,
        metadata=_about(_COUNT, "Stop after so many stored states: incomplete.", kind=int, role="limit", unit="1"),
    )
    max_depth: int | None = field(
        default=None,
        metadata=_about(_DEPTH, "Stop at this depth: incomplete.", kind=int, role="limit", unit="steps"),
    )
    max_memory: int | str | None = field(
        default=None,
        metadata=_about(
            _MEMORY, f"Stop at so much memory: incomplete. Write {MEMORY}.", kind=int, role="limit", unit="B"
        ),
    )
    timeout: float | None = field(
        default=None,
        metadata=_about(_TIME, "Stop after so many seconds: incomplete.", kind=float, role="limit", unit="s"),
    )
    threads: int | None = field(
        default=None,
        metadata=_about(
            _COUNT,
            "Worker threads, at most the CPUs that this process may use; default: all of them.",
            kind=int,
            role="resource",
            unit="1",
        ),
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None and each.default is None:
                continue
            try:
                object.__setattr__(self, each.name, each.metadata["read"](value))
            except ValueError as error:
                raise BadSetting(each.name, value, str(error)) from None
        if self.symmetry != "start" and self.space != "orbit":
            raise BadSetting("symmetry", self.symmetry, f"with --space `{self.space}` only `start` is allowed")

    @classmethod
    def of(cls, settings: dict[str, Any], **defaults: Any) -> Settings:  # noqa: ANN401 -- of the fields' types
        """Settings by name.

        Args:
            settings: As given.
            defaults: Of those that are not given, where they differ from those of the fields.

        Raises:
            BadSetting: A name or a value is not allowed.
        """
        known = [each.name for each in DESCRIBED]
        for name, value in settings.items():
            if name not in known:
                raise BadSetting(name, value, f"there is no such setting; {suggest(name, known)}")
        return cls(**{**defaults, **settings})

    @property
    def memory_limit(self) -> int | None:
        """`max_memory` in bytes."""
        assert not isinstance(self.max_memory, str)  # __post_init__ has read it
        return self.max_memory


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a setting.

    Attributes:
        name: As an argument of the library, a key of a sweep file and a column of a data set.
        kind: The type of a value in its normal form, None aside.
        unit: The unit of a number.
        doc: What it does, in a sentence.
        role: An ``identity`` decides the answer, a ``limit`` only how far an incomplete search goes, a ``resource`` neither.
    """

    name: str
    kind: type
    unit: str
    doc: str
    role: Role


DESCRIBED = tuple(
    Described(f.name, f.metadata["kind"], f.metadata["unit"], f.metadata["doc"], f.metadata["role"])
    for f in fields(Settings)
)
"""All settings, in order."""


def having(*roles: Role) -> tuple[str, ...]:
    """The names of the settings of these roles, in order."""
    return tuple(each.name for each in DESCRIBED if each.role in roles)
