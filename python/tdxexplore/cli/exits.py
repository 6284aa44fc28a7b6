"""The exit codes of the command line, and the one line on stderr that goes with an error.

0 holds, 1 violated, 2 usage or bad input, 3 incomplete, 4 internal error, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HOLDS, VIOLATED, USAGE, INCOMPLETE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 130
OF_VERDICT = {"holds": HOLDS, "violated": VIOLATED, "incomplete": INCOMPLETE}


def of(verdicts: Iterable[str], *, interrupted: bool) -> int:
    """The exit code of explorations together."""
    if interrupted:
        return INTERRUPTED
    verdicts = set(verdicts)
    if "incomplete" in verdicts:
        return INCOMPLETE
    return VIOLATED if "violated" in verdicts else HOLDS


def complain(message: str, code: int) -> int:
    """Say in a line what is wrong.

    Returns:
        The code.
    """
    print(f"tdxexplore: error: {message}", file=sys.stderr)  # noqa: T201 -- the message
    return code
