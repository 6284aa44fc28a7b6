"""Compares the engine with the reference, space with space, thread count with thread count. Shared by the tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import polars as pl

from tdxexplore import _core
from tdxexplore.model import Scope, State, lower, reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdxexplore.model import Model, Program
    from tdxexplore.model.expr import Value

TOLERANCE = 1e-12
# As many fields as the engine looks for (rust/core/src/measure/cause.rs).
MOST_FIELDS = 4
LARGEST_EXPLAINED = 100


@dataclass
class Compared:
    """How much a comparison looked at, so that a test can assert it."""

    answer: reference.Answer
    traces: int
    explained: int
    program: _core.Program


@lru_cache(maxsize=4)
def lowered(model: Model) -> tuple[Program, _core.Program]:
    """A model's Program, as text and in the engine; kept for the next topology, so that a model must not change."""
    program = lower(model)
    return program, _core.Program(program.text)


def compare_all(model: Model, initial: State, threads: int = 3, *, replay: bool = True) -> Compared:
    """Reference, concrete space and orbit space agree exactly; so do 1 and several threads, schedules included."""
    answer = reference.explore(model, initial)
    program, native = lowered(model)
    packed = program.pack(initial)
    traces = explained = 0
    spaces: tuple[Literal["orbit", "concrete"], ...] = ("orbit", "concrete")
    for space in spaces:
        single = native.explore(packed, space=space, threads=1, prices=True)
        several = native.explore(packed, space=space, threads=threads, prices=True)
        for table in ("outcomes", "invariants", "expectations", "responses", "prices", "levels", "rules"):
            one, many = (pl.DataFrame(getattr(e, table)()) for e in (single, several))
            assert one.equals(many), f"{space} {table} differ between 1 and {threads} threads"
        matches_reference(model, answer, several, space)
        explained += explains_lost(model, initial, program, answer, several)
        same_without_measures(native, packed, space, several)
        if replay:
            traces += replays(model, initial, native, packed, answer, several)
    bits_agree(native, packed, threads)
    return Compared(answer, traces, explained, native)


def same_without_measures(
    native: _core.Program, packed: str, space: Literal["orbit", "concrete"], measured: _core.Exploration
) -> None:
    """Without measures no transitions are kept, and yet the same runs never end."""
    bare = native.explore(packed, space=space, threads=2, measures=False)
    known = ["outcome", "terminal_states", "shortest_steps", "schedule"]
    found, expected = (pl.DataFrame(e.outcomes()).select(known) for e in (bare, measured))
    assert bare.complete
    assert found.equals(expected), space


def bits_agree(native: _core.Program, packed: str, threads: int) -> None:
    """The space of bits, which treats states together that differ in the names of CPUs, finds what the concrete space finds."""
    stored = native.explore(packed, space="concrete", threads=1)
    for count in (1, threads):
        bits = native.explore(packed, space="bits", threads=count)
        assert bits.complete
        assert (bits.states, bits.transitions) == (stored.states, stored.transitions)
        assert (bits.explored, bits.generated) == (stored.explored, stored.generated)
        assert bits.depth == stored.depth
        for table in ("levels", "rules"):
            assert pl.DataFrame(getattr(bits, table)()).equals(pl.DataFrame(getattr(stored, table)())), table
        for table in ("outcomes", "invariants", "expectations"):
            found, expected = (pl.DataFrame(getattr(e, table)()) for e in (bits, stored))
            same = [
                c for c in ("outcome", "terminal_states", "violating_states", "states", "shortest_steps") if c in found
            ]
            assert found.select(same).equals(expected.select(same)), table
            for steps, schedule in found.select("shortest_steps", "schedule").drop_nulls().iter_rows():
                assert len(native.replay(packed, schedule).steps) == steps


def matches_reference(model: Model, answer: reference.Answer, found: _core.Exploration, space: str) -> None:
    """Every figure of the engine is that of the reference."""
    assert found.complete
    assert int(found.states) == answer.states, space
    assert int(found.transitions) == answer.transitions, space
    if space == "concrete":
        assert (found.explored, found.generated) == (answer.states, answer.transitions)
    assert found.depth == answer.depth, space
    outcomes = pl.DataFrame(found.outcomes())
    names = [model.outcomes[i].name for i in outcomes["outcome"]]
    assert dict(zip(names, map(int, outcomes["terminal_states"]), strict=True)) == dict(answer.terminal_states), space
    assert dict(zip(names, outcomes["shortest_steps"], strict=True)) == answer.outcome_depths, space
    assert found.cyclic is answer.cyclic
    assert outcomes["interleavings"].null_count() == (0 if answer.interleavings is not None else len(outcomes))
    if answer.interleavings is not None and answer.probability is not None:
        counts = dict(zip(names, map(int, outcomes["interleavings"]), strict=True))
        assert counts == dict(answer.interleavings), space
        total = sum(counts.values())
        for name, share in zip(names, outcomes["interleaving_share"], strict=True):
            assert math.isclose(share, counts[name] / total, abs_tol=TOLERANCE)
        for name, probability in zip(names, outcomes["probability"], strict=True):
            assert abs(probability - float(answer.probability[name])) <= TOLERANCE, (space, name)
        assert math.isclose(sum(outcomes["interleaving_share"]), 1, abs_tol=TOLERANCE)
        assert math.isclose(sum(outcomes["probability"]), 1, abs_tol=TOLERANCE)
    invariants = pl.DataFrame(found.invariants())
    for prop, states in zip(model.invariants, invariants["violating_states"], strict=True):
        assert int(states) == answer.violating_states[prop.name], (space, prop.name)
    expectations = pl.DataFrame(found.expectations())
    for prop, states in zip(model.expectations, expectations["states"], strict=True):
        assert int(states) == answer.expected_states[prop.name], (space, prop.name)

    responses = pl.DataFrame(found.responses())
    assert len(responses) == len(model.responses)
    for response, row in zip(model.responses, responses.iter_rows(named=True), strict=True):
        assert int(row["lost_states"]) == answer.lost_states[response.name], (space, response.name)
        assert row["shortest_steps"] == answer.lost_depths[response.name]
    costs: dict[str, dict[str, reference.Cost]] = {}
    for row in pl.DataFrame(found.prices()).iter_rows(named=True):
        outcome, price = model.outcomes[row["outcome"]].name, model.prices[row["price"]].name
        costs.setdefault(outcome, {})[price] = reference.Cost(int(row["total"]), row["least"], row["most"])
        assert answer.interleavings is not None
        assert math.isclose(row["mean"], int(row["total"]) / answer.interleavings[outcome], abs_tol=TOLERANCE)
    assert costs == (answer.prices or {}), space


def explains_lost(
    model: Model, initial: State, program: Program, answer: reference.Answer, found: _core.Exploration
) -> int:
    """A cause holds in the end, and in no state that leads to the goal; returns how often that was seen.

    No smaller set of fields is a cause. Where many states follow, nothing is compared, as this takes the square of their number.
    """
    seen = 0
    slots = list(program.slots.values())
    read = 0
    for rule in program.rules:
        read |= rule.guard.own[Scope.GLOBAL].care
    readable = [slot.name for slot in slots if slot.scope is Scope.GLOBAL and slot.mask & read]
    for row in pl.DataFrame(found.responses()).drop_nulls("schedule").iter_rows(named=True):
        taken = reference.replay(model, initial, row["schedule"])
        behind = _beyond(answer, (taken[-1].target if taken else initial).key())
        if len(behind) > LARGEST_EXPLAINED:
            continue
        sizes = {key: len(_beyond(answer, key)) for key in behind}
        ends = [answer.graph[k][0] for k in behind if all(sizes[t] == sizes[k] for t in _beyond(answer, k))]
        ends = [state for state in ends if not reference.is_over(model, state)]
        stays = {name: {state.globals[name] for state in ends} for name in readable}
        kept: dict[str, set[Value]] = {}
        for fact in row["cause"].split():
            at, value = map(int, fact.split("="))
            kept.setdefault(slots[at].name, set()).add(slots[at].values[value])
        assert all(stays[name] == values for name, values in kept.items())
        reach = model.responses[row["response"]].reach
        come = {key for key, (state, _) in answer.graph.items() if reference.evaluate(reach, state, -1, -1, {})}
        ways = [state for key, (state, _) in answer.graph.items() if not come.isdisjoint(_beyond(answer, key))]

        def says(names: Iterable[str], stays: dict[str, set[Value]] = stays, ways: list[State] = ways) -> bool:
            return all(any(state.globals[name] not in stays[name] for name in names) for state in ways)

        if not ways:
            assert all(values != {answer.graph[initial.key()][0].globals[name]} for name, values in kept.items())
            assert all(len(values) == 1 for values in kept.values())
            continue
        most = len(kept) - 1 if kept else MOST_FIELDS
        assert not any(says(names) for size in range(most + 1) for names in combinations(readable, size))
        assert not kept or says(kept)
        seen += bool(kept)
    return seen


def _beyond(answer: reference.Answer, start: object) -> set[object]:
    """What can be reached from a state."""
    found, waiting = {start}, [start]
    while waiting:
        new = [key for key in answer.graph[waiting.pop()][1] if key not in found]
        found.update(new)
        waiting += new
    return found


def replays(
    model: Model,
    initial: State,
    native: _core.Program,
    packed: str,
    answer: reference.Answer,
    found: _core.Exploration,
) -> int:
    """Every reported trace leads to its outcome, in the engine and in the reference; returns how many there were."""
    outcomes = pl.DataFrame(found.outcomes())
    for index, steps, schedule in outcomes.select("outcome", "shortest_steps", "schedule").iter_rows():
        run = native.replay(packed, schedule)
        assert len(run.steps) == steps
        taken = reference.replay(model, initial, schedule)
        last = taken[-1].target if taken else initial
        assert len(taken) == steps
        if model.outcomes[index].diverges:
            assert last.key() in answer.diverging
            assert (run.terminal, run.outcome) == (False, None)
            continue
        assert run.terminal
        assert run.outcome == index
        assert not reference.transitions(model, last)
        assert reference.outcome_of(model, last) == model.outcomes[index].name
    invariants = pl.DataFrame(found.invariants()).drop_nulls("schedule")
    for index, schedule in invariants.select("invariant", "schedule").iter_rows():
        taken = reference.replay(model, initial, schedule)
        last = taken[-1].target if taken else initial
        assert not reference.evaluate(model.invariants[index].when, last, -1, -1, {})
    return len(outcomes) + len(invariants)
