"""What each SEAMCALL returns when it comes too early, too late, twice, or on the wrong LP: the guards of the TDX module.

The designs keep most of these calls from happening, so that only a test which makes them sees the guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tdxexplore.model import Model, State, Topology, always, cpus, reference
from tdxexplore.tdx import module
from tdxexplore.tdx.fields import MODULE_KINDS, ModuleKind, World
from tdxexplore.tdx.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tdxexplore.model.execution import Transition

OK = module.SUCCESS
STARTED = [module.sys_init, module.sys_lp_init]
CONFIGURED = [*STARTED, module.sys_config]
READY = [*CONFIGURED, module.sys_key_config]


def run(
    calls: Sequence[Callable[[Kernel], object]],
    kind: ModuleKind = "strict",
    *,
    sizes: tuple[int, ...] = (1,),
    vmx: bool = True,
) -> tuple[list[str], State]:
    """The status of each call, all of them on the first CPU, and the last state."""
    model, state = recorded(calls, World(Model("calls"), kind, {"td_destroy": 1, "update": 1}), sizes, vmx=vmx)
    statuses: list[str] = []
    while steps := reference.transitions(model, state):
        state = steps[0].target
        statuses += returned(steps[0])
    return statuses, state


def returned(step: Transition) -> list[str]:
    return [note.partition(" = ")[2] for note in step.notes if " = " in note]


def recorded(
    calls: Sequence[Callable[[Kernel], object]], w: World, sizes: tuple[int, ...], *, vmx: bool
) -> tuple[Model, State]:
    """A caller that makes each call in a step of its own, and its initial state."""
    k = Kernel(w, "caller")
    k.step("begin", rest=True)
    if vmx:
        k.set_each(cpus, where=always, values={w.vmx_on: True})
    for call in calls:
        with k.on_any_cpu(w.online, "call"):
            call(k)
    k.step("end", rest=True)
    w.model.add(k)
    return w.model, State.initial(w.model, Topology(sizes))


LAST: dict[str, tuple[Sequence[Callable[[Kernel], object]], str]] = {
    "SYS.INIT again": ([module.sys_init, module.sys_init], module.INIT_NOT_PENDING),
    "SYS.LP.INIT before SYS.INIT": ([module.sys_lp_init], module.LP_INIT_NOT_PENDING),
    "SYS.LP.INIT again": ([*STARTED, module.sys_lp_init], module.LP_INIT_DONE),
    "SYS.LP.INIT after CONFIG": ([*CONFIGURED, module.sys_lp_init], module.LP_INIT_NOT_PENDING),
    "SYS.RD without LP.INIT": ([module.sys_init, module.sys_rd], module.LP_INIT_NOT_DONE),
    "SYS.CONFIG before SYS.INIT": ([module.sys_config], module.CONFIG_NOT_PENDING),
    "SYS.CONFIG without LP.INIT": ([module.sys_init, module.sys_config], module.CONFIG_NOT_PENDING),
    "SYS.CONFIG again": ([*CONFIGURED, module.sys_config], module.CONFIG_NOT_PENDING),
    "SYS.KEY.CONFIG before CONFIG": ([*STARTED, module.sys_key_config], module.KEY_CONFIG_NOT_PENDING),
    "SYS.KEY.CONFIG when READY": ([*READY, module.sys_key_config], module.KEY_CONFIG_NOT_PENDING),
    "SYS.TDMR.INIT before READY": ([*CONFIGURED, module.sys_tdmr_init], module.NOT_READY),
    "SYS.SHUTDOWN before READY": ([*CONFIGURED, module.sys_shutdown], module.NOT_READY),
    "a call after SYS.SHUTDOWN": ([*READY, module.sys_shutdown, module.sys_rd], module.SHUTDOWN),
    "SYS.UPDATE before SYS.INIT": ([module.sys_update], module.STATE_INCORRECT),
    "SYS.UPDATE when READY": ([*READY, module.sys_update], module.STATE_INCORRECT),
    "SYS.UPDATE without LP.INIT": ([module.sys_init, module.sys_update], module.STATE_INCORRECT),
    "SYS.UPDATE without handoff data": ([*STARTED, module.sys_update], module.INVALID_HANDOFF),
    "EXT.INIT before READY": ([*CONFIGURED, module.ext_init], module.NOT_READY),
    "MNG.CREATE before READY": ([*CONFIGURED, module.mng_create], module.NOT_READY),
    "VPFLUSHDONE while a vCPU is associated": (
        [*READY, module.mng_create, module.vp_enter, module.vpflushdone],
        module.FLUSHVP_NOT_DONE,
    ),
    "VPFLUSHDONE after VP.FLUSH": ([*READY, module.vp_enter, module.vp_flush, module.vpflushdone], OK),
    "KEY.FREEID before CACHE.WB": ([*READY, module.mng_create, module.mng_key_freeid], module.WBCACHE_NOT_COMPLETE),
    "KEY.FREEID after CACHE.WB": ([*READY, module.phymem_cache_wb, module.mng_key_freeid], OK),
}


@pytest.mark.parametrize("name", LAST)
def test_a_call_that_the_module_refuses_says_why(name: str) -> None:
    calls, last = LAST[name]
    statuses, _ = run(calls)
    assert statuses == [OK] * (len(calls) - 1) + [last]


def test_bring_up_in_order_makes_the_module_ready() -> None:
    statuses, state = run([*READY, module.sys_tdmr_init])
    assert statuses == [OK] * 5
    assert state.globals["sys_state"] == "READY"


def test_key_config_succeeds_once_in_each_package() -> None:
    """The second call comes to the package that has its key: the state is still CONFIG_DONE, as the other one has none."""

    def initialise_all(k: Kernel) -> None:
        k.set_each(cpus, where=always, values={k.w.lp_is_init: True})

    calls = [module.sys_init, initialise_all, module.sys_config, module.sys_key_config, module.sys_key_config]
    statuses, state = run(calls, sizes=(1, 1))
    assert statuses == [OK, OK, OK, module.KEY_CONFIGURED]
    assert state.globals["sys_state"] == "CONFIG_DONE"
    assert [package["pkg_config"] for package in state.packages] == [True, False]


TD = [*READY, module.mng_create]
UPDATED = [*READY, module.sys_shutdown, lambda k: module.seamldr_install(k, all_lps=True), *STARTED]
# The status that a call returns when it finds no entropy, and when it finds the module's global lock taken: the module's
# sources, one file a call. Calls of a TD take no global lock.
FAULTS: dict[str, tuple[Sequence[Callable[[Kernel], object]], Callable[[Kernel], object], str, str]] = {
    "TDH.SYS.INIT": ([], module.sys_init, module.NO_ENTROPY, module.BUSY),
    "TDH.SYS.LP.INIT": ([module.sys_init], module.sys_lp_init, module.NO_ENTROPY, module.BUSY),
    "TDH.SYS.RD": (STARTED, module.sys_rd, "", ""),
    "TDH.SYS.CONFIG": (STARTED, module.sys_config, "", module.BUSY),
    "TDH.SYS.KEY.CONFIG": (CONFIGURED, module.sys_key_config, module.KEY_GENERATION_FAILED, module.BUSY),
    "TDH.SYS.TDMR.INIT": (READY, module.sys_tdmr_init, "", ""),
    "TDH.SYS.LP.SHUTDOWN": (READY, module.sys_lp_shutdown, "", module.BUSY),
    "TDH.SYS.SHUTDOWN": (READY, module.sys_shutdown, "", module.BUSY),
    "TDH.SYS.DISABLE": ([*READY, module.sys_disable], module.sys_disable, "", module.BUSY),
    "TDH.SYS.UPDATE": (UPDATED, module.sys_update, "", module.BUSY),
    "TDH.MNG.CREATE": (READY, module.mng_create, module.NO_ENTROPY, ""),
    "TDH.MNG.KEY.CONFIG": (TD, module.mng_key_config, module.KEY_GENERATION_FAILED, ""),
    "TDH.MNG.ADDCX": (TD, module.mng_addcx, module.NO_ENTROPY, ""),
    "TDH.MNG.INIT": (TD, module.mng_init, "", ""),
    "TDH.MR.EXTEND": ([*TD, module.mng_init], module.mr_extend, "", ""),
    "TDH.MR.FINALIZE": ([*TD, module.mng_init], module.mr_finalize, "", ""),
    "TDH.EXT.INIT": (READY, module.ext_init, "", module.BUSY),
    "TDH.QUOTE.INIT": (READY, module.quote_init, module.NO_ENTROPY, module.BUSY),
    "TDH.VP.ENTER": (TD, module.vp_enter, "", ""),
    "TDH.VP.FLUSH": (TD, module.vp_flush, "", ""),
    "TDH.MNG.VPFLUSHDONE": (TD, module.vpflushdone, "", ""),
    "TDH.PHYMEM.CACHE.WB": (TD, module.phymem_cache_wb, "", ""),
    "TDH.MNG.KEY.FREEID": ([*TD, module.phymem_cache_wb], module.mng_key_freeid, "", ""),
}


def test_sys_disable_keeps_other_calls_out_until_it_is_resumed_and_then_bring_up_begins_anew() -> None:
    calls = [*READY, module.mng_create, module.sys_disable, module.sys_rd, module.sys_disable, module.vp_enter, *READY]
    statuses, state = run(calls)
    refused = [module.INTERRUPTED_RESUMABLE, module.SHUTDOWN, OK, module.NOT_READY]
    assert statuses == [OK] * 5 + refused + [OK] * 4
    assert state.globals["hkid_live"] is False


def test_a_module_without_sys_disable_stays_as_it_is() -> None:
    statuses, state = run([*READY, lambda k: module.sys_disable(k, supported=False)])
    assert statuses[-1] == module.OPERAND_INVALID
    assert state.globals["sys_state"] == "READY"


def test_every_public_call_is_in_the_table_of_faults() -> None:
    recorded = {
        name
        for name, value in vars(module).items()
        if callable(value) and name.split("_")[0] in {"sys", "mng", "mr", "vp", "vpflushdone", "phymem", "ext", "quote"}
    }
    assert recorded == {row[1].__name__ for row in FAULTS.values()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_happens_at_every_call_that_can_meet_it_and_at_no_other(name: str) -> None:
    before, last, no_entropy, busy = FAULTS[name]
    for fault, status in (("no_entropy", no_entropy), ("sys_busy", busy)):
        limits = {"td_destroy": 1, "update": 1, fault: 1}
        model, state = recorded([*before, last], World(Model("faults"), "strict", limits), (1,), vmx=True)
        for _ in ("begin", *before):
            state = reference.transitions(model, state)[0].target
        statuses = {status for step in reference.transitions(model, state) for status in returned(step)[-1:]}
        assert statuses == {OK, status or OK}, fault


@pytest.mark.parametrize("kind", ["subset", "subset-nocheck"])
@pytest.mark.parametrize(("sizes", "status"), [((2,), OK), ((2, 1), module.CONFIG_NOT_PENDING)])
def test_a_relaxed_module_asks_for_an_lp_of_each_package(kind: ModuleKind, sizes: tuple[int, ...], status: str) -> None:
    """Every call comes to the first CPU: all others stay without LP.INIT."""
    statuses, _ = run([module.sys_init, module.sys_lp_init, module.sys_config], kind, sizes=sizes)
    assert statuses == [OK, OK, status]


@pytest.mark.parametrize("name", LAST)
def test_outside_vmx_every_call_is_ud_and_changes_nothing(name: str) -> None:
    calls, _ = LAST[name]
    statuses, state = run(calls[-1:], vmx=False)
    assert statuses == [module.UD]
    assert state.globals["sys_state"] == "PENDING"
    assert state.globals["seamcall_outside_vmx"] is True


@pytest.mark.parametrize("kind", MODULE_KINDS)
def test_a_relaxed_module_takes_late_lps_and_only_one_kind_checks_td_calls(kind: ModuleKind) -> None:
    # Every call comes to the first CPU; the second one never has LP.INIT.
    bring_up, state = run(READY, kind, sizes=(2,))
    assert bring_up == (
        [OK, OK, module.CONFIG_NOT_PENDING, module.KEY_CONFIG_NOT_PENDING] if kind == "strict" else [OK] * 4
    )
    assert run([*READY, module.sys_lp_init], kind)[0][-1] == (
        module.LP_INIT_NOT_PENDING if kind == "strict" else module.LP_INIT_DONE
    )
    assert state.globals["sys_state"] == ("INIT_DONE" if kind == "strict" else "READY")

    def enter_elsewhere(k: Kernel) -> None:
        k.set(k.w.sys_state, "READY")
        module.vp_enter(k)

    (status,), state = run([enter_elsewhere], kind)
    assert status == (module.LP_INIT_NOT_DONE if kind == "subset" else module.CORRUPT)
    assert state.globals["oops"] == ("none" if kind == "subset" else "corrupt")
