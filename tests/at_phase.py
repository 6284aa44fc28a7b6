"""Sends this process a signal when it comes to a phase, and runs a command: ``python at_phase.py PHASE SIGNAL WORD...``."""

from __future__ import annotations

import os
import signal
import sys
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
    "planning": ("tdxexplore.sweep.plan:_Held.answer", 2),
    "writing": ("tdxexplore.sweep.batch:keep", 2),
    "compacting": ("tdxexplore.data.compacting:write_file", 2),
    "changing places": ("pathlib:Path.rename", 4),
    "analysing": ("tdxexplore.data.reading:inspect", 3),
}
"""Where a phase begins in Python: the function that is called, and which of its calls it is."""

INSIDE: dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    "search": lambda now, before: now["explored"] > 1,
    "measures": lambda now, before: now == before and now["frontier"] == 0,
    "counting": lambda now, before: now["expected_states"] is not None,
}
"""How the counters of the engine, and those half a second before, tell a phase; the counters stand still in the measures."""


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
            before: dict[str, Any] = {}

            def look(counters: Any) -> None:
                if INSIDE[phase](counters, before):
                    send()
                before.update(counters)
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


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    phase, number, *words = sys.argv[1:]
    arm(phase, signal.Signals[number])
    sys.argv[1:] = words
    cli.main()
