"""A program is run as a process of its own, measured from outside, and its text read.

Its wall time and its peak resident size come from the kernel (`wait4`), so an interpreter or a virtual machine that has to
start is part of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent


class Missing(Exception):
    """A checker that is not installed."""


class Stopped(Exception):
    """A run that a limit ended.

    Args:
        reason: In words.
        seconds: The limit, if it was time.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True)
class Limits:
    """The seconds and the bytes of memory that a run may use."""

    seconds: float = 600
    memory: int = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 6 // 10


@dataclass(frozen=True)
class Run:
    """The output of a process, and the time and memory that it took."""

    output: str
    seconds: float
    peak_bytes: int


def measured(command: Sequence[str | Path], folder: Path, limits: Limits) -> Run:
    """Run a process to its end.

    Args:
        command: What to run.
        folder: Where.
        limits: Its memory is address space; 0 leaves it alone, as Java reserves far more than it uses.

    Raises:
        Stopped: The time was up.
    """

    output = folder / "output.txt"
    alone: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        HERE / "alone.py",
        str(limits.seconds),
        str(limits.memory),
        output,
    ]
    done = subprocess.run([*alone, *command], cwd=folder, capture_output=True, text=True, check=True)
    used = json.loads(done.stdout)
    text = output.read_text()
    if used["status"] == -signal.SIGKILL and used["seconds"] >= limits.seconds:
        raise Stopped(f"over {limits.seconds:.0f} s", limits.seconds)
    if used["status"] < 0:
        raise Stopped(f"ended by signal {-used['status']}: {tail(text)}")
    return Run(text, used["seconds"], used["peak_bytes"])


def compiled(command: Sequence[str], folder: Path) -> None:
    """Run a compiler."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {tail(done.stdout + done.stderr)}"


def first_line(command: Sequence[str]) -> str:
    """The first line that a program prints, such as its version."""
    if shutil.which(command[0]) is None:
        raise Missing(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def number(pattern: str, text: str) -> float:
    """The number that a pattern finds."""
    match = re.search(pattern, text)
    assert match is not None, f"no `{pattern}` in: {tail(text)}"
    return float(match[1])


def tail(text: str) -> str:
    """The end of an output, in a line."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-5:])[-300:]
