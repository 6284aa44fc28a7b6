"""Models from policies and scenarios."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.linux import boot
from tdxexplore.linux.record import with_lock_order
from tdxexplore.model import Model
from tdxexplore.tdx import environment, normal_form, outcomes
from tdxexplore.tdx.fields import BUDGETS, MAX_BUDGET, MAY_BE_UNBOUNDED, MODULE_KINDS, UNBOUNDED, Traits, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.linux.lock_order import Nesting
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy
    from tdxexplore.tdx.scenarios import Scenario


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
        split_releases: See `tdxexplore.linux.actor.Actor`.

    Raises:
        BadModel: A name or a number is not allowed, or the policy does something that the language cannot.

    Where the policy's boot starts the other CPUs itself (`Policy.boots_aps`), the model begins with one CPU.
    """
    if module not in MODULE_KINDS:
        raise BadModel(f"module kind `{module}` is not known; {suggest(module, MODULE_KINDS)}")
    limits = {**dict.fromkeys(BUDGETS, 0), **scenario.budgets}
    for name, value in (budgets or {}).items():
        if name not in BUDGETS:
            raise BadModel(f"budget `{name}` is not known; {suggest(name, BUDGETS)}")
        least = 1 if name == "kvm_load" else 0
        unbounded = value == UNBOUNDED and name in MAY_BE_UNBOUNDED
        if not least <= value <= MAX_BUDGET and not unbounded:
            given = "unbounded" if value == UNBOUNDED else value
            more = " or `unbounded`" if name in MAY_BE_UNBOUNDED else ""
            raise BadModel(f"budget `{name}` is {given}; allowed are {least} to {MAX_BUDGET}{more}")
        limits[name] = value
    record = partial(_record, policy, module, scenario, limits, split_releases=split_releases)
    world = with_lock_order(record)
    boot.starts(
        world, scenario.offline_at_first, down=scenario.offline > 0, boots=scenario.boots, later=policy.boots_aps
    )
    world.model.settle()
    normal_form.declare(world, policy)
    outcomes.declare(world)
    return world.model


def _record(
    policy: Policy,
    module: ModuleKind,
    scenario: Scenario,
    limits: Mapping[str, int],
    inverted: frozenset[Nesting],
    *,
    split_releases: bool,
) -> World:
    """Record every procedure."""
    model = Model(f"{policy.name} on {module} in {scenario.name}")
    world = World(
        model,
        module,
        limits,
        Traits(
            boot=policy.has_boot,
            stoppable=policy.has_update and limits["update"] > 0,
            key_ids=policy.key_ids,
            seamcall_ud=policy.seamcall_ud,
        ),
        caches=scenario.caches,
        inverted=inverted,
    )
    environment.record(
        world, policy, up_after_load=scenario.up_after_load, down=scenario.down, split_releases=split_releases
    )
    return world
