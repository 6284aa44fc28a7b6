"""Opening a data set: every file is checked before its table is read, and what is left out is named.

A table is checked as a whole when it is first asked for (`checking`), together with those that answers are joined from, and the
files of all tables are tied by their points (`tying`).

A file that is damaged or foreign is left out and named. A file of another schema version refuses the whole data set: it is
whole, and only this version of tdxexplore cannot read it. Leaving such files out would turn a data set of another version into
an empty one, which a sweep would then fill again from the start.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from tdxexplore._version import __version__
from tdxexplore.data.checked import Checked, forget
from tdxexplore.data.checking import OtherSchema, Skipped, in_one_line, inspect
from tdxexplore.data.files import COMPACTING, OWN
from tdxexplore.data.schema import PARTITION, POINT, QUESTION, SCHEMA_VERSION, TABLES, polars_types
from tdxexplore.data.tying import Tied, tie
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from tdxexplore.data.checking import Part

__all__ = ["Dataset", "Skipped", "answers", "findings", "finished", "foreign", "in_one_line"]

_PATH = "_path"  # a column, while files are read
_JOINED = ("runs", "outcomes", "properties", "prices")
"""The tables that are checked together: most questions join them."""


class Dataset:
    """A data set, opened for reading.

    Args:
        root: The folder.
        checked: Files that need not be read; default: none is believed.

    Raises:
        BadDataset: The folder is not a data set. Every method that reads a table raises it for a data set of another schema.
    """

    def __init__(self, root: Path, checked: Checked | None = None) -> None:
        self.root, self._checked = root, checked
        if not root.is_dir():
            raise BadDataset(f"{root}: not a folder; a data set is what `tdxexplore sweep SPEC --out DIR` writes")
        if (root / COMPACTING / "old").is_dir():
            raise BadDataset(
                f"{root}: a compaction is under way, or was cut short; `tdxexplore compact {root}` does it again"
            )
        if not (root / "runs").is_dir():
            raise BadDataset(f"{root}: not a data set: it has no folder `runs`")
        self._found: dict[str, list[Part | Skipped]] = {}
        self._read: set[str] = set()  # the tables of which all pages were read
        self._asked: set[str] = set()
        self._tied: Tied | None = None

    # -- files --------------------------------------------------------------------------------------------------------

    def parts(self, table: str) -> list[Part]:
        """The files of a table that are read, sorted by path."""
        self._asked.add(table)
        return self._tie({table, *_JOINED}).parts[table]

    @property
    def files(self) -> int:
        """How many files the tables asked for so far have."""
        return sum(len(self.parts(table)) for table in self._asked)

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out of the tables, and foreign files beside them."""
        return foreign(self.root) + [one for some in self._tie(_JOINED).skipped.values() for one in some]

    @property
    def done(self) -> frozenset[str]:
        """The points that every table has."""
        return self._tie(TABLES).whole

    def _tie(self, tables: Collection[str]) -> Tied:
        """The files of all tables, with the pages of some and of all that were asked for before read."""
        if self._tied is None or not self._read.issuperset(tables):
            for table in TABLES:
                if table not in self._found or (table in tables and table not in self._read):
                    self._found[table] = self._inspect(table, pages=table in tables)
            self._read.update(tables)
            self._tied = tie(self._found)
            if any(one.lost for some in self._tied.skipped.values() for one in some):
                forget(self.root)  # the next sweep is to find it too
        return self._tied

    def _inspect(self, table: str, *, pages: bool) -> list[Part | Skipped]:
        paths = sorted(path for path in (self.root / table).rglob("*") if not path.is_dir())
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda path: self._look(table, path, pages=pages), paths))
        self._refuse_other_schemas([one for one in found if isinstance(one, OtherSchema)])
        return [one for one in found if not isinstance(one, OtherSchema)]

    def _look(self, table: str, path: Path, *, pages: bool) -> Part | Skipped | OtherSchema:
        if self._checked is not None:
            return self._checked.inspect(table, path)
        return inspect(self.root, table, path, pages=pages)

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
        parts = self.parts(table)
        if not parts:
            return pl.LazyFrame(schema=polars_types(table))
        return _scan(parts).select(columns)

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """The rows of a query on this data set.

        Raises:
            BadDataset: Polars cannot read a file that pyarrow can: its footer, which has no checksum, is damaged.
        """
        try:
            return frame.collect()
        except pl.exceptions.PolarsError as error:
            for part in (part for table in TABLES for part in self.parts(table)):
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
        return self.scan("prices").join(shares, on=["point", "rank"], maintain_order="left")

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
        .join(failed, on="point", how="left", maintain_order="left")
        .with_columns(pl.col("broken", "lost").fill_null(""))
        .join(outcomes.drop(_POINT[1:]), on="point", how="left", maintain_order="left_right")
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
    return runs.select(*_POINT, *_RUN).join(rows, on="point", how="left", maintain_order="left_right")


def _scan(parts: Sequence[Part]) -> pl.LazyFrame:
    """The rows of files. Their partition is not read from the path: there, folders above the data set have their say."""
    paths = [str(part.path) for part in parts]
    frame = pl.scan_parquet(paths, hive_partitioning=False, glob=False, include_file_paths=_PATH)
    for part in parts:
        if part.kept is not None:
            here = pl.col(_PATH) == str(part.path)
            frame = frame.filter(~here | pl.col("point").is_in(sorted(part.kept)))
    return frame.with_columns(
        pl.col(_PATH)
        .replace_strict(paths, [part.partition[name] for part in parts], return_dtype=pl.String)
        .alias(name)
        for name in PARTITION
    )


def finished(root: Path) -> tuple[pl.DataFrame, list[Skipped]]:
    """The runs of the points that are done, and the files that were left out; of a folder that may not exist yet."""
    if not (root / "runs").is_dir():
        return pl.DataFrame(schema=polars_types("runs")), foreign(root)
    checked = Checked(root)
    data = Dataset(root, checked)
    done = data.done  # which reads all tables, each once
    runs = data.collect(data.runs).filter(pl.col("point").is_in(done))
    checked.remember(data.parts("runs"), done)
    return runs, data.skipped


def foreign(root: Path) -> list[Skipped]:
    """What lies in the folder of a data set and is no part of one, by path."""
    found = sorted(path for path in root.iterdir() if path.name not in OWN) if root.is_dir() else []
    return [Skipped(path, "not part of a data set", lost=False) for path in found]
