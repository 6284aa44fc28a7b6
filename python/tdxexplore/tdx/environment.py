"""The environment of a policy: the administrator, a second user of TDX, the actors of the kernel.

Each function records the procedure of one actor. Budgets bound how often an actor acts, so that state graphs are acyclic.
Which actor acts when is left open, and explored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.linux.boot import initcalls
from tdxexplore.linux.hotplug import hotplug, smt_control, smt_off
from tdxexplore.linux.kexec import kexec
from tdxexplore.linux.shutdown import kexec_orderly, reboot
from tdxexplore.linux.state import UNBOUNDED
from tdxexplore.linux.suspend import suspend
from tdxexplore.model import Scope, always, cpus
from tdxexplore.tdx import module, vms
from tdxexplore.tdx.kernel import Kernel
from tdxexplore.tdx.td import td, vcpu

if TYPE_CHECKING:
    from tdxexplore.model.expr import Operand
    from tdxexplore.tdx.fields import World
    from tdxexplore.tdx.policy import Policy
    from tdxexplore.tdx.scenarios import Down


def record(
    w: World, policy: Policy, *, up_after_load: bool = False, down: Down = "any-time", split_releases: bool = False
) -> None:
    """Record every actor's procedure, in the order that breaks ties.

    Args:
        w: The fields.
        policy: The design.
        up_after_load: CPUs are brought online only once KVM has tried to load.
        down: When CPUs are taken offline.
        split_releases: See `tdxexplore.linux.actor.Actor`.
    """

    def actor(name: str, scope: Scope = Scope.GLOBAL) -> Kernel:
        return Kernel(w, name, scope, split_releases=split_releases)

    def syscore(k: Kernel) -> None:
        policy.syscore_suspend(k)
        policy.syscore_resume(k)

    policy.declare(w)
    if policy.has_boot:
        w.model.add(initcalls(actor("boot"), policy.boot))
    w.model.add(modprobe(actor("kvm"), policy, when=_cpus_are_gone(w) if down == "before-load" else always))
    if w.has("second_enable") or w.has("second_user"):
        w.model.add(second_user(actor("second"), policy))
    if w.has("second_calls"):
        w.model.add(second_calls(actor("tdx-user"), policy))
    if w.has("plain_vm") or w.has("kvm_locks"):
        vms.record(actor, policy)
    w.model.add(td(actor("td"), policy))
    w.model.add(vcpu(actor("vcpu", Scope.CPU)))
    if w.has("cpu_up") or w.has("cpu_down"):
        up_when = w.kvm_tried if up_after_load else w.booted
        down_when = w.booted & (w.kvm_load_begun if down == "from-load-on" else always)
        w.model.add(hotplug(actor("hotplug", Scope.CPU), policy.hooks, up_when, down_when))
    if w.has("smt_on"):
        w.model.add(smt_control(actor("smt"), policy.hooks))
    if w.has("smt_off"):
        w.model.add(smt_off(actor("smt-off"), policy.hooks))
    # Suspend waits for the actors before it: tasks, which it freezes. The worker of an update is none of them.
    if w.has("suspend"):
        w.model.add(suspend(actor("suspend"), policy.hooks, syscore, excuse=w.hkid_live))
    if w.has("update") and policy.has_update:
        w.model.add(update(actor("update"), policy))
    # Shutdown and kexec reset the actors before them.
    for name, shutdown in (("reboot", reboot), ("kexec_orderly", kexec_orderly)):
        if w.has(name) and (policy.has_kexec or name == "reboot"):
            w.model.add(shutdown(actor(name), policy.syscore_shutdown, freeze_hotplug=policy.freezes_hotplug))
    if w.has("kexec") and policy.has_kexec:
        w.model.add(kexec(actor("kexec")))


def _cpus_are_gone(w: World) -> Operand:
    """Whether the CPUs that go offline before the load of KVM have done so."""
    unbounded = w.limit["cpu_down"] == UNBOUNDED
    gone = ~cpus.all(w.online) if unbounded else w.budget["cpu_down"] == 0
    return gone & (w.cpus_writer == "none")


def modprobe(k: Kernel, policy: Policy, when: Operand) -> Kernel:
    """The administrator loads KVM when the scenario lets him, and unloads it when no VM is left, as the budgets allow.

    A load that begins while the system goes down does what one does that has begun just before; only that one is recorded.
    """
    w = k.w
    with k.loop():
        k.step("modprobe kvm_intel tdx=1", rest=True)
        k.await_(w.booted & ~w.frozen & ~w.restarting & ~w.kvm_loaded & (w.budget["kvm_load"] > 0) & when)
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
                k.await_((w.td == "none") & (w.plain_vm == "none") if w.has("plain_vm") else w.td == "none")
                policy.kvm_unload(k)
                k.set(w.kvm_loaded, value=False)
                if w.td_in_full and w.key_ids == "counter":
                    k.set(w.nr_configured_hkid, 0)
                k.set(w.enable_tdx, value=True)  # a parameter of KVM: its next load begins anew
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


def second_calls(k: Kernel, policy: Policy) -> Kernel:
    """A second user that uses TDX, such as tdx-host of TDX Connect: tdx_enable() once TDX is up, then SEAMCALLs on any CPU."""
    w = k.w
    k.step("a second user of TDX is loaded", "TDX Connect, 2025-26; our reading", rest=True)
    k.await_(w.booted & ~w.frozen & (w.tdx_status == "INITIALIZED") & (w.budget["second_calls"] > 0))
    policy.second_user(k)
    with k.loop():
        with k.on_any_cpu(
            w.active & ~w.frozen & (w.budget["second_calls"] > 0),
            "a SEAMCALL of a second user",
            "TDX Connect, 2025-26; our reading",
            rest=True,
        ):
            k.spend("second_calls")
            with k.if_(module.iommu_setup(k) != module.SUCCESS):
                k.blame(w.user_error)
    return k


def update(k: Kernel, policy: Policy) -> Kernel:
    """The administrator writes an image while TDX is up, or again after an update that failed.

    The write queues fw_upload_main() on system_long_wq, which is not freezable: only the write waits for tasks to thaw
    (drivers/base/firmware_loader/sysfs_upload.c and kernel/workqueue.c, 6.12 and 7.3). The file is there once TDX has come up.
    """
    w = k.w
    with k.loop():
        k.step("update of the TDX module", rest=True)
        there = (w.tdx_status == "INITIALIZED") | w.update_failed
        k.await_(w.booted & ~w.frozen & there & (w.budget["update"] > 0))
        k.spend("update")
        policy.update(k)
    return k
