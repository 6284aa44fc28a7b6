"""TDH.SYS.*, TDH.EXT.* and TDH.QUOTE.*: the module is brought up, shut down, updated and extended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import cpus, package_cpus, packages
from tdxexplore.tdx.module.dispatcher import (
    CONFIG_NOT_PENDING,
    INIT_NOT_PENDING,
    INTERRUPTED_RESUMABLE,
    INVALID_HANDOFF,
    KEY_CONFIG_NOT_PENDING,
    KEY_CONFIGURED,
    KEY_GENERATION_FAILED,
    LP_INIT_AGAIN,
    LP_INIT_DONE,
    LP_INIT_NOT_DONE,
    LP_INIT_NOT_PENDING,
    NO_ENTROPY,
    NOT_READY,
    OPERAND_INVALID,
    STATE_INCORRECT,
    SUCCESS,
    UPDATE_COMPAT_SENSITIVE,
    seamcall,
    try_lock,
)

if TYPE_CHECKING:
    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.tdx.fields import World
    from tdxexplore.tdx.kernel import Kernel


def sys_init(k: Kernel) -> Variable:
    """TDH.SYS.INIT, tdh_sys_init.c: once, from PENDING.

    It takes the global lock, but in one step: sysinit_lock keeps other TDH.SYS.INIT and TDH.SYS.LP.INIT out, and any
    other call fails in state PENDING anyway.
    """
    w = k.w
    with seamcall(k, "TDH.SYS.INIT", INIT_NOT_PENDING) as call:
        try_lock(k, call, "exclusive")
        with k.if_(w.sys_state != "PENDING"):
            call.returns(INIT_NOT_PENDING)
        k.may_fail("no_entropy", call, NO_ENTROPY)
        k.set(w.sys_state, "INIT_DONE")
        call.returns(SUCCESS)
    return call.result


def sys_lp_init(k: Kernel) -> Variable:
    """TDH.SYS.LP.INIT, tdh_sys_lp_init.c: once on each LP; only a new image or a platform reset undoes it."""
    w = k.w
    accepted = ["INIT_DONE"] if w.module == "strict" else ["INIT_DONE", "CONFIG_DONE", "READY"]
    with seamcall(k, "TDH.SYS.LP.INIT", LP_INIT_NOT_PENDING, LP_INIT_DONE, lock="shared") as call:
        with k.if_(~w.sys_state.isin(accepted)):
            call.returns(LP_INIT_NOT_PENDING)
        with k.if_(w.lp_is_init):
            call.returns(LP_INIT_DONE, LP_INIT_AGAIN)
        k.may_fail("no_entropy", call, NO_ENTROPY)
        k.set(w.lp_is_init, value=True)
        call.returns(SUCCESS)
    return call.result


def sys_rd(k: Kernel) -> Variable:
    """TDH.SYS.RD, tdh_sys_rd.c: reads a field of the module, on an LP that has had LP.INIT; so does TDH.SYS.INFO."""
    with seamcall(k, "TDH.SYS.RD", LP_INIT_NOT_DONE) as call:
        with k.if_(~k.w.lp_is_init):
            call.returns(LP_INIT_NOT_DONE)
        call.returns(SUCCESS)
    return call.result


def enough_lps(w: World, initialised: Operand) -> Operand:
    """Whether enough LPs are ``initialised`` for TDH.SYS.CONFIG: all, or one in each package."""
    return cpus.all(initialised) if w.module == "strict" else packages.all(package_cpus.any(initialised))


def sys_config(k: Kernel) -> Variable:
    """TDH.SYS.CONFIG, tdh_sys_config.c: one error code for a wrong state and for a missing LP.INIT alike."""
    w = k.w
    with seamcall(k, "TDH.SYS.CONFIG", CONFIG_NOT_PENDING, lock="exclusive") as call:
        with k.if_((w.sys_state != "INIT_DONE") | ~enough_lps(w, w.lp_is_init)):
            call.returns(CONFIG_NOT_PENDING)
        k.set(w.sys_state, "CONFIG_DONE")
        k.set_each(packages, where=True, values={w.pkg_config: False})
        if w.stoppable:
            # In place of TDH.SYS.UPDATE: what the old image handed over is lost, and its TD with it.
            k.set(w.handoff_valid, value=False)
            with k.if_(w.hkid_live):
                k.set(w.td_forgotten, value=True)
        call.returns(SUCCESS)
    return call.result


def sys_key_config(k: Kernel) -> Variable:
    """TDH.SYS.KEY.CONFIG, tdh_sys_key_config.c: once in each package; the last one makes the module READY."""
    w = k.w
    codes = (KEY_CONFIG_NOT_PENDING, KEY_CONFIGURED, KEY_GENERATION_FAILED)
    with seamcall(k, "TDH.SYS.KEY.CONFIG", *codes, lock="exclusive") as call:
        with k.if_(w.sys_state != "CONFIG_DONE"):
            call.returns(KEY_CONFIG_NOT_PENDING)
        with k.if_(w.pkg_config):
            call.returns(KEY_CONFIGURED)
        k.may_fail("no_entropy", call, KEY_GENERATION_FAILED)
        k.set(w.pkg_config, value=True)
        with k.if_(packages.all(w.pkg_config)):
            k.set(w.sys_state, "READY")
        call.returns(SUCCESS)
    return call.result


def sys_tdmr_init(k: Kernel) -> Variable:
    """TDH.SYS.TDMR.INIT, tdh_sys_tdmr_init.c: one slice. No step reads the progress, so that it is no field."""
    with seamcall(k, "TDH.SYS.TDMR.INIT", NOT_READY) as call:
        with k.if_(k.w.sys_state != "READY"):
            call.returns(NOT_READY)
        call.returns(SUCCESS)
    return call.result


def sys_lp_shutdown(k: Kernel) -> None:
    """TDH.SYS.LP.SHUTDOWN of module 1.0, tdh_sys_lp_shutdown.c: from here on the module refuses every call but this one."""
    with seamcall(k, "TDH.SYS.LP.SHUTDOWN", lock="shared", in_shutdown=True) as call:
        k.set(k.w.sys_shutdown, value=True)
        call.returns(SUCCESS)


def sys_shutdown(k: Kernel, *, avoid_compat_sensitive: bool = False) -> Variable:
    """TDH.SYS.SHUTDOWN, tdh_sys_shutdown.c: hands the TDs over to the next image.

    The module backs out with TDX_SYS_BUSY when another LP is inside. Its only caller runs in stop_machine(), where no other
    LP is.

    Args:
        k: What is being recorded.
        avoid_compat_sensitive: The flag AVOID_COMPAT_SENSITIVE: refuse while a TD is being built. It is in no published tree:
            from the patch "x86/virt/tdx: Avoid updates during update-sensitive operations", Chao Gao, 2026-02-12.
    """
    w = k.w
    with seamcall(k, "TDH.SYS.SHUTDOWN", NOT_READY, UPDATE_COMPAT_SENSITIVE, lock="exclusive") as call:
        with k.if_(w.sys_state != "READY"):
            call.returns(NOT_READY)
        if avoid_compat_sensitive and w.td_builds:
            with k.if_(w.td_build != "none"):
                call.returns(UPDATE_COMPAT_SENSITIVE)
        k.set(w.sys_shutdown, value=True)
        k.set(w.handoff_valid, value=True)
        call.returns(SUCCESS)
    return call.result


def sys_disable(k: Kernel, *, supported: bool = True) -> Variable:
    """TDH.SYS.DISABLE: the module gives everything back, and can be brought up again from the start.

    No published module has it. Linux 7.2 says of it that it can be interrupted and resumed, that it keeps other calls out once
    it has begun, and what is left at its end; that those calls get TDX_SYS_SHUTDOWN is our reading.

    Args:
        k: What is being recorded.
        supported: The module has it (bit SYS_DISABLE of TDX_FEATURES0), or answers TDX_OPERAND_INVALID.
    """
    w = k.w
    codes = (OPERAND_INVALID, INTERRUPTED_RESUMABLE)
    with seamcall(k, "TDH.SYS.DISABLE", *codes, in_shutdown=True, lock="exclusive" if supported else "none") as call:
        if not supported:
            call.returns(OPERAND_INVALID)
        else:
            with k.if_(~w.sys_shutdown):
                k.set(w.sys_shutdown, value=True)
                call.returns(INTERRUPTED_RESUMABLE)
            k.set(w.sys_shutdown, value=False)
            k.set(w.sys_state, "PENDING")
            k.set(w.hkid_live, value=False)
            k.set_each(packages, where=True, values={w.pkg_config: False, w.td_key: False})
            k.set_each(cpus, where=True, values={w.lp_is_init: False, w.vcpu_associated: False})
            call.returns(SUCCESS)
    return call.result


def sys_update(k: Kernel) -> Variable:
    """TDH.SYS.UPDATE, tdh_sys_update.c: READY with the TDs of the old image.

    The all-LP test is in every module kind: nothing has been said about relaxing this one.
    """
    w = k.w
    with seamcall(k, "TDH.SYS.UPDATE", STATE_INCORRECT, INVALID_HANDOFF, lock="exclusive") as call:
        with k.if_((w.sys_state != "INIT_DONE") | ~cpus.all(w.lp_is_init)):
            call.returns(STATE_INCORRECT)
        with k.if_(~w.handoff_valid):
            call.returns(INVALID_HANDOFF)
        k.set(w.handoff_valid, value=False)
        k.set(w.sys_state, "READY")
        if w.td_builds:
            with k.if_(w.td_build == "building"):
                k.set(w.td_build, "broken")
        call.returns(SUCCESS)
    return call.result


def ext_init(k: Kernel) -> Variable:
    """TDH.EXT.INIT of Module Extensions v2, Xu Yilun, 2026-06-18. No source of it is published: its guards are our reading."""
    return _extension(k, "TDH.EXT.INIT")


def quote_init(k: Kernel) -> Variable:
    """TDH.QUOTE.INIT of the same series: new keys of the quoting extension. Its guards are our reading, too."""
    return _extension(k, "TDH.QUOTE.INIT", entropy=True)


def _extension(k: Kernel, name: str, *, entropy: bool = False) -> Variable:
    with seamcall(k, name, NOT_READY, lock="exclusive") as call:
        with k.if_(k.w.sys_state != "READY"):
            call.returns(NOT_READY)
        if entropy:
            k.may_fail("no_entropy", call, NO_ENTROPY)
        call.returns(SUCCESS)
    return call.result
