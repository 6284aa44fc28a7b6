"""The options that several commands share, and what their words mean."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 -- cyclopts reads the annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.quantities import MEMORY, RANGES, memory, whole_numbers
from tdxexplore.tdx.fields import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Point:
    """What is asked.

    Attributes:
        module: TDX-module kind: strict (public sources), subset or subset-nocheck.
        cpus: CPUs in all.
        packages: Packages (sockets) that the CPUs are spread over.
        scenario: What happens around bring-up; see `tdxexplore policies`.
        set: A knob of the policy, as KNOB=VALUE; may be repeated.
        budget: How often an environment action or a fault may happen, as NAME=N or NAME=unbounded; see
            `tdxexplore policies`; may be repeated.
    """

    module: str = "strict"
    cpus: int = 4
    packages: int = 1
    scenario: str = "all-online"
    set: Annotated[Sequence[str], Parameter(negative="")] = ()
    budget: Annotated[Sequence[str], Parameter(negative="")] = ()

    def question(self, policy: str) -> Question:
        """What they ask about a policy."""
        return Question.of(policy, **self.values())

    def values(self) -> dict[str, Any]:
        """As the library takes them, and checks them."""
        return {
            "module": self.module,
            "cpus": self.cpus,
            "packages": self.packages,
            "scenario": self.scenario,
            "knobs": _pairs("--set", self.set, str),
            "budgets": _pairs("--budget", self.budget, _budget),
        }


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Limits:
    """How far and how.

    Attributes:
        space: orbit (CPUs counted by kind), concrete (CPUs keep identities) or bits (each concrete state is one bit; totals and
            levels only; depth, outcomes and traces come from the orbit space); all are exact.
        symmetry: In the orbit space, CPUs that start out equal are interchangeable (start), or all CPUs are (all: fewer states,
            the same runs).
        threads: Worker threads; default: all.
        max_states: Stop after so many stored states: incomplete.
        max_memory: Stop at so much memory: incomplete. Bytes, or with K, M, G.
        timeout: Stop after so many seconds: incomplete.
        fail_on: The least severe outcome that counts as a violation: S0 to S4.
        measures: Count interleavings and probabilities, or only states.
    """

    space: Literal["orbit", "concrete", "bits"] = "orbit"
    symmetry: Literal["start", "all"] = "start"
    threads: int | None = None
    max_states: int | None = None
    max_memory: str | None = None
    timeout: float | None = None
    fail_on: Literal["S0", "S1", "S2", "S3", "S4"] = "S3"
    measures: bool = True

    def values(self) -> dict[str, Any]:
        """As the library takes them."""
        memory = None if self.max_memory is None else _bytes(self.max_memory)
        return {
            "space": self.space,
            "symmetry": self.symmetry,
            "threads": self.threads,
            "max_states": self.max_states,
            "max_memory": memory,
            "timeout": self.timeout,
            "fail_on": self.fail_on,
            "measures": self.measures,
        }


def numbers(text: str) -> tuple[int, ...]:
    """CPU counts of ``--cpus``."""
    try:
        return whole_numbers(text)
    except ValueError:
        raise BadModel(f"--cpus is `{text}`; write {RANGES}") from None


def _pairs(option: str, words: Sequence[str], kind: Callable[[str], T]) -> dict[str, T]:
    pairs: dict[str, T] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise BadModel(f"{option} is `{word}`; write {option} NAME=VALUE")
        try:
            pairs[name] = kind(value)
        except ValueError:
            raise BadModel(f"{option} {name} is `{value}`; a whole number is needed") from None
    return pairs


def _budget(text: str) -> int:
    return UNBOUNDED if text == "unbounded" else int(text)


def _bytes(text: str) -> int:
    try:
        return memory(text)
    except ValueError:
        raise BadModel(f"--max-memory is `{text}`; write {MEMORY}") from None
