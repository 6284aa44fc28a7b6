"""Reports for tests: small data sets, and the data in a page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl

import tdxexplore
from tdxexplore.data.single import write_table

if TYPE_CHECKING:
    from pathlib import Path

ODD = "<script>alert(1)</script> & \"quotes\" 'too' <b>"
"""A name that no policy of ours may have; but whoever writes a data set may write it."""


class Odd(tdxexplore.Policy):
    """A policy whose every text is markup."""

    name = "odd"
    title = "<img src=x onerror=alert(2)>"
    source = "</script><script>alert(3)</script>"
    knobs = (tdxexplore.Knob("k", ("a", "b"), "<i>what</i>"),)
    read = ("<style>* { display: none }</style>",)

    def kvm_load(self, k: Any) -> None:
        k.set(k.w.enable_tdx, False)
        k.set(k.w.kvm_loaded, True)


def saved(comparison: tdxexplore.Comparison, folder: Path) -> Path:
    """The folder that ``tdxexplore compare --out`` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in comparison.tables().items():
        write_table(folder / f"{name}.parquet", name, rows)
    return folder


def small(folder: Path) -> Path:
    """Three policies and one with odd names, two module kinds, two scenarios, 2 and 3 CPUs."""
    comparison = tdxexplore.compare(
        ["v19", "dyn-hook-if-enabled", "linux-6.16", Odd],
        modules=["strict", "subset"],
        scenarios=["late-online", "offline-mid-enable"],
        cpus=[2, 3],
    )
    assert len(comparison.runs) == 32
    saved(comparison, folder)
    strange = (pl.col("policy") == Odd.name) & (pl.col("module") == "strict")
    for name, rows in comparison.tables().items():
        renamed = pl.when(strange).then(pl.lit(ODD)).otherwise("policy").alias("policy")
        write_table(folder / f"{name}.parquet", name, rows.with_columns(renamed))
    return folder


def data_of(page: str) -> dict[str, Any]:
    """The data that a page holds."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    data: dict[str, Any] = json.loads(found[0])
    return data
