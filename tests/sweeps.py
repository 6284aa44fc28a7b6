"""Small sweeps, and what is the same in two data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.data.reading import Dataset
from tdxexplore.data.schema import TABLES, TIMING

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

SMALL = """
name = "small"
note = "for tests"

[grid]
policy = ["v19", "linux-6.16"]
module = ["strict", "subset"]
scenario = ["late-online", "offline-mid-enable"]
cpus = "2-4"
"""
POINTS = 2 * 2 * 2 * 3


def spec_file(folder: Path, text: str = SMALL) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text)
    return path


def rows(root: Path) -> dict[str, pl.DataFrame]:
    """All tables of a data set, sorted, without what depends on the machine or the moment."""
    data = Dataset(root)
    tables = {}
    for name in TABLES:
        frame = data.scan(name).collect()
        frame = frame.drop(c for c in TIMING if c in frame.columns)
        tables[name] = frame.sort(frame.columns)
    assert data.skipped == []
    assert all(len(frame) for frame in tables.values())
    return tables


def bytes_of(root: Path) -> dict[str, bytes]:
    """The sorted tables as bytes; as text, because Arrow has several forms of one column."""
    return {name: frame.write_ndjson().encode() for name, frame in rows(root).items()}
