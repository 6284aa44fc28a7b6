"""How much faster than Spin, Rumur, TLC and Stateright, on the same models, on this machine, in one session?

Each model is one Program in every checker's language; a time counts only when states and transitions (and, where
printed, depth) equal ours. A run over its limit is reported as such, and so are the larger models of its kind, which
that checker is then spared. Ratios are of wall times to the engine's concrete space with all threads.

Writes benches/results/peers.json and peers.md. ``--quick`` stops at models of 2.5 million states.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checkers import HERE, THREADS, Case, Checker, Engine, Limits, Missing, Rumur, Spin, Stateright, Stopped, Tlc
from models import increment_lock, two_phase_commit
from tdxexplore.question import Question
from tdxexplore.tdx.scenarios import initial_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model import Program, State

QUICK = 2_500_000
BASE = Engine("concrete", THREADS)
CHECKERS: tuple[Checker, ...] = (
    *(Engine(space, threads) for space in ("concrete", "orbit") for threads in sorted({1, THREADS})),
    Spin(),
    Rumur(),
    Tlc(),
    Stateright(),
)


def policy(name: str, scenario: str) -> Callable[[int], tuple[Program, State]]:
    """A built-in policy on a module that accepts a subset of the CPUs."""

    def make(cpus: int) -> tuple[Program, State]:
        question = Question.of(name, module="subset", scenario=scenario, cpus=cpus)
        compiled = question.compile()
        return compiled.program, initial_state(compiled.model, question.topology, compiled.scenario)

    return make


# Sizes go from 10^5 to 10^8 concrete states.
FAMILIES: dict[str, tuple[Callable[[int], tuple[Program, State]], tuple[int, ...]]] = {
    "v19, kvm-reload": (policy("v19", "kvm-reload"), (7, 9, 11, 12)),
    "linux-6.16, no-kvm": (policy("linux-6.16", "no-kvm"), (8, 10, 12, 13)),
    "dyn-hook-if-enabled, kvm-reload": (policy("dyn-hook-if-enabled", "kvm-reload"), (7, 9, 11)),
    "two-phase commit": (two_phase_commit, (7, 8, 10)),
    "increment lock": (increment_lock, (8, 9, 10)),
}


@dataclass(frozen=True)
class Row:
    """One run: figures, or the reason why there are none."""

    model: str
    cpus: int
    states: int
    transitions: int
    checker: str
    settings: str
    seconds: float | None = None
    peak_bytes: int | None = None
    reason: str | None = None


def explored(family: str, case: Case, checker: Checker, limits: Limits) -> Row:
    expected = case.expected
    row = (family, case.cpus, expected.states, expected.transitions, checker.name, checker.settings)
    try:
        checker.build(case)
        found = checker.find(case, limits)
    except Stopped as stopped:
        return Row(*row, reason=str(stopped))
    found.check(expected, f"{checker.name} on {family} {case.cpus}")
    return Row(*row, found.run.seconds, found.run.peak_bytes)


def session(families: dict[str, tuple[int, ...]], limits: Limits, largest: float) -> list[Row]:
    """Every checker on every model, one after the other."""
    rows: list[Row] = []
    for family, sizes in families.items():
        tired: dict[Checker, str] = {}
        for size in sizes:
            with tempfile.TemporaryDirectory(dir=HERE / ".peers") as folder:
                case = Case(family, *FAMILIES[family][0](size), Path(folder))
                if case.expected.states > largest:
                    continue
                for checker in CHECKERS:
                    if checker in tired:
                        e = case.expected
                        reason = f"not run: {tired[checker]}"
                        new = Row(family, size, e.states, e.transitions, checker.name, checker.settings, reason=reason)
                    else:
                        new = explored(family, case, checker, limits)
                        if new.reason is not None:
                            tired[checker] = f"{new.reason} with {size} CPUs"
                    rows.append(new)
                    shown = new.reason or f"{new.seconds:9.2f} s {(new.peak_bytes or 0) / 2**20:9.0f} MiB"
                    print(f"{family:32} {size:3} {case.expected.states:12,} {label(new):28} {shown}", flush=True)
    return rows


def label(row: Row) -> str:
    """Who ran, for tables."""
    return f"{row.checker}: {row.settings.rsplit(',', 1)[0]}" if row.checker == BASE.name else row.checker


def table(rows: list[Row]) -> list[str]:
    """Markdown: a line a model; seconds, ratio to the engine's concrete space with all threads, peak MiB."""
    labels = list(dict.fromkeys(label(r) for r in rows))
    lines = [
        f"| model | CPUs | states | transitions | {' | '.join(labels)} |",
        f"|---|---:|---:|---:|{'---:|' * len(labels)}",
    ]
    for model, cpus, states, transitions in dict.fromkeys((r.model, r.cpus, r.states, r.transitions) for r in rows):
        here = {label(r): r for r in rows if (r.model, r.cpus) == (model, cpus)}
        base = next(r for r in here.values() if r.settings == BASE.settings)
        cells = []
        for name in labels:
            r = here[name]
            if r.seconds is None or r.peak_bytes is None:
                cells.append(str(r.reason))
                continue
            ratio = f"×{r.seconds / base.seconds:.3g}, " if base.seconds else ""
            cells.append(f"{r.seconds:.2f} s ({ratio}{r.peak_bytes / 2**20:.0f} MiB)")
        lines.append(f"| {model} | {cpus} | {states:,} | {transitions:,} | {' | '.join(cells)} |")
    return lines


def machine() -> dict[str, object]:
    """What it ran on."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 10
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "threads": THREADS, "memory_mib": memory, "kernel": platform.release()}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="models of up to 2.5 million states")
    parser.add_argument("--limit", type=float, default=600, help="seconds for a run")
    parser.add_argument("--only", nargs="*", default=list(FAMILIES), choices=FAMILIES, help="models")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    given = parser.parse_args()
    try:
        versions = {c.name: c.version() for c in CHECKERS}
    except Missing as missing:
        parser.error(f"{missing} is not installed; run `make peers`")
    families = {name: FAMILIES[name][1] for name in given.only}
    rows = session(families, Limits(given.limit), QUICK if given.quick else float("inf"))
    given.out.mkdir(exist_ok=True)
    about = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "versions": versions}
    settings = {label(r): r.settings for r in rows}
    document = {**about, "limit_seconds": given.limit, "settings": settings, "runs": [asdict(r) for r in rows]}
    (given.out / "peers.json").write_text(json.dumps(document, indent=1) + "\n")
    text = [
        "# Peers",
        "",
        (
            f"Measured {about['date']} by `benches/peers.py` in one session on {machine()['processor']}, {THREADS} threads, "
            f"{machine()['memory_mib']} MiB. Wall time of the whole process without compiling the model; ratio to this engine's "
            f"concrete space with all threads; peak resident size. At most {given.limit:.0f} s a run. Every time stands for a "
            "run that found exactly the states and transitions of its line."
        ),
        "",
        *table(rows),
        "",
        "Settings and versions:",
        "",
        *(f"- {name}: {chosen}" for name, chosen in settings.items()),
        *(f"- {name} {version}" for name, version in versions.items()),
    ]
    (given.out / "peers.md").write_text("\n".join(text) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
