"""The tables that a report shows: of a data set, or of the folder of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore.data.files import ORIGIN
from tdxexplore.data.reading import Dataset
from tdxexplore.data.schema import QUESTION, SCHEMA_VERSION, TABLES
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tdxexplore.data.reading import Skipped

_READ = ("runs", "outcomes", "properties")
_MATRIX = "matrix"


@dataclass(frozen=True, slots=True)
class Source:
    """What was read.

    Attributes:
        folder: Where it lies.
        runs: A row for each point, sorted by what it asks.
        outcomes: A row for each outcome that was reached, most severe first for each point.
        properties: A row for each invariant, expectation and response.
        unanswered: The columns of a question, ``verdict`` and ``reason`` of cells of a comparison that have no answer.
        origin: Name, note, hash and git revision of the sweep file; empty for a comparison.
        skipped: Files that were left out.
    """

    folder: Path
    runs: pl.DataFrame
    outcomes: pl.DataFrame
    properties: pl.DataFrame
    unanswered: pl.DataFrame
    origin: Mapping[str, str]
    skipped: tuple[Skipped, ...] = ()


def read(folder: Path) -> Source:
    """Read the tables of a folder.

    Raises:
        BadDataset: It is neither a data set nor the folder of a comparison, is of another schema, or is damaged.
    """
    return _comparison(folder) if (folder / f"{_MATRIX}.parquet").is_file() else _data_set(folder)


def _data_set(folder: Path) -> Source:
    data = Dataset(folder)
    data.collect(data.answers.head(0))  # refuses two answers to one question
    tables = [data.collect(data.scan(name)) for name in _READ]
    parts = data.parts("runs")
    about = _about(pq.read_schema(parts[0].path)) if parts else {}
    empty = tables[0].select(*QUESTION, "verdict", "reason").clear()
    return _sorted(folder, tables, empty, {name: about.get(name, "") for name in ORIGIN}, tuple(data.skipped))


def _comparison(folder: Path) -> Source:
    runs, outcomes, properties, matrix = (_table(folder, name) for name in (*_READ, _MATRIX))
    unanswered = matrix.select(*QUESTION, "verdict", "reason").join(runs, on=QUESTION, how="anti")
    return _sorted(folder, [runs, outcomes, properties], unanswered, {})


def _sorted(
    folder: Path,
    tables: list[pl.DataFrame],
    unanswered: pl.DataFrame,
    origin: Mapping[str, str],
    skipped: tuple[Skipped, ...] = (),
) -> Source:
    runs, outcomes, properties = tables
    return Source(
        folder,
        runs.sort(QUESTION),
        outcomes.sort("point", "rank"),
        properties.sort("point", "kind", "property"),
        unanswered.sort(QUESTION),
        origin,
        skipped,
    )


def _table(folder: Path, name: str) -> pl.DataFrame:
    path = folder / f"{name}.parquet"
    try:
        version = _about(pq.read_schema(path)).get("schema_version", "unknown")
        if version != str(SCHEMA_VERSION):
            raise BadDataset(f"{path}: it is of schema {version}; this version reads schema {SCHEMA_VERSION}")
        rows = pl.read_parquet(path, glob=False)
        missing = [c.name for c in TABLES.get(name, ()) if c.name not in rows.columns]
    except FileNotFoundError:
        raise BadDataset(
            f"{folder}: it has `{_MATRIX}.parquet` and no `{path.name}`; compare again with --out"
        ) from None
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise BadDataset(f"{path}: damaged: {str(error).splitlines()[0]}") from error
    if missing:
        raise BadDataset(f"{path}: it has no column `{missing[0]}`; compare again with --out")
    return rows


def _about(schema: pa.Schema) -> dict[str, str]:
    return {key.decode().removeprefix("tdxexplore."): value.decode() for key, value in (schema.metadata or {}).items()}
