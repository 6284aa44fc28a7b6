"""Measures how long the report of 2,000 points takes, interpreter start included: ``python benches/report.py [FOLDER]``.

The points are real answers, compacted into one file for each table. Their traces are drawn before, as the first report leaves
them beside the tables, which takes some minutes; a FOLDER that is given is kept, and used again. What is measured is wall time.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
SPEC = """
name = "two thousand points"

[grid]
policy = ["v19", "linux-6.16", "linux-7.1", "dyn-hook-if-enabled", "kvm-hook-lp-init"]
module = "all"
scenario = "all"
cpus = "2-6"

[check]
prices = false
"""
LEAST_POINTS, LEAST_TRACES = 2_000, 500
MOST_SECONDS, MOST_BYTES = 2.0, 15_000_000


def tool(*words: str | Path) -> str:
    """The output of the command; a cell that fails or is cut is no failure of the bench."""
    command = [str(shutil.which("tdxexplore")), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 3), done.stderr
    return done.stdout


def prepared(folder: Path) -> Path:
    """The data set, compacted, with kept traces."""
    data = folder / "data"
    if not (folder / "drawn").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.toml").write_text(SPEC)
        tool("sweep", folder / "sweep.toml", "--out", data, "--quiet")
        tool("compact", data)
        tool("report", data, "--out", folder / "report.html", "--quiet")
        (folder / "drawn").touch()
    return data


def measure(folder: Path) -> None:
    """Print minimum and median, with what was reported."""
    data, page = prepared(folder), folder / "report.html"
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        said = tool("report", data, "--out", page, "--quiet")
        seconds.append(time.perf_counter() - began)
        found = re.search(r"([\d,]+) points, ([\d,]+) traces", said)
        assert found, said
        points, traces = (int(figure.replace(",", "")) for figure in found.groups())
        assert points >= LEAST_POINTS, said
        assert traces >= LEAST_TRACES, said
        assert page.stat().st_size <= MOST_BYTES
    least, median = min(seconds), statistics.median(seconds)
    size = page.stat().st_size / 1e6
    print(f"{points:,} points, {traces:,} traces, {size:.1f} MB: {least:.2f} s, median {median:.2f} s of {RUNS} runs")
    most = MOST_SECONDS * points / LEAST_POINTS
    assert median <= most, f"more than {most:.2f} s"


def main() -> None:
    """Measure in the folder that was given, or in one that is thrown away."""
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
