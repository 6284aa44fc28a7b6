"""The code blocks of a page of the manual, followed as a reader follows them: in order, in an empty folder.

- ``python`` that begins with ``# NAME.py`` is a file that the reader writes; other Python runs.
- ``diff`` changes the file that was written last.
- ``console`` has commands after ``$``, each with its output. A line ``...`` stands for any lines, ``...`` in a line for any text.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from tdxexplore import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

WIDTH = 88


class Reader:
    """Somebody who follows a page.

    Attributes:
        done: How many blocks of each kind were followed, and how many commands.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.done = {"python": 0, "file": 0, "diff": 0, "console": 0, "command": 0}
        self._last: Path | None = None
        self._names: dict[str, object] = {}
        self._code = 0

    def follow(self, page: str) -> None:
        for kind, text in blocks(page):
            file = re.match(r"# (\w+\.py)\n", text) if kind == "python" else None
            if file is not None:
                self._last = self.folder / file[1]
                self._last.write_text(text)
            elif kind == "python":
                exec(text, self._names)
            elif kind == "diff":
                self._change(text)
            elif kind == "console":
                for command, expected in commands(text):
                    self._run(command, expected)
            else:
                continue
            self.done["file" if file else kind] += 1

    def _change(self, diff: str) -> None:
        assert self._last is not None
        lines = diff.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in ("- ", "+ "))
        text = self._last.read_text()
        assert text.count(before) == 1, f"{self._last.name} does not have once:\n{before}"
        self._last.write_text(text.replace(before, after))

    def _run(self, command: str, expected: str) -> None:
        self.capsys.readouterr()
        match shlex.split(command):
            case ["tdxexplore", *words]:
                self._code = cli.run(words)
                printed = self.capsys.readouterr()
                found = printed.out + printed.err
            case ["echo", "$?"]:
                found = f"{self._code}\n"
            case words:
                raise AssertionError(f"no reader of the tests knows the command {words}")
        found = "\n".join(line.rstrip() for line in found.rstrip().splitlines()) + "\n"
        assert pattern(expected).fullmatch(found), f"$ {command}\nprints\n{found}\nand not\n{expected}"
        self.done["command"] += 1


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each code block."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


def commands(console: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with its output."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command = ""
        lines = part.splitlines()
        while (line := lines.pop(0)).endswith("\\"):
            command += line[:-1]
        yield command + line, "\n".join(lines).rstrip()


def pattern(expected: str) -> re.Pattern[str]:
    """What output may be, where `...` stands for something."""
    lines = []
    for line in expected.splitlines():
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*")
        else:
            lines.append(".*".join(map(re.escape, line.split("..."))) + r"\n")
    return re.compile("".join(lines))
