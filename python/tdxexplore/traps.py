"""What keeps it shut: why something that must stay possible no longer is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.model.procedure import DONE
from tdxexplore.trace import replay

if TYPE_CHECKING:
    from tdxexplore import _core
    from tdxexplore.question import Compiled, Question

Facts = frozenset[tuple[int, int]]

# A trap shuts when the last run that could still get out is gone: what decides may be written a few steps later.
LOOK_AHEAD = 8
# Looking ahead explores what is beyond the trap again; beyond this size it is left.
LARGEST = 1_000_000


def keeps_shut(question: Question, response: int, schedule: str, facts: str) -> str:
    """What keeps a trap shut, in words.

    Args:
        question: What was explored.
        response: Which of the model's responses has become impossible.
        schedule: The shortest way into the trap.
        facts: What holds for ever after it, and nowhere where the response has come, as the engine writes it.

    Returns:
        Those values; if there are none, how the runs end that go on from there, and where actors wait then; if they go on
        for ever, the values that hold for ever from a few steps later on.
    """
    compiled = question.compile()
    if known := _words(compiled, _parsed(facts)):
        return known
    beyond = _explore(question, schedule)
    if not beyond.complete:
        return ""
    if ends := [_end(question, schedule + rest) for rest in pl.DataFrame(beyond.outcomes())["schedule"]]:
        return f"runs that end do so in {', '.join(ends)}"
    before = _for_ever(beyond, response)
    for steps in range(1, LOOK_AHEAD + 1):
        schedule += "0"
        later = _for_ever(_explore(question, schedule), response) - before
        if new := _words(compiled, later):
            return f"{new} ({steps} step{'s' * (steps > 1)} later)"
    return f"no one value; what never changes again is {_words(compiled, before)}"


def _explore(question: Question, schedule: str) -> _core.Exploration:
    """Everything that can be reached after a schedule."""
    native = question.compile().native
    shared, packages, cpus = native.replay(question.initial(), schedule).states[-1]
    words = [{"word": hex(word), "cpus": list(map(hex, own))} for word, own in zip(packages, cpus, strict=True)]
    return native.explore(json.dumps({"global": hex(shared), "packages": words}), max_states=LARGEST)


def _for_ever(beyond: _core.Exploration, response: int) -> Facts:
    """The values of global fields that never change there; the response never comes, so that none is left out."""
    return _parsed(pl.DataFrame(beyond.responses())["shut"][response])


def _parsed(facts: str) -> Facts:
    pairs = (fact.split("=") for fact in facts.split())
    return frozenset((int(field), int(value)) for field, value in pairs)


def _words(compiled: Compiled, facts: Facts) -> str:
    """Values other than initial ones; who is done keeps nothing shut."""
    slots, fields = list(compiled.program.slots.values()), compiled.model.fields
    values = ((slots[field].name, slots[field].values[value]) for field, value in sorted(facts))
    told = ((name, value) for name, value in values if value not in (fields[name].initial, DONE))
    return ", ".join(f"{name} = {value}" for name, value in told)


def _end(question: Question, schedule: str) -> str:
    trace = replay(question, schedule)
    return f"{trace.outcome} ({trace.where_they_wait})" if trace.waiting else str(trace.outcome)
