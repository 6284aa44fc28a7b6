"""Counts the instructions that the engine takes for a transition.

The count is stable, unlike a time, and so shows regressions: callgrind counts on fixed Programs (`benches/programs`) with
one thread. The count of a run that stops at the initial state is subtracted, so that reading the Program does not count.
The figure of each search is compared with benches/results/callgrind.json and may be worse by 3 %; a figure that is better
by more should be committed, with ``--update``. The exit status is 1 if a figure is worse, or if the compiler is not that
of the committed figures.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMMITTED = HERE / "results/callgrind.json"
TOLERANCE = 0.03
# Program, initial state, space: concrete states and transitions, stored states, generated transitions.
SEARCHES = {
    ("v19", "v19-7", "bits"): (971_746, 5_822_413, 971_746, 5_822_413),
    ("v19", "v19-6", "orbit"): (174_378, 901_801, 6_253, 21_031),
    ("two-phase-commit", "two-phase-commit-6", "bits"): (50_816, 402_305, 50_816, 402_305),
    ("two-phase-commit", "two-phase-commit-6", "orbit"): (50_816, 402_305, 553, 2_337),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the figures to benches/results/callgrind.json")
    given = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed; run `make callgrind`")
    binary, rustc = built(), version("rustc")
    figures = {" ".join(search): figure(binary, search) for search in SEARCHES}
    if given.update:
        document = {"rustc": rustc, "valgrind": version("valgrind"), "instructions_per_transition": figures}
        COMMITTED.parent.mkdir(exist_ok=True)
        COMMITTED.write_text(json.dumps(document, indent=1) + "\n")
    committed = json.loads(COMMITTED.read_text())
    before: dict[str, float] = committed["instructions_per_transition"]
    assert before.keys() == figures.keys(), "the committed figures are of other searches; run with --update"
    print(f"{'search':<48}{'instructions/transition':>24}{'committed':>11}{'change':>9}")
    for name, now in figures.items():
        print(f"{name:<48}{now:>24.1f}{before[name]:>11.1f}{now / before[name] - 1:>9.1%}")
    if committed["rustc"] != rustc:
        sys.exit(f"the committed figures are of {committed['rustc']}, this is {rustc}: run with --update on both sides")
    worse = [name for name, now in figures.items() if now > before[name] * (1 + TOLERANCE)]
    if worse:
        sys.exit(f"more than {TOLERANCE:.0%} worse: {', '.join(worse)}")


def built() -> str:
    """Build the program that searches, and return its path."""
    command = ["cargo", "build", "--release", "--locked", "--package=tdxexplore-core", "--example=search"]
    done = subprocess.run(
        [*command, "--message-format=json"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    messages = map(json.loads, done.stdout.splitlines())
    return str(next(m["executable"] for m in messages if m.get("executable")))


def figure(binary: str, search: tuple[str, str, str]) -> float:
    """Count the instructions for each generated transition."""
    whole, found = counted(binary, search)
    start, _ = counted(binary, search, "0")
    assert found == SEARCHES[search], f"{' '.join(search)}: found {found}, not {SEARCHES[search]}"
    return round((whole - start) / found[3], 1)


def counted(binary: str, search: tuple[str, str, str], *limits: str) -> tuple[int, tuple[int, ...]]:
    """Count the instructions of one run; return them with the counts that the search printed."""
    program, initial, space = search
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary]
    command += [str(HERE / f"programs/{program}.json"), str(HERE / f"programs/{initial}.json"), space, *limits]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    match = re.search(r"Collected : (\d+)", done.stderr)
    assert match is not None, done.stderr
    return int(match[1]), tuple(map(int, done.stdout.split()))


def version(tool: str) -> str:
    """Return the version that a tool prints."""
    return subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
