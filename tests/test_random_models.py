"""At least 300 random models: the engine, in both spaces and on several threads, answers as the reference does."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from random_models import Generator
from slices import every
from tdxexplore import _core
from tdxexplore.errors import BadModel, Trap
from tdxexplore.model import Model, State, lower, reference
from witnesses import TOLERANCE, compare_all

BATCHES = 8
WANTED = 50
LARGEST = 1_500
# Each kind must occur, or the generator has lost it. Of a diverging one some runs never end, and some do.
LEAST = {"acyclic": WANTED // 2, "cyclic": 1, "diverging": 3, "explained": 1, "forgets": 1}


@pytest.mark.parametrize("batch", every(BATCHES, range(BATCHES)))
def test_random_models_agree(batch: int) -> None:
    seen: Counter[str] = Counter()
    seed = batch * 100_000
    while seen["compared"] < WANTED or any(seen[kind] < least for kind, least in LEAST.items()):
        seed += 1
        assert seed < batch * 100_000 + 3_000, f"too few models of some kind: {seen}"
        kind = _compare(seed, seen)
        seen[kind] += 1
        seen["compared"] += kind in ("acyclic", "cyclic", "trap")


def _compare(seed: int, seen: Counter[str]) -> str:
    try:
        model, initial = Generator(seed).build()
        program = lower(model)
    except BadModel:
        return "not expressible"
    native = _core.Program(program.text)
    try:
        probe = native.explore(program.pack(initial), space="concrete", max_states=LARGEST, measures=False)
    except _core.Trap as error:
        # The reference must step into the same trap on the same way.
        with pytest.raises((Trap, BadModel)):
            _follow(model, initial, error.schedule)
        return "trap"
    if not probe.complete:
        return "too large"
    if probe.explored < 3:
        return "trivial"
    compared = compare_all(model, initial)
    seen["explained"] += compared.explained
    seen["forgets"] += forgets(model, initial, compared.answer)
    seen["diverging"] += 0 < compared.answer.terminal_states["diverges"] < compared.answer.states
    if compared.answer.interleavings is None:
        _check_absorption(model, initial, compared.program, program.pack(initial))
        return "cyclic"
    return "acyclic"


def forgets(model: Model, initial: State, answer: reference.Answer) -> bool:
    """Whether what the model forgets makes a difference: if it forgets nothing, it reaches other states."""
    if not model.forgotten:
        return False
    forgotten, model.forgotten = model.forgotten, []
    try:
        return reference.explore(model, initial).graph.keys() != answer.graph.keys()
    except Trap:
        return True
    finally:
        model.forgotten = forgotten


def _follow(model: Model, initial: State, schedule: str) -> None:
    taken = reference.replay(model, initial, schedule)
    reference.transitions(model, taken[-1].target if taken else initial)


def _check_absorption(model: Model, initial: State, native: _core.Program, packed: str) -> None:
    """Probabilities on a cyclic graph, from the linear equations of the absorbing chain as a whole."""
    index: dict[object, int] = {initial.key(): 0}
    states, edges = [initial], []
    for i, state in enumerate(states):
        steps = reference.transitions(model, state)
        for step in steps:
            key = step.target.key()
            if key not in index:
                index[key] = len(states)
                states.append(step.target)
            edges.append((i, index[key], 1 / len(steps)))
    chain = np.zeros((len(states), len(states)))
    for i, j, weight in edges:
        chain[i, j] += weight
    reaches = np.array([not chain[i].any() for i in range(len(states))])
    while (more := reaches | (chain[:, reaches].sum(axis=1) > 0)).sum() > reaches.sum():
        reaches = more
    transient = np.flatnonzero(reaches & chain.any(axis=1))
    start = np.zeros(len(states))
    start[0] = 1
    visits = np.zeros(len(states))
    inside = chain[np.ix_(transient, transient)]
    visits[transient] = np.linalg.solve(np.eye(len(transient)) - inside.T, start[transient])
    arrived = visits @ chain + start
    expected: Counter[str] = Counter()
    for i, state in enumerate(states):
        if not chain[i].any():
            expected[reference.outcome_of(model, state)] += arrived[i]
    never = [p.name for p in model.outcomes if p.diverges]
    if never:
        expected[never[0]] = arrived[~reaches].sum()
    for space in ("orbit", "concrete"):
        found = native.explore(packed, space=space)
        table = pl.DataFrame(found.outcomes())
        assert table["interleavings"].null_count() == len(table)
        total = 0.0
        for code, probability in table.select("outcome", "probability").iter_rows():
            total += probability
            assert abs(probability - expected[model.outcomes[code].name]) <= 100 * TOLERANCE
        assert never or not reaches.all() or abs(total - 1) <= 100 * TOLERANCE
        assert not never or abs(total - 1) <= 100 * TOLERANCE
