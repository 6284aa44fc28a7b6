"""Runs commands that send themselves a signal when they come to a phase.

A server: each line of its standard input, `[phase, signal, folder, words]` as JSON, is a command. It runs that in a process
of its own and answers with a line, `[exit code, stdout, stderr]`. The process is a fork, so that what all commands import is
imported once; it gets the signal from itself, in the phase, and ends as a command does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tdxexplore import cli
from tdxexplore.explore.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = {
    "recording": ("tdxexplore.explore.design:Design.record", 1),
    "lowering": ("tdxexplore.explore.question:lower", 1),
    "traces": ("tdxexplore.explore.exploration:replay", 1),
    "comparing": ("tdxexplore.sweep.batch:_result", 2),
    "planning": ("tdxexplore.sweep.plan:_Held.answer", 2),
    "writing": ("tdxexplore.sweep.batch:keep", 2),
    "compacting": ("tdxexplore.data.compacting:write_file", 2),
    "changing places": ("pathlib:Path.rename", 4),
    "analysing": ("tdxexplore.data.reading:inspect", 3),
}
"""Where a phase begins in Python: the function that is called, and which of its calls it is."""

INSIDE: dict[str, Callable[[dict[str, Any]], bool]] = {
    "search": lambda now: now["explored"] > 1 and now["figure"] is None,
    "measures": lambda now: now["figure"] not in (None, "prices"),
    "prices": lambda now: now["figure"] == "prices",
    "counting": lambda now: now["expected_states"] is not None,
}
"""How the counters of the engine tell a phase."""

PHASES = (*PLACES, *INSIDE)


def arm(phase: str, number: signal.Signals) -> None:
    """Send the signal when the phase is reached, once."""
    sent: list[str] = []

    def send() -> None:
        if not sent:
            sent.append(phase)
            sys.stderr.write(f"at {phase}\n")
            sys.stderr.flush()
            os.kill(os.getpid(), number)

    if phase in INSIDE:
        explore = Engine.explore

        def watched(self: Engine, initial: str, settings: Any, progress: Any = None, share: float = 1.0) -> Any:
            def look(counters: Any) -> None:
                if INSIDE[phase](counters):
                    send()
                if progress is not None:
                    progress(counters)

            return explore(self, initial, settings, look, share)

        Engine.explore = watched  # type: ignore[method-assign]
        return
    place, nth = PLACES[phase]
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), []

    def counting(*given: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == nth:
            send()
        return original(*given, **named)

    setattr(owner, name, counting)


def serve() -> None:
    """Answer each line of the standard input; return in each process that runs a command."""
    for place, _ in PLACES.values():
        import_module(place.partition(":")[0])
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        phase, number, folder, words = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            # The only other threads are those of allocators and OpenBLAS, which know of forks, and an idle one of Polars.
            if (process := os.fork()) == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os.chdir(folder)
                for ending in (signal.SIGINT, signal.SIGTERM):  # as `tdxexplore.__main__` does
                    signal.signal(ending, signal.default_int_handler)
                arm(phase, signal.Signals[number])
                sys.argv[1:] = words
                return
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            texts = [(stream.seek(0), stream.read().decode())[1] for stream in (out, err)]
        answers.write(json.dumps([code, *texts]) + "\n")
        answers.flush()
    sys.exit()


if __name__ == "__main__":
    serve()
    cli.main()
