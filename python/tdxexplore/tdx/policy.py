"""What a policy is: who runs VMXON and TDH.SYS.LP.INIT, when, under which locks, and what the hotplug callbacks do.

A policy is a subclass of `Policy` that reads beside the kernel source or mail it stands for. It contains only what is
particular to it; locks, cpuhp, SEAMCALLs and the host library are `Kernel` methods, and the environment (administrator,
virtual machines, hotplug) is `tdxexplore.tdx.environment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tdxexplore.errors import BadModel, suggest
from tdxexplore.tdx import module
from tdxexplore.tdx.host import EACCES, tdx_cpu_enable, tdx_enable
from tdxexplore.tdx.kernel import EBUSY, EIO, OK, VMXON, Hook, Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.model import Field
    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.tdx.fields import KeyIds, World


@dataclass(frozen=True, slots=True)
class Knob:
    """A choice that a policy's source leaves open.

    Attributes:
        name: For ``--set NAME=VALUE``.
        values: Allowed values; the first is the default, the posted form.
        text: What is chosen.
    """

    name: str
    values: tuple[str, ...]
    text: str


OFFLINE_VETO = Knob("offline_veto", ("on", "off"), "refuse to offline a package's last CPU while a TD holds a key id")


class Policy:
    """One design under study.

    Subclasses set the class attributes, create their hooks in `declare`, and override the procedures they have.

    Args:
        knobs: Values by name; the others are at their default.

    Attributes:
        name: On the command line.
        title: One line.
        source: The mail or the source it stands for.
        knobs: What its source leaves open.
        key_ids: How its offline veto learns of key ids: a counter of KVM (Linux 6.16), or the allocator of core.
        abstracted: What this class leaves out, and why that hides no outcome; for the documentation, which adds what its
            bases and the shared mechanics leave out.
        lp_init_first: It makes no SEAMCALL but TDH.SYS.INIT and TDH.SYS.LP.INIT before both have succeeded in this kernel,
            and none while KVM is not loaded and no callback is registered. The normal form of states reads it
            (`tdxexplore.tdx.normal_form`).
        has_boot: Whether `boot` runs something before user space.
        has_update: Whether `update` does anything.
        boots_aps: Whether `boot` begins with one CPU, and starts the others itself.
        hooks: Its cpuhp states, in the order in which a CPU that comes up meets them; set by `declare`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    knobs: ClassVar[tuple[Knob, ...]] = (OFFLINE_VETO,)
    key_ids: ClassVar[KeyIds] = "counter"
    lp_init_first: ClassVar[bool] = False
    abstracted: ClassVar[tuple[str, ...]] = ()

    def __init__(self, knobs: Mapping[str, str] | None = None) -> None:
        known = {knob.name: knob for knob in self.knobs}
        self.setting = {knob.name: knob.values[0] for knob in self.knobs}
        for name, value in (knobs or {}).items():
            if name not in known:
                raise BadModel(f"policy `{self.name}` has no knob `{name}`; {suggest(name, known)}")
            if value not in known[name].values:
                raise BadModel(
                    f"knob `{name}` of policy `{self.name}` is `{value}`; {suggest(value, known[name].values)}"
                )
            self.setting[name] = value
        self.hooks: tuple[Hook, ...] = ()

    @property
    def has_boot(self) -> bool:
        """Whether `boot` does anything."""
        return type(self).boot is not Policy.boot

    @property
    def has_update(self) -> bool:
        """Whether the module can be updated at run time."""
        return type(self).update is not Policy.update

    @property
    def boots_aps(self) -> bool:
        """Whether `boot` begins with one CPU, and starts the others itself."""
        return False

    def off_for_good(self, w: World) -> Operand | bool:
        """Where TDX is off in this kernel and stays so, so that no step reads which LPs have had TDH.SYS.LP.INIT."""
        return False

    # -- what a policy may override -----------------------------------------------------------------------------------

    def declare(self, w: World) -> None:
        """Declare fields of its own, and its hooks."""

    def boot(self, k: Kernel) -> None:
        """Initcalls: before user space runs, with the CPUs of the scenario online."""

    def kvm_load(self, k: Kernel) -> None:
        """``modprobe kvm_intel``; sets ``kvm_loaded`` unless loading fails."""
        raise BadModel(f"policy `{self.name}` does not say what `kvm_load` does")

    def kvm_unload(self, k: Kernel) -> None:
        """``rmmod kvm_intel``, when no virtual machine is left."""

    def first_vm(self, k: Kernel) -> Variable:
        """The first virtual machine is created; returns 0 or an error."""
        with k.function("kvm_enable_virtualization() at the first VM", returns=(OK,)) as f:
            f.returns(OK)
        return f.result

    def last_vm(self, k: Kernel) -> None:
        """The last virtual machine is gone."""

    def second_user(self, k: Kernel) -> None:
        """Another in-kernel user calls tdx_enable(), with the duties that this design gives to callers."""
        with k.cpus_read_lock():
            tdx_enable(k)

    def update(self, k: Kernel) -> None:
        """The administrator updates the TDX module."""

    def syscore_suspend(self, k: Kernel) -> None:
        """System suspend on the last CPU, interrupts off."""

    def syscore_resume(self, k: Kernel) -> None:
        """System resume on the CPU that stayed, interrupts off."""

    # -- for policies -------------------------------------------------------------------------------------------------

    def veto(self, k: Kernel) -> Variable:
        """tdx_offline_cpu(), arch/x86/kvm/vmx/tdx.c: -EBUSY for the last CPU of a package whose key would be stuck."""
        with k.function("tdx_offline_cpu()", returns=(OK, EBUSY)) as f:
            if self.setting["offline_veto"] == "on":
                with k.if_(k.last_cpu_of_a_package_with_a_key()):
                    k.note("tdx_offline_cpu(): last CPU of a package with a key id, -EBUSY")
                    f.returns(EBUSY)
            f.returns(OK)
        return f.result

    def arch_enable_cpu(self, k: Kernel) -> Variable:
        """kvm_arch_enable_virtualization_cpu(): VMXON."""
        return k.vmxon()

    def arch_disable_cpu(self, k: Kernel) -> None:
        """kvm_arch_disable_virtualization_cpu(): VMXOFF."""
        k.vmxoff()

    def kvm_enable_cpu(self, k: Kernel) -> Variable:
        """kvm_enable_virtualization_cpu(), virt/kvm/kvm_main.c: KVM remembers on which CPUs it has enabled VMX."""
        with k.function("kvm_enable_virtualization_cpu()", returns=(*VMXON, EACCES, EIO)) as f:
            error = self.arch_enable_cpu(k)
            with k.if_(error == OK):
                k.set(k.w.virtualization_enabled, value=True)
            f.returns(error)
        return f.result

    def kvm_disable_cpu(self, k: Kernel) -> None:
        """kvm_disable_virtualization_cpu(): where KVM has enabled VMX, flush the vCPUs that ran here last, then VMXOFF."""
        with k.if_(k.w.virtualization_enabled):
            k.set(k.w.virtualization_enabled, value=False)
            self.flush_vcpus(k)
            self.arch_disable_cpu(k)

    def kvm_suspend(self, k: Kernel, enabled: Field) -> None:
        """kvm_suspend(), virt/kvm/kvm_main.c: VMXOFF, where KVM has virtualization enabled."""
        with k.if_(enabled):
            self.kvm_disable_cpu(k)

    def kvm_resume(self, k: Kernel, enabled: Field) -> None:
        """kvm_resume(): VMXON again; an error is a WARN."""
        with k.if_(enabled):
            error = self.kvm_enable_cpu(k)
            k.warn_on(error != OK, "kvm_resume()")

    def flush_vcpus(self, k: Kernel) -> None:
        """tdx_disable_virtualization_cpu(), arch/x86/kvm/vmx/tdx.c: the vCPUs that ran here last, before KVM's VMXOFF."""
        if k.w.td_in_full:
            with k.if_(k.w.vcpu_associated):
                module.vp_flush(k)


class VirtAtLoad(Policy):
    """A policy whose KVM enables virtualization when it is loaded, in its own cpuhp state."""

    abstracted: ClassVar[tuple[str, ...]] = (
        "kvm_usage_lock and kvm_usage_count: one loader, and virtualization is on from load to unload, so neither decides.",
    )

    def declare(self, w: World) -> None:
        self.kvm_online = Hook(
            "CPUHP_AP_KVM_ONLINE", w.model.flag("KVM_ONLINE registered"), self.kvm_online_cpu, self.kvm_offline_cpu
        )
        self.hooks = (self.kvm_online,)

    def add_tdx_hook(
        self,
        w: World,
        state: str,
        startup: Callable[[Kernel], Variable],
        teardown: Callable[[Kernel], Variable],
        *,
        before_kvm: bool = False,
    ) -> Hook:
        """A cpuhp state for TDX beside KVM's: after it, unless said otherwise."""
        hook = Hook(state, w.model.flag("TDX hook registered"), startup, teardown)
        self.hooks = (hook, self.kvm_online) if before_kvm else (self.kvm_online, hook)
        return hook

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        """kvm_online_cpu(), virt/kvm/kvm_main.c: VMXON; an error refuses the CPU."""
        return self.kvm_enable_cpu(k)

    def kvm_offline_cpu(self, k: Kernel) -> Variable:
        """kvm_offline_cpu(): the vCPUs that ran here, then VMX off."""
        with k.function("kvm_offline_cpu()", returns=(OK,)) as f:
            self.kvm_disable_cpu(k)
            f.returns(OK)
        return f.result

    def syscore_suspend(self, k: Kernel) -> None:
        self.kvm_suspend(k, self.kvm_online.registered)

    def syscore_resume(self, k: Kernel) -> None:
        self.kvm_resume(k, self.kvm_online.registered)

    def kvm_load(self, k: Kernel) -> None:
        """kvm_init(): VMX on every online CPU and on each that comes; then TDX."""
        with k.function("kvm_enable_virtualization()", "virt/kvm/kvm_main.c, v6.16"):
            error = k.cpuhp_setup_state(self.kvm_online)
        with k.if_(error == OK):
            self.tdx_bringup(k)

    def off_for_good(self, w: World) -> Operand | bool:
        """KVM did not get VMX at its last load, which only a fault can do, and no callback is registered."""
        faults = any(w.has(fault) for fault in ("vmxon_fail", "no_entropy", "sys_busy"))
        if not faults or not self.lp_init_first or w.has("second_user"):
            return False
        loading = w.model.busy(w.model.code("kvm"))
        off = ~loading & ~w.kvm_loaded & (w.budget["kvm_load"] == 0) & (w.tdx_status != "INITIALIZED")
        for hook in self.hooks:
            off &= ~hook.registered
        return off

    def tdx_bringup(self, k: Kernel) -> None:
        """tdx_bringup(): KVM's TDX part of loading; sets ``kvm_loaded``."""
        raise BadModel(f"policy `{self.name}` does not say what `tdx_bringup` does")

    def tdx_failed(self, k: Kernel) -> None:
        """TDX did not come up: KVM loads without it."""
        k.set(k.w.enable_tdx, value=False)

    def kvm_unload(self, k: Kernel) -> None:
        """kvm_exit(): VMX off on every online CPU."""
        with k.function("kvm_disable_virtualization()", "virt/kvm/kvm_main.c, v6.16"):
            k.cpuhp_remove_state(self.kvm_online)


class Alternative(VirtAtLoad):
    """The alternatives that were argued in April 2024: what the mails say of all of them, and of KVM beside them.

    Core has no state that a veto could be in, so it is in KVM's (assumption of domain 3.1).
    """

    def kvm_offline_cpu(self, k: Kernel) -> Variable:
        """kvm_offline_cpu(): VMXOFF, unless TDX needs the CPU."""
        with k.function("kvm_offline_cpu()", returns=(OK, EBUSY)) as f:
            error = self.veto(k)
            with k.if_(error != OK):
                f.returns(EBUSY)
            self.kvm_disable_cpu(k)
            f.returns(OK)
        return f.result

    def vmxon_and_tdx_cpu_enable(self, k: Kernel) -> Variable:
        """VMXON, then tdx_cpu_enable(): KVM's callback where KVM runs LP.INIT; on an error VMXOFF and the CPU is refused."""
        with k.function("kvm_online_cpu()", self.source, returns=(*VMXON, EACCES, EIO)) as f:
            vmx = self.kvm_enable_cpu(k)
            with k.if_(vmx != OK):
                f.returns(vmx)
            k.step("tdx_cpu_enable()")
            error = tdx_cpu_enable(k)
            with k.if_(error != OK):
                self.kvm_disable_cpu(k)
            f.returns(error)
        return f.result

    def tdx_bringup(self, k: Kernel) -> None:
        """cpus_read_lock(); tdx_enable(); unlock. An error leaves KVM without TDX."""
        with k.cpus_read_lock():
            error = tdx_enable(k)
            with k.if_(error != OK):
                self.tdx_failed(k)
            k.set(k.w.kvm_loaded, value=True)

    def nothing_to_undo(self, k: Kernel) -> Variable:
        """A teardown callback that has nothing to do: LP.INIT stays until reboot."""
        with k.function("tdx_offline_cpu()", self.source, returns=(OK,)) as f:
            f.returns(OK)
        return f.result
