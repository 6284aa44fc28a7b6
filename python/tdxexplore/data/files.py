"""Where the files of a data set lie, how one is written, and who may write. `schema` says which columns they have.

::

    DIR/runs/policy=v19/module=strict/<point>.parquet     a row for the point: verdict and figures
    DIR/outcomes/...                                      a row for each outcome that was reached
    DIR/properties/...                                    a row for each invariant, expectation and response
    DIR/prices/...                                        a row for each outcome and price
    DIR/levels/...                                        a row for each depth
    DIR/rules/...                                         a row for each way through each step
    DIR/traces.parquet                                    drawings of traces that a report has made; may be missing
    DIR/.tmp                                              files that are being written
    DIR/.lock                                             held by whoever writes

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
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore._version import __version__
from tdxexplore.data.schema import PARTITION, SCHEMA_VERSION, TABLES, schema
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

MERGED = "merged-"
"""How the name of a file begins that holds the rows of many points."""

ORIGIN = ("spec", "note", "spec_digest", "spec_revision")
"""The keys of a file's metadata that say where its point comes from."""

TMP, LOCK, COMPACTING = ".tmp", ".lock", ".compacting"

DRAWN = "traces.parquet"
"""What a report keeps beside the tables; see `tdxexplore.report.kept`."""

OWN = frozenset({*TABLES, TMP, LOCK, COMPACTING, DRAWN})
"""What a data set's folder may hold."""

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


def write_point(root: Path, point: str, tables: Mapping[str, pl.DataFrame], origin: Mapping[str, str]) -> None:
    """Write the files of a point, one for each table. They replace those of an earlier try.

    Args:
        root: The data set.
        point: Identity of the point.
        tables: A frame for each of `TABLES`, with its columns but for the point's.
        origin: The values of `ORIGIN`.

    Raises:
        OSError: A file cannot be written; no part of it is left in sight.
    """
    key = tables["runs"].row(0, named=True)
    partition = {name: str(key[name]) for name in PARTITION}
    about = {"point": point, "digest": str(key["digest"]), **origin}
    for table in reversed(TABLES):  # runs last
        rows = pa.table(tables[table])
        rows = rows.append_column("point", pa.repeat(point, len(rows)))
        write_file(root, table, partition, f"{point}.parquet", rows, about)


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
    metadata = {"schema_version": str(SCHEMA_VERSION), "table": table, "version": __version__, **partition, **about}
    wanted = schema(table, metadata)
    merged = name.startswith(MERGED)
    folder = root / table / folder_of(partition)
    for needed in (folder, root / TMP):
        needed.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=root / TMP)
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
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / name)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise type(error)(error.errno, error.strerror or str(error), str(folder / name)) from error
        raise


@contextmanager
def writing(root: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold the data set for writing, and remove what a killed writer left.

    Args:
        root: The data set; created if it does not exist.
        alone: Refuse any other writer. Without it, several sweeps may write at once.

    Raises:
        BadDataset: Another process is writing, and one of the two wants to be alone.
        OSError: The folder cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if alone:
                raise BadDataset(
                    f"{root}: another process writes to this data set; try again when it is done"
                ) from None
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadDataset(f"{root}: it is being compacted; try again when that is done") from None
        else:
            _recover(root)
            if not alone:
                fcntl.flock(lock, fcntl.LOCK_SH)
        with tempfile.TemporaryFile(dir=root):
            pass  # a folder that cannot be written is an error now
        yield


def _recover(root: Path) -> None:
    """Undo a compaction that was cut short (`compacting`), and remove temporary files."""
    old = root / COMPACTING / "old"
    for table in TABLES:
        if (old / table).is_dir() and not (root / table).is_dir():
            (old / table).rename(root / table)
    for leftover in (COMPACTING, TMP):
        shutil.rmtree(root / leftover, ignore_errors=True)
