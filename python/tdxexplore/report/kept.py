"""Drawings that are kept beside the tables that they belong to, in ``traces.parquet``: to make one, its model has to be recorded.

A file that is damaged or of another format is as good as none, and so is what is no drawing (`shape`). It holds nothing that
cannot be made again, so that whoever writes last wins, and a folder that cannot be written is no error.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore._version import __version__
from tdxexplore.data.files import DRAWN
from tdxexplore.explore.question import no_collection
from tdxexplore.replacing import replacing
from tdxexplore.report.drawing import FORMAT, drawing
from tdxexplore.report.questions import command
from tdxexplore.report.shape import is_drawing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tdxexplore.explore.trace import Trace
    from tdxexplore.report.drawing import Drawing
    from tdxexplore.report.questions import Row

Key: TypeAlias = tuple[str, str]
"""What a drawing is of: the digest of a question, and a schedule."""

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("digest", "schedule", "drawing")],
    metadata={"tdxexplore.made_by": f"{__version__}, format {FORMAT}"},
)


def drawn(trace: Trace, run: Row, why: Drawing | None = None) -> Drawing:
    """A trace as it is kept: with the command that asks its question.

    Args:
        trace: The trace.
        run: The row of its run.
        why: See `drawing`.
    """
    return {"check": command(trace.question, run), **drawing(trace, why)}


def read(folder: Path) -> dict[Key, Drawing]:
    """The drawings that a folder keeps; none if it has no file that can be read."""
    try:
        if not (folder / DRAWN).is_file():  # a pipe would keep the reader waiting
            return {}
        table = pq.read_table(folder / DRAWN, partitioning=None)
        if not table.schema.equals(_SCHEMA, check_metadata=True):
            return {}
        digests, schedules, texts = (column.to_pylist() for column in table.columns)
        keys = zip(digests, schedules, strict=True)
        with no_collection():
            found = {key: json.loads(drawing or "") for key, drawing in zip(keys, texts, strict=True)}
            return {key: drawing for key, drawing in found.items() if is_drawing(drawing)}
    except (OSError, ValueError, RecursionError, pa.ArrowException):
        return {}


def write(folder: Path, drawings: Mapping[Key, Drawing]) -> None:
    """Keep drawings, in place of those that the folder keeps. No reader sees a part of the file."""
    rows = [(*key, json.dumps(drawn, separators=(",", ":"))) for key, drawn in sorted(drawings.items())]
    columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(len(_SCHEMA))]
    with suppress(OSError), replacing(folder / DRAWN, named=False) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary, compression="zstd")
