"""The exit codes of the command line, and the one line on stderr that goes with an error.

0 holds, 1 violated, 2 usage or bad input, 3 incomplete, 4 internal error or a disk or stream that takes nothing, 5 vacuous,
130 interrupted. Only a verdict gives 0, 1, 3 and 5, and memory or time that runs out gives 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.cli.streams import tell
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdxexplore.sweep.batch import Cause

_LONGEST = 4000  # characters of a line: a name of 10,000 would bury what is said about it

HOLDS, VIOLATED, USAGE, INCOMPLETE, INTERNAL, VACUOUS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
OF_VERDICT = {"violated": VIOLATED, "incomplete": INCOMPLETE, "vacuous": VACUOUS, "holds": HOLDS}


def of(verdicts: Iterable[str], *, interrupted: bool = False) -> int:
    """The exit code of explorations together: that of the first verdict in `OF_VERDICT` that one of them has.

    Without any verdict, as where no scenario can happen, the answer says nothing.
    """
    if interrupted:
        return INTERRUPTED
    found = set(verdicts)
    return next((code for verdict, code in OF_VERDICT.items() if verdict in found), VACUOUS)


def of_failures(causes: Iterable[Cause]) -> int:
    """The exit code of explorations that failed."""
    found = set(causes)
    if "internal" in found:
        return INTERNAL
    return USAGE if "model" in found else INCOMPLETE


def complain(message: str, code: int) -> int:
    """Say in a line what is wrong.

    Returns:
        The code.
    """
    tell(f"tdxexplore: error: {one_line(message, _LONGEST)}")
    return code
