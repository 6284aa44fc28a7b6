"""The rows of `peers.py` and the tables that are made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checkers import THREADS, Engine, OwnFigures

if TYPE_CHECKING:
    from collections.abc import Iterator

# This engine: the space of bits takes each step from each concrete state, and rates are compared with it,
ENGINES = {(space, threads): Engine(space, threads) for space in ("bits", "orbit") for threads in sorted({1, THREADS})}
ONE, BASE = ENGINES["bits", 1], ENGINES["bits", THREADS]
# and the time to a verdict with its best settings.
BEST = Engine("orbit", THREADS, symmetry="all")
# A model size, in concrete states, and what must be reached from there on: wall time of a peer over that of `BASE`.
LARGE = 20_000_000
TARGETS = {"Spin": 20, "Rumur": 60, "TLC": 40, "Stateright": 40}


@dataclass(frozen=True)
class Row:
    """One run: figures, or the reason why there are none.

    Attributes:
        label: Who ran, for tables.
        reduced: With symmetry reduction.
        compile_seconds: Time to compile the model, for checkers that do.
        seconds: Wall time of the process.
        over_seconds: The limit that it ran into.
        estimated_seconds: Not run; its time at the rate of the next smaller size,
        open_ended: or more, as that one ran into its limit.
        load: Of the machine in the minute before the run: an average, the session's own runs included.
        date: Of the run.
    """

    model: str
    cpus: int
    states: int
    transitions: int
    orbits: int
    checker: str
    label: str
    settings: str
    reduced: bool
    compile_seconds: float | None = None
    seconds: float | None = None
    peak_bytes: int | None = None
    own: OwnFigures | None = None
    over_seconds: float | None = None
    estimated_seconds: float | None = None
    open_ended: bool = False
    reason: str | None = None
    load: float | None = None
    date: str = ""

    @classmethod
    def read(cls, line: str) -> Row:
        """A line of a journal."""
        values = json.loads(line)
        own = values.pop("own")
        return cls(**values, own=own and OwnFigures(**own))

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return (self.model, self.cpus, self.states, self.transitions, self.orbits, self.settings)

    @property
    def rate(self) -> float | None:
        """Generated transitions a second of this engine's own search."""
        return self.transitions / self.own.seconds if self.own and self.own.seconds else None

    @property
    def known(self) -> tuple[bool, float]:
        """Sorts rows of one checker, the best first: the shortest run, else the longest that was stopped."""
        return (self.seconds is None, self.seconds or -(self.over_seconds or 0))

    def cell(self, base: float) -> str:
        """Seconds, and ratio to `base` seconds."""
        if self.seconds is not None:
            return f"{self.seconds:.2f} s ×{ratio(self.seconds / base)}"
        if self.over_seconds is not None:
            return f"> {self.over_seconds:.0f} s >×{ratio(self.over_seconds / base)}"
        if self.estimated_seconds is not None:
            return f"~ {'> ' * self.open_ended}{self.estimated_seconds:,.0f} s, not run"
        return str(self.reason)


class Results:
    """Tables of a session.

    Args:
        rows: All runs.
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def models(self, base: Engine) -> Iterator[tuple[Row, list[Row]]]:
        """Each model that an engine ran on: the engine, and everybody."""
        for model, cpus in dict.fromkeys((row.model, row.cpus) for row in self.rows):
            here = [row for row in self.rows if (row.model, row.cpus) == (model, cpus)]
            for row in here:
                if row.settings == base.settings:
                    assert row.seconds is not None, f"the engine itself: {row.reason}"
                    yield row, here

    def verdicts(self) -> list[str]:
        """A line a model: seconds of each checker at its best settings, and ratio to the engine's."""
        columns = ["model", "CPUs", "states", "orbits", BEST.name, *TARGETS]
        lines = []
        for base, here in self.models(BEST):
            cells = [f"{base.seconds:.2f} s"]
            cells += [best_of([row for row in here if row.checker == name], base) for name in TARGETS]
            lines.append([base.model, f"{base.cpus}", approximate(base.states), f"{base.orbits:,}", *cells])
        return aligned(columns, lines)

    def rates(self) -> list[str]:
        """A line a model, everybody without symmetry: seconds, and ratio to the engine's space of bits with all threads."""
        labels = dict.fromkeys(row.label for row in self.rows if not row.reduced and "orbit" not in row.settings)
        columns = ["model", "CPUs", "states", "transitions", *labels]
        lines = []
        for base, here in self.models(BASE):
            cells = {row.label: row.cell(base.seconds or 0) for row in here} | {base.label: f"{base.seconds:.2f} s"}
            shown = [cells.get(label, "") for label in labels]
            lines.append([base.model, f"{base.cpus}", f"{base.states:,}", f"{base.transitions:,}", *shown])
        return aligned(columns, lines)

    def details(self) -> list[str]:
        """A line a run: compile time, peak size, and the engine's own figures."""
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
            stored = row.own.stored if row.own else row.orbits if row.reduced else row.states
            rate = row.transitions / row.seconds if row.own is None else row.rate
            concrete = not row.reduced and "orbit" not in row.settings
            lines.append([
                row.model,
                f"{row.cpus}",
                row.label,
                f"{row.compile_seconds:.0f} s" if row.compile_seconds else "",
                f"{row.seconds:.2f} s",
                f"{row.peak_bytes / 2**20:.0f}",
                f"{row.peak_bytes / stored:.3g}",
                f"{row.own.memory_bytes / stored:.3g}" if row.own else "",
                f"{rate / 1e6:.3g}" if rate and concrete else "",
            ])  # fmt: skip
        return aligned(columns, lines)

    def targets(self) -> list[str]:
        """What must be reached, and what was."""
        large = [(base, here) for base, here in self.models(BASE) if base.states >= LARGE]
        lines = []
        for peer, target in TARGETS.items():
            plain = [(base, row) for base, here in large for row in here if row.label == peer]
            bounds = [bound for base, row in plain if (bound := at_least(row, base))]
            lines.append(
                judged(f"{peer}, wall time over ours, {size(LARGE)} states and more", f"≥ {target}", bounds, target)
            )
        ones = [(base, row) for base, here in large for row in here if row.settings == ONE.settings]
        gains = [one.own.seconds / base.own.seconds for base, one in ones if base.own and one.own]
        lines.append(judged(f"{THREADS} threads over one", "≥ 1.7", gains, 1.7))
        bases = [base for base, _ in self.models(BASE)]
        largest = max(bases, key=lambda row: row.states)
        family = [row for row in bases if row.model == largest.model]
        middle = min(family, key=lambda row: abs(row.states - 10**6))
        ratios = [largest.rate / middle.rate] if largest.rate and middle.rate and largest.states >= 10**8 else []
        lines.append(judged("rate at 10^8 states over rate at 10^6", "≥ 0.7", ratios, 0.7))
        held = [base.own.memory_bytes / base.own.stored for base, _ in large if base.own and base.own.state_bits <= 128]
        lines.append(judged("bytes held for a state of up to 128 bits, no parents", "≤ 16", held, 16, most=True))
        return aligned(["figure", "must be", "measured", "reached"], lines)


def best_of(rows: list[Row], base: Row) -> str:
    """A checker on a model: its best figure, and why there is none with symmetry."""
    if not rows:
        return ""
    best = min(rows, key=lambda row: row.known)
    without = [row.reason for row in rows if row.reduced and row.seconds is None]
    cell = best.cell(base.seconds or 0)
    if best.reduced:
        return f"{cell} (symmetry)"
    return f"{cell}; symmetry: {without[0]}" if without else cell


def at_least(row: Row, base: Row) -> float | None:
    """The measured ratio, or its measured lower bound; an estimate is neither."""
    seconds = row.seconds or row.over_seconds
    return seconds / base.seconds if seconds and base.seconds else None


def judged(what: str, target: str, values: list[float], bound: float, *, most: bool = False) -> list[str]:
    """A line of targets: the worst value counts."""
    if not values:
        return [what, target, "", "not measured"]
    worst = max(values) if most else min(values)
    reached = worst <= bound if most else worst >= bound
    return [what, target, " ".join(f"{value:.3g}" for value in values), "yes" if reached else "no"]


def ratio(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def approximate(count: int) -> str:
    """A count, short."""
    return f"{count:,}" if count < 10**9 else f"{count:.1e}"


def size(states: int) -> str:
    return f"{states // 1_000_000} M"


def aligned(columns: list[str], lines: list[list[str]]) -> list[str]:
    """A Markdown table whose source lines up."""
    rule = ["---", *("---:" for _ in columns[1:])]
    rows = [columns, rule, *lines]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
