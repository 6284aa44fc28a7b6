"""The TDX module: what each SEAMCALL checks, does and returns. Nothing else in the package decides that.

Source: intel/tdx-module, branch tdx_1.5 @72d8cffb, ``src/vmm_dispatcher/api_calls/``, one file a call. No public module
relaxes the all-LP test of TDH.SYS.CONFIG, so the behaviour is a parameter, the *module kind*:

- ``strict``: the public sources. CONFIG needs TDH.SYS.LP.INIT on every LP that the firmware enabled, whatever Linux
  has online; LP.INIT is accepted in state INIT_DONE only.
- ``subset``: described by mail only (Kai Huang, 2023-06-05 and 2024-04-23). CONFIG needs one initialised LP in each
  package; LP.INIT is accepted later too; TD calls on an LP without it return TDX_SYS_LP_INIT_NOT_DONE.
- ``subset-nocheck``: as ``subset`` without that last check: the call goes through, acting as LP 0 of package 0.

A call is one step. Where two calls that take the module's global lock can be in flight at once (a second user), those
calls are two steps, entry and exit, and hold a try-lock between them: a call that finds it taken returns TDX_SYS_BUSY.
Elsewhere the kernel's own locks keep such calls apart: sysinit_lock, tdx_module_lock, cpu_hotplug_lock, stop_machine().
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias

from tdxexplore.model import Event, block, cpus, package_cpus, packages
from tdxexplore.tdx import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.model.procedure import Frame
    from tdxexplore.tdx.fields import World
    from tdxexplore.tdx.kernel import Kernel

Lock: TypeAlias = Literal["none", "shared", "exclusive"]

SUCCESS = "TDX_SUCCESS"
UD = "#UD"
INIT_NOT_PENDING = "TDX_SYS_INIT_NOT_PENDING"
LP_INIT_NOT_PENDING = "TDX_SYS_LP_INIT_NOT_PENDING"
LP_INIT_DONE = "TDX_SYS_LP_INIT_DONE"
LP_INIT_NOT_DONE = "TDX_SYS_LP_INIT_NOT_DONE"
CONFIG_NOT_PENDING = "TDX_SYS_CONFIG_NOT_PENDING"
KEY_CONFIG_NOT_PENDING = "TDX_SYS_KEY_CONFIG_NOT_PENDING"
KEY_CONFIGURED = "TDX_KEY_CONFIGURED"
KEY_GENERATION_FAILED = "TDX_KEY_GENERATION_FAILED"
NOT_READY = "TDX_SYS_NOT_READY"
BUSY = "TDX_SYS_BUSY"
NO_ENTROPY = "TDX_RND_NO_ENTROPY"
SHUTDOWN = "TDX_SYS_SHUTDOWN"
STATE_INCORRECT = "TDX_SYS_STATE_INCORRECT"
INVALID_HANDOFF = "TDX_SYS_INVALID_HANDOFF"
OPERAND_INVALID = "TDX_OPERAND_INVALID"
INTERRUPTED_RESUMABLE = "TDX_INTERRUPTED_RESUMABLE"
VCPU_ASSOCIATED = "TDX_VCPU_ASSOCIATED"
FLUSHVP_NOT_DONE = "TDX_FLUSHVP_NOT_DONE"
WBCACHE_NOT_COMPLETE = "TDX_WBCACHE_NOT_COMPLETE"
UPDATE_COMPAT_SENSITIVE = "TDX_UPDATE_COMPAT_SENSITIVE"
PAGE_METADATA_INCORRECT = "TDX_PAGE_METADATA_INCORRECT"
VMFAIL_INVALID = "VMfailInvalid"
BAD_CALL = "EBADCALL"
INSTALL_FAILED = "an error"
CORRUPT = "runs on an uninitialised LP"

# What prices count.
SEAMCALL = "seamcall"
LP_INIT_AGAIN = Event("lp init again")


class Seamcall:
    """A SEAMCALL that is being recorded; what it returns is noted in the trace."""

    def __init__(self, k: Kernel, name: str, frame: Frame) -> None:
        self._k = k
        self.name = name
        self._frame = frame
        self.result: Variable = frame.result

    def returns(self, code: str, *events: Event) -> None:
        """The completion status, and what happens with it."""
        self._k.note(f"{self.name} = {code}", Event(SEAMCALL, self.name), *events)
        self._frame.returns(code)


@block
def seamcall(k: Kernel, name: str, *codes: str, lock: Lock = "none", in_shutdown: bool = False) -> Iterator[Seamcall]:
    """A SEAMCALL on the acting CPU: outside VMX operation #UD, without an image VMfailInvalid; then the dispatcher.

    Any call may leave lines of private memory in the cache, so that the kernel takes the cache to be dirty from the call on
    (cache_state_incoherent, since 6.18).

    Args:
        k: What is being recorded.
        name: Of the call.
        codes: What it may return besides.
        lock: How it takes the module's global lock; every call that takes it may find it taken (fault ``sys_busy``).
        in_shutdown: The dispatcher lets it pass after a shutdown.
    """
    w = k.w
    with k.function(name, returns=(SUCCESS, UD, VMFAIL_INVALID, SHUTDOWN, BUSY, NO_ENTROPY, *codes)) as frame:
        call = Seamcall(k, name, frame)
        with k.if_(~w.vmx_on):
            k.blame(w.seamcall_outside_vmx)
            call.returns(UD)
        with k.if_(w.image_gone):
            call.returns(VMFAIL_INVALID)
        if w.caches:
            k.set(w.cache_dirty, value=True)
        if not in_shutdown:
            with k.if_(w.sys_shutdown):
                call.returns(SHUTDOWN)
        if lock != "none":
            _try_lock(k, call, lock)
        with _inside(k, call, lock) if w.contended and lock != "none" else nullcontext():
            yield call


def _try_lock(k: Kernel, call: Seamcall, lock: Lock) -> None:
    """The module's global lock (tdx_locks.h): a call that finds it taken returns TDX_SYS_BUSY at once."""
    w = k.w
    k.may_fail("sys_busy", call, BUSY)
    with k.if_(w.seam_exclusive if lock == "shared" else w.seam_exclusive | cpus.any(w.in_seam)):
        call.returns(BUSY)


@block
def _inside(k: Kernel, call: Seamcall, lock: Lock) -> Iterator[None]:
    """Entry and exit of a call as two steps: between them it holds the global lock."""
    w = k.w
    k.set(w.in_seam, value=True)
    if lock == "exclusive":
        k.set(w.seam_exclusive, value=True)
    with k.seam_exit(call.name):
        k.set(w.in_seam, value=False)
        if lock == "exclusive":
            k.set(w.seam_exclusive, value=False)
        yield


def sys_init(k: Kernel) -> Variable:
    """TDH.SYS.INIT, tdh_sys_init.c: once, from PENDING.

    It takes the global lock, but in one step: sysinit_lock keeps other TDH.SYS.INIT and TDH.SYS.LP.INIT out, and any
    other call fails in state PENDING anyway.
    """
    w = k.w
    with seamcall(k, "TDH.SYS.INIT", INIT_NOT_PENDING) as call:
        _try_lock(k, call, "exclusive")
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


def seamldr_install(k: Kernel, *, all_lps: bool) -> Variable:
    """SEAMLDR.INSTALL, P-SEAMLDR's published seamldr_install.c: the first call of a session takes the old image away.

    Each LP calls once in a session, and a second call is EBADCALL. All the work is done on the last LP. An error there closes
    the session: before memory has changed the old image is let in again, later no image is left. A session that lacks an LP
    stays open.

    Args:
        k: What is being recorded.
        all_lps: The last one is that of the platform, as in the published source, or of those that are online.
    """
    w = k.w
    install = Event(SEAMCALL, "SEAMLDR.INSTALL")
    with k.function(install.name, returns=(SUCCESS, UD, BAD_CALL, INSTALL_FAILED)) as f:
        call = Seamcall(k, install.name, f)
        with k.if_(~w.vmx_on):
            k.blame(w.seamcall_outside_vmx)
            call.returns(UD)
        with k.if_(w.installed):
            call.returns(BAD_CALL)
        k.set(w.installed, value=True)
        k.set(w.image_gone, value=True)
        with k.if_(cpus.all(w.installed) if all_lps else cpus.all(~w.online | w.installed)):
            k.set_each(cpus, where=True, values={w.installed: False})
            if w.has("install_fail"):
                _install_fails(k, call)
            k.note("a new image starts: PENDING, no LP initialised")
            k.set(w.image_gone, value=False)
            k.set(w.sys_shutdown, value=False)
            k.set(w.sys_state, "PENDING")
            k.set_each(cpus, where=True, values={w.lp_is_init: False})
            k.add(w.generation, 1)
        call.returns(SUCCESS)
    return f.result


def _install_fails(k: Kernel, call: Seamcall) -> None:
    """An error on the last LP of a session: the old image, which is shut down, is there again, or none is."""
    with k.fault("install_fail"):
        with k.either() as how:
            with how.branch():
                k.note("P-SEAMLDR refuses the image, and lets the old one in again")
                k.set(k.w.image_gone, value=False)
            with how.branch():
                k.note("P-SEAMLDR has written over the old image")
        call.returns(INSTALL_FAILED)


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


@block
def td_call(k: Kernel, name: str, *codes: str, creates: bool = False) -> Iterator[Seamcall]:
    """A call of a TD's life (TDH.MNG.CREATE, TDH.VP.ENTER, ...).

    The dispatcher (tdx_vmm_dispatcher.c) tests the state READY, not lp_is_init; ``subset`` assumes that a relaxed module
    would test it. An image that was configured in place of TDH.SYS.UPDATE does not know the TDs of the one before.
    """
    w = k.w
    with seamcall(k, name, NOT_READY, LP_INIT_NOT_DONE, PAGE_METADATA_INCORRECT, CORRUPT, *codes) as call:
        with k.if_(w.sys_state != "READY"):
            call.returns(NOT_READY)
        with k.if_(~w.lp_is_init):
            k.set(w.td_call_without_lp_init, value=True)
            if w.module == "subset":
                call.returns(LP_INIT_NOT_DONE)
            else:
                k.set(w.oops, fields.CORRUPT)
                call.returns(CORRUPT)
        if w.stoppable and not creates:
            with k.if_(w.td_forgotten):
                call.returns(PAGE_METADATA_INCORRECT)
        yield call
        call.returns(SUCCESS)


def iommu_setup(k: Kernel) -> Variable:
    """TDH.IOMMU.SETUP of TDX Connect: it stands for the calls of a second user, which have the dispatcher's guards."""
    with td_call(k, "TDH.IOMMU.SETUP") as call:
        pass
    return call.result


def mng_create(k: Kernel) -> Variable:
    """TDH.MNG.CREATE, tdh_mng_create.c: a key id becomes live in the hardware's table."""
    with td_call(k, "TDH.MNG.CREATE", creates=True) as call:
        k.may_fail("no_entropy", call, NO_ENTROPY)
        k.set(k.w.hkid_live, value=True)
        if k.w.stoppable:
            k.set(k.w.td_forgotten, value=False)
    return call.result


def mng_key_config(k: Kernel) -> Variable:
    """TDH.MNG.KEY.CONFIG, tdh_mng_key_config.c: the TD's key in this package."""
    w = k.w
    with td_call(k, "TDH.MNG.KEY.CONFIG", KEY_GENERATION_FAILED) as call:
        k.may_fail("no_entropy", call, KEY_GENERATION_FAILED)
        k.set(w.td_key, value=True)
    return call.result


def mng_addcx(k: Kernel) -> Variable:
    """TDH.MNG.ADDCX, tdh_mng_addcx.c: a control page of the TD; here it stands for TDH.MNG.INIT too, which has its guards."""
    with td_call(k, "TDH.MNG.ADDCX") as call:
        k.may_fail("no_entropy", call, NO_ENTROPY)
    return call.result


def mng_init(k: Kernel) -> Variable:
    """TDH.MNG.INIT, tdh_mng_init.c: the TD's measurement begins. Recorded where an update can meet the build of a TD."""
    with td_call(k, "TDH.MNG.INIT") as call:
        k.set(k.w.td_build, "building")
    return call.result


def mr_extend(k: Kernel) -> Variable:
    """TDH.MR.EXTEND, tdh_mr_extend.c, after TDH.MEM.PAGE.ADD: a page is measured."""
    with td_call(k, "TDH.MR.EXTEND") as call:
        pass
    return call.result


def mr_finalize(k: Kernel) -> Variable:
    """TDH.MR.FINALIZE, tdh_mr_finalize.c: the TD may run.

    An image that did not see the build from its beginning gets the measurement wrong, and says nothing (Chao Gao, 2026-02-12).
    """
    w = k.w
    with td_call(k, "TDH.MR.FINALIZE") as call:
        with k.if_(w.td_build == "broken"):
            k.note("the measurement is wrong: attestation will fail")
            k.set(w.td_mismeasured, value=True)
        k.set(w.td_build, "none")
    return call.result


def vp_enter(k: Kernel) -> Variable:
    """TDH.VP.ENTER, tdh_vp_enter.c: a vCPU is tied to the LP that it ran on; one vCPU a CPU, so it is never elsewhere."""
    w = k.w
    with td_call(k, "TDH.VP.ENTER") as call:
        if w.td_in_full:
            k.set(w.vcpu_associated, value=True)
    return call.result


def vp_flush(k: Kernel) -> Variable:
    """TDH.VP.FLUSH, tdh_vp_flush.c: only on the LP that the vCPU is tied to."""
    with td_call(k, "TDH.VP.FLUSH") as call:
        k.set(k.w.vcpu_associated, value=False)
    return call.result


def vpflushdone(k: Kernel) -> Variable:
    """TDH.MNG.VPFLUSHDONE, tdh_mng_vpflushdone.c: no vCPU may be tied to an LP."""
    with td_call(k, "TDH.MNG.VPFLUSHDONE", FLUSHVP_NOT_DONE) as call:
        with k.if_(cpus.any(k.w.vcpu_associated)):
            call.returns(FLUSHVP_NOT_DONE)
    return call.result


def phymem_cache_wb(k: Kernel) -> Variable:
    """TDH.PHYMEM.CACHE.WB, tdh_phymem_cache_wb.c: this package has no line of the key id left."""
    with td_call(k, "TDH.PHYMEM.CACHE.WB") as call:
        k.set(k.w.written_back, value=True)
    return call.result


def mng_key_freeid(k: Kernel) -> Variable:
    """TDH.MNG.KEY.FREEID, tdh_mng_key_freeid.c: the key id is free again, if every package has been written back.

    The TD is gone then, and its build with it.
    """
    w = k.w
    with td_call(k, "TDH.MNG.KEY.FREEID", WBCACHE_NOT_COMPLETE) as call:
        with k.if_(~packages.all(w.written_back)):
            call.returns(WBCACHE_NOT_COMPLETE)
        k.set(w.hkid_live, value=False)
        if w.td_builds:
            k.set(w.td_build, "none")
    return call.result
