"""The same bytes for any number of threads, on random points, with limits on states and depth; more threads than cores.

Where a limit on memory or time ends a search depends on the threads: each has buffers of its own, and a clock is no figure.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from slices import every
from tdxexplore.data.schema import TABLES, TIMING
from tdxexplore.errors import BadModel
from tdxexplore.explore import engine
from tdxexplore.explore.check import check, explore
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import Settings
from tdxexplore.tdx.fields import BUDGETS, MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.explore.exploration import Exploration

POINTS = 200
LIMITS: tuple[dict[str, Any], ...] = (
    {},
    {"max_states": 300},
    {"max_depth": 9},
    {"prices": True},
)


def point(seed: int) -> tuple[Question, dict[str, Any]]:
    """A random question that can happen, and limits."""
    chance = random.Random(seed)
    while True:
        packages = chance.choice((1, 1, 2))
        question = Question.of(
            chance.choice(list(BUILT_IN)),
            module=chance.choice(MODULE_KINDS),
            scenario=chance.choice(list(SCENARIOS)),
            cpus=chance.randrange(2, 7) * packages,
            packages=packages,
            budgets={chance.choice([name for name in BUDGETS if name != "kvm_load"]): chance.randrange(2)},
        )
        try:
            if not question.cannot_happen():
                question.initial()
                settings = chance.choice(LIMITS)
                space = chance.choice(("orbit", "orbit", "concrete")) if question.topology.cpus < 6 else "orbit"
                return question, {**settings, "space": space, "max_states": settings.get("max_states", 5_000)}
        except BadModel:
            continue


def written(answer: Exploration) -> dict[str, str]:
    """Every table without what depends on the moment, and every trace."""
    tables = {name: getattr(answer, name) for name in TABLES}
    texts = {name: rows.drop(c for c in TIMING if c in rows.columns).write_ndjson() for name, rows in tables.items()}
    return {**texts, **{name: trace.schedule for name, trace in answer.traces.items()}}


@pytest.mark.parametrize("seed", every(101, range(POINTS)))
def test_the_answer_does_not_depend_on_the_threads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "usable_cpus", lambda: 8)
    question, how = point(seed)
    alone = explore(question, Settings(threads=1, **how))
    assert alone.runs["explored"][0] > 0
    expected = written(alone)
    assert len(expected) >= len(TABLES)
    for threads in range(2, 9) if seed % 101 else (2, 8):
        assert written(explore(question, Settings(threads=threads, **how))) == expected, (seed, threads)


def test_more_threads_than_cores_cost_nothing() -> None:
    started = time.process_time()
    assert check("v19", cpus=2, threads=4000).runs["threads"][0] <= engine.usable_cpus()
    assert time.process_time() - started < 5
