"""A table in a file of its own: the columns, units and meanings are those of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore._version import __version__
from tdxexplore.data.schema import ANSWERS, SCHEMA_VERSION, TABLES, field
from tdxexplore.replacing import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

_COLUMNS = {column.name: column for table in reversed([*TABLES.values(), ANSWERS]) for column in table}


def write_table(path: Path, table: str, rows: pl.DataFrame) -> None:
    """Write rows as Parquet. No reader sees a part of the file.

    Args:
        path: The file.
        table: The name of the table, for the metadata.
        rows: Their columns are those of tables of a data set, or what the analysis joins to them.

    Raises:
        OSError: It cannot be written.
    """
    about = {"schema_version": str(SCHEMA_VERSION), "table": table, "version": __version__}
    columns = TABLES.get(table) or [_COLUMNS[name] for name in rows.columns]
    metadata = {f"tdxexplore.{key}": value for key, value in about.items()}
    wanted = pa.schema([field(column) for column in columns], metadata=metadata)
    with replacing(path, named=False) as temporary:
        pq.write_table(pa.table(rows).select(wanted.names).cast(wanted), temporary)
