"""The data set of a sweep on disk; where its files lie is decided here and nowhere else, and what they hold in `schema`.

::

    DIR/runs/policy=v19/module=strict/<point>.parquet     a row a point: verdict and figures
    DIR/outcomes/...                                      a row for each outcome that was reached
    DIR/prices/...                                        a row for each outcome and price
    DIR/levels/...                                        a row for each depth
    DIR/rules/...                                         a row for each way through each step
    DIR/.tmp                                              files that are being written
    DIR/.lock                                             held by whoever writes

Any reader of hive-partitioned Parquet reads ``DIR/runs/**/*.parquet``. A file is written in ``.tmp`` and then renamed, so
that none is ever seen in part; not beside its place, because Polars refuses to scan a folder that holds anything but
Parquet. Of a point's files that of `runs` comes last: a point is done when all are there.

Merged files wait for the disk before they replace others. Files of points do not, which would take longer than most searches:
after a power failure, those of the last seconds may be damaged, and the next sweep explores their points again.

Every file carries the schema version, the table, the partition and, in each column, its unit and meaning. Pages carry
checksums, and there are no column statistics, which carry none and would decide what a reader skips: `Dataset` checks all
before it hands out a table, and names what it leaves out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore._version import __version__
from tdxexplore.data.schema import PARTITION, POINT, QUESTION, SCHEMA_VERSION, TABLES, TIMING, polars_types, schema
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = (
    "MERGED",
    "ORIGIN",
    "PARTITION",
    "POINT",
    "QUESTION",
    "TABLES",
    "TIMING",
    "Dataset",
    "Part",
    "Skipped",
    "compact",
    "held",
    "write_point",
    "writing",
)

MERGED = "merged-"
ORIGIN = ("spec", "note", "spec_digest", "spec_revision")
"""What the metadata of a file says about where its point comes from."""

_FILE = re.compile(rf"(?:[0-9a-f]{{32}}|{MERGED}[0-9a-f]{{32}})\.parquet")
_COMPACTING, _TMP, _LOCK = ".compacting", ".tmp", ".lock"


# -- writing ----------------------------------------------------------------------------------------------------------


def write_point(root: Path, point: str, tables: Mapping[str, pl.DataFrame], origin: Mapping[str, str]) -> None:
    """Write the files of a point, one a table; another try replaces them.

    Args:
        root: The data set.
        point: Identity of the point.
        tables: A frame for each of `TABLES`, with its columns but for the point's.
        origin: Where it comes from, for the metadata of the files.

    Raises:
        OSError: It cannot be written; no part of a file is left in sight.
    """
    key = tables["runs"].row(0, named=True)
    partition = {name: str(key[name]) for name in PARTITION}
    about = {"point": point, "digest": str(key["digest"]), **origin}
    for table in reversed(TABLES):  # runs last
        rows = pa.table(tables[table])
        rows = rows.append_column("point", pa.repeat(point, len(rows)))
        _write(root, table, partition, f"{point}.parquet", rows, about)


def _write(
    root: Path,
    table: str,
    partition: Mapping[str, str],
    file: str,
    rows: pa.Table,
    about: Mapping[str, str],
    *,
    merged: bool = False,
) -> None:
    metadata = {"schema_version": str(SCHEMA_VERSION), "table": table, "version": __version__, **partition, **about}
    wanted = schema(table, metadata)
    rows = rows.select(wanted.names).cast(wanted)
    folder = root / table / "/".join(f"{name}={quote(value, safe='')}" for name, value in partition.items())
    temporary = root / _TMP
    for needed in (folder, temporary):
        needed.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=temporary)
    try:
        with os.fdopen(handle, "wb") as sink:
            form = "zstd" if merged else "none"  # the file of a point takes a block or two either way
            buffer = pa.BufferOutputStream()
            pq.write_table(rows, buffer, compression=form, write_statistics=False, write_page_checksum=True)
            sink.write(buffer.getvalue())
            if merged:
                sink.flush()
                os.fsync(sink.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(folder / file)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise type(error)(error.errno, error.strerror or str(error), str(folder / file)) from error
        raise


@contextmanager
def writing(root: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold the data set for writing, and clear away what a killed writer left.

    Args:
        root: The data set; created when it is not there.
        alone: No other writer may be there; without it, sweeps may share the data set.

    Raises:
        BadDataset: Another process is writing.
        OSError: The folder cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("w") as lock:
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
    """Undo a compaction that was cut short, and remove temporary files."""
    old = root / _COMPACTING / "old"
    for table in TABLES:
        if (old / table).is_dir() and not (root / table).is_dir():
            (old / table).rename(root / table)
    for leftover in (_COMPACTING, _TMP):
        shutil.rmtree(root / leftover, ignore_errors=True)


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not read.

    Attributes:
        path: The file.
        reason: Why.
        lost: Whether it is in the place of results, so that some are missing.
    """

    path: Path
    reason: str
    lost: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; skipped"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a table that is whole.

    Attributes:
        path: The file.
        policy: Its partition.
        module: Its partition.
        points: The points that it has rows of.
    """

    path: Path
    policy: str
    module: str
    points: tuple[str, ...]


class Dataset:
    """A data set, opened for reading. Every file of a table is checked when the table is first asked for.

    Args:
        root: The folder.

    Raises:
        BadDataset: The folder is not a data set.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise BadDataset(f"{root}: not a folder; a data set is what `tdxexplore sweep SPEC --out DIR` writes")
        if not (root / "runs").is_dir():
            raise BadDataset(f"{root}: not a data set: it has no folder `runs`")
        self._checked: dict[str, tuple[list[Part], list[Skipped]]] = {}

    def parts(self, table: str) -> list[Part]:
        """The whole files of a table, sorted by path."""
        return self._check(table)[0]

    @property
    def files(self) -> int:
        """How many whole files the tables asked for so far have."""
        return sum(len(parts) for parts, _ in self._checked.values())

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out of the tables asked for so far, and foreign files beside them."""
        known = {*TABLES, _TMP, _LOCK, _COMPACTING}
        beside = [Skipped(p, "not part of a data set", lost=False) for p in self.root.iterdir() if p.name not in known]
        return sorted(beside, key=lambda s: s.path) + [s for _, skipped in self._checked.values() for s in skipped]

    def scan(self, table: str) -> pl.LazyFrame:
        """A table, lazily; with the columns of `TABLES`, in the order of the files."""
        columns = [c.name for c in TABLES[table]]
        types = polars_types(table)
        paths = [part.path for part in self.parts(table)]
        if not paths:
            return pl.LazyFrame(schema=types)
        partition = {name: types[name] for name in PARTITION}
        frame = pl.scan_parquet(paths, hive_partitioning=True, hive_schema=partition, glob=False)
        return frame.select(columns)

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """The rows of a query on this data set.

        Raises:
            BadDataset: Polars cannot read a file that pyarrow can: its footer, which has no checksum, is damaged.
        """
        try:
            return frame.collect()
        except pl.exceptions.PolarsError as error:
            for part in (part for parts, _ in self._checked.values() for part in parts):
                try:
                    pl.read_parquet(part.path, glob=False)
                except pl.exceptions.PolarsError as damage:
                    raise BadDataset(f"{part.path}: damaged: {str(damage).splitlines()[0]}; remove it") from error
            raise

    @cached_property
    def answers(self) -> pl.LazyFrame:
        """A row for each point and outcome, with the verdict and reason of its run: what the analysis reads.

        A point whose search ended before any outcome has one row without an outcome.

        Raises:
            BadDataset: The data set holds two answers to the same question.
        """
        runs, outcomes = self.scan("runs"), self.scan("outcomes")
        self._one_answer_each(runs)
        return answers(runs, outcomes)

    @property
    def prices(self) -> pl.LazyFrame:
        """A row for each point, outcome and price, with the verdict of its run and the outcome's share of the interleavings.

        Raises:
            BadDataset: The data set holds two answers to the same question.
        """
        shares = self.answers.select("point", "rank", "verdict", "interleaving_share")
        return self.scan("prices").join(shares, on=["point", "rank"])

    def _one_answer_each(self, runs: pl.LazyFrame) -> None:
        twice = runs.group_by(QUESTION).agg(pl.len(), pl.col("version").unique().sort()).filter(pl.col("len") > 1)
        found = self.collect(twice.sort(QUESTION))
        if len(found):
            row = found.row(0, named=True)
            about = " ".join(f"{name}={row[name]}" for name in QUESTION if row[name] != "")
            versions = ", ".join(row["version"])
            raise BadDataset(
                f"{self.root}: {len(found)} questions have several answers, as {about} of tdxexplore {versions}; "
                "a data set holds one model and one version: sweep each into a folder of its own"
            )

    def _check(self, table: str) -> tuple[list[Part], list[Skipped]]:
        if table not in self._checked:
            paths = sorted(p for p in (self.root / table).rglob("*") if not p.is_dir())
            with ThreadPoolExecutor() as pool:
                found = list(pool.map(lambda path: _inspect(self.root, table, path), paths))
            merged = {
                p: f.path for f in found if isinstance(f, Part) and f.path.name.startswith(MERGED) for p in f.points
            }
            found = [_unless_merged(f, merged) for f in found]
            self._checked[table] = (
                [f for f in found if isinstance(f, Part)],
                [f for f in found if isinstance(f, Skipped)],
            )
        return self._checked[table]


def answers(runs: pl.LazyFrame, outcomes: pl.LazyFrame) -> pl.LazyFrame:
    """Runs and outcomes joined; see `Dataset.answers`."""
    key = [c.name for c in POINT]
    return runs.select(*key, "verdict", "reason").join(outcomes.drop(key[1:]), on="point", how="left")


def _unless_merged(found: Part | Skipped, merged: Mapping[str, Path]) -> Part | Skipped:
    if isinstance(found, Part) and found.path.stem in merged:
        return Skipped(found.path, f"its point is also in `{merged[found.path.stem].name}`", lost=False)
    return found


class _Refused(Exception):
    """A file that is not read, and whether results are lost with it."""

    def __init__(self, reason: str, *, lost: bool) -> None:
        super().__init__(reason)
        self.lost = lost


def _inspect(root: Path, table: str, path: Path) -> Part | Skipped:
    """Read all of a file, checksums and all, and compare what it says about itself with where it lies."""
    try:
        partition = _partition(path.relative_to(root / table))
        points = _points(path, table, partition)
    except _Refused as refused:
        return Skipped(path, str(refused), refused.lost)
    except (OSError, ValueError, pa.ArrowException) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        return Skipped(path, f"damaged: {what}", lost=True)
    return Part(path, partition["policy"], partition["module"], points)


def _points(path: Path, table: str, partition: Mapping[str, str]) -> tuple[str, ...]:
    points: set[str] = set()
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _compare(file.schema_arrow, table, partition, path.name)
        for group in range(file.num_row_groups):
            points.update(file.read_row_group(group, use_threads=False).column("point").unique().to_pylist())
    if not path.name.startswith(MERGED) and not points <= {path.stem}:
        raise _Refused("it holds rows of another point", lost=True)
    return tuple(sorted(points))


def _partition(place: Path) -> dict[str, str]:
    keys = [segment.partition("=") for segment in place.parts[:-1]]
    if tuple(key for key, _, _ in keys) != PARTITION or not _FILE.fullmatch(place.name):
        raise _Refused("not part of a data set", lost=False)
    return {key: unquote(value) for key, _, value in keys}


def _compare(stored: pa.Schema, table: str, partition: Mapping[str, str], name: str) -> None:
    about = {k.decode(): v.decode() for k, v in (stored.metadata or {}).items()}
    if "tdxexplore.table" not in about:
        raise _Refused("a Parquet file, but not of tdxexplore", lost=True)
    expected = {"schema_version": str(SCHEMA_VERSION), "table": table, **partition}
    if not name.startswith(MERGED):
        expected["point"] = name.removesuffix(".parquet")
    for key, value in expected.items():
        given = about.get(f"tdxexplore.{key}")
        if given != value:
            raise _Refused(f"its {key} is `{given}`, and `{value}` belongs here", lost=True)
    if not stored.equals(schema(table, {}), check_metadata=False):
        raise _Refused(f"its columns are not those of table `{table}`", lost=True)


# -- compacting -------------------------------------------------------------------------------------------------------


def compact(root: Path) -> tuple[int, int]:
    """Merge the files of finished points: one file a table and partition, sorted by the key.

    Points whose search was incomplete keep files of their own, so that a sweep with wider limits can replace them. The merged
    tables are built beside the old ones and then take their places.

    Returns:
        How many files there were, and how many there are.

    Raises:
        BadDataset: The folder is not a data set, another process writes to it, or a file is damaged or foreign.
        OSError: It cannot be written; the data set is as before.
    """
    Dataset(root)  # a folder that is none is not created
    with writing(root, alone=True):
        data = Dataset(root)
        before = sum(len(data.parts(table)) for table in TABLES)
        if data.skipped:
            raise BadDataset(
                f"{data.skipped[0].path}: {data.skipped[0].reason}; remove it, or sweep again, then compact"
            )
        incomplete = data.scan("runs").filter(pl.col("verdict") == "incomplete").select("point")
        single = set(data.collect(incomplete)["point"])
        done = _done(data)
        new = root / _COMPACTING / "new"
        try:
            for table in TABLES:
                _merge(data, table, new, done - single, single & done)
        except BaseException:
            shutil.rmtree(root / _COMPACTING, ignore_errors=True)
            raise
        (root / _COMPACTING / "old").mkdir()
        for table in TABLES:
            (root / table).rename(root / _COMPACTING / "old" / table)
            (new / table).rename(root / table)
        shutil.rmtree(root / _COMPACTING)
        after = Dataset(root)
        return before, sum(len(after.parts(table)) for table in TABLES)


def _merge(data: Dataset, table: str, new: Path, merged: set[str], single: set[str]) -> None:
    (new / table).mkdir(parents=True)
    order = [name for name in QUESTION if name not in PARTITION]
    by_partition: dict[tuple[str, str], list[Part]] = {}
    for part in data.parts(table):
        if part.path.stem in single:
            kept = new / part.path.relative_to(data.root)
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.link(part.path, kept)
        else:
            by_partition.setdefault((part.policy, part.module), []).append(part)
    for (policy, module), parts in by_partition.items():
        files = [_read(part.path) for part in parts]
        origins = sorted({json.dumps(o, sort_keys=True) for f in files for o in _origins(f.schema.metadata)})
        bare = [f.replace_schema_metadata(None).cast(schema(table, {}).remove_metadata()) for f in files]
        rows = pl.DataFrame(pa.concat_tables(bare)).filter(pl.col("point").is_in(merged))
        rows = rows.sort(order, maintain_order=True)
        points = "".join(rows["point"].unique().sort())
        name = f"{MERGED}{hashlib.blake2b(points.encode(), digest_size=16).hexdigest()}.parquet"
        about = {"origins": f"[{', '.join(origins)}]"}
        _write(new, table, {"policy": policy, "module": module}, name, rows.to_arrow(), about, merged=True)


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(use_threads=False)


def _origins(metadata: Mapping[bytes, bytes]) -> list[dict[str, str]]:
    about = {k.decode().removeprefix("tdxexplore."): v.decode() for k, v in metadata.items()}
    if "origins" in about:
        merged: list[dict[str, str]] = json.loads(about["origins"])
        return merged
    return [{k: about[k] for k in ORIGIN if k in about}]


def _done(data: Dataset) -> set[str]:
    """The points of which every table has its file; a merged table has those that `runs` has."""
    merged = {p for part in data.parts("runs") if part.path.name.startswith(MERGED) for p in part.points}
    single = Counter(
        part.path.stem for table in TABLES for part in data.parts(table) if not part.path.name.startswith(MERGED)
    )
    return merged | {point for point, files in single.items() if files == len(TABLES)}


def held(root: Path) -> tuple[pl.DataFrame, list[Skipped]]:
    """The runs of the points that are done, and what was left out; nothing for a folder that is not there yet."""
    if not (root / "runs").is_dir():
        foreign: Iterable[Path] = sorted(root.iterdir()) if root.is_dir() else ()
        foreign = [p for p in foreign if p.name not in {*TABLES, _TMP, _LOCK, _COMPACTING}]
        return pl.DataFrame(schema=polars_types("runs")), [
            Skipped(p, "not part of a data set", lost=False) for p in foreign
        ]
    data = Dataset(root)
    done = _done(data)
    runs = data.collect(data.scan("runs")).filter(pl.col("point").is_in(done))
    return runs, data.skipped
