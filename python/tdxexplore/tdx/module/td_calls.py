"""The calls of a TD's life, from its key id to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import block, cpus, packages
from tdxexplore.tdx import fields
from tdxexplore.tdx.module.dispatcher import (
    CORRUPT,
    FLUSHVP_NOT_DONE,
    KEY_GENERATION_FAILED,
    LP_INIT_NOT_DONE,
    NO_ENTROPY,
    NOT_READY,
    PAGE_METADATA_INCORRECT,
    SUCCESS,
    WBCACHE_NOT_COMPLETE,
    seamcall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.kernel import Kernel
    from tdxexplore.tdx.module.dispatcher import Seamcall


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
