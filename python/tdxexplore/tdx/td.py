"""The life of a TD: KVM creates it, runs it on every CPU, and destroys it.

Source: arch/x86/kvm/vmx/tdx.c, v6.16. Every call of creation and destruction is recorded where a budget needs it
(`World.td_in_full`). Elsewhere TDH.MNG.CREATE stands for all of them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from tdxexplore.linux.errno import EIO, OK
from tdxexplore.model import cpus, package_cpus, packages
from tdxexplore.tdx import fields, module

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr, Variable
    from tdxexplore.model.procedure import Frame
    from tdxexplore.tdx.kernel import Kernel
    from tdxexplore.tdx.policy import Policy

KVM_TDX = "arch/x86/kvm/vmx/tdx.c, v6.16"


def td(k: Kernel, policy: Policy) -> Kernel:
    """A VM with a TD, created whenever KVM allows it, and destroyed when KVM is to be unloaded or its user is done."""
    if k.w.has("kvm_unload") or k.w.has("td_destroy"):
        with k.loop():
            _create(k, policy)
            _destroy(k, policy)
    else:
        _create(k, policy)
    return k


def _create(k: Kernel, policy: Policy) -> None:
    """kvm_create_vm(), with the first VM's work, then __tdx_td_init()."""
    w = k.w
    k.step("KVM_CREATE_VM", "virt/kvm/kvm_main.c kvm_create_vm()", rest=True)
    k.await_(~w.frozen & w.kvm_loaded & w.enable_tdx & ~w.kvm_unloading)
    k.set(w.td, "refused")
    with k.function("__tdx_td_init()", KVM_TDX) as f:
        error = k.call(policy.first_vm)
        with k.if_(error != OK):
            k.blame(w.vm_refused)
            if w.has("plain_vm"):
                k.set(w.td, "no VM")
            f.returns()
        if w.td_in_full:
            _td_init(k, f)
        else:
            _td_init_short(k, f)


def _td_init_short(k: Kernel, f: Frame) -> None:
    """TDH.MNG.CREATE stands for all calls of creation: those after it have the same preconditions."""
    w = k.w
    with k.cpus_read_lock(), k.on_any_cpu(w.active, "TDH.MNG.CREATE"):
        with k.if_(~packages.all(package_cpus.any(w.online))):
            k.note("a package has no online CPU: -EIO")
            f.returns()
        with k.if_(_failed(k, module.mng_create(k))):
            f.returns()
        k.set(w.td, "running")


def _td_init(k: Kernel, f: Frame) -> None:
    """Every call of creation.

    A failed charge precedes the increment of nr_configured_hkid, and its error path decrements all the same; the allocator of
    core has no such path. In 6.16 to 7.3 that path also calls misc_cg_uncharge() for what was not charged, which is a WARN where
    the cgroup has no other TD, as here. A failure after TDH.MNG.CREATE (label ``teardown``) releases the key id at once.
    """
    w = k.w
    k.step("tdx_guest_keyid_alloc(); misc_cg_try_charge()")
    k.set_each(packages, where=True, values={w.td_key: False, w.written_back: False})
    if w.has("td_fail"):
        with k.fault("td_fail"):
            k.note("misc_cg_try_charge(): error, tdx_hkid_free()")
            k.warn("misc cgroup resource tdx became less than 0")
            if w.key_ids == "counter":
                _count_key_id(k, -1)
            f.returns()
    _count_key_id(k, 1)
    with k.cpus_read_lock():
        with k.mutex(w.tdx_lock), k.on_any_cpu(w.active, "TDH.MNG.CREATE"):
            if w.has("td_fail"):
                with k.fault("td_fail"):
                    _hkid_free(k, f, "-ENOMEM, ")
            with k.if_(~packages.all(package_cpus.any(w.online))):
                _hkid_free(k, f, "a package has no online CPU: -EIO, ")
            with k.if_(_failed(k, module.mng_create(k))):
                _count_key_id(k, -1)
                f.returns()
        error = _key_config(k)
    with k.if_(error == OK):
        with k.on_any_cpu(w.active, "TDH.MNG.ADDCX; TDH.MNG.INIT"):
            created = "building" if w.td_builds else "running"
            k.set(w.td, created)
            with k.if_(_failed(k, module.mng_addcx(k))):
                k.set(w.td, "refused")
            if w.has("td_fail"):
                with k.if_(w.td == created), k.fault("td_fail"):
                    k.note("TDH.MNG.INIT: an operand that user space gave is invalid")
                    k.set(w.td, "refused")
            if w.td_builds:
                with k.if_(w.td == created):
                    module.mng_init(k)
    with k.if_(w.td == "refused"):
        _release_hkid(k)
    if w.td_builds:
        with k.else_():
            _build(k)


def _build(k: Kernel) -> None:
    """tdx_vcpu_init_mem_region(), then tdx_td_finalize(), v7.3: one page. An error is a WARN, and the VM is dead."""
    w = k.w
    for title, call in (("TDH.MEM.PAGE.ADD; TDH.MR.EXTEND", module.mr_extend), ("TDH.MR.FINALIZE", module.mr_finalize)):
        with k.if_(w.td == "building"), k.on_any_cpu(w.active, title):
            with k.if_(_failed(k, call(k))):
                k.set(w.td, "dead")
    with k.if_(w.td == "building"):
        k.set(w.td, "running")


def _key_config(k: Kernel) -> Variable:
    """TDH.MNG.KEY.CONFIG on a CPU of each package, up to the first error."""
    w = k.w
    with k.function("tdh_mng_key_config()", KVM_TDX, returns=(OK, EIO)) as f:
        with k.once_in_each_package(w.online, w.td_key, "TDH.MNG.KEY.CONFIG"):
            with k.if_(_failed(k, module.mng_key_config(k))):
                f.returns(EIO)
        f.returns(OK)
    return f.result


def _failed(k: Kernel, status: Variable) -> Expr:
    """Whether a call of creation failed: without entropy -EAGAIN, else a WARN and -EIO.

    Entropy is the machine's fault, not the design's: it is no `td-error`, and the WARN of TDX_KEY_GENERATION_FAILED stays.
    """
    fault = [code for code in (module.NO_ENTROPY, module.KEY_GENERATION_FAILED) if code in status.values]
    with k.if_((oops_unless_fixed_up(k, status) != module.SUCCESS) & (status != module.NO_ENTROPY)):
        k.warn("SEAMCALL failed")
    with k.if_((status != module.SUCCESS) & ~status.isin(fault)):
        k.blame(k.w.td_error)
    return status != module.SUCCESS


def warns(k: Kernel, status: Variable) -> Variable:
    """TDX_BUG_ON() in the creation and the destruction of a TD: an error is a WARN, and the caller gets -EIO."""
    with k.if_(oops_unless_fixed_up(k, status) != module.SUCCESS):
        k.warn("SEAMCALL failed")
    return status


def oops_unless_fixed_up(k: Kernel, status: Variable) -> Variable:
    """Outside VMX operation a SEAMCALL raises #UD: a status for its caller, or an oops (`Policy.seamcall_ud`).

    kvm_spurious_fault() is BUG_ON(!kvm_rebooting); tdx_seamcall() of that series returns 0 after it.
    """
    w = k.w
    if w.seamcall_ud == "oops":
        with k.if_(status == module.UD):
            with k.if_(~w.virt_rebooting) if w.restarts else nullcontext():
                k.set(w.oops, fields.SEAMCALL_UD)
            k.set(status, module.SUCCESS)
    return status


def _hkid_free(k: Kernel, f: Frame, why: str) -> None:
    """Creation fails: tdx_hkid_free(), which decrements the count."""
    k.note(f"{why}tdx_hkid_free()")
    _count_key_id(k, -1)
    f.returns()


def _count_key_id(k: Kernel, change: int) -> None:
    """Count nr_configured_hkid, or the key ids that the allocator has given out. It stops at its upper bound, see `World`."""
    count = k.w.nr_configured_hkid
    with k.if_(count != count.values[-1]) if change > 0 else nullcontext():
        k.add(count, change)


def _destroy(k: Kernel, policy: Policy) -> None:
    """The VM goes: tdx_mmu_release_hkid(), then the last VM's work."""
    w = k.w
    k.step("destroy the VM", KVM_TDX, rest=True)
    k.await_(~w.frozen & (w.kvm_unloading | (w.budget["td_destroy"] > 0)))
    with k.if_(~w.kvm_unloading):
        k.spend("td_destroy")
    k.set_each(cpus, where=True, values={w.td_entered: False})  # the next TD has vCPUs of its own
    # A VM that was never there is not counted among those that need VMX.
    with k.if_(w.td != "no VM") if w.has("plain_vm") else nullcontext():
        if w.td_in_full:
            k.set(w.td, "dying")
            _release_hkid(k)
        else:
            _release_hkid_short(k)
        policy.last_vm(k)
    k.set(w.td, "none")


def _release_hkid_short(k: Kernel) -> None:
    """tdx_mmu_release_hkid(): TDH.PHYMEM.CACHE.WB needs a CPU in every package, else the key id is lost."""
    w = k.w
    with k.function("tdx_mmu_release_hkid()", KVM_TDX), k.if_(w.td_has_key_id), k.cpus_read_lock():
        with k.if_(~packages.all(package_cpus.any(w.online))):
            k.note("a package has no CPU for TDH.PHYMEM.CACHE.WB: the key id is lost")
            k.blame(w.hkid_leaked)
        k.set(w.hkid_live, value=False)


def _release_hkid(k: Kernel) -> None:
    """tdx_mmu_release_hkid(), call by call. After an error the key id is never freed, and stays counted."""
    w = k.w
    with k.function("tdx_mmu_release_hkid()", KVM_TDX) as f, k.if_(w.hkid_live & ~w.hkid_leaked):
        with k.cpus_read_lock():
            with k.ipi(w.online & w.vcpu_associated, "tdx_flush_vp()"):
                flushed = warns(k, tdx_flush_vp(k))
                with k.if_(flushed != module.SUCCESS):
                    k.blame(w.td_error)
            with k.mutex(w.tdx_lock):
                with k.on_any_cpu(w.active, "TDH.MNG.VPFLUSHDONE"):
                    done = module.vpflushdone(k)
                    with k.if_(done == module.FLUSHVP_NOT_DONE):
                        k.blame(w.hkid_leaked)
                        f.returns()
                    _leak_unless(k, f, done)
                with k.once_in_each_package(w.online, w.written_back, "TDH.PHYMEM.CACHE.WB"):
                    _leak_unless(k, f, module.phymem_cache_wb(k))
                with k.on_any_cpu(w.active, "TDH.MNG.KEY.FREEID"):
                    _leak_unless(k, f, module.mng_key_freeid(k))
                    _count_key_id(k, -1)


def tdx_flush_vp(k: Kernel) -> Variable:
    """tdx_flush_vp(), on the CPU that the vCPU ran on last, with interrupts off."""
    with k.function("tdx_flush_vp()"):
        k.lockdep_assert_irqs_disabled()
    return module.vp_flush(k)


def _leak_unless(k: Kernel, f: Frame, status: Variable) -> None:
    """tdx_mmu_release_hkid() gives up on an error: TDX_FLUSHVP_NOT_DONE silently, any other with a WARN."""
    with k.if_(warns(k, status) != module.SUCCESS):
        k.blame(k.w.hkid_leaked)
        f.returns()


def vcpu(k: Kernel) -> Kernel:
    """A TD runs on every CPU on which tasks run, once each time that CPU has come online.

    KVM_BUG_ON() is for an error that is none of the module's (TDX_SW_ERROR), in a kernel that is not rebooting. In one that is,
    KVM_RUN ends with the same error, and the VM is not dead.
    """
    w = k.w
    with k.loop():
        k.step("KVM_RUN", "arch/x86/kvm/vmx/tdx.c tdx_vcpu_run()", rest=True)
        k.await_((w.td == "running") & ~w.frozen & ~w.kvm_unloading & w.active & ~w.td_entered)
        k.set(w.td_entered, value=True)
        entered = oops_unless_fixed_up(k, module.vp_enter(k))
        with k.if_(entered != module.SUCCESS):
            k.blame(w.td_error)
            if w.seamcall_ud == "status":
                bug = entered.isin([module.UD, module.VMFAIL_INVALID])
                with k.if_(bug & ~w.virt_rebooting if w.restarts else bug):
                    k.warn("KVM_BUG_ON(): the VM is dead")
                    k.set(w.td, "dead")
    return k
