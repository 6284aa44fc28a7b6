"""VMs without TDX, and the locks of KVM that their life takes.

Source: virt/kvm/kvm_main.c and arch/x86/kvm/mmu/mmu.c, v6.8 and v6.12. The order in which tasks of one VM take locks is that of
the commit that gave the count of VMs a mutex of its own (44d174596260, 6.12): a memslot is changed under slots_lock, and waits
for the readers of kvm->srcu; a vCPU is such a reader while it flips a static key, which takes cpus_read_lock(); and a write of
nx_huge_pages takes kvm_lock, then each VM's slots_lock. Whether the creation of a VM comes to kvm_lock with cpus_read_lock()
held is the design's.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from tdxexplore.linux.errno import OK
from tdxexplore.model import Scope, cpus
from tdxexplore.model.expr import never
from tdxexplore.tdx import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model.expr import Expr, Operand
    from tdxexplore.tdx.kernel import Kernel
    from tdxexplore.tdx.policy import Policy

KVM_MAIN, KVM_X86, KVM_MMU = "virt/kvm/kvm_main.c, v6.8", "arch/x86/kvm/x86.c, v6.8", "arch/x86/kvm/mmu/mmu.c, v6.8"


def record(actor: Callable[[str, Scope], Kernel], policy: Policy) -> None:
    """Record the actors that the budgets ask for."""
    k = actor("vm", Scope.GLOBAL)
    w = k.w
    if w.has("kvm_locks"):
        tasks = [actor(name, Scope.GLOBAL) for name in ("memslot", "ioctl", "nx_huge_pages")]
        for task, steps in zip(tasks, (_memslot, _static_key, _nx_huge_pages), strict=True):
            steps(task)
            w.model.add(task)
    if w.has("plain_vm"):
        at_work: Expr = never
        for code in w.model.codes:
            if code.actor in ("memslot", "ioctl"):
                at_work |= w.model.busy(code)
        w.model.add(vm(k, policy, ~at_work))
        if w.plain_vm_runs:
            w.model.add(vcpu(actor("vm-vcpu", Scope.CPU)))


def vm(k: Kernel, policy: Policy, no_task: Operand) -> Kernel:
    """A VM without TDX is created and destroyed; its fd is closed when no task is in a call on it."""
    w = k.w
    with k.loop():
        k.step("KVM_CREATE_VM of a VM without TDX", KVM_MAIN, rest=True)
        k.await_(~w.frozen & w.kvm_loaded & ~w.kvm_unloading & (w.budget["plain_vm"] > 0))
        k.spend("plain_vm")
        k.set(w.plain_vm, "begun")
        error = k.call(policy.first_vm)
        with k.if_(error != OK):
            k.blame(w.vm_refused)
        with k.else_():
            k.set(w.plain_vm, "running")
            k.step("destroy the VM without TDX", KVM_MAIN, rest=True)
            k.await_(~w.frozen & no_task)
            k.set(w.plain_vm, "begun")
            if w.plain_vm_runs:
                k.set_each(cpus, where=True, values={w.plain_entered: False})
            policy.last_vm(k)
        k.set(w.plain_vm, "none")
    return k


def vcpu(k: Kernel) -> Kernel:
    """It runs on every CPU, once each time that CPU has come online. A VMX instruction outside VMX operation is a BUG.

    kvm_spurious_fault() is BUG_ON(!kvm_rebooting): none follows when KVM has been shut down.
    """
    w = k.w
    with k.loop():
        k.step("KVM_RUN of a VM without TDX", "arch/x86/kvm/vmx/vmx.c vmx_vcpu_load(), v6.8 to 7.3", rest=True)
        k.await_((w.plain_vm == "running") & ~w.frozen & w.active & ~w.plain_entered)
        k.set(w.plain_entered, value=True)
        with k.if_(~w.vmx_on):
            k.note("VMPTRLD: #UD, kvm_spurious_fault()")
            with k.if_(~w.virt_rebooting) if w.restarts else nullcontext():
                k.set(w.oops, fields.VMXOFF_UD)
    return k


def _begins(k: Kernel, title: str, source: str) -> None:
    w = k.w
    k.step(title, source, rest=True)
    k.await_(~w.frozen & (w.plain_vm == "running") & (w.budget["kvm_locks"] > 0))
    k.spend("kvm_locks")


def _memslot(k: Kernel) -> None:
    _begins(k, "KVM_SET_USER_MEMORY_REGION", KVM_MAIN)
    with k.function("kvm_set_memory_region()", KVM_MAIN), k.mutex(k.w.slots_lock):
        k.synchronize_srcu(k.w.srcu)


def _static_key(k: Kernel) -> None:
    _begins(k, "a vCPU ioctl that flips a static key", KVM_X86)
    with k.function("static_key_slow_inc()", KVM_X86), k.srcu_read_lock(k.w.srcu), k.cpus_read_lock():
        pass


def _nx_huge_pages(k: Kernel) -> None:
    _begins(k, "echo > /sys/module/kvm/parameters/nx_huge_pages", KVM_MMU)
    with k.function("set_nx_huge_pages()", KVM_MMU), k.mutex(k.w.kvm_lock), k.mutex(k.w.slots_lock):
        pass
