"""The verdict on a question: its one definition, for an exploration and for everything that compares explorations.

- *violated*: an invariant fails, or an outcome or a lost response is at least as severe as `fail_on`. It does not matter that
  a limit cut the search short: a counterexample is one.
- *incomplete*: a limit cut the search short, and nothing bad was seen until then.
- *vacuous*: nothing bad can happen, but something that the model must be able to do never happens, so that the answer says
  nothing: an expectation is never met, no run comes to an end, or the scenario cannot happen to the design.
- *holds*: none of these.

It is a function of `Finding`s, plain rows that an exploration and a data set have alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from tdxexplore.model import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import polars as pl

    from tdxexplore.explore.settings import Settings

Verdict: TypeAlias = Literal["violated", "incomplete", "vacuous", "holds"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""All verdicts; of several, the first is that of all together."""

Kind: TypeAlias = Literal["outcome", "invariant", "response", "expectation"]

_ALMOST_ALL = 0.9999


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found out about a model.

    Attributes:
        kind: An ``outcome`` that is reached, an ``invariant`` that fails in a reachable state, a ``response`` that can be
            lost, or an ``expectation`` that no reachable state meets.
        name: Its name in the model.
        severity: How bad it is.
        text: What it says, in a sentence; of an expectation, what never happens.
        share: Of an outcome, the share of the interleavings that end so, where they were counted.
    """

    kind: Kind
    name: str
    severity: str
    text: str = ""
    share: float | None = None


def severe(severity: str, fail_on: str) -> bool:
    """Whether a severity is at least as severe as another."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(fail_on)


def violates(finding: Finding, fail_on: str) -> bool:
    """Whether one finding alone is a violation."""
    if finding.kind == "invariant":
        return True
    return finding.kind in ("outcome", "response") and severe(finding.severity, fail_on)


def of(findings: Iterable[Finding], *, complete: bool, fail_on: str) -> Verdict:
    """The verdict.

    Args:
        findings: What was found. An expectation that is not met yet by a search that was cut short is none.
        complete: Whether everything was explored.
        fail_on: The least severe severity that counts as a violation.
    """
    found = list(findings)
    if any(violates(finding, fail_on) for finding in found):
        return "violated"
    if not complete:
        return "incomplete"
    return "vacuous" if any(finding.kind == "expectation" for finding in found) else "holds"


def in_words(verdict: Verdict, findings: Collection[Finding], *, reason: str | None, fail_on: str) -> str:
    """The verdict in a line: why it is not simply so, and what occurs although it does not count as a violation.

    Args:
        verdict: The verdict.
        findings: What it is based on.
        reason: Why the search was cut short.
        fail_on: The least severe severity that counts as a violation.
    """
    line: str = verdict
    if reason is not None:
        cut = reason if verdict == "incomplete" else f"search incomplete: {reason}"
        line += f" ({cut}; what follows is what was seen so far)"
    if verdict == "vacuous":
        line += f": {'; '.join(finding.text for finding in findings if finding.kind == 'expectation')}"
    if verdict != "violated":
        below = (f for f in findings if f.kind in ("outcome", "response") and f.severity != "ok")
        line += "".join(f"; {_occurs(finding)}" for finding in below if not violates(finding, fail_on))
    return line


class Judged(ABC):
    """An answer with a verdict.

    Attributes:
        settings: The limits, and what counts as a violation.
        complete: Whether everything was explored.
    """

    settings: Settings
    complete: bool

    @property
    @abstractmethod
    def reason(self) -> str | None:
        """Why not everything was explored, or None."""

    @property
    @abstractmethod
    def findings(self) -> tuple[Finding, ...]:
        """The rows that the verdict is based on."""

    @property
    @abstractmethod
    def outcomes(self) -> pl.DataFrame:
        """A row for each outcome that was reached, most severe first."""

    @cached_property
    def verdict(self) -> Verdict:
        """``holds``, ``violated``, ``incomplete`` or ``vacuous``; `tdxexplore.explore.verdict` says when."""
        return of(self.findings, complete=self.complete, fail_on=self.settings.fail_on)

    @property
    def verdict_line(self) -> str:
        """The verdict in a line, with the reason why it is not simply so, and with what occurs below `fail_on`."""
        return in_words(self.verdict, self.findings, reason=self.reason, fail_on=self.settings.fail_on)

    @property
    def worst(self) -> str | None:
        """The most severe outcome that was reached."""
        return self.outcomes["outcome"][0] if len(self.outcomes) else None


def _occurs(finding: Finding) -> str:
    if finding.kind == "response":
        return f"{finding.severity} {finding.name} can become impossible"
    if finding.share is None:
        return f"{finding.severity} {finding.name} occurs"
    return f"{finding.severity} {finding.name} in {percent(finding.share)} of the runs"


def percent(share: float) -> str:
    """A share in percent, which says 100 only of all, and 0 only of none."""
    if _ALMOST_ALL < share < 1:
        return f"more than {_ALMOST_ALL * 100:.2f} %"
    return f"{share * 100:.4g} %"
