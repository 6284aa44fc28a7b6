"""The process: ``tdxexplore`` and ``python -m tdxexplore``, and how signals end it.

Ctrl-C and SIGTERM raise `KeyboardInterrupt` in a command, which says what was done. Before and after a command there is
nothing to keep: the process ends at once, with the same line and exit code. A signal that was ignored when the process began, as
Ctrl-C is in the background of a script, stays ignored.
"""

from __future__ import annotations

import os
import signal
import sys

from tdxexplore.system import other_system

TYPE_CHECKING = False  # `typing` would take most of the time until Ctrl-C is heard
if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130  # `tdxexplore.cli.exits`, which takes a moment to load
_ENDING = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""The signals that ask the process to end, and what Python does about them if they are not ignored."""


def main() -> None:
    """Load the command line and run it."""
    if other := other_system():
        sys.stderr.write(f"tdxexplore: error: {other}\n")
        sys.exit(2)  # bad input: `tdxexplore.cli.exits`, which does not load here
    heard = [number for number, usual in _ENDING.items() if signal.getsignal(number) is usual]
    try:
        _on(heard, _end)
        from tdxexplore import cli  # noqa: PLC0415 -- takes a moment

        _on(heard, signal.default_int_handler)
        cli.main()
    except KeyboardInterrupt:  # just before the command, just after it, or a second one while the first is answered
        _end()
    finally:
        _on(heard, _end)


def _on(numbers: list[signal.Signals], handler: Callable[..., object]) -> None:
    for number in numbers:
        signal.signal(number, handler)


def _end(*_: object) -> None:
    """End the process without its finalization, in which an interrupt would show a traceback."""
    try:
        os.write(2, b"tdxexplore: error: interrupted\n")
    finally:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
