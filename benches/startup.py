"""Measures how long one small question takes, interpreter start included.

Prints minimum and median over several runs, beside the bare interpreter on the same machine in the same minute.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time

RUNS = 15
ANSWER = "84,934,656"
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
    print(f"{'command':<32}{'minimum':>10}{'median':>10}   seconds, {RUNS} runs")
    for name, seconds in times.items():
        print(f"{name:<32}{min(seconds):>10.3f}{statistics.median(seconds):>10.3f}")


if __name__ == "__main__":
    main()
