"""Signals in each phase of a command: the process sends itself one when it comes there (`at_phase`), or while it loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from at_phase import PHASES
from fault_lab import HOLDS, POINTS, Done, ended, fault
from fault_streams import MINE

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
    "comparing": "compare v19 linux-6.16 --module subset --scenario late-online --cpus 2-3",
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
    """A row for Ctrl-C and SIGTERM in a phase: both do the same."""

    def one(lab: Lab, number: signal.Signals) -> Done:
        if phase in DATA:
            return _of_the_data(lab, phase, number)
        done = _at(lab, phase, number, *CHECKS[phase].split())
        assert ("verdict: incomplete (interrupted;" in done.out) == (not sees), done
        assert ("not explored" in done.out and "td-error" in done.out) == (phase == "comparing"), done
        return done

    def interrupted(lab: Lab) -> Done:
        numbers = (signal.SIGTERM, signal.SIGINT)
        found = [one(type(lab)(lab.folder / number.name, lab.whole), number) for number in numbers]
        said = {
            (done.code, lab.said(done).replace(number.name, "")) for done, number in zip(found, numbers, strict=True)
        }
        assert len(said) == 1, found
        return Done(found[1].code, found[1].out, found[1].err.replace(f"/{signal.SIGINT.name}", ""))

    interrupted.__name__ = f"ctrl_c_in_{phase.replace(' ', '_')}"
    fault(f"Ctrl-C or SIGTERM: {phase}", sees, 130, kept, then, long=True)(interrupted)


EXPLORED = "what was explored, as an answer that is incomplete"
PLANNING = (
    "error: interrupted while planning, at point 2 of 4: "
    "tdxexplore check v19 --module subset --cpus 3 --scenario late-online"
)
COMPARING = "error: interrupted; N of 4 cells were explored"
WRITING = "error: interrupted; N of 4 points are in DIR/out, and the same command goes on"

_row("recording", "error: interrupted", "-", "answers")
_row("lowering", "error: interrupted", "-", "answers")
_row("search", "", EXPLORED, "answers")
_row("measures", "", EXPLORED, "answers")
_row("prices", "", EXPLORED, "answers")
_row("traces", "error: interrupted", "-", "answers")
_row("counting", "", EXPLORED, "answers")
_row("comparing", COMPARING, "the cells that were explored, as an answer", "answers")
_row("planning", PLANNING, "everything", "explores nothing")
_row("writing", WRITING, "the points that were finished", "explores the rest")
_row("compacting", "error: interrupted", "everything", "compacts")
_row("changing places", "error: interrupted", "everything", "undoes it")
_row("analysing", "error: interrupted", "everything", "answers")


WHEREVER = ", ".join((*CHECKS, *DATA)).replace("changing places", "tables changing places")


@fault(f"SIGHUP: {WHEREVER}", "", -1, "everything that was written", "does the rest, or answers", long=True)
def sighup_in_each_phase(lab: Lab) -> Done:
    """It ends the process in whatever phase: nobody is there to be told anything. All say the same."""
    number = signal.SIGHUP
    found = [_of_the_data(type(lab)(lab.folder / phase, lab.whole), phase, number) for phase in DATA]
    found += [_at(lab, phase, number, *words.split()) for phase, words in CHECKS.items()]
    assert {*DATA, *CHECKS} == set(PHASES)
    assert len({(done.code, done.out, done.err) for done in found}) == 1, found
    return found[0]


# -- before and after a command ---------------------------------------------------------------------------------------

ENDING = ("SIGTERM", "SIGINT")
SENDS = "import os, signal\nos.kill(os.getpid(), getattr(signal, os.environ['SENT']))\n"
AT_EXIT = "import atexit\n@atexit.register\ndef send():\n    " + SENDS.replace("\n", "\n    ")


def _with_module(lab: Lab, name: str, text: str) -> Done:
    """A check that imports a module of the user's in the place of another, for each of the signals, which do the same."""
    (lab.folder / f"{name}.py").write_text(text)
    places = os.pathsep.join([str(lab.folder), *sys.path])
    found = [ended(lab.start(*HOLDS, env={**os.environ, "PYTHONPATH": places, "SENT": sent})) for sent in ENDING]
    assert [(one.code, one.err) for one in found] == [(found[0].code, found[0].err)] * len(ENDING), found
    assert found[0].err.count("\n") == 1, found
    assert {"verdict: holds" in one.out for one in found} == {name == "sitecustomize"}
    return found[0]


@fault("Ctrl-C or SIGTERM: the command line is loaded", "error: interrupted", 130)
def ctrl_c_while_it_loads(lab: Lab) -> Done:
    return _with_module(lab, "cyclopts", SENDS)


@fault("Ctrl-C or SIGTERM: the process ends", "error: interrupted", 130, "the answer, which is printed before")
def ctrl_c_at_the_end(lab: Lab) -> Done:
    return _with_module(lab, "sitecustomize", AT_EXIT)


@fault("Ctrl-C or SIGTERM that is ignored, as Ctrl-C is in the background of a script", "", 0, "everything")
def ctrl_c_is_ignored(lab: Lab) -> Done:
    send = "".join(f"        os.kill(os.getpid(), signal.{name})\n" for name in ENDING)
    body = f"    def declare(self, w):\n{send}        super().declare(w)\n"
    (lab.folder / "mine.py").write_text("import os, signal\n" + MINE + body)
    done = lab.shell("trap '' INT TERM; tdxexplore check mine.py:Mine --cpus 2")
    assert "verdict: holds" in done.out
    return done
