"""Scenarios: what happens around bring-up, how often, and what a model of it looks like.

In every scenario a TD user runs TD calls on any online CPU whenever the kernel would allow it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.model import Model, State, Topology
from tdxexplore.tdx import outcomes, system
from tdxexplore.tdx.world import BUDGETS, MODULE_KINDS, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.tdx.policy import Policy
    from tdxexplore.tdx.world import ModuleKind

MAX_BUDGET = 8


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens around bring-up.

    Attributes:
        name: On the command line.
        text: In a sentence.
        budgets: How often each environment action may happen; 0 if not named.
        offline: CPUs that are offline at first: the last ones.
        up_after_load: Offline CPUs may come online only once KVM has tried to load.
    """

    name: str
    text: str
    budgets: Mapping[str, int] = field(default_factory=dict)
    offline: int = 0
    up_after_load: bool = False


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("all-online", "all CPUs are online and stay so", {"kvm_load": 1}),
        Scenario(
            "late-online",
            "an LP that was never brought up comes online after KVM was loaded",
            {"kvm_load": 1, "cpu_up": 1},
            offline=1,
            up_after_load=True,
        ),
        Scenario("offline-mid-enable", "a CPU goes offline at any time", {"kvm_load": 1, "cpu_down": 1}),
        Scenario(
            "online-mid-enable", "an offline CPU comes online at any time", {"kvm_load": 1, "cpu_up": 1}, offline=1
        ),
        Scenario(
            "kvm-reload",
            "KVM is loaded, unloaded and loaded again; an offline CPU comes online after the first load",
            {"kvm_load": 2, "kvm_unload": 1, "cpu_up": 1},
            offline=1,
            up_after_load=True,
        ),
        Scenario(
            "no-kvm",
            "KVM is loaded and unloaded for good; an offline CPU comes online after the load",
            {"kvm_load": 1, "kvm_unload": 1, "cpu_up": 1},
            offline=1,
            up_after_load=True,
        ),
        Scenario(
            "second-enable",
            "a second user calls tdx_enable() when TDX is up; an offline CPU comes online after KVM was loaded",
            {"kvm_load": 1, "cpu_up": 1, "second_enable": 1},
            offline=1,
            up_after_load=True,
        ),
    )
}


def build(
    policy: Policy,
    module: ModuleKind,
    scenario: Scenario,
    budgets: Mapping[str, int] | None = None,
    *,
    split_releases: bool = False,
) -> Model:
    """The model of a policy on a module kind in a scenario; the same for every topology.

    Args:
        policy: The design, with its knobs set.
        module: The TDX-module behaviour.
        scenario: What happens around it.
        budgets: Other budgets than the scenario's.
        split_releases: See `tdxexplore.tdx.kernel.Kernel`.

    Raises:
        BadModel: A name or a number is not allowed, or the policy does something that the language cannot.
    """
    if module not in MODULE_KINDS:
        raise BadModel(f"module kind `{module}` is not known; {suggest(module, MODULE_KINDS)}")
    limits = {**dict.fromkeys(BUDGETS, 0), **scenario.budgets}
    for name, value in (budgets or {}).items():
        if name not in BUDGETS:
            raise BadModel(f"budget `{name}` is not known; {suggest(name, BUDGETS)}")
        least = 1 if name == "kvm_load" else 0
        if not least <= value <= MAX_BUDGET:
            raise BadModel(f"budget `{name}` is {value}; allowed are {least} to {MAX_BUDGET}")
        limits[name] = value
    model = Model(f"{policy.name} on {module} in {scenario.name}")
    world = World(model, module, limits, up_after_load=scenario.up_after_load, boot=policy.has_boot)
    system.record(world, policy, split_releases=split_releases)
    outcomes.declare(world)
    return model


def initial_state(model: Model, topology: Topology, scenario: Scenario) -> State:
    """The labelled state from which a scenario starts.

    Raises:
        BadModel: No CPU would be online.
    """
    if topology.cpus <= scenario.offline:
        least = scenario.offline + 1
        raise BadModel(f"--cpus is {topology.cpus}; scenario `{scenario.name}` needs at least {least}")
    state = State.initial(model, topology)
    for cpu in state.cpus[topology.cpus - scenario.offline :]:
        cpu["online"] = cpu["active"] = False
    return state
