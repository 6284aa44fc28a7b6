"""A table of faults, and the place where they are injected; the rows are in ``fault_*.py``, their test is `test_faults`.

A row is a function that injects the real fault and returns the command that met it. The test compares what that command said
and its exit code with the row. The function itself asserts what is kept and what the next run does.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps import bytes_of, spec_file
from tdxexplore import cli
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = """
name = "small"

[grid]
policy = ["v19", "linux-6.16"]
module = "subset"
scenario = "late-online"
cpus = "2-3"
"""
POINTS = 4
HOLDS = ("check", "linux-6.16", "--module", "subset", "--cpus", "2", "--scenario", "late-online")
"""A question whose answer is exit code 0."""

COMMAND = (sys.executable, "-m", "tdxexplore")


@dataclass(frozen=True)
class Done:
    """What a command did: its exit code, standard output and standard error."""

    code: int
    out: str = ""
    err: str = ""


class Lab:
    """A folder to break things in, and a data set with all points of `SPEC` that is not to be changed."""

    def __init__(self, folder: Path, whole: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.whole = folder, whole
        self.out = folder / "out"
        self.spec = spec_file(folder, SPEC)
        self.sweep = ("sweep", str(self.spec), "--out", str(self.out))

    def inside(self, *words: str) -> Done:
        """Run a command in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(words)
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*COMMAND, *words], **{**pipes, "text": True, "cwd": self.folder, **how})

    def shell(self, line: str, **env: str) -> Done:
        """Run a line of bash, in which ``tdxexplore`` is the command; its exit code is that of ``exit``, or of the last."""
        line = f'tdxexplore() {{ "{sys.executable}" -m tdxexplore "$@"; }}; HOLDS="{" ".join(HOLDS)}"; {line}'
        return ended(
            subprocess.Popen(
                ["bash", "-c", line],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=self.folder,
                env={**os.environ, **env},
            )
        )

    def copy(self, *, compacted: bool = False) -> Path:
        """A data set with all points, to be changed."""
        shutil.copytree(self.whole, self.out)
        if compacted:
            assert self.inside("compact", str(self.out)).code == 0
        return self.out

    def files(self, table: str) -> list[Path]:
        return sorted((self.out / table).rglob("*.parquet"))

    def whole_again(self, explored: int) -> None:
        """Sweep again: so many points are explored, and then everything is there, for analysis and compaction too."""
        again = self.inside(*self.sweep)
        assert again.code == 0, again
        assert f"{POINTS} of {POINTS} points in {self.out}; {POINTS - explored} were there" in again.out
        assert self.inside("compact", str(self.out)).code == 0
        assert bytes_of(self.out) == bytes_of(self.whole)
        assert self.inside("analyze", "rank", str(self.out)).code == 0

    def said(self, done: Done) -> str:
        """The last line of the standard error, without what differs from run to run."""
        line = (done.err.splitlines() or [""])[-1].removeprefix("tdxexplore: ").replace(str(self.folder), "DIR")
        line = re.sub(r"\d+ (MiB|threads|of \d+ (?:points|cells))", r"N \1", line)
        return re.sub(r"merged-[0-9a-f]{32}|[0-9a-f]{32}", "FILE", line)


@cache
def undisturbed(text: str) -> dict[str, bytes]:
    """What a sweep file gives when nothing happens."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sweep(load(spec_file(folder, text)), folder / "out")
        return bytes_of(folder / "out")


def ended(process: subprocess.Popen[str], timeout: float = 120) -> Done:
    """Wait for a process."""
    out, err = process.communicate(timeout=timeout)
    return Done(process.returncode, out or "", err or "")


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        what: What happens.
        sees: The last line on the standard error, without ``tdxexplore: ``; empty for none.
        code: The exit code.
        kept: What is kept.
        then: What the next run does.
        inject: Lets it happen.
        long: Whether only ``make test-long`` injects it.
    """

    what: str
    sees: str
    code: int
    kept: str
    then: str
    inject: Callable[[Lab], Done]
    long: bool = False


TABLE: list[Fault] = []


def fault(
    what: str, sees: str, code: int, kept: str = "-", then: str = "answers", *, long: bool = False
) -> Callable[[Callable[[Lab], Done]], Callable[[Lab], Done]]:
    """Make a row of a function."""

    def row(inject: Callable[[Lab], Done]) -> Callable[[Lab], Done]:
        TABLE.append(Fault(what, sees, code, kept, then, inject, long))
        return inject

    return row
