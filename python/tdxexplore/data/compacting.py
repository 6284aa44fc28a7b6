"""Compacting a data set: one file for each table and partition instead of one for each point.

The merged tables are built in ``.compacting/new``; then each table in turn moves to ``.compacting/old`` and the new one takes
its place. A table is thus always in one of the two places. The next writer undoes what was cut short (`holding.writing`), and
readers refuse the data set until then. Writing the new files between the old ones was rejected: a reader would see the rows of
a point twice.

The merged files of all tables name the same points in their metadata, in which `tying` finds whether one is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tdxexplore.data.checked import forget
from tdxexplore.data.files import COMPACTING, MERGED, ORIGIN, folder_of, write_file
from tdxexplore.data.holding import writing
from tdxexplore.data.reading import Dataset, in_one_line
from tdxexplore.data.schema import PARTITION, QUESTION, TABLES, schema
from tdxexplore.errors import BadDataset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tdxexplore.data.checking import Part


def compact(root: Path) -> tuple[int, int]:
    """Merge the files of the points that are done, sorted by the key.

    Points whose search was incomplete keep files of their own, so that a sweep with wider limits can replace them. Parts of the
    data set whose points other files have are dropped.

    Returns:
        How many files there were, and how many there are.

    Raises:
        BadDataset: The folder is not a data set, or one of another schema; another process writes to it; or a file is damaged
            or foreign.
        OSError: It cannot be written; the data set is as before.
    """
    with writing(root, alone=True):
        data = Dataset(root)
        before = sum(len(data.parts(table)) for table in TABLES)
        skipped = [one for one in data.skipped if not one.replaced]
        if any(one.lost for one in skipped):
            raise BadDataset(f"{in_one_line(skipped)}; sweep again, remove what is named even then, and compact")
        if skipped:
            raise BadDataset(f"{in_one_line(skipped)}; remove what is named, then compact")
        incomplete = data.runs.filter(~pl.col("complete")).select("point")
        single = set(data.collect(incomplete)["point"])
        merged = data.done - single
        work = root / COMPACTING
        try:
            for table in TABLES:
                _merge(data, table, work / "new", merged, single)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        forget(root)
        (work / "old").mkdir()
        for table in TABLES:
            (root / table).rename(work / "old" / table)
            (work / "new" / table).rename(root / table)
        (work / "old").rename(work / "replaced")  # from here on it is not undone
        shutil.rmtree(work)
        after = Dataset(root)
        return before, sum(len(after.parts(table)) for table in TABLES)


def _merge(data: Dataset, table: str, new: Path, merged: frozenset[str], single: set[str]) -> None:
    """Build a table: the points of `merged` in one file for each partition, those of `single` as they are."""
    (new / table).mkdir(parents=True)
    by_folder: dict[Path, list[Part]] = {}
    for part in data.parts(table):
        if part.path.stem in single:
            kept = new / part.path.relative_to(data.root)
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.link(part.path, kept)
        else:
            by_folder.setdefault(folder_of(part.partition), []).append(part)
    order = [name for name in QUESTION if name not in PARTITION]
    for parts in by_folder.values():
        files = [_read(part.path) for part in parts]
        origins = sorted({json.dumps(o, sort_keys=True) for f in files for o in _origins(f.schema.metadata)})
        bare = [f.replace_schema_metadata(None).cast(schema(table, {}).remove_metadata()) for f in files]
        held = [part.kept or frozenset(part.points) for part in parts]
        chosen = [pl.DataFrame(f).filter(pl.col("point").is_in(some)) for f, some in zip(bare, held, strict=True)]
        rows = pl.concat(chosen).sort(order, maintain_order=True)
        points = "".join(sorted(frozenset.union(*held) & merged))
        name = f"{MERGED}{hashlib.blake2b(points.encode(), digest_size=16).hexdigest()}.parquet"
        about = {"origins": f"[{', '.join(origins)}]", "points": points}
        write_file(new, table, parts[0].partition, name, rows.to_arrow(), about)


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(use_threads=False)


def _origins(metadata: Mapping[bytes, bytes]) -> list[dict[str, str]]:
    """Where the points of a file come from: of a merged file, from several sweeps."""
    about = {k.decode().removeprefix("tdxexplore."): v.decode() for k, v in metadata.items()}
    if "origins" in about:
        merged: list[dict[str, str]] = json.loads(about["origins"])
        return merged
    return [{k: about[k] for k in ORIGIN if k in about}]
