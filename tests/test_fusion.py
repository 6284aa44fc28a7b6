"""The release of a lock is part of the step before it; as a step of its own it changes no outcome."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import polars as pl
import pytest

from slices import every
from tdxexplore import _core
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.build import build
from tdxexplore.tdx.fields import MODULE_KINDS, ModuleKind
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import FAULTS, HOTPLUG, SYSTEM, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable


def explored(
    policy: str, module: ModuleKind, scenario: Scenario, topologies: Iterable[Topology], *, split: bool
) -> list[tuple[set[str], int]]:
    """The outcomes that are reached, and the number of concrete states, on each topology."""
    model = build(BUILT_IN[policy](), module, scenario, split_releases=split)
    program, found = lower(model), []
    native = _core.Program(program.text)
    for topology in topologies:
        answer = native.explore(program.pack(model.initial(topology)))
        assert answer.complete
        names = {model.outcomes[i].name for i in pl.DataFrame(answer.outcomes())["outcome"]}
        found.append((names, int(answer.states)))
    return found


@pytest.mark.parametrize("policy", every(13, BUILT_IN))
def test_releases_as_steps_of_their_own_change_no_outcome(policy: str) -> None:
    hotplug = product(MODULE_KINDS, HOTPLUG)
    others: Iterable[tuple[ModuleKind, Scenario]] = product(("subset",), (*SYSTEM, *FAULTS))
    compared = 0
    for module, scenario in (*hotplug, *others):
        fused, split = (
            explored(policy, module, scenario, (Topology((2,)), Topology((2, 1))), split=split)
            for split in (False, True)
        )
        for (outcomes, states), (same, more) in zip(fused, split, strict=True):
            assert outcomes == same, (module, scenario.name)
            assert more > states
            compared += 1
    assert compared == (3 * len(HOTPLUG) + len(SYSTEM) + len(FAULTS)) * 2
