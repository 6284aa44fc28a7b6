"""Conditions on the order of steps as their definition says, read aloud over runs of the reference interpreter, one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

from tdxexplore.model import State, reference
from tdxexplore.model.execution import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.orders import Event
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.reasons import Order
    from tdxexplore.model.execution import Transition

    Run = tuple[Transition, ...]

MOST = 6_000
"""The most runs of a question."""


def every_run(question: Question) -> Iterator[tuple[Run, str]]:
    """Each run and its outcome, by the reference interpreter, which is asked once for each state."""
    compiled = question.compile()
    model = compiled.model
    known: dict[object, list[Transition]] = {}
    waiting: list[tuple[State, Run]] = [(model.initial(question.topology), ())]
    found = 0
    while waiting:
        state, taken = waiting.pop()
        if state.key() not in known:
            known[state.key()] = reference.transitions(model, state)
        if not known[state.key()]:
            found += 1
            assert found <= MOST
            yield taken, outcome_of(model, state)
        waiting += [(step.target, (*taken, step)) for step in known[state.key()]]


def happens(step: Transition, event: Event, cpu: int | None, actors: tuple[str, ...]) -> bool:
    """Whether a step is an event, in its own words."""
    if event.either:
        return any(happens(step, one, cpu, actors) for one in event.either)
    said = step.label.title
    if not event.actor:  # whoever says so
        return event.title in step.notes and cpu in (None, step.cpu)
    if event.title != said and not event.title.startswith(f"{said} -> "):
        return False
    if event.title != said and event.title != " -> ".join([said, *step.notes]):
        return False
    there = (actors[step.actor], step.label.frames) == (event.actor, event.functions)
    goes = all(part in step.notes for part in event.way.split("; ") if part)
    return there and goes and cpu in (None, step.cpu)


def first(run: Run, event: Event, cpu: int | None, actors: tuple[str, ...], nth: int = 1) -> float:
    return (*(at for at, step in enumerate(run) if happens(step, event, cpu, actors)), *[float("inf")] * nth)[nth - 1]


def holds(run: Run, order: Order, on: dict[str, int | None], actors: tuple[str, ...]) -> bool:
    """The definition of a condition, read aloud."""
    if order.first.either:
        return all(holds(run, replace(order, first=one), on, actors) for one in order.first.either)
    if order.since is not None:
        since = False
        for step in run:
            ended = order.before is not None and happens(step, order.before, on[order.where], actors)
            if happens(step, order.first, on[order.on], actors) and since and not ended:
                return True
            since = happens(step, order.since, on[order.where], actors) or (since and not ended)
        return False
    comes = first(run, order.first, on[order.on], actors, order.nth)
    if comes == float("inf"):
        return False
    other = order.before
    later = float("inf") if other is None else first(run, other, on[order.where], actors, order.before_nth)
    return comes < later and (later < float("inf") or order.before is None or not order.both_come)


def met(run: Run, orders: tuple[Order, ...], cpus: int, actors: tuple[str, ...]) -> bool:
    choices = list(permutations(range(cpus), 2)) or [(0, -2)]
    places: list[dict[str, int | None]] = [{"": None, "c": c, "d": d, "p": None} for c, d in choices]
    return any(all(holds(run, order, on, actors) for order in orders) for on in places)
