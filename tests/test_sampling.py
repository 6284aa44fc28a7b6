"""Uniform samples: every run is as likely as any other, and every schedule replays."""

from __future__ import annotations

from collections import Counter

import pytest

from tdxexplore.errors import BadModel
from tdxexplore.explore.check import explore
from tdxexplore.explore.question import Question
from tdxexplore.explore.sampling import Runs, runs_of
from tdxexplore.explore.settings import Settings
from tdxexplore.explore.trace import replay

QUESTION = Question.of("dyn-hook-if-enabled", cpus=2, scenario="online-mid-enable")


def test_runs_are_those_that_the_engine_counts() -> None:
    runs = runs_of(QUESTION)
    counted = Counter(replay(QUESTION, schedule).outcome for schedule in runs)
    answer = explore(QUESTION, Settings())
    expected = {row["outcome"]: int(row["interleavings"]) for row in answer.outcomes.to_dicts() if row["interleavings"]}
    assert counted == expected
    assert runs.total == sum(expected.values()) == len(set(runs))


def test_draws_are_uniform() -> None:
    runs = runs_of(QUESTION)
    draws = 40 * runs.total
    seen = Counter(runs.draw(draws, seed=1))
    assert set(seen) == set(runs)
    chi_square = sum((number - 40) ** 2 / 40 for number in seen.values())
    # Mean k - 1, variance 2 (k - 1): five standard deviations. A walk that takes each enabled step alike is far beyond.
    freedom = runs.total - 1
    assert chi_square < freedom + 5 * (2 * freedom) ** 0.5


def test_the_same_seed_draws_the_same() -> None:
    runs = runs_of(QUESTION)
    assert list(runs.draw(5, seed=7)) == list(runs.draw(5, seed=7)) != list(runs.draw(5, seed=8))


def test_too_many_states_are_refused() -> None:
    compiled = QUESTION.compile()
    start = compiled.model.initial(QUESTION.topology)
    with pytest.raises(BadModel, match="more than 10 states"):
        Runs(compiled.model, start, most_states=10)


def test_endless_runs_are_refused() -> None:
    endless = Question.of(
        "linux-7.1",
        cpus=2,
        scenario="online-mid-enable",
        budgets={"cpu_up": -1 + (1 << 63), "cpu_down": -1 + (1 << 63)},
    )
    with pytest.raises(BadModel, match="need not come to an end"):
        runs_of(endless)
