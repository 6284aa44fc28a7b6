"""Checking one file of a data set: what it says about itself is compared with the place where it lies.

A file is read once with the checksums of its pages. Reading twice costs less than a wrong answer: Parquet readers skip
checksums by default, and a file that was copied to another partition reads without complaint.
"""

from __future__ import annotations

import stat
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tdxexplore.data.files import MERGED, partition_of
from tdxexplore.data.schema import SCHEMA_VERSION, TABLES, schema
from tdxexplore.model import SEVERITIES
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_NAMED = 3
_DIGITS = frozenset(column.name for columns in TABLES.values() for column in columns if column.digits)
_ID = 32  # characters of a point


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not read.

    Attributes:
        path: The file.
        reason: Why.
        lost: Whether results are missing: it lies where results belong, and nothing else has them.
        replaced: Whether it is a part of the data set of which another has all that it has, or had.
    """

    path: Path
    reason: str
    lost: bool
    replaced: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def in_one_line(skipped: Sequence[Skipped]) -> str:
    """One line about files that are not read, which names the first few of them: at first those with which results are lost."""
    first = sorted(skipped, key=lambda one: not one.lost)[:_NAMED]
    more = len(skipped) - len(first)
    named = "; ".join(map(str, first)) + (f"; and {more:,} more" if more else "")
    return f"{named}; skipped" if len(skipped) == 1 else f"{len(skipped):,} files skipped: {named}"


@dataclass(frozen=True, slots=True)
class OtherSchema:
    """A file that another version of tdxexplore wrote.

    Attributes:
        path: The file.
        schema: The version of its schema, or what else is different.
        version: The tdxexplore that wrote it.
    """

    path: Path
    schema: str
    version: str

    def __str__(self) -> str:
        return f"{self.path} (schema {self.schema or 'unknown'}, of tdxexplore {self.version or 'unknown'})"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a table that passed the checks.

    Attributes:
        path: The file.
        partition: The values of `PARTITION`, from its path.
        points: The points that it is of, also those of which the table has no rows.
        search: What the files of one search of a point have in common; empty in a merged file.
        kept: The points whose rows are read from it; None for all.
    """

    path: Path
    partition: Mapping[str, str]
    points: tuple[str, ...]
    search: str = ""
    kept: frozenset[str] | None = None

    @property
    def merged(self) -> bool:
        """Whether it may hold the rows of many points."""
        return self.path.name.startswith(MERGED)


class _Refused(Exception):
    """Why a file in the place of results is not read."""


def inspect(root: Path, table: str, path: Path, *, pages: bool) -> Part | Skipped | OtherSchema:
    """Check a file.

    Args:
        root: The data set.
        table: The table where it lies.
        path: The file.
        pages: Whether all of it is read, checksums and all, or only what it says about itself.
    """
    partition = partition_of(path.relative_to(root / table))
    if partition is None:
        return Skipped(path, "not part of a data set", lost=False)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would keep the reader waiting
            return Skipped(path, "damaged: not a file", lost=True)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = _about(file.schema_arrow)
            if about["schema_version"] != str(SCHEMA_VERSION):
                return OtherSchema(path, about["schema_version"], about["version"])
            _compare(about, table, partition, path)
            if not file.schema_arrow.equals(schema(table, {}), check_metadata=False):
                return OtherSchema(path, "with other columns", about["version"])
            return Part(path, partition, _points(file, path, about["points"], pages=pages), about["search"])
    except _Refused as refused:
        return Skipped(path, str(refused), lost=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        what = (said or type(error).__name__).splitlines()[0]
        return Skipped(path, f"damaged: {what}", lost=True)


def _about(stored: pa.Schema) -> defaultdict[str, str]:
    """The metadata of a file; the empty text for each that it lacks."""
    metadata = {k.decode(): v.decode() for k, v in (stored.metadata or {}).items()}
    if "tdxexplore.table" not in metadata:
        raise _Refused("a Parquet file, but not of tdxexplore")
    return defaultdict(str, {key.removeprefix("tdxexplore."): value for key, value in metadata.items()})


def _compare(about: Mapping[str, str], table: str, partition: Mapping[str, str], path: Path) -> None:
    expected = {"table": table, **partition}
    if not path.name.startswith(MERGED):
        expected["point"] = path.stem
    for key, value in expected.items():
        if about[key] != value:
            raise _Refused(f"its {key} is `{about[key]}`, and `{value}` belongs here")


def _refuse_values(rows: pa.Table) -> None:
    """Refuse values that no search writes and that whoever reads them could not compute with."""
    for name in rows.column_names:
        column = rows.column(name)
        if name in _DIGITS:
            right = pc.match_substring_regex(column, "^[0-9]+$")
        elif name == "severity":
            right = pc.is_in(column, pa.array(SEVERITIES, pa.string()))
        elif name in ("packages", "cpus"):
            right = pc.fill_null(pc.greater(column, 0), fill_value=False)
        else:
            continue
        wrong = pc.filter(column, pc.invert(right))  # null in `right` is left out: a number that was not computed
        if len(wrong):
            raise _Refused(f"damaged: `{name}` is `{one_line(str(wrong[0]), 60)}`")


def _points(file: pq.ParquetFile, path: Path, named: str, *, pages: bool) -> tuple[str, ...]:
    """The points that a file is of. Of a merged file its metadata names them, as a table may have no rows of some."""
    merged = path.name.startswith(MERGED)
    points = {named[at : at + _ID] for at in range(0, len(named), _ID)} if merged else {path.stem}
    if pages or not points:
        found: set[str] = set()
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, use_threads=False)
            _refuse_values(rows)
            found.update(rows.column("point").unique().to_pylist())
        if points and not found <= points:
            raise _Refused("it holds rows of another point")
        points |= found
    return tuple(sorted(points))
