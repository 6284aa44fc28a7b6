"""One interleaving in kernel words: which actor, on which CPU, in which function, which SEAMCALL, what it returned."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel, shown
from tdxexplore.explore.question import Question
from tdxexplore.model import Scope

Words: TypeAlias = "tuple[int, list[int], list[list[int]]]"

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.question import Compiled
    from tdxexplore.model import Program
    from tdxexplore.model.expr import Value


# Steps of a trace that are read one by one, however alike: what a small server has CPUs.
ALIKE = 8


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One atomic action.

    Attributes:
        number: From 1.
        actor: Who acts.
        package: Where, or None.
        cpu: Where, or None when the step is not bound to a CPU.
        functions: The kernel functions it is in, outermost first.
        title: The step.
        notes: Instructions and SEAMCALLs, with what they returned.
        source: What the step stands for.
        changes: Fields that changed: ``(name, old, new)``; a CPU's or package's field has its number, ``vmx_on[2]``.
    """

    number: int
    actor: str
    package: int | None
    cpu: int | None
    functions: tuple[str, ...]
    title: str
    notes: tuple[str, ...]
    source: str
    changes: tuple[tuple[str, Value, Value], ...]

    @property
    def where(self) -> str:
        """``CPU 2``, ``package 0`` or nothing."""
        if self.cpu is not None:
            return f"CPU {self.cpu}"
        return "" if self.package is None else f"package {self.package}"

    @property
    def what(self) -> str:
        """The innermost function and step, and what happened."""
        where = place(self.functions, self.title)
        return f"{where} -> {'; '.join(self.notes)}" if self.notes else where


@dataclass(frozen=True, slots=True)
class Trace:
    """An interleaving from the initial state; CPU 2 stays CPU 2 throughout.

    Attributes:
        steps: In order.
        schedule: The string that replays it.
        outcome: The outcome of its last state, or None if the run could go on.
        enabled: What could happen next, in canonical order: (actor, step, CPU or None).
        waiting: Where a run that nobody can continue left those who have not come to an end: (actor, step, CPU or None).
    """

    steps: tuple[TraceStep, ...]
    schedule: str
    outcome: str | None
    enabled: tuple[tuple[str, str, int | None], ...]
    waiting: tuple[tuple[str, str, int | None], ...]

    @property
    def where_they_wait(self) -> str:
        """`waiting`, in words."""
        places = (f"{actor}{'' if cpu is None else f' on CPU {cpu}'} in {step}" for actor, step, cpu in self.waiting)
        return "; ".join(places)

    def __iter__(self) -> Iterator[TraceStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def to_text(self, *, changes: bool = False, sources: bool = False) -> str:
        """A line a step; with ``changes``, what each changed; with ``sources``, what each stands for.

        Without ``changes``, more than `ALIKE` steps in a row that only differ in the CPU are one line.
        """
        runs = self._runs(len(self.steps) if changes else ALIKE)
        heads = [_head(run) for run in runs]
        digits, actors, places = (max((len(head[at]) for head in heads), default=0) for at in range(3))
        lines = []
        for (numbers, actor, where), (step, *_) in zip(heads, runs, strict=True):
            head = f"{numbers:>{digits}}  {actor:<{actors}}  {where:<{places}}  "
            lines.append(f"{head}{step.what}")
            margin = " " * len(head)
            if changes:
                visible = [(n, a, b) for n, a, b in step.changes if not n.startswith("pc.")]
                lines += [f"{margin}  {name}: {_word(old)} -> {_word(new)}" for name, old, new in visible]
            if sources and step.source:
                lines.append(f"{margin}  [{step.source}]")
        if self.waiting:
            lines.append(f"waiting for ever: {self.where_they_wait}")
        return "\n".join(lines)

    def _runs(self, short: int) -> list[tuple[TraceStep, ...]]:
        """Steps in a row that only differ in the CPU together, others and up to ``short`` of them one by one."""
        alike = [tuple(group) for _, group in groupby(self.steps, _but_for_the_cpu)]
        return [run for steps in alike for run in ([steps] if len(steps) > short else [(s,) for s in steps])]

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        cells = [(*_head(run), run[0].what) for run in self._runs(ALIKE)]
        rows = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in cells)
        head = "<tr><th></th><th>actor</th><th>where</th><th>step</th></tr>"
        return f"<table>{head}{rows}</table><p>outcome: {escape(self.outcome or 'none yet')}</p>"


def replay(question: Question, schedule: str) -> Trace:
    """Run one interleaving.

    Args:
        question: What was explored.
        schedule: As printed under a trace, or its beginning.

    Raises:
        BadModel: It is no question, or no text.
        BadSchedule: A step of it has no transition; the message says which and what was possible.
    """
    if not isinstance(question, Question):
        raise BadModel(
            f"question is {shown(question)}; a `tdxexplore.Question` is needed, as of `Question.of(POLICY, ...)`"
        )
    if not isinstance(schedule, str):
        raise BadModel(f"schedule is {shown(schedule)}; a text is needed, as printed under a trace")
    compiled = question.compile()
    run = compiled.engine.replay(question.initial(), schedule)
    program, states = compiled.program, run.states
    steps = []
    for number, (rule, package, cpu) in enumerate(run.steps, start=1):
        taken, label = program.rules[rule], program.rules[rule].label
        steps.append(
            TraceStep(
                number,
                program.actors[taken.actor],
                None if package < 0 else package,
                None if cpu < 0 else cpu,
                label.frames,
                label.title,
                taken.notes,
                label.source,
                tuple(_changes(program, states[number - 1], states[number])),
            )
        )
    reached = None if run.outcome is None else program.outcomes[run.outcome][0]
    stuck = reached is not None and not reached.fatal
    return Trace(
        tuple(steps),
        schedule,
        None if reached is None else reached.name,
        tuple(_enabled(compiled, run.enabled)),
        tuple(_waiting(compiled, states[-1])) if stuck else (),
    )


def _enabled(compiled: Compiled, enabled: list[tuple[int, int, int]]) -> Iterator[tuple[str, str, int | None]]:
    for rule, _, cpu in enabled:
        taken = compiled.program.rules[rule]
        yield compiled.program.actors[taken.actor], taken.label.title, None if cpu < 0 else cpu


def _waiting(compiled: Compiled, last: Words) -> Iterator[tuple[str, str, int | None]]:
    """Who stands at a step at which nobody rests; who waits for CPUs stands where they do."""
    unpack = compiled.program.unpack
    numbers: tuple[int | None, ...] = (None, *range(sum(map(len, last[2]))))
    words = [unpack(Scope.GLOBAL, last[0]), *(unpack(Scope.CPU, word) for package in last[2] for word in package)]
    for code in compiled.model.codes:
        for number, values in zip(numbers, words, strict=True):
            for _, label in code.labels:
                if values.get(label.pc) == label.name and not label.rest and not label.passive:
                    yield code.actor, place(label.frames, label.title), number


def _changes(program: Program, before: Words, after: Words) -> Iterator[tuple[str, Value, Value]]:
    def differ(scope: Scope, old: int, new: int, suffix: str) -> Iterator[tuple[str, Value, Value]]:
        if old != new:
            was, now = program.unpack(scope, old), program.unpack(scope, new)
            yield from ((f"{name}{suffix}", was[name], now[name]) for name in was if was[name] != now[name])

    yield from differ(Scope.GLOBAL, before[0], after[0], "")
    for p, (old, new) in enumerate(zip(before[1], after[1], strict=True)):
        yield from differ(Scope.PACKAGE, old, new, f"[{p}]")
    olds, news = [w for p in before[2] for w in p], [w for p in after[2] for w in p]
    for c, (old, new) in enumerate(zip(olds, news, strict=True)):
        yield from differ(Scope.CPU, old, new, f"[{c}]")


def _but_for_the_cpu(step: TraceStep) -> tuple[object, ...]:
    # Steps that are not bound to a CPU are never alike.
    return (step.number if step.cpu is None else "CPU", step.actor, step.functions, step.title, step.notes, step.source)


def _head(run: tuple[TraceStep, ...]) -> tuple[str, str, str]:
    """Numbers, actor and place."""
    cpus = [step.cpu for step in run if step.cpu is not None]
    where = _span("CPU ", cpus) if len(cpus) > 1 else run[0].where
    return _span("", [step.number for step in run]), run[0].actor, where


def _span(what: str, numbers: list[int]) -> str:
    """``4`` or ``4-9``; where numbers are left out between, how many there are: ``5 of 4-9``."""
    first, last = min(numbers), max(numbers)
    if len(numbers) == 1:
        return f"{what}{first}"
    return f"{what}{first}-{last}" if last - first + 1 == len(numbers) else f"{len(numbers)} of {what}{first}-{last}"


def place(functions: tuple[str, ...], title: str) -> str:
    """Where a step is, in words: the innermost function and the step."""
    inner = functions[-1] if functions else ""
    return f"{inner}: {title}" if inner and inner != title else title


def _word(value: Value) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
