"""The standard streams of the process, in whatever state it was started with them.

* A closed stream is one that nobody reads: it becomes the null device. Otherwise the next file that is opened gets its number
  and then receives what is printed.
* A character that the encoding of a stream does not have is written as a question mark, so that no answer ends half way.
* Nothing that cannot be written on stderr is an error: the exit code says the same.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_OPEN = {0: "r", 1: "w", 2: "w"}


def prepare() -> None:
    """Open what is closed, and let no character be an error. Called once, before anything is printed."""
    for number, mode in _OPEN.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 -- stays open
            setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
    for written in (sys.stdout, sys.stderr):
        if isinstance(written, io.TextIOWrapper):
            written.reconfigure(errors="replace")


def flush() -> None:
    """Write the rest of the result.

    Raises:
        OSError: It cannot be written.
    """
    sys.stdout.flush()


def give_up(stream: TextIO | None) -> None:
    """Nothing more is written on a stream: at its end the process would try again, and exit with a code of its own."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]
        os.close(null)


def end() -> None:
    """Write the rest of stderr, as far as it takes it. Called once, when the exit code is known."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # a policy may have taken it away
        give_up(sys.stderr)


def tell(line: str) -> None:
    """A line on stderr, as far as it takes one."""
    with suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 -- the message
