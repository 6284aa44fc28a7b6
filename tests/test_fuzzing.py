"""Fuzzers in short: Programs, schedules, sweep files and data sets, from anywhere, are answered or refused in a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fuzzing import FOUND, Asked, attempt, fuzz, kinds, seeds

if TYPE_CHECKING:
    from pathlib import Path

LEAST = {"program": (200, 20), "schedule": (200, 40), "sweep": (100, 10), "data": (5, 2)}
"""How many runs there have to be in `SECONDS`, on a slow machine, and how many of them are answered, so that a fuzzer reaches
what lies behind the checks."""
SECONDS = 3


@pytest.mark.long
@pytest.mark.parametrize("kind", LEAST)
def test_whatever_is_read_is_answered_or_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    assert set(LEAST) == set(kinds())
    runs, answered = fuzz(kind, SECONDS, 3, tmp_path)
    least, least_answered = LEAST[kind]
    assert runs >= least
    assert least_answered <= answered <= runs


def test_what_was_found_once_is_not_found_again() -> None:
    paths = sorted(FOUND.glob("*.json"))
    assert len(paths) >= 1
    for path in paths:
        attempt(Asked(*json.loads(path.read_text())))


def test_the_seeds_of_the_fuzzers_are_answered() -> None:
    found = seeds()
    assert len(found) >= 10
    for program, initial in found[::4]:
        assert attempt(Asked(json.dumps(program), json.dumps(initial))) == ""
