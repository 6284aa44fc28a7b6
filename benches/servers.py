"""Checks on how many CPUs every built-in policy and scenario is explored, up to a whole server.

Every policy x scenario on 64 CPUs in 2 packages, in the orbit space with all threads and without measures, one process
a point. CPUs that start out different are interchangeable too (`--symmetry all`): outcomes, runs and traces are the same.
A point that misses `TARGET` is tried on half the CPUs, and so on: its cell says on how many it is reached.

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
from typing import TYPE_CHECKING

from checkers import THREADS, Engine
from peer_tables import aligned
from peers import machine
from processes import HERE, Limits, Stopped
from tdxexplore.explore.question import Question
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.tdx.fields import ModuleKind

CPUS, PACKAGES = 64, 2
# The limits within which a point counts as answered at once.
TARGET = Limits(10, 2 << 30)


@dataclass(frozen=True)
class Point:
    """One search.

    Attributes:
        orbits: Stored states; of a search that was ended, none.
        states: Labelled states, from all renamings of the initial one.
        seconds: The time of the process, from start to end.
        peak_bytes: Resident size of the process.
        ended: The limit that ended it.
    """

    policy: str
    scenario: str
    cpus: int
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
        took = self.ended or f"{self.seconds:.1f} s"
        if self.reached or self.ended:
            return took
        return f"{took}, {(self.peak_bytes or 0) / 2**30:.1f} GiB"


def explore(policy: str, module: ModuleKind, scenario: str, cpus: int, limits: Limits) -> Point:
    """Explore one point in a process of its own."""
    question = Question.of(policy, module=module, scenario=scenario, cpus=cpus, packages=PACKAGES)
    compiled = question.compile()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.json").write_text(compiled.program.text)
        start = compiled.model.initial(question.topology)
        (folder / "initial.json").write_text(compiled.program.pack(start))
        try:
            found = Engine("orbit", THREADS, symmetry="all").run(folder, limits)
        except Stopped as stopped:
            ended = f"> {stopped.seconds:.0f} s" if stopped.seconds else "no memory"
            return Point(policy, scenario, cpus, None, None, stopped.seconds or 0, None, ended)
    assert found.own is not None
    return Point(policy, scenario, cpus, found.own.stored, found.states, found.run.seconds, found.run.peak_bytes, None)


def tries(policy: str, module: ModuleKind, scenario: str, limits: Limits) -> Iterator[Point]:
    """Yield the point and, if it misses the target, smaller ones down to the first that reaches it."""
    cpus = CPUS
    while cpus >= 2 * PACKAGES:
        point = explore(policy, module, scenario, cpus, limits)
        yield point
        if point.reached:
            break
        cpus //= 2


def cell(tried: list[Point]) -> str:
    """Write the figures of the point and, if it misses the target, those of the smaller one that was tried last."""
    first, last = tried[0], tried[-1]
    return first.cell if first is last else f"{first.cell}; {last.cpus} CPUs: {last.cell}"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--module", default="subset")
    parser.add_argument("--limit", type=float, default=12, help="seconds for a point")
    parser.add_argument("--policies", nargs="+", default=list(BUILT_IN), choices=list(BUILT_IN), metavar="POLICY")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    given = parser.parse_args()
    points: dict[tuple[str, str], list[Point]] = {}
    for scenario in SCENARIOS:
        for policy in given.policies:
            tried = points[policy, scenario] = list(tries(policy, given.module, scenario, Limits(given.limit)))
            print(f"{policy:24} {scenario:20} {cell(tried)}", file=sys.stderr, flush=True)
    lines = [[scenario, *(cell(points[policy, scenario]) for policy in given.policies)] for scenario in SCENARIOS]
    reached = sum(tried[0].reached for tried in points.values())
    summary = (
        f"{reached} of {len(points)} points under {TARGET.seconds:.0f} s and {TARGET.memory >> 30} GiB "
        f"(process with its start; {given.module} module, {CPUS} CPUs in {PACKAGES} packages, symmetry all, "
        f"{THREADS} threads, no measures)"
    )
    table = "\n".join(aligned(["scenario", *given.policies], lines))
    print(table, summary, sep="\n")
    given.out.mkdir(exist_ok=True)
    about = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "summary": summary}
    text = json.dumps({**about, "points": [asdict(p) for tried in points.values() for p in tried]}, indent=1)
    (given.out / "servers.json").write_text(text + "\n")
    (given.out / "servers.md").write_text(
        f"# Whole servers\n\n{summary}\n\n{about['date']}, {about['machine']}\n\n{table}\n"
    )


if __name__ == "__main__":
    main()
