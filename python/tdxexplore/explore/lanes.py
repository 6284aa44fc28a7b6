"""A trace as text: a line a step, and a column for each actor, with its name where it acts and bars while it holds locks.

CPUs have one column together, so that idle ones take no room: 64 CPUs are as wide as two. A function is named where an actor
enters it, and the lines below are set in. A line that is too wide goes on in the next; nothing is cut. A column of text for
each actor, as in changelogs, was rejected: four actors leave it 20 characters. `tdxexplore.render.mail` has that form, for
excerpts.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from tdxexplore.tdx.module import SUCCESS
from tdxexplore.visible import speaks_ascii

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tdxexplore.explore.steps import Held, TraceStep, Wait
    from tdxexplore.model.expr import Value

# Steps of a trace that are read one by one, however alike: what a small server has CPUs.
ALIKE = 8
WIDTH = 100
MARK = ">"
"""Stands before the number of the decisive step."""

_ENOUGH = 60  # for the text of a step beside columns with names
_LEAST = 20  # for it beside columns without, however narrow the terminal
_GAP = 2

Run = tuple["TraceStep", ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """The marks of locks: taken, held, released; and taken and released in one step."""

    shared: str
    exclusive: str

    def of(self, held: Held, part: int) -> str:
        """The sign for a lock."""
        return (self.shared if held.lock.shared else self.exclusive)[part]


UNICODE, ASCII = Bars("┌│└╶", "┏┃┗╺"), Bars(".:'-", "+|+=")


def text(
    steps: Sequence[TraceStep],
    ending: str,
    waits: Iterable[Wait],
    *,
    decisive: int | None = None,
    changes: bool,
    sources: bool,
    width: int | None,
    ascii_only: bool | None,
) -> str:
    """`Trace.to_text`."""
    columns = width or min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    bars = ASCII if (speaks_ascii() if ascii_only is None else ascii_only) else UNICODE
    runs = list(in_runs(steps, len(steps) if changes else ALIKE))
    lanes = _Lanes(runs, bars, columns, decisive)
    lines = []
    for run, sentence in zip(runs, sentences(runs), strict=True):
        lines += lanes.lines(run, sentence)
        visible = [(n, a, b) for n, a, b in run[0].changes if not n.startswith("pc.")]
        if changes and visible:
            lines += lanes.below(run, ", ".join(f"{name}: {_word(old)} -> {_word(new)}" for name, old, new in visible))
        if sources and run[0].source:
            lines += lanes.below(run, f"[{run[0].source}]")
    if ending:
        lines += folded(f"outcome: {ending}", columns)
    if decisive:
        lines += folded(f"{MARK} {decides(decisive)}", columns)
    for wait in waits:
        lines += folded(f"waiting for ever: {waits_for(wait)}", columns)
    return "\n".join(lines)


def table(steps: Sequence[TraceStep]) -> Iterator[tuple[str, str, str, str]]:
    """The cells of a trace: numbers, actor, place and what happens; alike steps of many CPUs together."""
    for run in in_runs(steps, ALIKE):
        yield (*_head(run), run[0].what)


def decides(number: int) -> str:
    """The meaning of the mark of the decisive step."""
    return f"step {number} decides: until then some run avoids this outcome, afterwards none does"


def waits_for(wait: Wait) -> str:
    """Somebody who waits for ever, where, since when and for whom."""
    since = "from the beginning" if wait.since is None else f"since step {wait.since}"
    said = f"{someone(wait.actor, wait.cpu)} in {wait.step}, {since}"
    for blocker in wait.blockers:
        number = "" if blocker.number is None else f" since step {blocker.number}"
        if blocker.why == "changed":
            at = f", which step {blocker.number} of {blocker.actor} set last" if blocker.actor else ""
            said += f"; it waits for {blocker.what}{at}"
        else:
            said += f"; {someone(blocker.actor, blocker.cpu)} {blocker.why} {blocker.what}{number}"
    return said


def someone(actor: str, cpu: int | None) -> str:
    """An actor, and where it is."""
    return actor if cpu is None else f"{actor} on CPU {cpu}"


def happened(step: TraceStep) -> str:
    """The step itself, without its function: what it is, what it did, what it released."""
    return "; ".join([returned(step.title, step.notes), *(held.lock.released for held in step.released)])


def returned(title: str, notes: Iterable[str]) -> str:
    """A step and what it did. A call that is the step is named once, with what it returned."""
    did = "; ".join(note.replace(f" = {SUCCESS}", " = 0") for note in notes)
    if did.startswith(f"{title} "):
        return did
    return f"{title} -> {did}" if did else title


def folded(line: str, width: int, indent: str = "  ") -> list[str]:
    """A line as lines that fit."""
    return wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


class _Lanes:
    """The columns of a trace.

    Args:
        runs: Its lines.
        bars: What locks are drawn with.
        columns: The longest line.
        decisive: The number of the step that gets a mark.

    Where names take too much room, a sign stands in the column, and all names share one, or stand before the text; where
    the bars do, too, there are no columns, and the text says alone what is taken and released.
    """

    def __init__(self, runs: Sequence[Run], bars: Bars, columns: int, decisive: int | None) -> None:
        self._bars = bars
        self._decisive = decisive
        heads = [_head(run) for run in runs]
        self._digits = max((len(numbers) for numbers, _, _ in heads), default=0) + bool(decisive)
        self._places = max((len(where) for _, _, where in heads), default=0)
        self._slots = slots([step for run in runs for step in run])
        actors = list(dict.fromkeys(run[0].actor for run in runs))
        self._bar_count = {a: max((n + 1 for h, n in self._slots.items() if h.actor == a), default=0) for a in actors}
        longest = max(map(len, actors), default=0)
        signs = dict.fromkeys(actors, "*")
        for shown, gap, beside, enough in (
            ({actor: actor for actor in actors}, _GAP, 0, _ENOUGH),
            (signs, 1, longest, _LEAST),
            (signs, 1, 0, _LEAST),
            ({}, 0, 0, 0),
        ):
            self._shown, self._gap, self._beside = shown, gap, beside
            if self._margin() + enough <= columns:
                break
        self._named = bool(self._beside) or signs != self._shown != {}
        self._room = max(columns - self._margin(), 1)

    def _margin(self) -> int:
        lanes = sum(len(shown) + self._bar_count[actor] + self._gap for actor, shown in self._shown.items())
        others = sum(n + _GAP for n in (self._beside, self._places) if n)
        return self._digits + _GAP + lanes + others

    def lines(self, run: Run, sentence: str) -> list[str]:
        """The lines of a step."""
        numbers, actor, where = _head(run)
        if any(step.number == self._decisive for step in run):
            numbers = f"{MARK}{numbers}"
        head = self._left(numbers, actor, where, self._marks(run[-1], run[0]))
        first, *rest = wrapped(sentence, self._room) or [""]
        return [f"{head}{first}".rstrip(), *self._more(run, rest)]

    def below(self, run: Run, sentence: str) -> list[str]:
        """Lines that belong to a step."""
        return self._more(run, wrapped(f"    {sentence}", self._room))

    def _more(self, run: Run, rest: Sequence[str]) -> list[str]:
        held = {h: self._bars.of(h, 1) for h in run[-1].held}
        return [f"{self._left('', '', '', held)}{line}".rstrip() for line in rest]

    def _marks(self, step: TraceStep, first: TraceStep) -> dict[Held, str]:
        """The mark of each lock in the line of a step."""
        new = () if step.takes is None else (h for h in step.held if h.lock == step.takes and h not in _before(first))
        marks = {held: self._bars.of(held, 1) for held in step.held}
        marks |= {held: self._bars.of(held, 0) for held in new}
        for held in step.released:
            if held in step.held:  # one who held it twice
                continue
            marks[held] = self._bars.of(held, 3 if step.takes == held.lock else 2)
        return marks

    def _left(self, numbers: str, actor: str, where: str, marks: dict[Held, str]) -> str:
        lanes = ""
        for name, shown in self._shown.items():
            bars = [" "] * self._bar_count[name]
            for held, mark in marks.items():
                if held.actor == name and held in self._slots:
                    bars[self._slots[held]] = mark
            lanes += f"{shown if name == actor else '':<{len(shown)}}{''.join(bars)}" + " " * self._gap
        lanes += f"{actor:<{self._beside}}" + " " * _GAP if self._beside else ""
        places = f"{where:<{self._places}}" + " " * _GAP if self._places else ""
        return f"{numbers:>{self._digits}}{' ' * _GAP}{lanes}{places}"


def slots(steps: Sequence[TraceStep]) -> dict[Held, int]:
    """The bar of each lock among those of its actor; a lock that is held inside another is to its right."""
    slots: dict[Held, int] = {}
    for step in steps:
        for held in (*step.held, *step.released):
            if held not in slots:
                beside = {slots[other] for other in step.held if other.actor == held.actor and other in slots}
                slots[held] = next(n for n in range(len(beside) + 1) if n not in beside)
    return slots


def _before(step: TraceStep) -> tuple[Held, ...]:
    return tuple(held for held in step.held if step.takes is None or held.lock != step.takes)


def sentences(runs: Sequence[Run]) -> Iterator[str]:
    """The text of each line. A function is named where its actor enters it."""
    inside: dict[str, tuple[str, ...]] = {}
    for step, *_ in runs:
        said = happened(step)
        inner = step.functions[-1] if step.functions else ""
        known = inside.get(step.actor) == step.functions
        inside[step.actor] = step.functions
        if inner and not known and inner != step.title:
            said = f"{inner}: {said}"
        if step.picked:
            said = f"{step.picked} puts {step.actor} on CPU {step.cpu}: {said}"
        yield f"  {said}" if inner and known else said


def wrapped(line: str, room: int) -> list[str]:
    """A line as lines that fit; those that continue it are set in. A call and its status stay together."""
    margin = line[: len(line) - len(line.lstrip())]
    glued = line.replace(" = ", "\u00a0=\u00a0")
    lines = wrap(glued, room, subsequent_indent=f"{margin}  ", break_on_hyphens=False) or [""]
    return [each.replace("\u00a0", " ") for each in lines]


def in_runs(steps: Iterable[TraceStep], short: int) -> Iterator[Run]:
    """Steps in a row that only differ in the CPU together, others and up to ``short`` of them one by one."""
    for _, group in groupby(steps, _but_for_the_cpu):
        alike = tuple(group)
        if len(alike) > short:
            yield alike
        else:
            yield from ((step,) for step in alike)


def _but_for_the_cpu(step: TraceStep) -> tuple[object, ...]:
    # Steps that are not bound to a CPU are never alike.
    which = step.number if step.cpu is None else "CPU"
    released = tuple(held.lock for held in step.released)
    return (which, step.actor, step.functions, step.title, step.notes, step.source, step.picked, released)


def _head(run: Run) -> tuple[str, str, str]:
    """Numbers, actor and place."""
    cpus = [step.cpu for step in run if step.cpu is not None]
    where = span("CPU ", cpus) if len(cpus) > 1 else run[0].where
    return span("", [step.number for step in run]), run[0].actor, where


def span(what: str, numbers: list[int]) -> str:
    """``4`` or ``4-9``; where numbers are left out between, how many there are: ``5 of 4-9``."""
    first, last = min(numbers), max(numbers)
    if len(numbers) == 1:
        return f"{what}{first}"
    return f"{what}{first}-{last}" if last - first + 1 == len(numbers) else f"{len(numbers)} of {what}{first}-{last}"


def _word(value: Value) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
