"""Opening a data set: every file is checked before its table is read, and what is left out is named.

A table is checked as a whole when it is first asked for: each file is read once, with the checksums of its pages, and its
metadata is compared with the place where it lies. Reading twice costs less than a wrong answer: Parquet readers skip
checksums by default, and a file that was copied to another partition reads without complaint.

A file that is damaged or foreign is left out and named. A file of another schema version refuses the whole data set: it is
whole, and only this version of tdxexplore cannot read it. Leaving such files out would turn a data set of another version into
an empty one, which a sweep would then fill again from the start.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore._version import __version__
from tdxexplore.data.files import MERGED, OWN, partition_of
from tdxexplore.data.schema import PARTITION, POINT, QUESTION, SCHEMA_VERSION, TABLES, polars_types, schema
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


_NAMED = 3


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not read.

    Attributes:
        path: The file.
        reason: Why.
        lost: Whether it lies where results belong, so that some are missing.
    """

    path: Path
    reason: str
    lost: bool

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
        points: The points that it has rows of.
    """

    path: Path
    partition: Mapping[str, str]
    points: tuple[str, ...]

    @property
    def merged(self) -> bool:
        """Whether it may hold the rows of many points."""
        return self.path.name.startswith(MERGED)


class Dataset:
    """A data set, opened for reading.

    Args:
        root: The folder.

    Raises:
        BadDataset: The folder is not a data set. Every method that reads a table raises it for a data set of another schema.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise BadDataset(f"{root}: not a folder; a data set is what `tdxexplore sweep SPEC --out DIR` writes")
        if not (root / "runs").is_dir():
            raise BadDataset(f"{root}: not a data set: it has no folder `runs`")
        self._checked: dict[str, tuple[list[Part], list[Skipped]]] = {}

    # -- files --------------------------------------------------------------------------------------------------------

    def parts(self, table: str) -> list[Part]:
        """The files of a table that are read, sorted by path."""
        return self._check(table)[0]

    @property
    def files(self) -> int:
        """How many files the tables asked for so far have."""
        return sum(len(parts) for parts, _ in self._checked.values())

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out of the tables asked for so far, and foreign files beside them."""
        return foreign(self.root) + [s for _, skipped in self._checked.values() for s in skipped]

    @property
    def done(self) -> set[str]:
        """The points of which every table has its file. A merged file of `runs` has only points that are done."""
        merged = {point for part in self.parts("runs") if part.merged for point in part.points}
        single = Counter(part.path.stem for table in TABLES for part in self.parts(table) if not part.merged)
        return merged | {point for point, files in single.items() if files == len(TABLES)}

    def _check(self, table: str) -> tuple[list[Part], list[Skipped]]:
        if table not in self._checked:
            paths = sorted(path for path in (self.root / table).rglob("*") if not path.is_dir())
            with ThreadPoolExecutor() as pool:
                found = list(pool.map(lambda path: _inspect(self.root, table, path), paths))
            self._refuse_other_schemas([one for one in found if isinstance(one, OtherSchema)])
            merged = {point: f.path for f in found if isinstance(f, Part) and f.merged for point in f.points}
            kept = [_unless_merged(one, merged) for one in found if not isinstance(one, OtherSchema)]
            self._checked[table] = (
                [one for one in kept if isinstance(one, Part)],
                [one for one in kept if isinstance(one, Skipped)],
            )
        return self._checked[table]

    def _refuse_other_schemas(self, found: Sequence[OtherSchema]) -> None:
        if found:
            raise BadDataset(
                f"{self.root}: {len(found):,} files are of another schema of data sets, as {found[0]}; tdxexplore {__version__} "
                f"reads and writes schema {SCHEMA_VERSION}: use the other version for this data set, or sweep into a new folder"
            )

    # -- tables -------------------------------------------------------------------------------------------------------

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

    @property
    def runs(self) -> pl.LazyFrame:
        """A row for each point."""
        return self.scan("runs")

    @cached_property
    def answers(self) -> pl.LazyFrame:
        """A row for each point and outcome, with the verdict of the point's run and what else fails: see `answers`.

        Raises:
            BadDataset: The data set holds two answers to the same question.
        """
        return answers(*self._answered())

    @property
    def findings(self) -> pl.LazyFrame:
        """A row for each point and outcome that is reached or property that fails: see `findings`.

        Raises:
            BadDataset: The data set holds two answers to the same question.
        """
        return findings(*self._answered())

    @property
    def prices(self) -> pl.LazyFrame:
        """A row for each point, outcome and price, with the verdict of the run and the outcome's share of the interleavings.

        Raises:
            BadDataset: The data set holds two answers to the same question.
        """
        shares = self.answers.select("point", "rank", "verdict", "complete", "interleaving_share")
        return self.scan("prices").join(shares, on=["point", "rank"])

    def _answered(self) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
        """Runs, outcomes and properties of a data set that holds one answer to each question."""
        runs = self.runs
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
        return runs, self.scan("outcomes"), self.scan("properties")


_POINT = tuple(c.name for c in POINT)
_RUN = ("verdict", "complete", "reason")
_ALL = {"all_interleavings": "interleavings", "log10_all_interleavings": "log10_interleavings"}


def answers(runs: pl.LazyFrame, outcomes: pl.LazyFrame, properties: pl.LazyFrame) -> pl.LazyFrame:
    """The runs and outcomes of a data set, or of a comparison, joined: what most questions read.

    Returns:
        A row for each point and outcome, with the point's ``verdict``, ``complete`` and ``reason``; its interleavings of all
        outcomes (``all_interleavings``); the names of the invariants that fail (``broken``) and of the responses that can be
        lost (``lost``), separated by spaces; and the worst severity of these responses (``lost_severity``). A point that
        reached no outcome has one row without an outcome.
    """
    failing = properties.filter("fails").sort("property")

    def names(kind: str) -> pl.Expr:
        return pl.col("property").filter(pl.col("kind") == kind).str.join(" ")

    lost_severity = pl.col("severity").filter(pl.col("kind") == "response").min()
    failed = failing.group_by("point").agg(
        broken=names("invariant"), lost=names("response"), lost_severity=lost_severity
    )
    return (
        runs.select(*_POINT, *_RUN, *(pl.col(name).alias(whole) for whole, name in _ALL.items()))
        .join(failed, on="point", how="left")
        .with_columns(pl.col("broken", "lost").fill_null(""))
        .join(outcomes.drop(_POINT[1:]), on="point", how="left")
    )


def findings(runs: pl.LazyFrame, outcomes: pl.LazyFrame, properties: pl.LazyFrame) -> pl.LazyFrame:
    """What was found at each point.

    Returns:
        A row for each point and outcome that is reached, invariant that fails, response that can be lost, or expectation that is
        never met, with the point's ``verdict``, ``complete`` and ``reason``, and ``kind``, ``finding``
        (its name), ``severity``, ``states`` (terminal ones of an outcome), ``interleavings``, ``interleaving_share``,
        ``probability``, ``shortest_steps`` and ``schedule``. A point without a finding has one row of nulls.
    """
    reached = outcomes.rename({"outcome": "finding", "terminal_states": "states"}).with_columns(kind=pl.lit("outcome"))
    failing = properties.filter("fails").rename({"property": "finding"})
    columns = ("point", "kind", "finding", "severity", "states", "shortest_steps", "schedule")
    measured = ("interleavings", "interleaving_share", "probability")
    rows = pl.concat([reached.select(*columns, *measured), failing.select(columns)], how="diagonal")
    return runs.select(*_POINT, *_RUN).join(rows, on="point", how="left")


def finished(root: Path) -> tuple[pl.DataFrame, list[Skipped]]:
    """The runs of the points that are done, and the files that were left out; of a folder that may not exist yet."""
    if not (root / "runs").is_dir():
        return pl.DataFrame(schema=polars_types("runs")), foreign(root)
    data = Dataset(root)
    runs = data.collect(data.runs).filter(pl.col("point").is_in(data.done))
    return runs, data.skipped


def foreign(root: Path) -> list[Skipped]:
    """What lies in the folder of a data set and is no part of one, by path."""
    found = sorted(path for path in root.iterdir() if path.name not in OWN) if root.is_dir() else []
    return [Skipped(path, "not part of a data set", lost=False) for path in found]


# -- checking one file ------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """Why a file in the place of results is not read."""


def _inspect(root: Path, table: str, path: Path) -> Part | Skipped | OtherSchema:
    """Read all of a file, checksums and all, and compare what it says about itself with where it lies."""
    partition = partition_of(path.relative_to(root / table))
    if partition is None:
        return Skipped(path, "not part of a data set", lost=False)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = _about(file.schema_arrow)
            if about["schema_version"] != str(SCHEMA_VERSION):
                return OtherSchema(path, about["schema_version"], about["version"])
            _compare(about, table, partition, path)
            if not file.schema_arrow.equals(schema(table, {}), check_metadata=False):
                return OtherSchema(path, "with other columns", about["version"])
            return Part(path, partition, _points(file, path))
    except _Refused as refused:
        return Skipped(path, str(refused), lost=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        return Skipped(path, f"damaged: {what}", lost=True)


def _about(stored: pa.Schema) -> defaultdict[str, str]:
    """What a file says about itself; the empty text for what it does not say."""
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


def _points(file: pq.ParquetFile, path: Path) -> tuple[str, ...]:
    """The points of a file, of which every page is read and its checksum compared."""
    points: set[str] = set()
    for group in range(file.num_row_groups):
        points.update(file.read_row_group(group, use_threads=False).column("point").unique().to_pylist())
    if not path.name.startswith(MERGED) and not points <= {path.stem}:
        raise _Refused("it holds rows of another point")
    return tuple(sorted(points))


def _unless_merged(found: Part | Skipped, merged: Mapping[str, Path]) -> Part | Skipped:
    """Prefer a merged file to one of the same point: a compaction that was killed at its end leaves both."""
    if isinstance(found, Part) and found.path.stem in merged:
        return Skipped(found.path, f"its point is also in `{merged[found.path.stem].name}`", lost=False)
    return found
