"""The why of a trace, as plain data that is kept with its drawing.

It is looked for within a time limit, so that one large cell does not hold up a report. What was cut says so, and is looked for
again when there is more time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tdxexplore.errors import TimeUp, TooLarge
from tdxexplore.explore.reasons import blocks
from tdxexplore.explore.why import Clock, Explainer
from tdxexplore.model import SEVERITIES

if TYPE_CHECKING:
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.trace import Trace

Explained: TypeAlias = dict[str, Any]

MOST_STATES = 50_000
"""The most concrete states of a cell that is explained in a report; `tdxexplore why` goes further."""

_LEAST = "S3"  # severe enough to be explained


class Explaining:
    """Explains one trace after the other; those of one question share the list of its states.

    Args:
        seconds: The time for each.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._of: tuple[str, Explainer | str] = ("", "")

    def why(self, trace: Trace, digest: str) -> Explained:
        """Why the outcome of a trace happens.

        Returns:
            ``blocks``: sentence, items with their tags, and whether it goes on with the block before. ``limit``: the seconds that
            were too few, or 0.
        """
        name = trace.outcome
        if name is None or not _severe(trace.question, name):
            return {"blocks": [], "limit": 0}
        clock = Clock(self._seconds)
        try:
            if self._of[0] != digest:
                self._of = (digest, self._listed(trace.question, clock))
            if isinstance(self._of[1], str):
                return _said(self._of[1])
            found = self._of[1].why(name, clock)
        except TimeUp:
            return _said(f"The time for it, {self._seconds:g} s, was up.", self._seconds)
        shown = [[block.said, [list(item) for item in block.items], int(block.after)] for block in blocks(found)]
        return {"blocks": shown, "limit": self._seconds if found.cut else 0}

    def _listed(self, question: Question, clock: Clock) -> Explainer | str:
        try:
            return Explainer(question, MOST_STATES, clock)
        except TooLarge as error:
            return f"Not explained: {error}."


def _severe(question: Question, name: str) -> bool:
    severity = next(p.severity for p, _ in question.compile().program.outcomes if p.name == name)
    return SEVERITIES.index(severity) <= SEVERITIES.index(_LEAST)


def _said(text: str, limit: float = 0) -> Explained:
    return {"blocks": [[text, [], 0]], "limit": limit}
