"""Measures the sweep of everything: all policies × module kinds × scenarios × 2 to 16 CPUs, prices included.

Runs `sweeps/built_in.toml` into an empty folder on two threads and prints points, stored states, wall time, CPU time and the
load of the machine before and after, which says whether the wall time means anything.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from tdxexplore.sweep import load, sweep

SPEC = Path(__file__).parent.parent / "sweeps" / "built_in.toml"
LEAST_POINTS = 10_900
LIMIT = 300.0
THREADS = 2


def main() -> None:
    before, spent, started = os.getloadavg()[0], time.process_time(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        summary = sweep(load(SPEC), Path(folder) / "data", threads=THREADS)
    wall, cpu, after = time.monotonic() - started, time.process_time() - spent, os.getloadavg()[0]
    assert summary.finished == summary.total >= LEAST_POINTS
    assert not summary.incomplete
    print(f"{summary.total:,} points, {summary.explored:,} stored states, {THREADS} threads")
    print(
        f"{wall:.0f} s, {summary.explored / wall:,.0f} states/s, {summary.total / wall:.0f} points/s; {cpu:.0f} CPU s"
    )
    print(f"load before {before:.1f}, after {after:.1f}")
    assert wall < LIMIT, f"over {LIMIT:.0f} s"


if __name__ == "__main__":
    main()
