"""What an explanation says: `tdxexplore.explore.why` makes it, and the command line, the report and the library show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.markup import Html, page, paragraph, severity, table

if TYPE_CHECKING:
    from tdxexplore.explore.orders import Event
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.trace import Trace


@dataclass(frozen=True, slots=True)
class Part:
    """How much of all runs some runs are.

    Attributes:
        interleavings: How many there are, exactly.
        share: Of all interleavings.
        probability: That a run is one of them, each enabled transition being equally likely.
    """

    interleavings: int
    share: float
    probability: float


@dataclass(frozen=True, slots=True)
class Order:
    """A condition on the order of steps, in words.

    Attributes:
        first: The step that comes.
        on: ``c`` or ``d`` if it is on a certain CPU, ``p`` if it is on any other CPU in the package of c, else empty.
        before: The step that it comes before, or None if it is enough that the first one comes.
        where: As `on`, of that step.
        both_come: Whether the second step comes in every run that meets the cause; else it may also be left out.
        necessary: Whether no run without it has the outcome.
    """

    first: Event
    on: str
    before: Event | None
    where: str
    both_come: bool
    necessary: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Conditions that together are sufficient: every run that meets all of them, on some CPUs c and d, has the outcome.

    Attributes:
        orders: The conditions.
        part: The runs that meet them.
        schedule: One of them.
    """

    orders: tuple[Order, ...]
    part: Part
    schedule: str


@dataclass(frozen=True, slots=True)
class Deciding:
    """A step after which the outcome can no longer be avoided.

    Attributes:
        step: The step.
        share: Of the interleavings with the outcome, those that it decides.
    """

    step: Event
    share: float


@dataclass(frozen=True, slots=True)
class Why:
    """Why an outcome happens.

    Attributes:
        question: What was asked.
        outcome: The outcome.
        severity: Its severity.
        text: What it means, in a sentence.
        part: The runs that have it.
        interleavings: All runs.
        states: Concrete states, all of which were looked at.
        always: Whether every run has it, so that no order matters.
        causes: Sets of conditions, each of them sufficient.
        if_and_only_if: Whether a run has the outcome exactly if it meets some cause.
        covered: The share of the interleavings with the outcome that meet some cause; at least so many, if the time was up.
        necessary: Conditions that every run with the outcome meets, if the causes do not cover all of them.
        cut: Whether the time was up before everything was tried.
        deciding: The steps that decide, those of most runs first; empty if the outcome could never be avoided.
        shortest: A run with the fewest steps.
        easiest: A run with the fewest switches from one actor to another.
        switches: Those of the shortest and of the easiest one.
    """

    question: Question
    outcome: str
    severity: str
    text: str
    part: Part
    interleavings: int
    states: int
    always: bool
    causes: tuple[Reason, ...]
    if_and_only_if: bool
    covered: float
    necessary: tuple[Order, ...]
    cut: bool
    deciding: tuple[Deciding, ...]
    shortest: Trace
    easiest: Trace
    switches: tuple[int, int]

    def _repr_html_(self) -> str:
        from tdxexplore.render.reasons import blocks  # noqa: PLC0415 -- which knows what is said here

        parts: list[Html] = []
        for block in blocks(self):
            parts += [paragraph(block.said), *([table(("", ""), block.items)] if block.items else [])]
        head = paragraph(severity(f"{self.severity} {self.outcome}", self.severity), f" {self.text}")
        return page(head, *parts, self.easiest.folded(f"with the fewest switches to {self.outcome}"))
