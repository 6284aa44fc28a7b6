"""Signals in each phase of a command: the process sends itself one when it comes there (`at_phase`)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fault_lab import POINTS, Done, ended, fault

if TYPE_CHECKING:
    from fault_lab import Lab

AT_PHASE = Path(__file__).parent / "at_phase.py"
SMALL = "check linux-6.16 --module subset --scenario late-online"
LARGE = (
    "check linux-7.1 --module subset --scenario td-life --cpus 20 --packages 2 --budget cpu_down=2 --budget cpu_up=2 "
    "--prices"
)
COUNTING = "check linux-7.1 --module subset --scenario td-life --cpus 20 --space bits"


def _at(lab: Lab, phase: str, number: signal.Signals, *words: str) -> Done:
    """Run a command that gets the signal in the phase."""
    command = [sys.executable, str(AT_PHASE), phase, number.name, *words]
    pipes = subprocess.PIPE
    done = ended(subprocess.Popen(command, stdout=pipes, stderr=pipes, text=True, cwd=lab.folder))
    lines = done.err.splitlines()
    assert lines.count(f"at {phase}") == 1, done
    return Done(done.code, done.out, "\n".join(line for line in lines if line != f"at {phase}"))


def _of_the_data(lab: Lab, phase: str, number: signal.Signals) -> Done:
    """A command that reads or writes a data set gets the signal; then everything is there, or a sweep explores it."""
    words = {
        "compacting": ("compact", str(lab.out)),
        "changing places": ("compact", str(lab.out)),
        "analysing": ("analyze", "worst", str(lab.out)),
    }.get(phase, lab.sweep)
    if phase != "writing":
        lab.copy()
    done = _at(lab, phase, number, *words)
    if phase == "writing":
        again = lab.inside(*lab.sweep)
        assert (again.code, f"{POINTS} of {POINTS} points" in again.out) == (0, True), again
    lab.whole_again(0)
    return done


def _check(phase: str, words: str, sees: str, kept: str) -> None:
    def interrupted(lab: Lab) -> Done:
        done = _at(lab, phase, signal.SIGINT, *words.split())
        # On a fast machine the measures end before they look for a signal again: then the answer is whole.
        whole = phase == "measures" and "verdict: holds" in done.out
        assert ("interrupted" in done.out or whole) == (not sees), done
        return done

    interrupted.__name__ = f"ctrl_c_in_{phase}"
    fault(f"Ctrl-C in `check`: {phase}", sees, 130, kept, long=True)(interrupted)


for _phase, _words in (("recording", SMALL), ("lowering", SMALL), ("traces", SMALL)):
    _check(_phase, _words, "error: interrupted", "-")
for _phase, _words in (
    ("search", LARGE),
    ("measures", LARGE.replace("--cpus 20", "--cpus 48")),
    ("counting", COUNTING),
):
    _check(_phase, _words, "", "what was explored, as an answer that is incomplete")

PLANNING = (
    "error: interrupted while planning, at point 2 of 4: "
    "tdxexplore check v19 --module subset --cpus 3 --scenario late-online"
)
WRITING = "error: interrupted; N of 4 points are in DIR/out, and the same command goes on"


def _data(phase: str, sees: str, kept: str, then: str) -> None:
    def interrupted(lab: Lab) -> Done:
        return _of_the_data(lab, phase, signal.SIGINT)

    interrupted.__name__ = f"ctrl_c_in_{phase.replace(' ', '_')}"
    fault(f"Ctrl-C: {phase}", sees, 130, kept, then, long=True)(interrupted)


_data("planning", PLANNING, "everything", "explores nothing")
_data("writing", WRITING, "the points that were finished", "explores the rest")
_data("compacting", "error: interrupted", "everything", "compacts")
_data("changing places", "error: interrupted", "everything", "undoes it")
_data("analysing", "error: interrupted", "everything", "answers")

PHASES = ("planning", "writing", "compacting", "changing places", "analysing")


def _ended(lab: Lab, number: signal.Signals, phases: tuple[str, ...], checks: tuple[tuple[str, str], ...]) -> Done:
    """A command for each phase gets the signal; all say the same."""
    found = []
    for phase in phases:
        room = type(lab)(lab.folder / phase, lab.whole)
        found.append(_of_the_data(room, phase, number))
    for phase, words in checks:
        found.append(_at(lab, phase, number, *words.split()))
    assert len({(done.code, done.out, done.err) for done in found}) == 1, found
    assert len(found) == len(phases) + len(checks) >= 3
    return found[0]


@fault(
    "SIGTERM: planning, writing, compacting, tables changing places, analysing, recording, search",
    "",
    -15,
    "everything that was written",
    "does the rest",
    long=True,
)
def terminated_in_each_phase(lab: Lab) -> Done:
    return _ended(lab, signal.SIGTERM, PHASES, (("recording", SMALL), ("search", LARGE)))


@fault(
    "SIGHUP: writing, tables changing places, search", "", -1, "everything that was written", "does the rest", long=True
)
def hung_up_in_each_phase(lab: Lab) -> Done:
    return _ended(lab, signal.SIGHUP, ("writing", "changing places"), (("search", LARGE),))
