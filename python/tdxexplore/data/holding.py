"""Who may write to a data set, and what of a folder is a data set's own.

``.lock`` is the mark of a data set: its text says so, and whoever writes holds a lock on it. A folder that holds anything else
and has no mark is somebody else's, and nothing in it is touched.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.data.files import COMPACTING, LOCK, TMP
from tdxexplore.data.schema import PARTITION, TABLES
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = b"tdxexplore data set\n"
_ALONE = _MARK + b"compacting\n"

_PATIENCE = 60.0  # seconds, while another writer removes what a killed one left
_POLL = 0.02


@contextmanager
def writing(root: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold the data set for writing, and remove what a killed writer left.

    Args:
        root: The data set; created if it does not exist, unless `alone`.
        alone: Refuse any other writer. Without it, several sweeps may write at once.

    Raises:
        BadDataset: The folder is somebody else's; or another process is writing, and one of the two wants to be alone.
        OSError: The folder cannot be written.
    """
    if alone and not root.is_dir():
        raise BadDataset(f"{root}: not a folder; a data set is what `tdxexplore sweep SPEC --out DIR` writes")
    if alone and not any((root / known).is_dir() for known in ("runs", COMPACTING)):
        raise BadDataset(f"{root}: not a data set: it has no folder `runs`")
    if not _is_text(root.resolve()):
        raise BadDataset(f"{root}: its path is not UTF-8, and nobody who reads Parquet files finds it")
    root.mkdir(parents=True, exist_ok=True)
    lock = _marked(root)
    try:
        _refuse_links(root)
        if _taken(lock, root, alone=alone):
            _recover(root)
            _write(lock, _ALONE if alone else _MARK, root)
            if not alone:
                fcntl.flock(lock, fcntl.LOCK_SH)
        _refuse_read_only(root)
        try:
            yield
        finally:
            if alone:
                _write(lock, _MARK, root)
    finally:
        os.close(lock)


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _marked(root: Path) -> int:
    """The mark of a data set, opened; a new or empty folder gets one."""
    others = sorted(path.name for path in root.iterdir() if path.name != LOCK)
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        lock = os.open(root / LOCK, flags if others else flags | os.O_CREAT, 0o644)
    except FileNotFoundError:
        raise BadDataset(
            f"{root}: holds `{others[0]}` and is not a data set; name a new or an empty folder, which becomes one"
        ) from None
    # An empty mark is of a data set of an earlier version, or of one that is just being created.
    text = os.read(lock, len(_ALONE) + 1) if stat.S_ISREG(os.fstat(lock).st_mode) else b"none"
    if text in (_MARK, _ALONE) or (not text and (not others or (root / "runs").is_dir())):
        return lock
    os.close(lock)
    raise BadDataset(
        f"{root}: its `{LOCK}` is not that of a data set; name a new or an empty folder, which becomes one"
    )


def _refuse_links(root: Path) -> None:
    """Refuse a folder of the data set that is a link: whoever made it would say where files are written, moved and removed.

    Raises:
        BadDataset: There is one.
    """
    folders = [root / name for name in (*TABLES, TMP, COMPACTING)]
    for deeper in range(len(PARTITION) + 1):
        for folder in folders:
            if folder.is_symlink():
                raise BadDataset(f"{folder}: it is a symbolic link; the folders of a data set are its own")
        if deeper < len(PARTITION):  # the folders of the last level hold files only
            parents = [folder for folder in folders if folder.name != TMP and folder.is_dir()]
            within = [entry for parent in parents for entry in os.scandir(parent)]
            folders = [Path(entry) for entry in within if entry.is_symlink() or entry.is_dir()]


def _refuse_read_only(root: Path) -> None:
    """A folder that cannot be written is an error now."""
    try:
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:  # which names the file
        raise type(error)(error.errno, error.strerror, str(root)) from None


def _taken(lock: int, root: Path, *, alone: bool) -> bool:
    """Lock the data set, and say whether nobody else has: then it may be cleared up."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if alone:
                raise BadDataset(
                    f"{root}: another process writes to this data set; try again when it is done"
                ) from None
        else:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if os.pread(lock, len(_ALONE), 0) == _ALONE or time.monotonic() > until:
                raise BadDataset(f"{root}: it is being compacted; try again when that is done") from None
            time.sleep(_POLL)  # another sweep begins, and clears up
        else:
            return False


def _write(lock: int, text: bytes, root: Path) -> None:
    if os.pread(lock, len(text) + 1, 0) != text:
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, text, 0)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(root / LOCK)) from None


def _recover(root: Path) -> None:
    """Undo a compaction that was cut short (`compacting`), and remove temporary files.

    All tables go back: a point that is merged in one table and has a file of its own in another is not whole (`tying`). A
    process that is killed in here has moved some of them back, and the next one moves the rest.
    """
    old = root / COMPACTING / "old"
    undone = root / COMPACTING / "undone"
    for table in TABLES:
        if (old / table).is_dir():
            if (root / table).is_dir():
                undone.mkdir(exist_ok=True)
                (root / table).rename(undone / table)
            (old / table).rename(root / table)
    for leftover in (COMPACTING, TMP):
        shutil.rmtree(root / leftover, ignore_errors=True)
