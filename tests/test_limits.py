"""Limits hold in every part of a run, and answers name the memory that they took, as `benches/limits.py` measures it."""

from __future__ import annotations

import pytest

from limits import CASES, SHARES, THREADS, TIMES, Case, measure, run


def test_the_cases_have_every_space_prices_and_512_cpus() -> None:
    assert {case.space for case in CASES} == {"orbit", "concrete", "bits"}
    assert {case.prices for case in CASES} == {True, False}
    assert max(case.cpus for case in CASES) == 512
    assert (min(THREADS), max(THREADS)) == (1, 8)


@pytest.mark.long
def test_a_time_that_ends_while_the_model_is_recorded_or_searched_is_kept() -> None:
    case = Case("linux-7.1", "td-life", 64, 4)
    for timeout, reason in ((0.05, "TimeUp"), (2.0, "timeout")):
        answer = run(case, threads=8, timeout=timeout)
        assert answer["reason"].startswith(reason)
        assert answer["seconds"] < timeout + 1


@pytest.mark.campaign
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_limits_hold(case: Case, threads: int) -> None:
    row = measure(case, threads)
    assert row.runs == 1 + len(TIMES) + len(SHARES)
    assert row.holds, str(row)
