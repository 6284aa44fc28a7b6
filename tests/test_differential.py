"""The engine answers as the plain reference interpreter does, on every built-in policy."""

from __future__ import annotations

from itertools import cycle, product

import pytest

from slices import every
from tdxexplore.model import Topology
from tdxexplore.tdx.build import build
from tdxexplore.tdx.fields import MODULE_KINDS, UNBOUNDED, ModuleKind
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import FAULTS, HOTPLUG, SCENARIOS, SYSTEM
from witnesses import compare_all

# Every module kind on up to three CPUs; on four, where the reference takes its time, one kind for each topology.
POINTS = [
    *product(MODULE_KINDS, map(Topology, ((1,), (2,), (3,), (1, 1), (2, 1)))),
    ("subset", Topology((4,))),
    ("strict", Topology((2, 2))),
]


@pytest.mark.parametrize(("policy", "scenario"), every(19, product(BUILT_IN, (s.name for s in HOTPLUG))))
def test_reference_concrete_and_orbit_space_agree_on_every_module_kind_and_up_to_four_cpus(
    policy: str, scenario: str
) -> None:
    models = {module: build(BUILT_IN[policy](), module, SCENARIOS[scenario]) for module in MODULE_KINDS}
    compared = traces = 0
    for module, topology in POINTS:
        if topology.cpus < SCENARIOS[scenario].least_cpus:
            continue
        traces += compare_all(models[module], models[module].initial(topology)).traces
        compared += 1
    assert compared == len(POINTS) - len(MODULE_KINDS) * (SCENARIOS[scenario].least_cpus - 1)
    assert traces >= 2 * compared


KNOBS = [
    (policy.name, knob.name, value)
    for policy in BUILT_IN.values()
    for knob in policy.knobs
    for value in knob.values[1:]
]


@pytest.mark.parametrize(("policy", "knob", "value"), every(11, KNOBS))
def test_they_agree_for_every_value_of_every_knob(policy: str, knob: str, value: str) -> None:
    compared = 0
    for module, scenario in zip(cycle(MODULE_KINDS), HOTPLUG, strict=False):
        model = build(BUILT_IN[policy]({knob: value}), module, scenario)
        compare_all(model, model.initial(Topology((2, 1))))
        compared += 1
    assert compared == len(HOTPLUG) > len(MODULE_KINDS)


@pytest.mark.parametrize("policy", every(13, BUILT_IN))
def test_they_agree_on_boot_sleep_other_users_lives_of_tds_updates_and_faults(policy: str) -> None:
    compared = 0
    for scenario in (*SYSTEM, *FAULTS):
        model = build(BUILT_IN[policy](), "subset", scenario)
        sizes = (2,) if scenario.boots == "primaries" else (1, 1)
        compare_all(model, model.initial(Topology(sizes)))
        compared += 1
    assert compared == len(SYSTEM) + len(FAULTS)


# The mechanics that earlier scenarios do not have, on more packages and CPUs: second users inside the module, suspend,
# siblings, kexec, updates that fail, TDs that fail.
LARGER = [
    ("kvm-hook-lp-init", "strict", "second-user", (2, 1)),
    ("v17", "strict", "maxcpus", (2, 2)),
    ("v7-2022", "strict", "nosmt", (2, 2)),
    ("hook-before-users", "subset-nocheck", "nosmt", (2, 1)),
    ("linux-6.16", "strict", "suspend", (2, 2)),
    ("linux-6.16", "subset", "fault-td-suspend", (2, 1)),
    ("linux-7.1", "strict", "suspend", (2, 2)),
    ("linux-7.1", "subset", "fault-resume", (2, 1)),
    ("linux-7.1-rfc-v1", "subset", "suspend", (2,)),
    ("linux-7.1-rfc-v1", "subset", "fault-td-unload", (1,)),
    ("linux-7.2-update", "strict", "update", (2, 2)),
    ("linux-7.2-update", "subset", "update-offline-lp", (2, 1)),
    ("linux-7.2-update", "strict", "kexec", (2, 2)),
    ("inner-enable", "subset-nocheck", "fault-td-unload", (2, 1)),
    ("linux-6.16", "subset", "smt-off", (2, 1)),
    ("v19", "subset", "plain-vm", (2, 1)),
    ("linux-7.1", "strict", "second-tdx-user", (2, 1)),
    ("linux-6.16", "strict", "fault-resume-vm", (2,)),
]


@pytest.mark.parametrize(("policy", "module", "scenario", "sizes"), every(2, LARGER))
def test_they_agree_on_two_packages_of_two_and_of_two_and_one(
    policy: str, module: ModuleKind, scenario: str, sizes: tuple[int, ...]
) -> None:
    model = build(BUILT_IN[policy](), module, SCENARIOS[scenario])
    compared = compare_all(model, model.initial(Topology(sizes)))
    assert compared.traces > 0


def test_they_agree_where_vmxoff_meets_a_cpu_whose_vmxon_failed() -> None:
    model = build(BUILT_IN["v17"]({"vmx_off": "every-cpu"}), "strict", SCENARIOS["fault-vmxon"])
    compared = compare_all(model, model.initial(Topology((2, 1))))
    assert compared.traces > 0


CYCLIC = [("linux-7.1", {"cpu_up": UNBOUNDED, "cpu_down": UNBOUNDED}), ("v17", {"suspend": UNBOUNDED})]


@pytest.mark.parametrize(("policy", "budgets"), CYCLIC)
def test_they_agree_where_a_budget_never_runs_out(policy: str, budgets: dict[str, int]) -> None:
    model = build(BUILT_IN[policy](), "subset", SCENARIOS["all-online"], budgets)
    compared = compare_all(model, model.initial(Topology((2, 1))))
    assert compared.answer.interleavings == {"endless": 1}  # no run ends
    assert len(compared.answer.diverging) == compared.answer.states > 1
