"""The environment of a policy: administrator, second user, virtual machines, TD calls, CPU hotplug.

Each function records the procedure of one actor. Budgets bound how often an actor acts, so state graphs are acyclic;
which actor acts when is left open: that is what is explored.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from tdxexplore.model import Scope, cpus, package_cpus, packages
from tdxexplore.tdx import module
from tdxexplore.tdx.kernel import CPUHP, OK, Kernel

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.model.procedure import Frame
    from tdxexplore.tdx.fields import World
    from tdxexplore.tdx.policy import Policy

KVM_TDX = "arch/x86/kvm/vmx/tdx.c, v6.16"


def record(w: World, policy: Policy, *, split_releases: bool = False) -> None:
    """Record every actor's procedure, in the order that breaks ties."""

    def actor(name: str, scope: Scope = Scope.GLOBAL) -> Kernel:
        return Kernel(w, name, scope, split_releases=split_releases)

    policy.declare(w)
    if policy.has_boot:
        w.model.add(boot(actor("boot"), policy))
    w.model.add(modprobe(actor("kvm"), policy))
    if w.has("second_enable") or w.has("second_user"):
        w.model.add(second_user(actor("second"), policy))
    w.model.add(td(actor("td"), policy))
    w.model.add(vcpu(actor("vcpu", Scope.CPU)))
    if w.has("cpu_up") or w.has("cpu_down"):
        w.model.add(hotplug(actor("hotplug", Scope.CPU), policy))
    if w.has("smt_on"):
        w.model.add(smt_control(actor("smt"), policy))
    if w.has("update") and policy.has_update:
        w.model.add(update(actor("update"), policy))
    # These two look at the actors before them: whether they are in the kernel, and where they start again.
    if w.has("suspend"):
        w.model.add(suspend(actor("suspend"), policy))
    if w.has("kexec"):
        w.model.add(kexec(actor("kexec")))


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
        k.await_(w.booted & ~w.frozen & ~w.kvm_loaded & (w.budget["kvm_load"] > 0))
        k.spend("kvm_load")
        k.set(w.enable_tdx, value=True)
        policy.kvm_load(k)
        k.set(w.kvm_tried, value=True)
        if w.has("kvm_unload"):
            with k.if_(w.kvm_loaded):
                k.step("rmmod kvm_intel", rest=True)
                k.await_(~w.frozen & (w.budget["kvm_unload"] > 0))
                k.spend("kvm_unload")
                k.set(w.kvm_unloading, value=True)
                k.step("wait until no VM is left")
                k.await_(w.td == "none")
                policy.kvm_unload(k)
                k.set(w.kvm_loaded, value=False)
                if w.td_in_full and w.key_ids == "counter":
                    k.set(w.nr_configured_hkid, 0)
                k.set(w.enable_tdx, value=True)  # a parameter of KVM, gone with it: nothing is refused any more
                k.set(w.kvm_unloading, value=False)
    return k


def second_user(k: Kernel, policy: Policy) -> Kernel:
    """Another in-kernel user calls tdx_enable(): when the module is up already, or at any time."""
    w = k.w
    later = (w.tdx_status == "INITIALIZED") & (w.budget["second_enable"] > 0)
    with k.loop():
        k.step("second user of TDX", rest=True)
        k.await_(w.booted & ~w.frozen & (later | (w.budget["second_user"] > 0)))
        with k.if_(later):
            k.spend("second_enable")
        with k.else_():
            k.spend("second_user")
        policy.second_user(k)
    return k


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
            k.set(w.vm_refused, value=True)
            f.returns()
        if w.td_in_full:
            _td_init(k, f)
        else:
            _td_init_short(k, f)


def _td_init_short(k: Kernel, f: Frame) -> None:
    """TDH.MNG.CREATE stands for all calls of creation: those after it meet the same conditions."""
    w = k.w
    with k.cpus_read_lock(), k.on_any_cpu(w.active, "TDH.MNG.CREATE"):
        with k.if_(~packages.all(package_cpus.any(w.online))):
            k.note("a package has no online CPU: -EIO")
            f.returns()
        created = module.mng_create(k)
        with k.if_(created != module.SUCCESS):
            k.set(w.td_error, value=True)
            f.returns()
        k.set(w.td, "running")


def _td_init(k: Kernel, f: Frame) -> None:
    """Every call of creation.

    Where a counter of KVM says how many key ids are configured, the charge may fail before it counts the key id, and
    takes it off anyway. A failure after TDH.MNG.CREATE leaves the key id to the destruction of the VM.
    """
    w = k.w
    k.step("tdx_guest_keyid_alloc(); misc_cg_try_charge()")
    k.set_each(packages, where=True, values={w.td_key: False, w.written_back: False})
    if w.has("td_fail"):
        with k.fault("td_fail"):
            k.note("misc_cg_try_charge(): error, tdx_hkid_free()")
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
            created = module.mng_create(k)
            with k.if_(created != module.SUCCESS):
                k.set(w.td_error, value=True)
                _count_key_id(k, -1)
                f.returns()
        with k.once_in_each_package(w.online, w.td_key, "TDH.MNG.KEY.CONFIG"):
            configured = module.mng_key_config(k)
            with k.if_(configured != module.SUCCESS):
                with k.if_(configured != module.NO_ENTROPY):
                    k.set(w.td_error, value=True)
                f.returns()
    k.set(w.td, "running")


def _hkid_free(k: Kernel, f: Frame, why: str) -> None:
    """Creation fails: tdx_hkid_free(), and the key id counts no more."""
    k.note(f"{why}tdx_hkid_free()")
    _count_key_id(k, -1)
    f.returns()


def _count_key_id(k: Kernel, change: int) -> None:
    """nr_configured_hkid, or what the allocator has given out; the count stops at its upper bound, see `World`."""
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
    k.set_each(cpus, where=True, values={w.td_entered: False})  # its vCPUs have left; the next TD has its own
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
    with k.function("tdx_mmu_release_hkid()", KVM_TDX), k.if_(w.td == "running"), k.cpus_read_lock():
        with k.if_(~packages.all(package_cpus.any(w.online))):
            k.note("a package has no CPU for TDH.PHYMEM.CACHE.WB: the key id is lost")
            k.set(w.hkid_leaked, value=True)
        k.set(w.hkid_live, value=False)


def _release_hkid(k: Kernel) -> None:
    """tdx_mmu_release_hkid(): every call of it; after an error the key id is never given back, and stays counted."""
    w = k.w
    with k.function("tdx_mmu_release_hkid()", KVM_TDX) as f, k.if_(w.hkid_live & ~w.hkid_leaked):
        with k.cpus_read_lock():
            with k.ipi(w.online & w.vcpu_associated, "tdx_flush_vp()"):
                flushed = module.vp_flush(k)
                with k.if_(flushed != module.SUCCESS):
                    k.set(w.td_error, value=True)
            with k.mutex(w.tdx_lock):
                with k.on_any_cpu(w.active, "TDH.MNG.VPFLUSHDONE"):
                    _leak_unless(k, f, module.vpflushdone(k))
                with k.once_in_each_package(w.online, w.written_back, "TDH.PHYMEM.CACHE.WB"):
                    _leak_unless(k, f, module.phymem_cache_wb(k))
                with k.on_any_cpu(w.active, "TDH.MNG.KEY.FREEID"):
                    _leak_unless(k, f, module.mng_key_freeid(k))
                    _count_key_id(k, -1)


def _leak_unless(k: Kernel, f: Frame, status: Variable) -> None:
    """tdx_mmu_release_hkid() gives up on an error."""
    with k.if_(status != module.SUCCESS):
        k.set(k.w.hkid_leaked, value=True)
        f.returns()


def vcpu(k: Kernel) -> Kernel:
    """A TD runs on every CPU on which tasks run, once each time that CPU has come online."""
    w = k.w
    with k.loop():
        k.step("KVM_RUN", "arch/x86/kvm/vmx/tdx.c tdx_vcpu_run()", rest=True)
        k.await_((w.td == "running") & ~w.frozen & ~w.kvm_unloading & w.active & ~w.td_entered)
        k.set(w.td_entered, value=True)
        entered = module.vp_enter(k)
        with k.if_(entered != module.SUCCESS):
            k.set(w.td_error, value=True)
    return k


def hotplug(k: Kernel, policy: Policy) -> Kernel:
    """User space brings CPUs up and down, one at a time (cpu_add_remove_lock): the writer of cpu_hotplug_lock.

    Going down, the last online CPU is refused (-EBUSY) before anything happens.
    """
    w = k.w
    up = ~w.online & ~w.smt_blocked & (w.budget["cpu_up"] > 0) & (w.kvm_tried if w.up_after_load else w.booted)
    down = w.active & (w.budget["cpu_down"] > 0) & w.booted & k.another_cpu_online
    with k.loop():
        k.step("/sys/devices/system/cpu/cpuN/online", rest=True)
        k.await_((w.cpus_writer == "none") & ~w.cpu_add_remove_lock & (up | down))
        with k.if_(~w.online):
            if w.has("cpu_up"):
                k.note("echo 1")
                k.spend("cpu_up")
                k.cpu_up(policy.hooks)
        with k.else_():
            if w.has("cpu_down"):
                k.note("echo 0")
                k.spend("cpu_down")
                k.cpu_down(policy.hooks)
    return k


def smt_control(k: Kernel, policy: Policy) -> Kernel:
    """smt/control=on: cpuhp_smt_enable() brings the siblings up, one after the other; the first error ends it."""
    w = k.w
    k.step("/sys/devices/system/cpu/smt/control", CPUHP, rest=True)
    k.await_(w.booted & ~w.frozen & (w.budget["smt_on"] > 0) & (w.cpus_writer == "none") & ~w.cpu_add_remove_lock)
    k.spend("smt_on")
    k.set(w.cpu_add_remove_lock, value=True)
    with k.function("cpuhp_smt_enable()", CPUHP):
        with k.on_each_cpu(w.smt_blocked & ~w.online, "echo on", serial=True) as siblings:
            k.set(w.smt_blocked, value=False)
            k.cpu_up(policy.hooks)
            with k.if_(~w.online):
                siblings.stop()
        k.set_each(cpus, where=True, values={w.smt_blocked: False})
        k.set(w.cpu_add_remove_lock, value=False)
    return k


def update(k: Kernel, policy: Policy) -> Kernel:
    """The administrator updates the module while TDX is up."""
    w = k.w
    with k.loop():
        k.step("update of the TDX module", rest=True)
        k.await_(w.booted & ~w.frozen & (w.tdx_status == "INITIALIZED") & (w.budget["update"] > 0))
        k.spend("update")
        policy.update(k)
    return k


def suspend(k: Kernel, policy: Policy) -> Kernel:
    """suspend_enter(): tasks are frozen, so no other actor is in the kernel; all CPUs but one go offline and come back.

    The CPU that stays is the boot CPU: here any, as numbers are names. SEAM keeps its state, as the host library forbids
    S3 and hibernation (tdx_init()).
    """
    w = k.w
    with k.loop():
        k.step("echo > /sys/power/state", "kernel/power/suspend.c", rest=True)
        k.await_(w.booted & (w.budget["suspend"] > 0) & ~w.model.stuck())
        k.spend("suspend")
        k.set(w.frozen, value=True)
        k.set(w.cpu_add_remove_lock, value=True)
        with k.function("freeze_secondary_cpus()", CPUHP):
            with k.on_each_cpu(w.active, "freeze a CPU", serial=True) as each:
                with k.if_(k.another_cpu_online):
                    k.cpu_down(policy.hooks, vetoed=w.suspend_error)
                    with k.if_(w.suspend_error):
                        each.stop()
                    k.set(w.frozen_cpu, value=True)
        with k.if_(w.suspend_error):
            k.set(w.suspend_error, value=False)
            with k.if_(~w.hkid_live):
                k.set(w.suspend_aborted, value=True)
        with k.else_():
            with k.on_any_cpu(w.online, "syscore_suspend(); sleep; syscore_resume()", "drivers/base/syscore.c"):
                policy.syscore_suspend(k)
                policy.syscore_resume(k)
        with k.function("thaw_secondary_cpus()", CPUHP):
            with k.on_each_cpu(w.frozen_cpu, "thaw a CPU", serial=True):
                k.cpu_up(policy.hooks)
                k.set(w.frozen_cpu, value=False)
        k.set(w.cpu_add_remove_lock, value=False)
        k.set(w.frozen, value=False)
    return k


def kexec(k: Kernel) -> Kernel:
    """kernel_kexec(): every actor vanishes where it stands, VMX goes off, and a new kernel boots.

    What the hardware holds stays (TDX module, LP.INIT, key ids); all that software knew starts again, on all CPUs.
    """
    w = k.w
    old = [f for f in w.model.assigned() if f not in w.survives_kexec]
    with k.loop():
        k.step("kexec", "kernel/kexec_core.c kernel_kexec()", rest=True)
        k.await_(w.booted & (w.budget["kexec"] > 0))
        k.spend("kexec")
        for f in old:
            if f.scope is Scope.GLOBAL:
                k.set(f, f.initial)
        for group, scope in ((packages, Scope.PACKAGE), (cpus, Scope.CPU)):
            values = {f: f.initial for f in old if f.scope is scope}
            if values:
                k.set_each(group, where=True, values=values)
        k.set_each(cpus, where=w.smp_init | w.smt_blocked, values={w.online: False, w.active: False})
    return k
