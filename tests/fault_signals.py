"""Signals in each phase of a command: the process sends itself one when it comes there (`at_phase`)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from at_phase import PHASES
from fault_lab import POINTS, Done, fault

if TYPE_CHECKING:
    from fault_lab import Lab

SMALL = "check linux-6.16 --module subset --scenario late-online"
LARGE = (
    "check linux-7.1 --module subset --scenario td-life --cpus 32 --packages 2 --budget cpu_down=2 --budget cpu_up=2 "
    "--prices"
)
COUNTING = "check linux-7.1 --module subset --scenario td-life --cpus 20 --space bits"
CHECKS = {
    "recording": SMALL,
    "lowering": SMALL,
    "search": LARGE,
    "measures": LARGE,
    "prices": LARGE,
    "traces": SMALL,
    "counting": COUNTING,
}
"""The phases of a question, and one that comes there."""

DATA = ("planning", "writing", "compacting", "changing places", "analysing")
"""The phases of a command that reads or writes a data set."""


@cache
def _server() -> subprocess.Popen[str]:
    """One for each process of the tests; it ends with its standard input."""
    command = [sys.executable, str(Path(__file__).parent / "at_phase.py")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _at(lab: Lab, phase: str, number: signal.Signals, *words: str) -> Done:
    """Run a command that gets the signal in the phase."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps([phase, number.name, str(lab.folder), words]) + "\n")
    server.stdin.flush()
    done = Done(*json.loads(server.stdout.readline()))
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


def _row(phase: str, sees: str, kept: str, then: str) -> None:
    """A row for Ctrl-C in a phase."""

    def interrupted(lab: Lab) -> Done:
        if phase in DATA:
            return _of_the_data(lab, phase, signal.SIGINT)
        done = _at(lab, phase, signal.SIGINT, *CHECKS[phase].split())
        assert ("verdict: incomplete (interrupted;" in done.out) == (not sees), done
        return done

    interrupted.__name__ = f"ctrl_c_in_{phase.replace(' ', '_')}"
    fault(f"Ctrl-C: {phase}", sees, 130, kept, then, long=True)(interrupted)


EXPLORED = "what was explored, as an answer that is incomplete"
PLANNING = (
    "error: interrupted while planning, at point 2 of 4: "
    "tdxexplore check v19 --module subset --cpus 3 --scenario late-online"
)
WRITING = "error: interrupted; N of 4 points are in DIR/out, and the same command goes on"

_row("recording", "error: interrupted", "-", "answers")
_row("lowering", "error: interrupted", "-", "answers")
_row("search", "", EXPLORED, "answers")
_row("measures", "", EXPLORED, "answers")
_row("prices", "", EXPLORED, "answers")
_row("traces", "error: interrupted", "-", "answers")
_row("counting", "", EXPLORED, "answers")
_row("planning", PLANNING, "everything", "explores nothing")
_row("writing", WRITING, "the points that were finished", "explores the rest")
_row("compacting", "error: interrupted", "everything", "compacts")
_row("changing places", "error: interrupted", "everything", "undoes it")
_row("analysing", "error: interrupted", "everything", "answers")


def _ends(name: str, number: signal.Signals) -> None:
    """A row for a signal that ends the process in whatever phase: all say the same."""

    def ended(lab: Lab) -> Done:
        found = [_of_the_data(type(lab)(lab.folder / phase, lab.whole), phase, number) for phase in DATA]
        found += [_at(lab, phase, number, *words.split()) for phase, words in CHECKS.items()]
        assert {*DATA, *CHECKS} == set(PHASES)
        assert len({(done.code, done.out, done.err) for done in found}) == 1, found
        return found[0]

    ended.__name__ = f"{name}_in_each_phase"
    phases = ", ".join((*CHECKS, *DATA)).replace("changing places", "tables changing places")
    what, then = "everything that was written", "does the rest, or answers"
    fault(f"{name}: {phases}", "", -number, what, then, long=True)(ended)


_ends("SIGTERM", signal.SIGTERM)
_ends("SIGHUP", signal.SIGHUP)
