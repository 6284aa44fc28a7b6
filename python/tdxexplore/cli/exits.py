"""The exit codes of the command line, and the one line on stderr that goes with an error. `CODES` says what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.cli.streams import tell
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdxexplore.sweep.batch import Cause

_LONGEST = 4000  # characters of a line: a name of 10,000 would bury what is said about it

HOLDS, VIOLATED, USAGE, INCOMPLETE, INTERNAL, VACUOUS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
VERDICTS = {
    "violated": "an invariant fails, or an outcome or a lost response at least as severe as `--fail-on` is reachable",
    "incomplete": "a limit cut the search short, and nothing bad was seen until then",
    "vacuous": "nothing bad can happen, but an expectation is never met, no run comes to an end, or the scenario cannot "
    "happen to the design",
    "holds": "none of these; outcomes below `--fail-on` are named with their share",
}
"""The meaning of each verdict; the first that applies is given."""

CODES = {
    HOLDS: "the verdict is `holds`, or the command did what was asked",
    VIOLATED: f"the verdict is `violated`: {VERDICTS['violated']}; `kernel conform`: the model does not allow what the "
    "kernel did",
    USAGE: "bad input: an option, a name, a policy file, a sweep file, a schedule or a data set; a line on stderr says what is "
    "wrong, where, and what is allowed",
    INCOMPLETE: f"the verdict is `incomplete`: {VERDICTS['incomplete']}; `sample`: no run that was drawn "
    "met anything bad; `sweep`: a limit cut a point short; `analyze`: damaged "
    "files were left out; memory or time ran out before there was an answer",
    INTERNAL: "a defect of tdxexplore itself, with a traceback; or a disk or a stream takes nothing",
    VACUOUS: f"the verdict is `vacuous`: {VERDICTS['vacuous']}",
    INTERRUPTED: "interrupted by Ctrl-C or SIGTERM",
}
"""The meaning of each exit code."""

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
