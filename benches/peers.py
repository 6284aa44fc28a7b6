"""Measures how much faster the engine is than Spin, Rumur, TLC and Stateright, on the same models and machine.

Each model is one Program in every checker's language; a time counts only when states and transitions (and, where
printed, depth) equal ours. A run over its limit gives a lower bound. On models of at least `LARGE` states every checker
runs, to the end or to a limit that shows that the target is reached. On smaller ones a run that would take longer than
the limit, at the checker's own rate on the next smaller size, is not made: its figure is an estimate, marked `~`, and
enters no ratio that is claimed.

Writes benches/results/peers.json and peers.md. ``--quick`` stops at models of 2.5 million states.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from checkers import (
    HERE,
    THREADS,
    Case,
    Checker,
    Engine,
    Limits,
    Missing,
    OwnFigures,
    Rumur,
    Spin,
    Stateright,
    Stopped,
    Tlc,
)
from models import increment_lock, two_phase_commit
from tdxexplore.explore.question import Question
from tdxexplore.tdx.build import initial_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.model import Program, State

# Model sizes, in concrete states.
QUICK = 2_500_000
LARGE = 20_000_000
# A run shorter than this many seconds is made three times, and the median counts.
SHORT = 5

ENGINES = {(space, threads): Engine(space, threads) for space in ("bits", "orbit") for threads in sorted({1, THREADS})}
ONE, BASE = ENGINES["bits", 1], ENGINES["bits", THREADS]
PEERS: tuple[Checker, ...] = (Spin(), Rumur(), Tlc(), Stateright())


def policy(name: str, scenario: str) -> Callable[[int], tuple[Program, State]]:
    """A built-in policy on a module that accepts a subset of the CPUs."""

    def make(cpus: int) -> tuple[Program, State]:
        question = Question.of(name, module="subset", scenario=scenario, cpus=cpus)
        compiled = question.compile()
        return compiled.program, initial_state(compiled.model, question.topology, compiled.scenario)

    return make


# Each family has models of about 10^5, of 10^6 and of more than 2 * 10^7 states.
FAMILIES: dict[str, tuple[Callable[[int], tuple[Program, State]], tuple[int, ...]]] = {
    "v19, second-enable": (policy("v19", "second-enable"), (6, 7, 9, 10)),
    "linux-6.16, second-user": (policy("linux-6.16", "second-user"), (8, 10, 13)),
    "linux-7.2-update, update": (policy("linux-7.2-update", "update"), (8, 9, 12)),
    "two-phase commit": (two_phase_commit, (7, 8, 10)),
    "increment lock": (increment_lock, (8, 9, 10)),
}
# On the large ones a peer gets `ENOUGH` times as long as would show that a target is reached.
ENOUGH = 1.25
# On this family a peer gets so many seconds, so that most runs come to their end.
MEASURED, PATIENCE = "v19, second-enable", 240
# On this size of it, 10^8 states, no peer is run.
OURS_ONLY = ("v19, second-enable", 10)

# The targets that must be reached on models of at least LARGE states: wall time of a peer over ours.
TARGETS = {"Spin": 20, "Rumur": 60, "TLC": 40, "Stateright": 40}


@dataclass(frozen=True)
class Row:
    """One run: figures, or the reason why there are none.

    Attributes:
        compile_seconds: The time to compile the model, for checkers that do.
        seconds: The wall time of the process.
        over_seconds: The limit that the run hit.
        estimated_seconds: For a run that was not made, its time at the rate of the next smaller size.
        open_ended: Whether the estimate is a lower bound, because the run on the next smaller size hit its limit.
    """

    model: str
    cpus: int
    states: int
    transitions: int
    checker: str
    settings: str
    compile_seconds: float | None = None
    seconds: float | None = None
    peak_bytes: int | None = None
    own: OwnFigures | None = None
    over_seconds: float | None = None
    estimated_seconds: float | None = None
    open_ended: bool = False
    reason: str | None = None

    @classmethod
    def read(cls, line: str) -> Row:
        """Read a line of a journal."""
        values = json.loads(line)
        own = values.pop("own")
        return cls(**values, own=own and OwnFigures(**own))

    @property
    def key(self) -> tuple[object, ...]:
        """The model, its counts, the checker and its settings, by which a run is found in a journal."""
        return (self.model, self.cpus, self.states, self.transitions, self.checker, self.settings)

    @property
    def label(self) -> str:
        """The name of the checker in tables; for this engine, its settings."""
        return self.settings.removesuffix(", no measures") if self.checker == BASE.name else self.checker

    @property
    def rate(self) -> float | None:
        """Generated transitions a second of this engine's own search."""
        return self.transitions / self.own.seconds if self.own and self.own.seconds else None

    def cell(self, base: float) -> str:
        """Write the seconds, and their ratio to `base` seconds."""
        if self.seconds is not None:
            return f"{self.seconds:.2f} s" + ("" if self.settings == BASE.settings else f" ×{self.seconds / base:.3g}")
        if self.over_seconds is not None:
            return f"> {self.over_seconds:.0f} s >×{self.over_seconds / base:.3g}"
        if self.estimated_seconds is not None:
            return f"~ {'> ' * self.open_ended}{self.estimated_seconds:,.0f} s, not run"
        return str(self.reason)


class Session:
    """Runs every checker on every model, one after the other.

    Args:
        limits: The limits of a run.
        largest: The largest number of states of a model.
        folder: The folder for the models.
        journal: The file that gets a JSON line for each run as soon as it is made. A run that it holds is not made again.
    """

    def __init__(self, limits: Limits, largest: float, folder: Path, journal: Path) -> None:
        self.limits = limits
        self.largest = largest
        self.folder = folder
        self.journal = journal
        self.rows: list[Row] = []
        lines = journal.read_text().splitlines() if journal.exists() else []
        self.made = {row.key: row for row in map(Row.read, lines)}
        self.resumed = len(self.made) > 0

    def run(self, family: str) -> None:
        """All sizes of a family, from the smallest."""
        make, sizes = FAMILIES[family]
        for cpus in sizes:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                case = Case(family, *make(cpus), Path(folder))
                if case.expected.states <= self.largest:
                    self._explore(case)

    def _explore(self, case: Case) -> None:
        for engine in ENGINES.values():
            self._add(self._known(case, engine) or self._measure(case, engine, Limits()))
        limits = dict.fromkeys(PEERS, self.limits)
        if case.expected.states >= LARGE:
            base = next(row.seconds for row in reversed(self.rows) if row.settings == BASE.settings)
            assert base is not None, "the engine itself ran into its limit"
            least = PATIENCE if case.name == MEASURED else self.limits.seconds
            limits = {peer: Limits(max(least, ENOUGH * TARGETS[peer.name] * base)) for peer in PEERS}
        if (case.name, case.cpus) == OURS_ONLY:
            return
        rows = {peer: self._known(case, peer) or self._foregone(case, peer, limits[peer]) for peer in PEERS}
        wanted = [peer for peer in PEERS if rows[peer] is None]

        def build(peer: Checker) -> float | None:
            started = perf_counter()
            compiled = peer.build(case)
            return perf_counter() - started if compiled else None

        with ThreadPoolExecutor(THREADS) as pool:
            compiling = dict(zip(wanted, pool.map(build, wanted), strict=True))
        for peer in PEERS:
            self._add(rows[peer] or self._measure(case, peer, limits[peer], compiling[peer]))

    def _known(self, case: Case, checker: Checker) -> Row | None:
        return self.made.get(Row(*described(case, checker)).key)

    def _measure(self, case: Case, checker: Checker, limits: Limits, compiling: float | None = None) -> Row:
        row = (*described(case, checker), compiling)
        try:
            runs = [checker.find(case, limits)]
            while runs[0].run.seconds < SHORT and len(runs) < 3:
                runs.append(checker.find(case, limits))
        except Stopped as stopped:
            return Row(*row, over_seconds=stopped.seconds, reason=str(stopped))
        for found in runs:
            found.check(case.expected, f"{checker.name} on {case.name} {case.cpus}")
        median = statistics.median(found.run.seconds for found in runs)
        found = next(found for found in runs if found.run.seconds == median)
        return Row(*row, found.run.seconds, found.run.peak_bytes, found.own)

    def _foregone(self, case: Case, peer: Checker, limits: Limits) -> Row | None:
        """Make the row of a run that is not worth making; None if the run is worth it."""
        smaller = [row for row in self.rows if (row.model, row.checker) == (case.name, peer.name)]
        if not smaller or case.expected.states >= LARGE:
            return None
        last = smaller[-1]
        seconds = last.seconds or last.over_seconds or last.estimated_seconds
        if seconds is None:
            return Row(*described(case, peer), reason=f"not run: with {last.cpus} CPUs {last.reason}")
        estimate = seconds * case.expected.transitions / last.transitions
        if estimate <= limits.seconds:
            return None
        open_ended = last.over_seconds is not None or last.open_ended
        about = "more than" if open_ended else "about"
        reason = f"not run: would take {about} {estimate:,.0f} s at its rate with {last.cpus} CPUs"
        return Row(*described(case, peer), estimated_seconds=estimate, open_ended=open_ended, reason=reason)

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if row.key not in self.made:
            with self.journal.open("a") as journal:
                journal.write(json.dumps(asdict(row)) + "\n")
        shown = row.reason or f"{row.seconds:9.2f} s {(row.peak_bytes or 0) / 2**20:9.0f} MiB"
        say(row, row.label, shown + (f", compiled in {row.compile_seconds:.0f} s" if row.compile_seconds else ""))


def described(case: Case, checker: Checker) -> tuple[str, int, int, int, str, str]:
    """Return the first columns of a row."""
    expected = case.expected
    return (case.name, case.cpus, expected.states, expected.transitions, checker.name, checker.settings)


def say(about: Case | Row, who: str, what: str) -> None:
    """Print a line of progress."""
    name = about.name if isinstance(about, Case) else about.model
    print(f"{name:32} {about.cpus:3} {who:28} {what}", file=sys.stderr, flush=True)


class Results:
    """Makes the tables of a session."""

    def __init__(self, session: Session) -> None:
        self.rows = session.rows
        self.labels = list(dict.fromkeys(row.label for row in session.rows))

    def models(self) -> Iterator[tuple[Row, dict[str, Row]]]:
        """Yield, for each model, the row of the engine in the space of bits with all threads, and all rows by label."""
        for model, cpus in dict.fromkeys((row.model, row.cpus) for row in self.rows):
            here = {row.label: row for row in self.rows if (row.model, row.cpus) == (model, cpus)}
            yield next(row for row in here.values() if row.settings == BASE.settings), here

    def table(self) -> list[str]:
        """Make a line for each model: seconds, and their ratio to those of the engine's space of bits with all threads."""
        columns = ["model", "CPUs", "states", "transitions", *self.labels]
        lines = []
        for base, here in self.models():
            assert base.seconds is not None, f"the engine itself: {base.reason}"
            cells = [here[name].cell(base.seconds) if name in here else "" for name in self.labels]
            lines.append([base.model, f"{base.cpus}", f"{base.states:,}", f"{base.transitions:,}", *cells])
        return aligned(columns, lines)

    def details(self) -> list[str]:
        """Make a line for each run: compile time, peak size, and the engine's own figures."""
        columns = [
            "model",
            "CPUs",
            "checker",
            "compile",
            "run",
            "peak MiB",
            "peak B/state",
            "held B/state",
            "M transitions/s",
        ]
        lines = []
        for row in self.rows:
            if row.seconds is None or row.peak_bytes is None:
                lines.append([row.model, f"{row.cpus}", row.label, "", str(row.reason), "", "", "", ""])
                continue
            stored = row.own.stored if row.own else row.states
            rate = row.transitions / row.seconds if row.own is None else row.rate
            lines.append([
                row.model,
                f"{row.cpus}",
                row.label,
                f"{row.compile_seconds:.0f} s" if row.compile_seconds else "",
                f"{row.seconds:.2f} s",
                f"{row.peak_bytes / 2**20:.0f}",
                f"{row.peak_bytes / stored:.3g}",
                f"{row.own.memory_bytes / stored:.3g}" if row.own else "",
                f"{rate / 1e6:.3g}" if rate and "orbit" not in row.settings else "",
            ])  # fmt: skip
        return aligned(columns, lines)

    def targets(self) -> list[str]:
        """Make the table of the targets and the figures that were reached."""
        large = [(base, here) for base, here in self.models() if base.states >= LARGE]
        lines = []
        for peer, target in TARGETS.items():
            bounds = [ratio for base, here in large if peer in here and (ratio := at_least(here[peer], base))]
            lines.append(
                judged(f"{peer}, wall time over ours, {size(LARGE)} states and more", f"≥ {target}", bounds, target)
            )
        pairs = [(base, next(r for r in here.values() if r.settings == ONE.settings)) for base, here in large]
        gains = [one.own.seconds / base.own.seconds for base, one in pairs if base.own and one.own]
        lines.append(judged(f"{THREADS} threads over one", "≥ 1.7", gains, 1.7))
        rates = {(base.model, base.cpus): base.rate for base, _ in self.models()}
        family = OURS_ONLY[0]
        at_8, at_6 = rates.get(OURS_ONLY), rates.get((family, FAMILIES[family][1][1]))
        lines.append(
            judged("rate at 10^8 states over rate at 10^6", "≥ 0.7", [at_8 / at_6] if at_8 and at_6 else [], 0.7)
        )
        held = [base.own.memory_bytes / base.own.stored for base, _ in large if base.own and base.own.state_bits <= 128]
        lines.append(judged("bytes held for a state of up to 128 bits, no parents", "≤ 16", held, 16, most=True))
        return aligned(["figure", "must be", "measured", "reached"], lines)


def at_least(row: Row, base: Row) -> float | None:
    """Return the measured ratio, or its measured lower bound; an estimate is neither."""
    seconds = row.seconds or row.over_seconds
    return seconds / base.seconds if seconds and base.seconds else None


def judged(what: str, target: str, values: list[float], bound: float, *, most: bool = False) -> list[str]:
    """Make a line of the table of targets: the worst value counts."""
    if not values:
        return [what, target, "", "not measured"]
    worst = max(values) if most else min(values)
    reached = worst <= bound if most else worst >= bound
    return [what, target, " ".join(f"{value:.3g}" for value in values), "yes" if reached else "no"]


def size(states: int) -> str:
    return f"{states // 1_000_000} M"


def aligned(columns: list[str], lines: list[list[str]]) -> list[str]:
    """Write a Markdown table whose source lines up."""
    rule = ["---", *("---:" for _ in columns[1:])]
    rows = [columns, rule, *lines]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]


def machine() -> dict[str, object]:
    """Describe the machine."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 10
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "threads": THREADS, "memory_mib": memory, "kernel": platform.release()}


def versions() -> dict[str, str]:
    """Return the version of every checker and compiler.

    Raises:
        Missing: A checker is not installed.
    """
    found = {checker.name: checker.version() for checker in (BASE, *PEERS)}
    for compiler in ("cc", "rustc"):
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
        found[compiler] = done.stdout.splitlines()[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="models of up to 2.5 million states")
    parser.add_argument("--limit", type=float, default=60, help="seconds for a run")
    parser.add_argument("--resume", action="store_true", help="keep the runs of a session that was interrupted")
    parser.add_argument("--only", nargs="*", default=list(FAMILIES), choices=FAMILIES, help="models")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    given = parser.parse_args()
    try:
        tools = versions()
    except Missing as missing:
        parser.error(f"{missing} is not installed; run `make peers`")
    started = perf_counter()
    journal = HERE / ".peers/session.jsonl"
    if not given.resume:
        journal.unlink(missing_ok=True)
    session = Session(Limits(given.limit), QUICK if given.quick else float("inf"), HERE / ".peers", journal)
    for family in given.only:
        session.run(family)
    results = Results(session)
    settings = {row.label: row.settings for row in session.rows}
    about = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "versions": tools}
    given.out.mkdir(exist_ok=True)
    document = {
        **about,
        "limit_seconds": given.limit,
        "settings": settings,
        "runs": [asdict(row) for row in session.rows],
    }
    (given.out / "peers.json").write_text(json.dumps(document, indent=1) + "\n")
    intro = [
        (
            f"Measured {about['date']} by `make bench` in one session of {(perf_counter() - started) / 60:.0f} minutes on "
            f"{machine()['processor']}, {THREADS} threads, {machine()['memory_mib']} MiB."
            + " It was interrupted and resumed: the minutes are those of its last part."
            * session.resumed
        ),
        (
            "Seconds are the wall time of the whole process, without compiling the model; `×` is the ratio to this "
            f"engine with `--space bits` and {THREADS} threads. Every time stands for a run that found exactly the states "
            f"and transitions of its line; one of under {SHORT} s is the median of three. `>`: stopped at the limit "
            f"({given.limit:.0f} s, or on models of at least {size(LARGE)} states {ENOUGH} times what reaches the target; at "
            f"least {PATIENCE} s on {MEASURED}), a lower bound. `~`: not run, an estimate from the checker's own time on the "
            "next smaller size, its start included; no ratio is claimed. With `--space bits` each concrete state is one bit, "
            "which a step from a state of the level before must set: the steps of states that differ only in the names of "
            "CPUs are found once for all of them and taken from each. Spin, Rumur, TLC and Stateright treat each state on its "
            "own and run without symmetry reduction."
        ),
    ]
    details = (
        "Peak is the resident size of the process, held what the engine accounts for. In the orbit space a stored state "
        "is an orbit. Spin and Rumur are compiled at the same time."
    )
    parts = [
        "# Peers",
        *intro,
        "\n".join(results.table()),
        "## What must be reached",
        "One value for each model with a measured time or lower bound; the worst counts.",
        "\n".join(results.targets()),
        "## Details",
        details,
        "\n".join(results.details()),
        "## Settings and versions",
        "`make bench-settings` tries others.",
        "\n".join(f"- {name}: {chosen}" for name, chosen in settings.items()),
        "\n".join(f"- {name} {version}" for name, version in tools.items()),
    ]
    (given.out / "peers.md").write_text("\n\n".join(parts) + "\n")
    print("\n".join(results.table()))


if __name__ == "__main__":
    main()
