"""Measures how the cost of one question grows with the number of CPUs, in the orbit space.

One policy and scenario on 2 to 512 CPUs, doubling; without measures, all threads, one process a point. Ends at the
first point that is refused or over a limit, and says so. The power of N is the slope of a least-squares line through
the logarithms, over the points with at least `FIT_FROM` CPUs: smaller ones are all start.

Writes benches/results/scaling.json and scaling.svg.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from checkers import THREADS, Engine
from peer_tables import aligned
from peers import machine
from processes import HERE, Limits, Stopped
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.tdx.fields import ModuleKind

SIZES = tuple(2**power for power in range(1, 10))
FIT_FROM = 16


@dataclass(frozen=True)
class Point:
    """One search.

    Attributes:
        orbits: Stored states.
        generated: Transitions between them.
        seconds: The time of the search alone.
        held_bytes: The memory that the engine accounts for.
        peak_bytes: Resident size of the process, interpreter included.
    """

    cpus: int
    orbits: int
    generated: int
    seconds: float
    held_bytes: int
    peak_bytes: int


# The figures that are fitted: their names, and how each is read from a point.
FIGURES: dict[str, Callable[[Point], float]] = {
    "orbits": lambda point: point.orbits,
    "transitions": lambda point: point.generated,
    "seconds": lambda point: point.seconds,
    "bytes held": lambda point: point.held_bytes,
}


@dataclass(frozen=True)
class Chosen:
    """The question, but for the number of CPUs."""

    policy: str
    module: ModuleKind
    scenario: str
    packages: int

    def __str__(self) -> str:
        packages = f"{self.packages} package{'s' * (self.packages > 1)}"
        return f"{self.policy}, {self.module}, {self.scenario}, {packages}"


def point(chosen: Chosen, cpus: int, limits: Limits) -> Point:
    """Explore once.

    Raises:
        BadModel: The size is refused.
        Stopped: A limit was hit.
    """
    question = Question.of(
        chosen.policy, module=chosen.module, scenario=chosen.scenario, cpus=cpus, packages=chosen.packages
    )
    compiled = question.compile()
    start = compiled.model.initial(question.topology)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.json").write_text(compiled.program.text)
        (folder / "initial.json").write_text(compiled.program.pack(start))
        found = Engine("orbit", THREADS).run(folder, limits)
    own = found.own
    assert own is not None
    return Point(cpus, own.stored, own.generated, own.seconds, own.memory_bytes, found.run.peak_bytes)


def powers(points: list[Point]) -> dict[str, float]:
    """Fit the exponent of N of each figure; there is none if fewer than three points can be fitted."""
    fitted = [p for p in points if p.cpus >= FIT_FROM]
    if len(fitted) < 3:
        return {}
    logs = np.log([p.cpus for p in fitted])
    return {
        name: round(float(np.polyfit(logs, np.log([max(of(p), 1e-9) for p in fitted]), 1)[0]), 2)
        for name, of in FIGURES.items()
    }


def plot(points: list[Point], fits: dict[str, float], title: str, path: Path) -> None:
    """Draw a log-log panel for each figure, with the fitted line."""
    # The same bytes for the same figures.
    mpl.rcParams["svg.hashsalt"] = "scaling"
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    figure.suptitle(title)
    for axes, (name, of) in zip(figure.subplots(2, 2).flat, FIGURES.items(), strict=True):
        sizes = [p.cpus for p in points]
        axes.loglog(sizes, [of(p) for p in points], "o", color="tab:blue", label="measured")
        fitted = [p for p in points if p.cpus >= FIT_FROM]
        if name in fits:
            ends = np.array([fitted[0].cpus, fitted[-1].cpus])
            middle = np.exp(np.mean(np.log([of(p) for p in fitted])))
            centre = np.exp(np.mean(np.log([p.cpus for p in fitted])))
            line = middle * (ends / centre) ** fits[name]
            axes.loglog(ends, line, "-", color="tab:orange", label=f"N^{fits[name]:.2f} from {FIT_FROM} CPUs")
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(s) for s in sizes])
        axes.minorticks_off()
        axes.set_xlabel("CPUs")
        axes.set_ylabel(name)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="upper left")
    figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--policy", default="v19")
    parser.add_argument("--module", default="subset")
    parser.add_argument("--scenario", default="kvm-reload")
    parser.add_argument("--packages", type=int, default=2)
    parser.add_argument("--limit", type=float, default=120, help="seconds for a point")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="CPUs at most")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    given = parser.parse_args()
    chosen = Chosen(given.policy, given.module, given.scenario, given.packages)
    points: list[Point] = []
    ended = None
    for cpus in SIZES:
        if cpus > given.largest:
            break
        try:
            points.append(point(chosen, cpus, Limits(given.limit)))
        except BadModel as refused:
            ended = f"{cpus} CPUs are refused: {refused}"
        except Stopped as stopped:
            ended = f"{cpus} CPUs: {stopped}"
        if ended is not None:
            break
    fits = powers(points)
    columns = ["CPUs", "orbits", "transitions", "seconds", "MiB held", "peak MiB"]
    lines = [
        [
            f"{p.cpus}",
            f"{p.orbits:,}",
            f"{p.generated:,}",
            f"{p.seconds:.3f}",
            f"{p.held_bytes / 2**20:.1f}",
            f"{p.peak_bytes / 2**20:.0f}",
        ]
        for p in points
    ]
    if fits:
        lines.append([f"N^k from {FIT_FROM}", *(f"{fits[name]:.2f}" for name in FIGURES), ""])
    print(f"{chosen}, orbit space, {THREADS} threads, no measures")
    print("\n".join(aligned(columns, lines)))
    print(ended or f"complete up to {points[-1].cpus} CPUs")
    given.out.mkdir(exist_ok=True)
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "question": asdict(chosen),
        "limit_seconds": given.limit,
        "points": [asdict(p) for p in points],
        "powers": fits,
        "ended": ended,
    }
    (given.out / "scaling.json").write_text(json.dumps(document, indent=1) + "\n")
    if len(points) > 1:
        plot(points, fits, f"{chosen}: orbit space", given.out / "scaling.svg")


if __name__ == "__main__":
    main()
