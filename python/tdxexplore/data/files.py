"""Where the files of a data set lie, and how one is written. `schema` says which columns they have.

::

    DIR/runs/policy=v19/module=strict/<point>.parquet     a row for the point: verdict and figures
    DIR/outcomes/...                                      a row for each outcome that was reached
    DIR/properties/...                                    a row for each invariant, expectation and response
    DIR/prices/...                                        a row for each outcome and price
    DIR/levels/...                                        a row for each depth
    DIR/rules/...                                         a row for each way through each step
    DIR/traces.parquet                                    drawings of traces that a report has made; may be missing
    DIR/.tmp                                              files that are being written
    DIR/.lock                                             the mark of a data set, held by whoever writes (`holding`)
    DIR/.checked                                          which files a sweep need not read again (`checked`)

Any reader of hive-partitioned Parquet reads ``DIR/runs/**/*.parquet``.

Invariant: a reader never sees a part of a file. A file is written in ``.tmp`` and then renamed. The temporary file does not
lie beside its final place, because Polars refuses to scan a folder that holds anything but Parquet. The file in `runs` is
the last that a point gets: a point is done when every table has its file.

Merged files are flushed to the disk before they replace others. The files of single points are not, as flushing takes longer
than most searches: after a power failure those of the last seconds may be damaged, and the next sweep explores their points
again.

Each page has a checksum, and no file has column statistics: a reader skips row groups by statistics, which have no checksum.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore._version import __version__
from tdxexplore.data.schema import PARTITION, SCHEMA_VERSION, TABLES, TIMING, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

MERGED = "merged-"
"""How the name of a file begins that holds the rows of many points."""

ORIGIN = ("spec", "note", "spec_digest", "spec_revision")
"""The keys of a file's metadata that say where its point comes from."""

TMP, LOCK, COMPACTING, CHECKED = ".tmp", ".lock", ".compacting", ".checked"

DRAWN = "traces.parquet"
"""The traces that a report keeps beside the tables; see `tdxexplore.report.kept`."""

OWN = frozenset({*TABLES, TMP, LOCK, COMPACTING, CHECKED, DRAWN})
"""The names that a data set's folder may hold."""

_FILE = re.compile(rf"(?:[0-9a-f]{{32}}|{MERGED}[0-9a-f]{{32}})\.parquet")


def folder_of(partition: Mapping[str, str]) -> Path:
    """The folder of a partition inside that of its table."""
    return Path(*(f"{name}={quote(partition[name], safe='')}" for name in PARTITION))


def partition_of(path: Path) -> dict[str, str] | None:
    """The partition that the path of a file inside the folder of its table says; None if it is no path of a data set."""
    pairs = [segment.partition("=") for segment in path.parts[:-1]]
    if tuple(name for name, _, _ in pairs) != PARTITION or not _FILE.fullmatch(path.name):
        return None
    return {name: unquote(value) for name, _, value in pairs}


def write_point(
    root: Path,
    point: str,
    tables: Mapping[str, pl.DataFrame],
    origin: Mapping[str, str],
    better: Callable[[Path, str, Mapping[str, str]], bool] = lambda *_: False,
    written_as: Callable[[str, Mapping[str, Path]], object] = lambda *_: None,
) -> bool:
    """Write the files of a point, one for each table. They replace those of an earlier try, unless that was better.

    Args:
        root: The data set.
        point: Identity of the point.
        tables: A frame for each of `TABLES`, with its columns but for the point's.
        origin: The values of `ORIGIN`.
        better: Whether the data set holds a better answer to the point, given its partition. No other writer of points is
            between this question and the new files.
        written_as: Called with what the files have in common, and with the file of each table, before another writer of points
            may replace them.

    Returns:
        Whether they were written.

    Raises:
        OSError: A file cannot be written; no part of it is left in sight.
    """
    key = tables["runs"].row(0, named=True)
    partition = {name: str(key[name]) for name in PARTITION}
    search = repr([(name, value) for name, value in key.items() if name not in TIMING])
    about = {
        "point": point,
        "digest": str(key["digest"]),
        "search": hashlib.blake2b(search.encode(), digest_size=8).hexdigest(),
        **origin,
    }
    name = f"{point}.parquet"
    with ExitStack() as stack:
        written: list[tuple[Path, Path]] = []
        for table in reversed(TABLES):  # runs last: a point without it has not been explored
            rows = pa.table(tables[table])
            rows = rows.append_column("point", pa.repeat(point, len(rows)))
            pair = stack.enter_context(_written(root, table, partition, name, rows, about))
            written.append(pair)
        with _one_point_at_a_time(root):
            if better(root, point, partition):
                return False
            for temporary, path in written:
                temporary.replace(path)
            written_as(
                about["search"], {table: path for table, (_, path) in zip(reversed(TABLES), written, strict=True)}
            )
    return True


def write_file(
    root: Path,
    table: str,
    partition: Mapping[str, str],
    name: str,
    rows: pa.Table,
    about: Mapping[str, str],
) -> None:
    """Write one file of a table.

    Args:
        root: The data set.
        table: One of `TABLES`.
        partition: The values of `PARTITION`, which its path says.
        name: Its name; that of a merged file begins with `MERGED`.
        rows: At least the table's columns but for the partition.
        about: What its metadata says besides table, version and partition.

    Raises:
        OSError: It cannot be written; no part of it is left in sight.
    """
    with _written(root, table, partition, name, rows, about) as (temporary, path):
        temporary.replace(path)


@contextmanager
def _written(
    root: Path,
    table: str,
    partition: Mapping[str, str],
    name: str,
    rows: pa.Table,
    about: Mapping[str, str],
) -> Iterator[tuple[Path, Path]]:
    """A file in `TMP` with the rows, and the path where it belongs; if nobody moves it there, it is removed."""
    metadata = {"schema_version": str(SCHEMA_VERSION), "table": table, "version": __version__, **partition, **about}
    wanted = schema(table, metadata)
    merged = name.startswith(MERGED)
    (root / TMP).mkdir(exist_ok=True)  # not its parents: a data set that was deleted meanwhile is an error
    folder = root / table / folder_of(partition)
    folder.mkdir(parents=True, exist_ok=True)
    handle, text = tempfile.mkstemp(dir=root / TMP)
    temporary = Path(text)
    try:
        with os.fdopen(handle, "wb") as sink:
            buffer = pa.BufferOutputStream()
            pq.write_table(
                rows.select(wanted.names).cast(wanted),
                buffer,
                compression="zstd" if merged else "none",  # the file of a point takes a block or two either way
                write_statistics=False,
                write_page_checksum=True,
            )
            sink.write(buffer.getvalue())
            if merged:
                sink.flush()
                os.fsync(sink.fileno())
        temporary.chmod(0o644)
        yield temporary, folder / name
    except OSError as error:
        if error.filename is None:
            raise type(error)(error.errno, error.strerror or str(error), str(folder / name)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _one_point_at_a_time(root: Path) -> Iterator[None]:
    """Hold other writers of points off, in this process and others."""
    handle = os.open(root / TMP, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a network file system may not lock folders: then the last writer wins
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
