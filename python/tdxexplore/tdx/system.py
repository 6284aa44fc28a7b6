"""The environment of a policy: administrator, second user, virtual machines, TD calls, CPU hotplug.

Each function records the procedure of one actor. Budgets bound how often an actor acts, so state graphs are acyclic;
which actor acts when is left open: that is what is explored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import Scope, package_cpus, packages
from tdxexplore.tdx import module
from tdxexplore.tdx.kernel import OK, Kernel

if TYPE_CHECKING:
    from tdxexplore.tdx.policy import Policy
    from tdxexplore.tdx.world import World

KVM_TDX = "arch/x86/kvm/vmx/tdx.c, v6.16"


def record(w: World, policy: Policy, *, split_releases: bool = False) -> None:
    """Record every actor's procedure, in the order that breaks ties."""

    def actor(name: str, scope: Scope = Scope.GLOBAL) -> Kernel:
        return Kernel(w, name, scope, split_releases=split_releases)

    policy.declare(w)
    procedures = [boot(actor("boot"), policy)] if policy.has_boot else []
    procedures.append(modprobe(actor("kvm"), policy))
    if w.has("second_enable"):
        procedures.append(second_user(actor("second"), policy))
    procedures += [td(actor("td"), policy), vcpu(actor("vcpu", Scope.CPU))]
    if w.has("cpu_up") or w.has("cpu_down"):
        procedures.append(hotplug(actor("hotplug", Scope.CPU), policy))
    for procedure in procedures:
        w.model.add(procedure)


def boot(k: Kernel, policy: Policy) -> Kernel:
    """Initcalls, before user space."""
    k.step("initcalls")
    policy.boot(k)
    k.set(k.w.booted, value=True)
    return k


def modprobe(k: Kernel, policy: Policy) -> Kernel:
    """The administrator loads KVM, and unloads it when no VM is left, as the budgets allow."""
    w = k.w
    with k.loop():
        k.step("modprobe kvm_intel tdx=1", rest=True)
        k.await_(w.booted & ~w.kvm_loaded & (w.budget["kvm_load"] > 0))
        k.add(w.budget["kvm_load"], -1)
        k.set(w.enable_tdx, value=True)
        policy.kvm_load(k)
        k.set(w.kvm_tried, value=True)
        if w.has("kvm_unload"):
            with k.if_(w.kvm_loaded):
                k.step("rmmod kvm_intel", rest=True)
                k.await_(w.budget["kvm_unload"] > 0)
                k.add(w.budget["kvm_unload"], -1)
                k.set(w.kvm_unloading, value=True)
                k.step("wait until no VM is left")
                k.await_(w.td == "none")
                policy.kvm_unload(k)
                k.set(w.kvm_loaded, value=False)
                k.set(w.kvm_unloading, value=False)
    return k


def second_user(k: Kernel, policy: Policy) -> Kernel:
    """Another in-kernel user calls tdx_enable() when the module is up already."""
    w = k.w
    with k.loop():
        k.step("second user of TDX", rest=True)
        k.await_((w.tdx_status == "INITIALIZED") & (w.budget["second_enable"] > 0))
        k.add(w.budget["second_enable"], -1)
        policy.second_user(k)
    return k


def td(k: Kernel, policy: Policy) -> Kernel:
    """A VM with a TD, created whenever KVM allows it, and destroyed when KVM is to be unloaded."""
    if k.w.has("kvm_unload"):
        with k.loop():
            _create(k, policy)
            _destroy(k, policy)
    else:
        _create(k, policy)
    return k


def _create(k: Kernel, policy: Policy) -> None:
    """__tdx_td_init(). TDH.MNG.CREATE stands for all calls of creation: those after it meet the same conditions."""
    w = k.w
    k.step("KVM_CREATE_VM", "virt/kvm/kvm_main.c kvm_create_vm()", rest=True)
    k.await_(w.kvm_loaded & w.enable_tdx & ~w.kvm_unloading)
    k.set(w.td, "refused")
    with k.function("__tdx_td_init()", KVM_TDX) as f:
        error = policy.first_vm(k)
        with k.if_(error != OK):
            k.set(w.vm_refused, value=True)
            f.returns()
        with k.cpus_read_lock(), k.on_any_cpu(w.active, "TDH.MNG.CREATE"):
            with k.if_(~packages.all(package_cpus.any(w.online))):
                k.note("a package has no online CPU: -EIO")
                f.returns()
            created = module.td_call(k, "TDH.MNG.CREATE")
            with k.if_(created != module.SUCCESS):
                k.set(w.td_error, value=True)
                f.returns()
            k.set(w.hkid_live, value=True)
            k.set(w.td, "running")


def _destroy(k: Kernel, policy: Policy) -> None:
    """tdx_mmu_release_hkid(): TDH.PHYMEM.CACHE.WB needs a CPU in every package, else the key id is lost."""
    w = k.w
    k.step("destroy the VM", KVM_TDX, rest=True)
    k.await_(w.kvm_unloading)
    with k.function("tdx_mmu_release_hkid()", KVM_TDX), k.if_(w.td == "running"), k.cpus_read_lock():
        with k.if_(~packages.all(package_cpus.any(w.online))):
            k.note("a package has no CPU for TDH.PHYMEM.CACHE.WB: the key id is lost")
            k.set(w.hkid_leaked, value=True)
        k.set(w.hkid_live, value=False)
    policy.last_vm(k)
    k.set(w.td, "none")


def vcpu(k: Kernel) -> Kernel:
    """The TD runs on every CPU on which tasks run, once each time that CPU has come online."""
    w = k.w
    with k.loop():
        k.step("KVM_RUN", "arch/x86/kvm/vmx/tdx.c tdx_vcpu_run()", rest=True)
        k.await_((w.td == "running") & ~w.kvm_unloading & w.active & ~w.td_entered)
        k.set(w.td_entered, value=True)
        entered = module.td_call(k, "TDH.VP.ENTER")
        with k.if_(entered != module.SUCCESS):
            k.set(w.td_error, value=True)
    return k


def hotplug(k: Kernel, policy: Policy) -> Kernel:
    """User space brings CPUs up and down, one at a time (cpu_add_remove_lock): the writer of cpu_hotplug_lock.

    Going down, the last online CPU is refused (-EBUSY) before anything happens.
    """
    w = k.w
    up = ~w.online & (w.budget["cpu_up"] > 0) & (w.kvm_tried if w.up_after_load else w.booted)
    down = w.active & (w.budget["cpu_down"] > 0) & w.booted & k.another_cpu_online
    with k.loop():
        k.step("/sys/devices/system/cpu/cpuN/online", rest=True)
        k.await_((w.cpus_writer == "none") & (up | down))
        k.set(w.cpus_writer, "waiting")
        if w.has("cpu_up"):
            with k.if_(~w.online):
                k.note("echo 1")
                k.add(w.budget["cpu_up"], -1)
                k.cpu_up(policy.hooks)
        if w.has("cpu_down"):
            with k.if_(w.online & (w.cpus_writer == "waiting")):
                k.note("echo 0")
                k.add(w.budget["cpu_down"], -1)
                k.cpu_down(policy.hooks)
    return k
