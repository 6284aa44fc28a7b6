"""Which of two answers to a point a data set keeps: the complete one, or else the one that explored more, whoever writes last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore.data.checked import print_of, remember
from tdxexplore.data.checking import Part, inspect
from tdxexplore.data.files import folder_of, write_point
from tdxexplore.data.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from tdxexplore.explore.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that a data set holds.

    Attributes:
        verdict: Of its run.
        complete: Whether everything was explored.
        explored: Stored states.
    """

    verdict: Verdict
    complete: bool
    explored: int


def keep(root: Path, point: str, tables: Mapping[str, pl.DataFrame], origin: Mapping[str, str]) -> Kept:
    """Write the files of a point, unless the data set holds a better answer to it; see `files.write_point`.

    Returns:
        The answer that the data set now holds.

    Raises:
        OSError: A file cannot be written; no part of it is left in sight.
    """
    held = new = _of(tables["runs"].row(0, named=True))

    def better(root: Path, point: str, partition: Mapping[str, str]) -> bool:
        nonlocal held
        held = _held(root, point, partition) or new
        return (held.complete, held.explored) > (new.complete, new.explored)

    def known(search: str, files: Mapping[str, Path]) -> None:
        inside = files["runs"].parent.relative_to(root / "runs")
        remember(root, [(point, inside, search, {table: print_of(path) for table, path in files.items()})])

    return new if write_point(root, point, tables, origin, better, known) else held


def _of(run: Mapping[str, object]) -> Kept:
    verdict, complete, explored = (run[name] for name in ("verdict", "complete", "explored"))
    assert isinstance(explored, int)
    return Kept(cast("Verdict", verdict), bool(complete), explored)


def _held(root: Path, point: str, partition: Mapping[str, str]) -> Kept | None:
    """The answer in files of its own; None if there is none, or not all of it."""
    inside = folder_of(partition) / f"{point}.parquet"
    if not (root / "runs" / inside).exists():
        return None
    found = [inspect(root, table, root / table / inside, pages=True) for table in TABLES]
    if (
        not all(isinstance(one, Part) for one in found)
        or len({one.search for one in found if isinstance(one, Part)}) > 1
    ):
        return None
    try:
        return _of(pq.read_table(root / "runs" / inside, partitioning=None).to_pylist()[0])
    except (OSError, IndexError, pa.ArrowException):
        return None
