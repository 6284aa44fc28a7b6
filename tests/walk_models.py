"""Small models whose bugs have a known depth, and probabilistic concurrency testing on the plain interpreter, by enumeration."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from typing import TYPE_CHECKING

from tdxexplore.model import Model, Procedure, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model import State
    from tdxexplore.model.execution import Transition

Instance = tuple[int, int, int]


def alternation(depth: int, others: int = 0) -> Model:
    """Two actors whose steps must alternate `depth` times for the bug; all their other orders are fine.

    The bug needs `depth` constraints, each between two steps: a step of one before the next of the other, and so on.

    Args:
        depth: Of the bug.
        others: Actors that take two steps and have nothing to do with it.
    """
    model = Model(f"alternation {depth} {others}")
    met = model.counter("met", depth + 1)
    steps = {"A": depth // 2 + 1, "B": (depth + 1) // 2}
    for actor, count in steps.items():
        p = Procedure(actor)
        for number in range(count):
            place = 2 * number + (actor == "B")
            p.step(f"{actor}{number}")
            with p.if_(met == place):
                p.add(met, 1)
        model.add(p)
    for number in range(others):
        p = Procedure(f"other {number}")
        p.step("first")
        p.step("second")
        model.add(p)
    model.outcome("bug", "S1", met == depth + 1)
    model.outcome("fine", "ok", True)
    return model


def pct(model: Model, initial: State, depth: int, horizon: int) -> dict[str, Fraction]:
    """How likely each outcome is in a run by random priorities that change `depth` - 1 times within the horizon.

    All orders of all instances of actors, all steps of change and all choices are gone through, one after the other.
    """
    found: dict[str, Fraction] = {}
    instances = sorted(_instances(model, initial))
    weight = Fraction(1)
    for count in range(1, len(instances) + 1):
        weight /= count
    weight /= horizon ** (depth - 1)
    for order in permutations(range(len(instances))):
        priorities = {who: depth + rank for who, rank in zip(instances, order, strict=True)}
        for changes in product(range(1, horizon + 1), repeat=depth - 1):
            for outcome, chance in _runs(model, initial, priorities, changes, 1):
                found[outcome] = found.get(outcome, Fraction(0)) + weight * chance
    assert sum(found.values()) == 1
    return found


def _runs(
    model: Model, state: State, priorities: dict[Instance, int], changes: tuple[int, ...], step: int
) -> Iterator[tuple[str, Fraction]]:
    enabled = reference.transitions(model, state)
    if not enabled:
        yield reference.outcome_of(model, state), Fraction(1)
        return
    now = dict(priorities)
    for number, change in enumerate(changes):
        if change == step:
            now[max(map(_who, enabled), key=now.__getitem__)] = number
    turn = max(map(_who, enabled), key=now.__getitem__)
    own = [transition for transition in enabled if _who(transition) == turn]
    for transition in own:
        for outcome, chance in _runs(model, transition.target, now, changes, step + 1):
            yield outcome, chance / len(own)


def _instances(model: Model, initial: State) -> set[Instance]:
    seen, waiting, found = {initial.key()}, [initial], set()
    while waiting:
        for transition in reference.transitions(model, waiting.pop()):
            found.add(_who(transition))
            if transition.target.key() not in seen:
                seen.add(transition.target.key())
                waiting.append(transition.target)
    return found


def _who(transition: Transition) -> Instance:
    return transition.actor, transition.package, transition.cpu
