"""The settings of a search: one structure, from which everybody else's options are made."""

from __future__ import annotations

import pickle
from typing import Any, get_args

import pytest

from tdxexplore.errors import BadModel, BadSetting
from tdxexplore.explore.settings import DESCRIBED, FailOn, Settings, having
from tdxexplore.model import SEVERITIES

MISTAKES: dict[tuple[str, Any], str] = {
    ("space", "quotient"): "--space is `quotient`; ",
    ("space", 3): "--space is 3; Allowed: bits, concrete, orbit",
    ("space", None): "--space is None; Allowed: bits, concrete, orbit",
    ("symmetry", "some"): "--symmetry is `some`; ",
    ("fail_on", "ok"): "--fail-on is `ok`; Allowed: S0, S1, S2, S3, S4",
    ("measures", "yes"): "--measures is `yes`; allowed: true, false",
    ("measures", 1): "--measures is 1; allowed: true, false",
    ("prices", None): "--prices is None; allowed: true, false",
    ("max_states", 0): "--max-states is 0; a positive whole number is needed",
    ("max_states", "5"): "--max-states is `5`; a positive whole number is needed",
    ("max_states", 2.5): "--max-states is 2.5; a positive whole number is needed",
    ("max_states", True): "--max-states is True; a positive whole number is needed",
    ("max_states", 2**63): "--max-states is 9223372036854775808; at most 9223372036854775807 is allowed",
    ("max_depth", -1): "--max-depth is -1; a positive whole number is needed",
    ("max_depth", 2**32): "--max-depth is 4294967296; at most 4294967295 is allowed",
    ("max_memory", "lots"): "--max-memory is `lots`; write bytes, or a number with K, M or G, as 2G",
    ("max_memory", "0G"): "--max-memory is `0G`; write bytes",
    ("max_memory", 2.5): "--max-memory is 2.5; write bytes",
    ("max_memory", (2, "G")): "--max-memory is (2, 'G'); write bytes",
    ("timeout", float("nan")): "--timeout is nan; a positive number is needed",
    ("timeout", float("inf")): "--timeout is inf; at most",
    ("timeout", "5"): "--timeout is `5`; a positive number is needed",
    ("timeout", 0): "--timeout is 0; a positive number is needed",
    ("threads", 0): "--threads is 0; a positive whole number is needed",
    ("threads", "2"): "--threads is `2`; a positive whole number is needed",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_value_that_is_not_allowed_is_named_with_its_option(mistake: tuple[str, Any]) -> None:
    name, value = mistake
    with pytest.raises(BadModel) as caught:
        Settings(**{name: value})
    assert str(caught.value).startswith(MISTAKES[mistake])
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, BadSetting)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_every_setting_has_a_mistake_above_a_doc_and_a_unit_if_it_is_a_number() -> None:
    assert len(DESCRIBED) >= 10
    assert {name for name, _ in MISTAKES} == {each.name for each in DESCRIBED}
    for each in DESCRIBED:
        assert each.doc.endswith("."), each.name
        assert bool(each.unit) == (each.kind in (int, float)), each.name
    assert {*having("identity"), *having("limit"), *having("resource")} == {each.name for each in DESCRIBED}


def test_values_have_one_normal_form() -> None:
    written = Settings(max_memory="2G", timeout=3, max_states=5)
    assert written == Settings(max_memory=2 * 2**30, timeout=3.0, max_states=5)
    assert (written.memory_limit, type(written.timeout)) == (2 * 2**30, float)
    assert Settings().memory_limit is None
    assert pickle.loads(pickle.dumps(written)) == written


def test_names_are_checked_and_defaults_may_differ() -> None:
    assert Settings.of({"timeout": 3}, prices=True) == Settings(timeout=3.0, prices=True)
    assert Settings.of({"prices": False}, prices=True) == Settings()
    with pytest.raises(BadSetting, match="--max-state is 3; there is no such setting; did you mean `max_states`"):
        Settings.of({"max_state": 3})


def test_symmetry_over_all_cpus_is_one_of_the_orbit_space() -> None:
    assert Settings(symmetry="all").space == "orbit"
    with pytest.raises(BadSetting, match="--symmetry is `all`; with --space `concrete` only `start` is allowed"):
        Settings(symmetry="all", space="concrete")


def test_a_severity_that_fails_is_any_but_ok() -> None:
    assert get_args(FailOn) == SEVERITIES[:-1]
