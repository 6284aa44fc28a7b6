"""Finds the fastest settings of the other checkers.

Each is tried on one model of a million states with equal counts as in `peers.py`, which uses the first of each checker,
and the first with symmetry reduction.
Writes benches/results/settings.md.

Tried and not comparable: Spin's parallel searches need a model without hidden variables. `-DNCORE=2 -DSEP_STATE` on such
a model (scratch variables reset at the end of each step) took as long as one thread; `-DBFS_PAR` stores hashes instead
of states and counts the steps inside atomic sequences as states.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from checkers import FASTEST, THREADS, Case, Checker, Rumur, Spin, Stateright, Tlc
from peer_tables import aligned
from peers import FAMILIES
from processes import HERE, Limits, Stopped

MODEL, CPUS = "v19, second-enable", 7
TRIED: tuple[tuple[str, Checker], ...] = (
    (f"Spin, {' '.join(FASTEST)}, -DNOREDUCE", Spin()),
    ("the same with -O2", Spin(optimise=("-O2",))),
    ("the same with -O3", Spin(optimise=("-O3",))),
    ("the same with partial-order reduction", Spin(reduce=True)),
    ("the same with -DCOLLAPSE", Spin("-DCOLLAPSE")),
    ("the same with -DSFH", Spin("-DSFH")),
    (f"Rumur, {' '.join(FASTEST)}, {THREADS} threads", Rumur()),
    ("the same with -O3", Rumur(optimise=("-O3",))),
    ("the same with one thread", Rumur(threads=1)),
    ("the same with --pack-state=off", Rumur("--pack-state=off")),
    (f"TLC, {THREADS} workers, off-heap set", Tlc()),
    ("the same with TLC's own choice of set", Tlc(fingerprints=None)),
    ("the same with one worker", Tlc(workers=1)),
    (f"Stateright, breadth first, {THREADS} threads", Stateright()),
    ("the same with one thread", Stateright(threads=1)),
    ("Rumur, heuristic symmetry reduction", Rumur(symmetry="heuristic")),
    ("the same with --pack-state=off", Rumur("--pack-state=off", symmetry="heuristic")),
    ("the same with --scalarset-schedules=on", Rumur("--scalarset-schedules=on", symmetry="heuristic")),
    ("Rumur, exhaustive symmetry reduction", Rumur(symmetry="exhaustive")),
    ("TLC, symmetry reduction", Tlc(symmetry=True)),
    ("Stateright, symmetry reduction, depth first", Stateright(symmetry=True)),
)


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory(dir=HERE / ".peers") as folder:
        case = Case(MODEL, *FAMILIES[MODEL][0](CPUS), Path(folder))
        for what, checker in TRIED:
            checker.build(case)
            try:
                found = checker.find(case, Limits(120))
            except Stopped as stopped:
                lines.append([what, str(stopped), ""])
            else:
                found.check(case.expected, what, reduced=checker.reduced)
                lines.append([what, f"{found.run.seconds:.2f}", f"{found.run.peak_bytes / 2**20:.0f}"])
            print(*lines[-1], sep=", ", flush=True)
    note = str(__doc__).split("\n\n")[2].replace("\n", " ").strip()
    about = f"{MODEL} with {CPUS} CPUs, {case.expected.states:,} states; counts equal; one run each."
    title = f"# Settings that were tried\n\n{about}"
    table = "\n".join(aligned(["settings", "seconds", "peak MiB"], lines))
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results/settings.md").write_text(f"{title}\n\n{table}\n\n{note}\n")


if __name__ == "__main__":
    main()
