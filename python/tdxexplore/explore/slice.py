"""The steps of a trace that bear on its end: found backwards, from the fields that decide it to the steps that wrote them.

A step bears on the end if it wrote a field that the end, or a later step that bears on it, has read. Of each actor that has such
a step its first one is kept as well, as it says what the actor is about. That an actor comes from one step to its next is not
followed: every earlier step of it would bear on the end then. So a slice explains, and is no run by itself; the schedule is
that of the whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.explore.evidence import evidence
from tdxexplore.explore.holding import missing
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
    compiled = trace.question.compile()
    wanted, kept = set(_end(trace, compiled)), set()
    for wait in trace.waits:
        kept |= {number for number in (wait.since, *(b.number for b in wait.blockers)) if number is not None}
    for step, rule in zip(reversed(trace.steps), reversed(trace.rules), strict=True):
        written = {name for name, _, _ in step.changes}
        if step.number in kept or not wanted.isdisjoint(written):
            kept.add(step.number)
            wanted = (wanted - written) | set(_read(trace, compiled, step, rule))
    actors = {step.actor for step in trace if step.number in kept}
    first = {actor: next(step.number for step in trace if step.actor == actor) for actor in actors}
    return tuple(step for step in trace if step.number in kept | {*first.values(), len(trace)})


def _end(trace: Trace, compiled: Compiled) -> Iterator[str]:
    """The fields that decide the outcome, or those that are waited for."""
    model, last = compiled.model, trace.states[-1]
    if not trace.waits:
        outcome = next(p for p in model.outcomes if p.name == trace.outcome)
        found = evidence(outcome.when, last)
        yield from () if found is None or not found.holds else found.cells
    waiting = {(wait.actor, wait.step) for wait in trace.waits}
    for code in model.codes:
        for pc, scope in code.counters.items():
            members = {Scope.GLOBAL: [last.globals], Scope.PACKAGE: last.packages, Scope.CPU: last.cpus}[scope]
            for number, values in enumerate(members):
                for _, label in code.labels:
                    if label.pc == pc and values[pc] == label.name and any(actor == code.actor for actor, _ in waiting):
                        yield from missing(code, label, last, None if scope is Scope.GLOBAL else number)


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
