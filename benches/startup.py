"""Measures how long one small question takes, interpreter start included.

Prints minimum and median over several runs, beside the bare interpreter on the same machine in the same minute, and fails if a
median is above the limit that we set ourselves.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time

RUNS = 15
ANSWER = "84,934,656"
LIMITS = {"import tdxexplore": 0.1, "tdxexplore check v19 --cpus 4": 0.5}
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import tdxexplore": [sys.executable, "-c", "import tdxexplore"],
    "import polars": [sys.executable, "-c", "import polars"],
    "tdxexplore check v19 --cpus 4": [str(shutil.which("tdxexplore")), "check", "v19", "--cpus", "4"],
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times[name].append(time.perf_counter() - started)
            if name.startswith("tdxexplore check"):
                assert ANSWER in done.stdout, done.stdout
    print(f"{'command':<32}{'minimum':>10}{'median':>10}{'limit':>10}   seconds, {RUNS} runs")
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in times.items():
        limit = f"{LIMITS[name]:.1f}" if name in LIMITS else ""
        print(f"{name:<32}{min(seconds):>10.3f}{medians[name]:>10.3f}{limit:>10}")
    slow = [name for name, limit in LIMITS.items() if medians[name] > limit]
    assert not slow, slow


if __name__ == "__main__":
    main()
