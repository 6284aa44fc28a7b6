"""The release of a lock is part of the step before it; as a step of its own it changes no outcome."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest

from tdxexplore import _core
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS, Scenario, build, initial_state
from tdxexplore.tdx.world import MODULE_KINDS, ModuleKind


def explored(
    policy: str, module: ModuleKind, scenario: Scenario, topology: Topology, *, split: bool
) -> tuple[set[str], int]:
    """The outcomes that are reached, and the number of concrete states."""
    model = build(BUILT_IN[policy](), module, scenario, split_releases=split)
    program = lower(model)
    found = _core.Program(program.text).explore(program.pack(initial_state(model, topology, scenario)))
    assert found.complete
    return {model.outcomes[i].name for i in pl.DataFrame(found.outcomes())["outcome"]}, int(found.states)


@pytest.mark.parametrize("policy", BUILT_IN)
def test_releases_as_steps_of_their_own_change_no_outcome(policy: str) -> None:
    compared = 0
    for module, scenario, topology in product(MODULE_KINDS, SCENARIOS.values(), (Topology((2,)), Topology((2, 1)))):
        fused, states = explored(policy, module, scenario, topology, split=False)
        split, more = explored(policy, module, scenario, topology, split=True)
        assert fused == split, (module, scenario.name, topology)
        assert more > states
        compared += 1
    assert compared == 3 * 7 * 2
