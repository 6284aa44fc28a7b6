"""Measures how long a data set of 100,000 points takes to answer each question, from opening it to the collected table.

The data set is synthetic: the rows of a small sweep of real points, repeated for 40 policies, more scenarios, packages and
CPU counts with figures drawn from a fixed seed; compacted, as `tdxexplore compact` leaves it. Tables `levels` and `rules`,
which no question reads, are left empty. Prints the median of several runs; each opens the data set anew and reads every file
twice, once to check it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.data import analysis
from tdxexplore.data.files import MERGED, write_file
from tdxexplore.data.reading import Dataset
from tdxexplore.data.schema import POINT, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = 100_000
POLICIES = 40
MODULES = ("strict", "subset", "subset-nocheck")
CPUS = tuple(range(2, 65))
PACKAGES = (1, 2)
RUNS = 5
WRITTEN = ("runs", "outcomes", "properties", "prices")
LIMIT = 2.0
PRICES = ("seamcalls", "lp-init-again", "vmxon", "vmxoff", "ipis", "steps", "steps-under-cpus-lock", "steps-with-vmx")
INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I7", "kvm-tried", "hotplug-ran")
OUTCOMES = (("corrupt", "S0"), ("deadlock", "S1"), ("td-error", "S2"), ("sticky-error", "S3"), ("tdx-up", "ok"))


def points() -> pl.DataFrame:
    """Make the key of every point."""
    scenarios = -(-POINTS // (POLICIES * len(MODULES) * len(CPUS) * len(PACKAGES)))
    axes = {
        "policy": [f"policy-{i:02}" for i in range(POLICIES)],
        "module": list(MODULES),
        "scenario": [f"scenario-{i}" for i in range(scenarios)],
        "packages": list(PACKAGES),
        "cpus": list(CPUS),
    }
    frame = pl.DataFrame({"knobs": ["offline_veto=on"], "budgets": [""]})
    for name, values in axes.items():
        frame = frame.join(pl.DataFrame({name: values}), how="cross")
    identity = pl.int_range(pl.len()).cast(pl.String).str.zfill(32)
    return frame.head(POINTS).with_columns(point=identity, digest=identity).select(c.name for c in POINT)


def write(root: Path, table: str, frame: pl.DataFrame) -> None:
    """Write a merged file for each partition, as `compact` does."""
    for (policy, module), part in frame.group_by("policy", "module", maintain_order=True):
        names = [c.name for c in TABLES[table]]
        rows = part.with_columns(pl.lit(None).alias(n) for n in names if n not in part.columns).select(names)
        name = f"{MERGED}{part['point'][0]}.parquet"
        write_file(root, table, {"policy": str(policy), "module": str(module)}, name, rows.to_arrow(), {})


def synthesise(root: Path) -> None:
    seed, key = np.random.default_rng(5), points()
    assert len(key) == POINTS
    count = pl.Series(seed.integers(1, 4, POINTS))
    runs = key.with_columns(
        complete=pl.Series(seed.random(POINTS) < 0.99),
        verdict=pl.Series(seed.choice(["holds", "violated", "incomplete"], POINTS, p=[0.5, 0.49, 0.01])),
        states=pl.lit("9" * 40),
        explored=pl.col("cpus") ** 3 + 7,
        generated=pl.col("cpus") ** 3 * 2,
        seconds=pl.col("cpus") ** 2 * 1e-5,
        threads=pl.lit(1),
        peak_memory_bytes=pl.col("cpus") ** 3 * 80,
        version=pl.lit("0"),
        space=pl.lit("orbit"),
        measures=pl.lit(value=True),
        fail_on=pl.lit("S3"),
    )
    write(root, "runs", runs)
    rows = key.with_columns(rank=pl.int_ranges(count)).explode("rank")
    which = np.clip(seed.integers(0, 3, len(rows)) + rows["rank"].to_numpy(), 0, 4)
    outcomes = rows.with_columns(
        outcome=pl.Series([OUTCOMES[i][0] for i in which]),
        severity=pl.Series([OUTCOMES[i][1] for i in which]),
        terminal_states=pl.lit("12"),
        interleavings=pl.Series(seed.integers(1, 10**15, len(rows)).astype(str)) + pl.lit("0" * 100),
        interleaving_share=pl.Series(seed.random(len(rows))) / 3,
        probability=pl.Series(seed.random(len(rows))) / 3,
        shortest_steps=pl.col("cpus") + 20,
        schedule=pl.lit("0" * 60),
    ).unique(["point", "outcome"], maintain_order=True)
    write(root, "outcomes", outcomes)
    invariants = key.join(pl.DataFrame({"property": INVARIANTS}), how="cross")
    properties = invariants.with_columns(
        kind=pl.lit("invariant"),
        severity=pl.lit("S0"),
        fails=pl.Series(seed.random(len(invariants)) < 0.1),
        states=pl.lit("12"),
        shortest_steps=pl.col("cpus") + 10,
        schedule=pl.lit("0" * 40),
        text=pl.lit("what must hold, in a sentence of some length"),
    )
    write(root, "properties", properties)
    named = outcomes.select(*(c.name for c in POINT), "rank", "outcome", "severity").join(
        pl.DataFrame({"price": PRICES}), how="cross"
    )
    least = pl.Series(seed.integers(0, 100, len(named)))
    prices = named.with_columns(
        mean=least + 2.5,
        least=least,
        most=least + 5,
        total=pl.Series(seed.integers(1, 10**15, len(named)).astype(str)) + pl.lit("0" * 100),
        text=pl.lit("what is counted, in a sentence of some length"),
    )
    write(root, "prices", prices)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        synthesise(root)
        size = sum(p.stat().st_size for p in root.rglob("*.parquet"))
        rows = {name: Dataset(root).scan(name).select(pl.len()).collect().item() for name in WRITTEN}
        assert rows["runs"] == POINTS
        print(f"{POINTS:,} points, {rows['outcomes']:,} outcomes, {rows['prices']:,} prices, {size / 2**20:.0f} MiB")
        questions: dict[str, Callable[[Dataset], pl.LazyFrame]] = {
            "worst": lambda data: analysis.worst(data.answers),
            "domination": lambda data: analysis.domination(data.answers, data.prices),
            "growth": lambda data: analysis.growth(data.runs),
            "smallest": lambda data: analysis.smallest(data.findings),
            "differences": lambda data: analysis.differences(
                data.findings, data.findings.with_columns(pl.col("probability") / 2)
            ),
            "ranking": lambda data: analysis.ranking(data.answers),
            "prices": lambda data: analysis.prices(data.prices),
        }
        slow = []
        for name, question in questions.items():
            times = []
            for _ in range(RUNS):
                started = time.perf_counter()
                frame = question(Dataset(root)).collect()
                times.append(time.perf_counter() - started)
                assert len(frame), name
            median = statistics.median(times)
            print(f"{name:<14}{len(frame):>10,} rows {median:>8.3f} s")
            if median > LIMIT:
                slow.append(name)
        assert not slow, f"over {LIMIT} s: {slow}"


if __name__ == "__main__":
    main()
