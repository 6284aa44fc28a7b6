"""Is every built-in policy and scenario explored on a whole server, exactly?

Every policy x scenario on 64 CPUs in 2 packages, in the orbit space with all threads and without measures, one process
a point. The target is `TARGET`: below it a point is `ok`; others say how long they took, or where they were when the
limit of time or memory ended them.

Writes benches/results/servers.json and servers.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from checkers import HERE, THREADS, Engine, Limits, Stopped
from peers import aligned, machine
from tdxexplore.question import Question
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS, initial_state

CPUS, PACKAGES = 64, 2
# What a point may take to count as answered at once.
TARGET = Limits(10, 2 << 30)


@dataclass(frozen=True)
class Point:
    """One search.

    Attributes:
        orbits: Stored states; of a search that was ended, none.
        seconds: Of the process, from start to end.
        peak_bytes: Resident size of the process.
        ended: Which limit ended it.
    """

    policy: str
    scenario: str
    orbits: int | None
    states: int | None
    seconds: float
    peak_bytes: int | None
    ended: str | None

    @property
    def reached(self) -> bool:
        return self.ended is None and self.seconds <= TARGET.seconds and (self.peak_bytes or 0) <= TARGET.memory

    @property
    def cell(self) -> str:
        if self.ended is not None:
            return self.ended
        return f"{self.seconds:.1f} s" + ("" if self.reached else f", {(self.peak_bytes or 0) / 2**30:.1f} GiB")


def explore(policy: str, module: str, scenario: str, limits: Limits) -> Point:
    """One point in a process of its own."""
    question = Question.of(policy, module=module, scenario=scenario, cpus=CPUS, packages=PACKAGES)  # type: ignore[arg-type]
    compiled = question.compile()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.json").write_text(compiled.program.text)
        start = initial_state(compiled.model, question.topology, compiled.scenario)
        (folder / "initial.json").write_text(compiled.program.pack(start))
        try:
            found = Engine("orbit", THREADS).run(folder, limits)
        except Stopped as stopped:
            return Point(policy, scenario, None, None, stopped.seconds or 0, None, f"> {stopped.seconds or 0:.0f} s")
    assert found.own is not None
    return Point(policy, scenario, found.own.stored, found.states, found.run.seconds, found.run.peak_bytes, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--module", default="subset")
    parser.add_argument("--limit", type=float, default=60, help="seconds for a point")
    parser.add_argument("--policies", nargs="+", default=list(BUILT_IN), choices=list(BUILT_IN), metavar="POLICY")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    given = parser.parse_args()
    points = []
    for scenario in SCENARIOS:
        for policy in given.policies:
            points.append(explore(policy, given.module, scenario, Limits(given.limit)))
            last = points[-1]
            print(
                f"{policy:24} {scenario:20} {last.cell:18} {last.orbits or 0:12,} orbits", file=sys.stderr, flush=True
            )
    cells = {(p.policy, p.scenario): p.cell for p in points}
    lines = [[scenario, *(cells[policy, scenario] for policy in given.policies)] for scenario in SCENARIOS]
    reached = sum(point.reached for point in points)
    summary = (
        f"{reached} of {len(points)} points under {TARGET.seconds:.0f} s and {TARGET.memory >> 30} GiB "
        f"(process with its start; {given.module} module, {CPUS} CPUs in {PACKAGES} packages, orbit space, "
        f"{THREADS} threads, no measures)"
    )
    table = "\n".join(aligned(["scenario", *given.policies], lines))
    print(table, summary, sep="\n")
    given.out.mkdir(exist_ok=True)
    about = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "summary": summary}
    text = json.dumps({**about, "points": [asdict(p) for p in points]}, indent=1)
    (given.out / "servers.json").write_text(text + "\n")
    (given.out / "servers.md").write_text(
        f"# Whole servers\n\n{summary}\n\n{about['date']}, {about['machine']}\n\n{table}\n"
    )


if __name__ == "__main__":
    main()
