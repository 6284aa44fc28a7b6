"""Who holds which lock in a state, and who waits for whom where a run is stuck.

Both follow from where actors stand: a step says which locks are held before it, and which one it takes (`Label.locks`,
`Label.takes`). Locks also are fields, of which a reader's does not tell who reads; and what is no lock has no holder: then the
step that last changed what is waited for is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.explore.evidence import evidence
from tdxexplore.explore.steps import Blocker, Held, Wait, place
from tdxexplore.model import Lock, Model, Scope, State
from tdxexplore.model.code import Await, Code, Label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.steps import TraceStep


class Holders:
    """Finds who holds what in the states of a model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.labels = {(label.pc, label.name): label for code in model.codes for _, label in code.labels}

    def of(self, state: State) -> tuple[Held, ...]:
        """Who holds which lock, by actor."""
        held: list[Held] = []
        for code in self._model.codes:
            own: tuple[Lock, ...] = ()
            for _, number, label in self.standing(code, state):
                more = label.locks[len(own) :] if code.scope is Scope.GLOBAL and number is not None else label.locks
                if number is None:
                    own = label.locks
                held += [Held(lock, code.actor, number) for lock in more]
        return tuple(held)

    def standing(self, code: Code, state: State) -> Iterator[tuple[str, int | None, Label]]:
        """Where an actor stands: its program counter, the CPU or package that has it, and the label. It itself comes first."""
        for pc, scope in code.counters.items():
            members = {Scope.GLOBAL: [state.globals], Scope.PACKAGE: state.packages, Scope.CPU: state.cpus}[scope]
            for number, values in enumerate(members):
                label = self.labels.get((pc, str(values[pc])))
                if label is not None:
                    yield pc, None if scope is Scope.GLOBAL else number, label


def waits(model: Model, states: Sequence[State], steps: Sequence[TraceStep]) -> Iterator[Wait]:
    """Who stands at a step at which nobody rests, in the last state; who waits for CPUs stands where they do."""
    holders, last = Holders(model), states[-1]
    for code in model.codes:
        for pc, number, label in holders.standing(code, last):
            if label.rest or label.passive:
                continue
            where = number if label.scope is Scope.CPU and code.counters[pc] is Scope.CPU else None
            blockers = tuple(_blockers(model, holders, code, label, number, states, steps))
            cell = pc if code.counters[pc] is Scope.GLOBAL else f"{pc}[{number}]"
            since = _last_change({cell}, steps)
            yield Wait(code.actor, place(label.frames, label.title), where, _number(since), blockers)


def _blockers(
    model: Model,
    holders: Holders,
    code: Code,
    label: Label,
    number: int | None,
    states: Sequence[State],
    steps: Sequence[TraceStep],
) -> Iterator[Blocker]:
    found: list[Blocker] = []
    if label.takes is not None:
        found = [*_of_lock(model, holders, code, label.takes, number, states, steps)]
    if not found:
        cells = missing(code, label, states[-1], number)
        # Who waits for a grace period waits for readers.
        held = [one for one in holders.of(states[-1]) if one.lock.name in cells and one.actor != code.actor]
        found = [Blocker(one.actor, one.cpu, _taken(one, steps), "holds", one.lock.name) for one in held]
    if not found:
        step = _last_change(cells, steps)
        # Fields that nobody has changed: what is waited for has never come.
        what = ", ".join(sorted(cells)) if step is None else ", ".join(n for n, _, _ in step.changes if n in cells)
        if cells:
            found = [
                Blocker("", None, None, "changed", what)
                if step is None
                else Blocker(step.actor, step.cpu, step.number, "changed", what)
            ]
    yield from found


def _of_lock(
    model: Model,
    holders: Holders,
    code: Code,
    lock: Lock,
    number: int | None,
    states: Sequence[State],
    steps: Sequence[TraceStep],
) -> Iterator[Blocker]:
    """Who keeps somebody from a lock: those who hold it, and a writer who has queued for it."""
    for held in holders.of(states[-1]):
        if held.lock.name == lock.name and not (held.lock.shared and lock.shared):
            yield Blocker(held.actor, held.cpu, _taken(held, steps), "holds", lock.name)
    if lock.shared:
        for other in model.codes:
            for pc, n, label in holders.standing(other, states[-1]):
                queued = label.takes
                if queued is None or queued.name != lock.name or queued.shared or (other, n) == (code, number):
                    continue
                since = _last_change({pc if n is None else f"{pc}[{n}]"}, steps)
                yield Blocker(other.actor, n, _number(since), "has queued for", lock.name)


def _taken(held: Held, steps: Sequence[TraceStep]) -> int | None:
    """The step by which somebody came to hold a lock for the last time; None if it held it at first."""
    return next((s.number for s in reversed(steps) if held in s.held and not _held_before(s, held, steps)), None)


def _held_before(step: TraceStep, held: Held, steps: Sequence[TraceStep]) -> bool:
    return step.number > 1 and held in steps[step.number - 2].held


def missing(code: Code, label: Label, state: State, number: int | None) -> frozenset[str]:
    """The fields because of which a step cannot be taken."""
    at = code.instructions.index(label) + 1
    package = state.package_of[number] if label.scope is Scope.CPU and number is not None else -1
    cpu = number if label.scope is Scope.CPU and number is not None else -1
    while isinstance(instruction := code.instructions[at], Await):
        found = evidence(instruction.condition, state, package, cpu)
        if found is not None and not found.holds:
            return found.cells
        at += 1
    return frozenset()


def _last_change(cells: frozenset[str] | set[str], steps: Sequence[TraceStep]) -> TraceStep | None:
    """The last step that changed one of these."""
    return next((s for s in reversed(steps) if any(name in cells for name, _, _ in s.changes)), None)


def _number(step: TraceStep | None) -> int | None:
    return None if step is None else step.number
