"""The steps of a trace that bear on its end.

Where somebody waits for ever, these are the steps by which they came to wait and by which the locks were taken. Elsewhere
they are found backwards, from the fields that decide the outcome: a step bears on it if it wrote a field that the outcome, or a
later step that bears on it, has read. Of each actor that has such a step its first one is kept as well, as it says what the actor
is about. That an actor comes from one step to its next is not followed: every earlier step of it would bear on the end then.
So a slice explains, and is no run by itself; the schedule is that of the whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.explore.evidence import evidence
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.question import Compiled
    from tdxexplore.explore.steps import TraceStep
    from tdxexplore.explore.trace import Trace
    from tdxexplore.model.program import Cube


def bearing(trace: Trace) -> tuple[TraceStep, ...]:
    """The steps that bear on the end of a trace; of one that could go on, all."""
    if trace.outcome is None:
        return trace.steps
    kept = set(_of_waits(trace) if trace.waits else _of_outcome(trace, trace.question.compile()))
    actors = {step.actor for step in trace if step.number in kept}
    first = {actor: next(step.number for step in trace if step.actor == actor) for actor in actors}
    ends = {*first.values(), trace.decisive or len(trace), len(trace)}
    return tuple(step for step in trace if step.number in kept | ends)


def _of_waits(trace: Trace) -> Iterator[int]:
    for wait in trace.waits:
        yield from (number for number in (wait.since, *(b.number for b in wait.blockers)) if number is not None)


def _of_outcome(trace: Trace, compiled: Compiled) -> Iterator[int]:
    outcome = next(p for p in compiled.model.outcomes if p.name == trace.outcome)
    found = evidence(outcome.when, trace.states[-1])
    wanted = set() if found is None or not found.holds else set(found.cells)
    for step, rule in zip(reversed(trace.steps), reversed(trace.rules), strict=True):
        written = {name for name, _, _ in step.changes}
        if not wanted.isdisjoint(written):
            yield step.number
            wanted = (wanted - written) | set(_read(trace, compiled, step, rule))


def _read(trace: Trace, compiled: Compiled, step: TraceStep, rule: int) -> Iterator[str]:
    """The fields that the guard of a step reads, but for where its own actor stands."""
    guard = compiled.program.rules[rule].guard
    own = set(compiled.model.code(step.actor).counters)
    everywhere = {Scope.GLOBAL: [""], Scope.PACKAGE: range(trace.question.topology.packages)}
    everywhere[Scope.CPU] = range(trace.question.topology.cpus)

    def fields(scope: Scope, cube: Cube) -> Iterator[str]:
        slots = (slot for slot in compiled.program.slots.values() if slot.scope is scope)
        yield from (slot.name for slot in slots if slot.mask & cube.care and slot.name not in own)

    for scope, cube in guard.own.items():
        at = {Scope.GLOBAL: "", Scope.PACKAGE: f"[{step.package}]", Scope.CPU: f"[{step.cpu}]"}[scope]
        yield from (f"{name}{at}" for name in fields(scope, cube))
    for atom, _ in guard.quantified:
        nested = [(Scope.CPU, cube) for _, cube in atom.nested]
        for scope, cube in [(Scope.CPU, atom.cpu), (Scope.PACKAGE, atom.package), *nested]:
            yield from (f"{name}[{n}]" for name in fields(scope, cube) for n in everywhere[scope])
