"""How much faster than Spin, Rumur, TLC and Stateright, on the same models, on this machine, in one session?

Two questions: the time to the verdict, each checker at its best settings, symmetry reduction included; and the rate, where
nobody's count uses symmetry. Each model is one Program in every checker's language; a time counts only when states and
transitions (and, where printed, depth) equal ours; with symmetry reduction, when the states equal our orbits. A run over its
limit gives a lower bound. Without reduction every checker runs on models of at least `LARGE` states, to the end or to a
limit that shows that the target is reached. On smaller ones a run that would take longer than the limit, at the checker's
own rate on the next smaller size, is not made: its figure is an estimate, marked `~`, and enters no ratio that is claimed.

Writes benches/results/peers.json and peers.md. ``--quick`` stops at models of 2.5 million states.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from checkers import THREADS, Case, Checker, Rumur, Spin, Stateright, Tlc
from models import increment_lock, two_phase_commit
from peer_tables import BASE, BEST, ENGINES, LARGE, TARGETS, Results, Row, size
from processes import HERE, Limits, Missing, Stopped
from tdxexplore.explore.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model import Program, State

# Model sizes, in concrete states.
QUICK = 2_500_000
# A run shorter than this many seconds is made three times, and the median counts.
SHORT = 5

PEERS: tuple[Checker, ...] = (Spin(), Rumur(), Tlc(), Stateright())
# With the checker's own symmetry reduction; Spin has none.
REDUCED: tuple[Checker, ...] = (Rumur(symmetry="heuristic"), Tlc(symmetry=True), Stateright(symmetry=True))


def policy(name: str, scenario: str, packages: int = 1) -> Callable[[int], tuple[Program, State]]:
    """A built-in policy on a module that accepts a subset of the CPUs."""

    def make(cpus: int) -> tuple[Program, State]:
        question = Question.of(name, module="subset", scenario=scenario, cpus=cpus, packages=packages)
        compiled = question.compile()
        return compiled.program, compiled.model.initial(question.topology)

    return make


# About 10^5, 10^6 and more than 2 * 10^7 states each,
FAMILIES: dict[str, tuple[Callable[[int], tuple[Program, State]], tuple[int, ...]]] = {
    "v19, second-enable": (policy("v19", "second-enable"), (6, 7, 9, 10)),
    "linux-6.16, second-user": (policy("linux-6.16", "second-user"), (8, 10, 13)),
    "linux-7.2-update, update": (policy("linux-7.2-update", "update"), (8, 9, 12)),
    "two-phase commit": (two_phase_commit, (7, 8, 10)),
    "increment lock": (increment_lock, (8, 9, 10)),
    "v19, kvm-reload, 2 packages": (policy("v19", "kvm-reload", packages=2), ()),
}
# on the large ones a peer gets `ENOUGH` times as long as would show that a target is reached,
ENOUGH = 1.25
# and on this family so many seconds, so that most come to their end;
MEASURED, PATIENCE = "v19, second-enable", 240
# where none of them is run: 10^8 states.
OURS_ONLY = ("v19, second-enable", 10)
# Sizes at which only orbits can be stored.
LARGEST = {"v19, second-enable": (16,), "two-phase commit": (24,), "v19, kvm-reload, 2 packages": (64,)}


class Session:
    """Every checker on every model, one after the other.

    Args:
        limits: Of a run.
        largest: States of a model at most.
        folder: For the models.
        journal: Every run as soon as it is made, a JSON line each; a run that it holds already is not made again.
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
        for cpus in (*sizes, *LARGEST.get(family, ())):
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                case = Case(family, *make(cpus), Path(folder))
                if case.expected.states <= self.largest:
                    self._explore(case)

    def _explore(self, case: Case) -> None:
        concrete = case.cpus in FAMILIES[case.name][1]
        for engine in (*(ENGINES.values() if concrete else ()), BEST):
            self._add(self._known(case, engine) or self._measure(case, engine, Limits()))
        limits = dict.fromkeys(PEERS, self.limits)
        limits |= dict.fromkeys(REDUCED, Limits(PATIENCE) if case.name == MEASURED else self.limits)
        if concrete and case.expected.states >= LARGE:
            base = next(row.seconds for row in reversed(self.rows) if row.settings == BASE.settings)
            assert base is not None, "the engine itself ran into its limit"
            least = PATIENCE if case.name == MEASURED else self.limits.seconds
            limits |= {peer: Limits(max(least, ENOUGH * TARGETS[peer.name] * base)) for peer in PEERS}
        peers = (*(PEERS if concrete and (case.name, case.cpus) != OURS_ONLY else ()), *REDUCED)
        rows = {peer: self._known(case, peer) or self._foregone(case, peer, limits[peer]) for peer in peers}
        wanted = [peer for peer in peers if rows[peer] is None]

        def build(peer: Checker) -> float | None:
            started = perf_counter()
            compiled = peer.build(case)
            return perf_counter() - started if compiled else None

        with ThreadPoolExecutor(THREADS) as pool:
            compiling = dict(zip(wanted, pool.map(build, wanted), strict=True))
        for peer in peers:
            self._add(rows[peer] or self._measure(case, peer, limits[peer], compiling[peer]))

    def _known(self, case: Case, checker: Checker) -> Row | None:
        return self.made.get(Row(*described(case, checker)).key)

    def _measure(self, case: Case, checker: Checker, limits: Limits, compiling: float | None = None) -> Row:
        row = (*described(case, checker), compiling)
        load, date = os.getloadavg()[0], today()
        try:
            runs = [checker.find(case, limits)]
            while runs[0].run.seconds < SHORT and len(runs) < 3:
                runs.append(checker.find(case, limits))
        except Stopped as stopped:
            return Row(*row, over_seconds=stopped.seconds, reason=str(stopped), load=load, date=date)
        for found in runs:
            found.check(case.expected, f"{checker.label} on {case.name} {case.cpus}", reduced=checker.reduced)
        median = statistics.median(found.run.seconds for found in runs)
        found = next(found for found in runs if found.run.seconds == median)
        return Row(*row, found.run.seconds, found.run.peak_bytes, found.own, load=load, date=date)

    def _foregone(self, case: Case, peer: Checker, limits: Limits) -> Row | None:
        """The row of a run that is not worth making."""
        smaller = [row for row in self.rows if (row.model, row.settings) == (case.name, peer.settings)]
        if not smaller or (not peer.reduced and case.expected.states >= LARGE):
            return None
        last = smaller[-1]
        if peer.reduced:
            # Its cost does not grow as the number of concrete transitions does.
            if last.seconds is not None:
                return None
            stopped = last.over_seconds is not None
            reason = f"not run: with {last.cpus} CPUs {last.reason}" if stopped else last.reason
            return Row(*described(case, peer), reason=reason)
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


def described(case: Case, checker: Checker) -> tuple[str, int, int, int, int, str, str, str, bool]:
    """The first columns of a row."""
    e = case.expected
    who = (checker.name, checker.label, checker.settings, checker.reduced)
    return (case.name, case.cpus, e.states, e.transitions, e.orbits, *who)


def today() -> str:
    """The date."""
    return datetime.now(UTC).date().isoformat()


def say(about: Case | Row, who: str, what: str) -> None:
    """A line of progress."""
    name = about.name if isinstance(about, Case) else about.model
    print(f"{name:32} {about.cpus:3} {who:28} {what}", file=sys.stderr, flush=True)


def machine() -> dict[str, object]:
    """The machine that it ran on."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 10
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "threads": THREADS, "memory_mib": memory, "kernel": platform.release()}


def loaded(rows: list[Row]) -> str:
    """When the runs were made, and how busy the machine was."""
    parts = []
    for date in sorted({row.date for row in rows if row.date}):
        loads = [row.load for row in rows if row.date == date and row.load is not None]
        busy = f", load average {statistics.median(loads):.1f} before a run (median)" if loads else ""
        parts.append(f"{sum(row.date == date for row in rows)} runs on {date}{busy}")
    return (
        f"{'; '.join(parts)}. A session alone on the machine has a load of up to {THREADS}; on a busy one runs take twice as "
        "long or more, so ratios across dates are rough."
    )


def versions() -> dict[str, str]:
    """Of every checker and compiler.

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
    results = Results(session.rows)
    settings = {row.label: row.settings for row in session.rows}
    about = {"date": today(), "machine": machine(), "versions": tools}
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
            f"Measured by `make bench` on {machine()['processor']}, {THREADS} threads, {machine()['memory_mib']} MiB, "
            + ("and resumed: " if session.resumed else f"in {(perf_counter() - started) / 60:.0f} minutes: ")
            + loaded(session.rows)
        ),
        (
            "Seconds are the wall time of the whole process, without compiling the model, which Spin and Rumur need (see "
            f"the details); one of under {SHORT} s is the median of three. `>`: stopped at the limit, a lower bound. `~`: not "
            "run, an estimate from the checker's own time on the next smaller size, its start included."
        ),
    ]
    verdicts = (
        "Each checker at its best settings, its symmetry reduction included. This engine stores orbits with "
        f"`--symmetry all` and {THREADS} threads; `×` is the ratio to it. `(symmetry)`: Rumur's heuristic on scalarsets, "
        "TLC's `SYMMETRY`, which renames each state in every way, or Stateright's representative with the CPUs sorted, a "
        "function that its user writes; all of them found exactly our orbits. Without the mark the checker was run without "
        "reduction, either because it is faster so or because it has none, as Spin. Outcomes, their shares and probabilities, "
        "which `check` adds, are off here, as the others do not count them."
    )
    rates = (
        "Nobody's count uses symmetry here: every time stands for a run that found exactly the states and transitions of its "
        f"line, and `×` is the ratio to this engine with `--space bits` and {THREADS} threads. There each concrete state is "
        "one bit, which a step from a state of the level before must set: the steps of states that differ only in the names "
        "of CPUs are found once for all of them and taken from each. Spin, Rumur, TLC and Stateright treat each state on its "
        f"own. Limits: {given.limit:.0f} s, or on models of at least {size(LARGE)} states {ENOUGH} times what reaches the "
        f"target; at least {PATIENCE} s on {MEASURED}. No ratio is claimed from an estimate."
    )
    details = (
        "Peak is the resident size of the process, held what the engine accounts for. In the orbit space and with symmetry a "
        "stored state is an orbit. Models are compiled two at a time."
    )
    parts = [
        "# Peers",
        *intro,
        "## Time to the verdict",
        verdicts,
        "\n".join(results.verdicts()),
        "## Rate, without symmetry in the count",
        rates,
        "\n".join(results.rates()),
        "## What must be reached",
        "Rates: one value for each model with a measured time or lower bound; the worst counts.",
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
    print("\n".join([*results.verdicts(), "", *results.rates()]))


if __name__ == "__main__":
    main()
