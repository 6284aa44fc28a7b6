"""What else could have happened at each step of a trace: the steps that were enabled and not taken.

They come from the engine, which is asked again from the state before each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.explore.lanes import returned, span
from tdxexplore.explore.steps import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.trace import Trace


@dataclass(frozen=True, slots=True)
class Choice:
    """A step that was enabled; CPUs that could take it alike are one choice.

    Attributes:
        actor: Who could have acted.
        where: ``CPU 2``, ``CPU 2-5``, ``package 0`` or nothing.
        what: The function and the step, and what it would have returned.
    """

    actor: str
    where: str
    what: str


def choices(trace: Trace) -> tuple[tuple[Choice, ...], ...]:
    """The choices that were not taken: a tuple for each step of the trace, in its order.

    Args:
        trace: As `tdxexplore.replay` gives it.
    """
    engine, question = trace.question.compile().engine, trace.question
    run = engine.replay(question.initial(), trace.schedule)
    # Two tokens may lead to the same step: a choice is named once, and the step that was taken is none.
    before = zip(run.states, run.steps, strict=False)  # the last state has no step
    return tuple(
        tuple(_alike(trace, [other for other in engine.replay_from(words).enabled if other != taken]))
        for words, taken in before
    )


def _alike(trace: Trace, enabled: list[tuple[int, int, int]]) -> Iterator[Choice]:
    """Each rule with all its places."""
    program = trace.question.compile().program
    for index, group in groupby(sorted(set(enabled)), key=lambda each: each[0]):
        places = list(group)
        rule = program.rules[index]
        cpus = [cpu for _, _, cpu in places if cpu >= 0]
        packages = [package for _, package, _ in places if package >= 0]
        where = span("CPU ", cpus) if cpus else span("package ", packages) if packages else ""
        said = place(rule.label.frames, returned(rule.label.title, rule.notes))
        yield Choice(program.actors[rule.actor], where, said)
