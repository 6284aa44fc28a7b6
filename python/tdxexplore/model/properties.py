"""The questions that are asked of a model: outcomes, invariants, expectations, responses and prices; and what it may forget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.model.code import Event
    from tdxexplore.model.expr import Expr, Field

SEVERITIES = ("S0", "S1", "S2", "S3", "S4", "ok")


@dataclass(frozen=True, slots=True)
class Property:
    """A named predicate on states: an outcome, an invariant or an expectation.

    Attributes:
        name: Its name, unique among properties of its kind.
        severity: ``S0`` (catastrophic) to ``S4`` (nuisance), or ``ok``.
        when: The predicate. An invariant must satisfy it in every state, an expectation in at least one.
        text: Its meaning, in a sentence.
        fatal: Whether a run ends where it is reached, as at an oops.
        diverges: Whether it is the outcome of runs that never come to an end. Its predicate is then false in every state.
    """

    name: str
    severity: str
    when: Expr
    text: str
    fatal: bool = False
    diverges: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """A goal that must stay reachable: from every reachable state in which ``when`` holds, some run reaches ``reach``.

    In CTL: AG (when -> EF reach). If ``when`` says that something goes on and ``reach`` that it has ended, this is
    termination under strong fairness. A fatal outcome ends a run and is reported as such, so no response is due in a
    state from which every fair run comes to a fatal outcome (AG EF fatal).

    Attributes:
        name: Its name, unique among responses.
        severity: ``S0`` to ``S4``.
        when: The condition under which the response is due.
        reach: The goal.
        text: Its meaning, in a sentence.
    """

    name: str
    severity: str
    when: Expr
    reach: Expr
    text: str


@dataclass(frozen=True, slots=True)
class Price:
    """A quantity that a run adds up over its steps.

    Attributes:
        name: Its name, unique among prices.
        text: Its meaning, in a sentence.
        events: The kinds of events that count; each such event costs 1.
        during: The condition under which each step costs 1 more; it is evaluated in the state before the step.
    """

    name: str
    text: str
    events: frozenset[str]
    during: Expr

    def of(self, events: Sequence[Event]) -> int:
        """Return what these events cost together; the cost of ``during`` comes on top."""
        return sum(event.kind in self.events for event in events)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Fields that have their initial values wherever a condition holds, because no later step reads their values there.

    Attributes:
        fields: The fields; each is forgotten in every CPU or package that has it.
        when: The condition. It reads no field that is ever forgotten.
    """

    fields: tuple[Field, ...]
    when: Expr
