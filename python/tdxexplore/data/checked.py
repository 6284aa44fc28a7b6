"""Which files of a data set have been read from end to end, and were not touched since: a sweep need not read them again.

To go on with a sweep every file of every point was read, ten thousands for a few thousand points. ``.checked`` in the folder
of the data set has a line for each point: the *prints* of its files, which are what `os.stat` says of each. A file with the same
inode, size and times is the one that was read, as writers replace files and never change them, and nobody can set the time of
the last change of an inode.

What a line says holds until the machine starts anew: a power failure may lose what was written last, and leave its size and
times. A reader that finds results lost removes the file (`forget`), so that the next sweep reads everything. Only sweeps
believe it; analysis and compaction read each file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.data.checking import Part, inspect
from tdxexplore.data.files import CHECKED, folder_of, partition_of
from tdxexplore.data.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tdxexplore.data.checking import OtherSchema, Skipped

_BOOT = Path("/proc/sys/kernel/random/boot_id")

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

Print: TypeAlias = tuple[int, int, int, int]


def print_of(path: Path) -> Print | None:
    """A file's print, which differs once it was touched: inode, size, times of the last change of contents and of inode."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def remember(root: Path, lines: Collection[tuple[str, Path, str, Mapping[str, Print | None]]]) -> None:
    """Add points whose files are known to be whole. A folder that takes nothing is no error here.

    Args:
        root: The data set.
        lines: Of each point its name, the folder of its partition, what its files have in common (`Part.search`), and the
            prints of its files by table.
    """
    boot = _boot()
    text = "".join(f"{json.dumps([boot, point, str(inside), search, of])}\n" for point, inside, search, of in lines)
    if not text or not boot:
        return
    with suppress(OSError):
        # One write at the end of the file, which no other writer divides.
        handle = os.open(root / CHECKED, _APPEND, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def forget(root: Path) -> None:
    """Let the next sweep read every file."""
    with suppress(OSError):
        (root / CHECKED).unlink(missing_ok=True)


class Checked:
    """The files of a data set that need not be read.

    Args:
        root: The data set.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._boot = root, _boot()
        self._held: dict[str, tuple[str, str, dict[str, Print]]] = {}
        self._new: dict[str, dict[str, Print | None]] = {}
        with suppress(OSError):
            if (path := root / CHECKED).is_file():  # a pipe would keep the reader waiting
                for line in path.read_text(errors="replace").splitlines():
                    self._take(line)

    def _take(self, line: str) -> None:
        """Take in a line. One that was cut, or is of an earlier start of the machine, says nothing."""
        with suppress(ValueError, TypeError, AttributeError, RecursionError):
            boot, point, inside, search, prints = json.loads(line)
            if boot == self._boot and isinstance(point, str) and isinstance(search, str):
                self._held[point] = str(inside), search, {table: tuple(found) for table, found in prints.items()}

    def inspect(self, table: str, path: Path) -> Part | Skipped | OtherSchema:
        """The same as `checking.inspect`, which reads the whole file; a file that was read before is not read again."""
        now, point = print_of(path), path.stem  # before it is read: another sweep may replace it meanwhile
        partition = partition_of(path.relative_to(self._root / table))
        inside, search, prints = self._held.get(point, ("", "", {}))
        if (
            partition is not None
            and now is not None
            and prints.get(table) == now
            and inside == str(folder_of(partition))
        ):
            return Part(path, partition, (point,), search)
        found = inspect(self._root, table, path, pages=True)
        if isinstance(found, Part) and not found.merged:
            self._new.setdefault(point, {})[table] = now
        return found

    def remember(self, runs: Collection[Part], whole: Collection[str]) -> None:
        """Add what was read of points that are whole.

        Args:
            runs: The files of the table `runs`.
            whole: The points of which every table has its part.
        """
        fresh = [one for one in runs if not one.merged and one.path.stem in whole and one.path.stem in self._new]
        lines = []
        for one in fresh:
            point = one.path.stem
            before = self._held.get(point, ("", "", {}))[2]
            prints = {table: self._new[point].get(table, before.get(table)) for table in TABLES}
            if all(prints.values()):
                lines.append((point, folder_of(one.partition), one.search, prints))
        remember(self._root, lines)


def _boot() -> str:
    """A text that is different after each start of the machine; empty where the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
