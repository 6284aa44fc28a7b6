"""The engine answers as the plain reference interpreter does, on every built-in policy."""

from __future__ import annotations

from itertools import product

import pytest

from tdxexplore.model import Topology
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS, build, initial_state
from tdxexplore.tdx.world import MODULE_KINDS
from witnesses import compare_all

TOPOLOGIES = [Topology((n,)) for n in (1, 2, 3, 4)] + [Topology((1, 1)), Topology((2, 1)), Topology((2, 2))]


@pytest.mark.parametrize("policy", BUILT_IN)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_reference_concrete_and_orbit_space_agree_on_every_module_kind_and_up_to_four_cpus(
    policy: str, scenario: str
) -> None:
    compared = traces = 0
    for module, topology in product(MODULE_KINDS, TOPOLOGIES):
        if topology.cpus <= SCENARIOS[scenario].offline:
            continue
        model = build(BUILT_IN[policy](), module, SCENARIOS[scenario])
        traces += compare_all(model, initial_state(model, topology, SCENARIOS[scenario])).traces
        compared += 1
    assert compared == len(MODULE_KINDS) * (len(TOPOLOGIES) - SCENARIOS[scenario].offline)
    assert traces >= 2 * compared


KNOBS = [
    (policy.name, knob.name, value)
    for policy in BUILT_IN.values()
    for knob in policy.knobs
    for value in knob.values[1:]
]


@pytest.mark.parametrize(("policy", "knob", "value"), KNOBS)
def test_they_agree_for_every_value_of_every_knob(policy: str, knob: str, value: str) -> None:
    compared = 0
    for module, scenario in product(MODULE_KINDS, SCENARIOS.values()):
        model = build(BUILT_IN[policy]({knob: value}), module, scenario)
        compare_all(model, initial_state(model, Topology((2, 1)), scenario))
        compared += 1
    assert compared == len(MODULE_KINDS) * len(SCENARIOS)
