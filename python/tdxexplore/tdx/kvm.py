"""The parts of KVM that designs share: virt/kvm/kvm_main.c, and the offline veto of arch/x86/kvm/vmx/tdx.c.

`KvmPolicy` has the functions that turn virtualization on and off on a CPU, and the veto. `VirtAtLoad` is a KVM that turns it
on when it is loaded. `Alternative` has what the mails of April 2024 say of all their designs.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar

from tdxexplore.errors import BadModel
from tdxexplore.linux.errno import EACCES, EBUSY, EIO, OK
from tdxexplore.model import other_package_cpus
from tdxexplore.tdx.host import tdx_cpu_enable, tdx_cpu_flush_cache, tdx_enable
from tdxexplore.tdx.kernel import VMXON, Hook, Kernel
from tdxexplore.tdx.policy import Knob, Policy
from tdxexplore.tdx.td import oops_unless_fixed_up, tdx_flush_vp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.model import Field
    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.tdx.fields import World

KVM_MAIN = "virt/kvm/kvm_main.c, v6.16"


OFFLINE_VETO = Knob("offline_veto", ("on", "off"), "refuse to offline a package's last CPU while a TD holds a key id")


VIRT_AT_LOAD = Knob(
    "enable_virt_at_load",
    ("1", "0"),
    "KVM's parameter: virtualization is enabled at load, or when the first VM is created",
)
FLUSH_GUARD = Knob(
    "flush_guard",
    ("none", "preempt-off"),
    "tdx_cpu_flush_cache() asserts that preemption is off, and is called from the preemptible thread of a callback, as merged "
    "and still in 7.3 (report of 2026-05-11); or with preemption off",
)
CALLBACK_IRQS = Knob(
    "callback_irqs",
    ("on", "off"),
    "KVM's callbacks run with interrupts on, so that the IPI of a shutdown can come between VMXON or VMXOFF and the flag that "
    "says so; or off",
)
FREEZE_HOTPLUG = Knob(
    "freeze_hotplug",
    ("yes", "no"),
    "a shutdown disables CPU hotplug first; without, to show what that is for (our reading)",
)


class KvmPolicy(Policy):
    """A policy whose KVM turns virtualization on and off CPU by CPU, and may veto that a CPU goes offline.

    Attributes:
        wbinvd_after_flush: KVM writes the cache back when it has flushed the vCPUs of a CPU (6.18 to 7.1).
    """

    knobs: ClassVar[tuple[Knob, ...]] = (OFFLINE_VETO,)
    wbinvd_after_flush: bool = False

    def __init__(self, knobs: Mapping[str, str] | None = None) -> None:
        super().__init__(knobs)
        self.freezes_hotplug = self.setting.get(FREEZE_HOTPLUG.name) != "no"

    @property
    def flush_guarded(self) -> bool:
        """Whether preemption is off around tdx_cpu_flush_cache()."""
        return self.setting.get(FLUSH_GUARD.name) == "preempt-off"

    def count_vm(self, k: Kernel, count: Field, change: int) -> None:
        """kvm_usage_count, where a policy counts the VMs that need VMX."""
        k.add(count, change)

    def veto(self, k: Kernel) -> Variable:
        """tdx_offline_cpu(), arch/x86/kvm/vmx/tdx.c: -EBUSY for the last CPU of a package whose key would be stuck."""
        with k.function("tdx_offline_cpu()", returns=(OK, EBUSY)) as f:
            if self.setting["offline_veto"] == "on":
                with k.if_(k.w.key_id_in_use & other_package_cpus.none(k.w.online)):
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

    def kvm_enable_cpu(self, k: Kernel, *, callback: bool = False) -> Variable:
        """kvm_enable_virtualization_cpu(), virt/kvm/kvm_main.c: VMXON, unless KVM remembers that it has enabled VMX here.

        Args:
            k: What is being recorded.
            callback: It runs in a callback of CPU hotplug, and not in an IPI, see `CALLBACK_IRQS`.
        """
        with k.function("kvm_enable_virtualization_cpu()", returns=(*VMXON, EACCES, EIO)) as f:
            with k.if_(~k.w.virtualization_enabled):
                error = self.arch_enable_cpu(k)
                with k.if_(error != OK):
                    f.returns(error)
                if callback and self.interruptible(k):
                    k.step("virtualization_enabled = true")
                k.set(k.w.virtualization_enabled, value=True)
            f.returns(OK)
        return f.result

    def kvm_disable_cpu(self, k: Kernel, *, callback: bool = False) -> None:
        """kvm_disable_virtualization_cpu(): where KVM has enabled VMX, flush the vCPUs that ran here last, then VMXOFF.

        Args:
            k: What is being recorded.
            callback: As for `kvm_enable_cpu`.
        """
        with k.if_(k.w.virtualization_enabled):
            if callback and self.interruptible(k):
                k.step("kvm_arch_disable_virtualization_cpu()")
            self.flush_vcpus(k)
            self.arch_disable_cpu(k)
            if callback and self.interruptible(k):
                k.step("virtualization_enabled = false")
            k.set(k.w.virtualization_enabled, value=False)

    def interruptible(self, k: Kernel) -> bool:
        """Whether an IPI that matters can come while a callback of KVM runs."""
        return k.w.restarts and self.setting.get(CALLBACK_IRQS.name) != "off"

    def kvm_shutdown(self, k: Kernel, registered: Field) -> None:
        """kvm_shutdown(), virt/kvm/kvm_main.c: from here on faults are expected; then an IPI to every online CPU."""
        w = k.w
        with k.function("kvm_shutdown()", KVM_MAIN), k.if_(registered):
            k.set(w.virt_rebooting, value=True)
            with k.ipi(w.online, "kvm_disable_virtualization_cpu()"):
                self.kvm_disable_cpu(k)

    def kvm_suspend(self, k: Kernel, enabled: Operand) -> None:
        """kvm_suspend(), virt/kvm/kvm_main.c: VMXOFF, where KVM has virtualization enabled."""
        k.lockdep_assert_irqs_disabled()
        with k.if_(enabled):
            self.kvm_disable_cpu(k)

    def kvm_resume(self, k: Kernel, enabled: Operand) -> None:
        """kvm_resume(): VMXON again; an error is a WARN."""
        k.lockdep_assert_irqs_disabled()
        with k.if_(enabled):
            error = self.kvm_enable_cpu(k)
            k.warn_on(error != OK, "kvm_resume()")

    def flush_vcpus(self, k: Kernel) -> None:
        """tdx_disable_virtualization_cpu(), arch/x86/kvm/vmx/tdx.c: the vCPUs that ran here last, before KVM's VMXOFF.

        It ignores errors.
        """
        if k.w.td_in_full:
            with k.irqs_off(), k.if_(k.w.vcpu_associated):
                oops_unless_fixed_up(k, tdx_flush_vp(k))
        if self.wbinvd_after_flush:
            with k.if_(k.w.enable_tdx):
                tdx_cpu_flush_cache(k, guarded=self.flush_guarded)


class VirtAtLoad(KvmPolicy):
    """A policy whose KVM enables virtualization when it is loaded, in its own cpuhp state."""

    abstracted: ClassVar[tuple[str, ...]] = (
        (
            "kvm_usage_lock and kvm_usage_count: there is one loader, and virtualization is on from load to unload, so that "
            "neither changes what happens. With enable_virt_at_load=0 and VMs besides the one with a TD (budget `plain_vm`) both "
            "are there."
        ),
    )

    def declare(self, w: World) -> None:
        self.kvm_online = Hook(
            "CPUHP_AP_KVM_ONLINE", w.model.flag("KVM_ONLINE registered"), self.kvm_online_cpu, self.kvm_offline_cpu
        )
        self.kvm_syscore = w.model.flag("KVM's syscore callbacks registered")
        self.hooks = (self.kvm_online,)
        self.kvm_usage = w.model.counter("kvm_usage_count", 2)

    @property
    def virt_at_load(self) -> bool:
        """Whether KVM enables virtualization when it is loaded."""
        return self.setting.get("enable_virt_at_load", "1") == "1"

    def add_tdx_hook(
        self,
        w: World,
        state: str,
        startup: Callable[[Kernel], Variable],
        teardown: Callable[[Kernel], Variable],
        *,
        before_kvm: bool = False,
        dynamic: bool = False,
    ) -> Hook:
        """A cpuhp state for TDX beside KVM's: after it, unless said otherwise."""
        hook = Hook(state, w.model.flag("TDX hook registered"), startup, teardown, dynamic)
        self.hooks = (hook, self.kvm_online) if before_kvm else (self.kvm_online, hook)
        return hook

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        """kvm_online_cpu(), virt/kvm/kvm_main.c: VMXON; an error refuses the CPU."""
        return self.kvm_enable_cpu(k, callback=True)

    def kvm_offline_cpu(self, k: Kernel) -> Variable:
        """kvm_offline_cpu(): the vCPUs that ran here, then VMX off."""
        with k.function("kvm_offline_cpu()", returns=(OK,)) as f:
            self.kvm_disable_cpu(k, callback=True)
            f.returns(OK)
        return f.result

    def syscore_suspend(self, k: Kernel) -> None:
        self.kvm_suspend(k, self.kvm_online.registered)

    def syscore_resume(self, k: Kernel) -> None:
        self.kvm_resume(k, self.kvm_online.registered)

    def syscore_shutdown(self, k: Kernel) -> None:
        self.kvm_shutdown(k, self.kvm_syscore)

    def kvm_load(self, k: Kernel) -> None:
        """The module is loaded: kvm_enable_virtualization() for every online CPU and each that comes; then TDX."""
        if not self.virt_at_load:
            self.tdx_bringup(k)
            return
        with k.function("kvm_enable_virtualization()", KVM_MAIN):
            error = self.enable_virtualization(k)
        with k.if_(error == OK):
            self.tdx_bringup(k)

    def enable_virtualization(self, k: Kernel) -> Variable:
        """kvm_enable_virtualization(), which undoes itself with -EBUSY while the system goes down."""
        w = k.w
        if not w.restarts:
            return k.cpuhp_setup_state(self.kvm_online)
        with k.function("kvm_enable_virtualization()", returns=(OK, EIO, EBUSY)) as f:
            error = k.cpuhp_setup_state(self.kvm_online)
            with k.if_(error != OK):
                f.returns(EIO)
            self._register_syscore(k, registered=True)
            with k.if_(w.restarting):
                k.note("system_state: the system goes down, -EBUSY")
                self._disable_virtualization(k)
                f.returns(EBUSY)
            f.returns(OK)
        return f.result

    def _disable_virtualization(self, k: Kernel) -> None:
        if k.w.restarts:
            self._register_syscore(k, registered=False)
        k.cpuhp_remove_state(self.kvm_online)

    def _register_syscore(self, k: Kernel, *, registered: bool) -> None:
        """register_syscore(), unregister_syscore(): a shutdown holds the lock while it calls the callbacks."""
        with k.mutex(k.w.syscore_lock):
            k.set(self.kvm_syscore, value=registered)

    def first_vm(self, k: Kernel) -> Variable:
        """kvm_enable_virtualization(): with the first VM, if not at load."""
        if self.virt_at_load:
            return super().first_vm(k)
        w = k.w
        with k.function("kvm_enable_virtualization()", KVM_MAIN, returns=(OK, EIO, EBUSY)) as f:
            with k.mutex(w.kvm_usage_lock) if w.has("plain_vm") else nullcontext():
                self.count_vm(k, self.kvm_usage, 1)
                with k.if_(self.kvm_usage > 1):
                    f.returns(OK)
                error = self.enable_virtualization(k)
                with k.if_(error != OK):
                    self.count_vm(k, self.kvm_usage, -1)
                f.returns(error)
        return f.result

    def last_vm(self, k: Kernel) -> None:
        """kvm_disable_virtualization(): with the last VM, if not at unload."""
        if self.virt_at_load:
            return
        w = k.w
        with k.function("kvm_disable_virtualization()", KVM_MAIN):
            with k.mutex(w.kvm_usage_lock) if w.has("plain_vm") else nullcontext(), k.if_(self.kvm_usage > 0):
                self.count_vm(k, self.kvm_usage, -1)
                with k.if_(self.kvm_usage == 0):
                    self._disable_virtualization(k)

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
        """kvm_exit(): VMX off on every online CPU, unless the last VM's end has done so."""
        if not self.virt_at_load:
            return
        with k.function("kvm_disable_virtualization()", KVM_MAIN):
            self._disable_virtualization(k)


class Alternative(VirtAtLoad):
    """A design that was argued in April 2024. The mails say of all of them that KVM_ONLINE does VMXON.

    Core has no cpuhp state that could hold the offline veto, so that the veto is in KVM's (an assumption). The mails discuss the
    KVM series of February 2024, from which the rest of KVM is taken.
    """

    seamcall_ud = "oops"
    reading: ClassVar[tuple[str, ...]] = (
        "The offline veto is in KVM's callback, and TDX_SEAMCALL_UD is BUG(), both as in the KVM series that the mails discuss.",
    )

    def kvm_offline_cpu(self, k: Kernel) -> Variable:
        """kvm_offline_cpu(): VMXOFF, unless TDX needs the CPU."""
        with k.function("kvm_offline_cpu()", returns=(OK, EBUSY)) as f:
            error = self.veto(k)
            with k.if_(error != OK):
                f.returns(EBUSY)
            self.kvm_disable_cpu(k, callback=True)
            f.returns(OK)
        return f.result

    def vmxon_and_tdx_cpu_enable(self, k: Kernel) -> Variable:
        """VMXON, then tdx_cpu_enable(): KVM's callback where KVM runs LP.INIT; on an error VMXOFF and the CPU is refused."""
        with k.function("kvm_online_cpu()", self.source, returns=(*VMXON, EACCES, EIO)) as f:
            vmx = self.kvm_enable_cpu(k, callback=True)
            with k.if_(vmx != OK):
                f.returns(vmx)
            k.step("tdx_cpu_enable()")
            with k.irqs_off():
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
        """A teardown callback without effect: TDH.SYS.LP.INIT lasts until reboot."""
        with k.function("tdx_offline_cpu()", self.source, returns=(OK,)) as f:
            f.returns(OK)
        return f.result
