"""Linux 7.1: core owns VMXON, counted by references, and TDX; both are brought up at boot, before any user.

Source: arch/x86/virt/hw.c @0eaed89c; arch/x86/virt/vmx/tdx/tdx.c after 165e7735, eac90a5b, afe31de1 (merge 4a530993).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tdxexplore.tdx.host import init_tdx_module, tdx_cpu_enable
from tdxexplore.tdx.kernel import EACCES, EBUSY, EIO, OK, VMXON, Kernel
from tdxexplore.tdx.kvm import (
    CALLBACK_IRQS,
    FLUSH_GUARD,
    FREEZE_HOTPLUG,
    KVM_MAIN,
    OFFLINE_VETO,
    VIRT_AT_LOAD,
    VirtAtLoad,
)
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.tdx.fields import KeyIds, World
    from tdxexplore.tdx.host import IrqAssertion

TDX = "arch/x86/virt/vmx/tdx/tdx.c, v7.1"


class Linux71(VirtAtLoad):
    """CPUHP_AP_ONLINE_DYN: a reference to VMX and tdx_cpu_enable(); tdx_enable() in an initcall; KVM has a reference too."""

    name = "linux-7.1"
    title = "core enables TDX at boot and holds VMXON by reference; its dynamic state does LP.INIT on later CPUs"
    key_ids: ClassVar[KeyIds] = "allocator"
    source = "arch/x86/virt/vmx/tdx/tdx.c and arch/x86/virt/hw.c, v7.1"
    lp_init_first = True
    wbinvd_after_flush = True
    read: ClassVar[tuple[str, ...]] = (
        "Merged: arch/x86/virt/hw.c @0eaed89c, x86_virt_get_ref() and x86_virt_put_ref().",
        (
            "Merged: arch/x86/virt/vmx/tdx/tdx.c after 165e7735, eac90a5b and afe31de1 (merge 4a530993), 7.1; the same functions "
            "in 7.2.12 and 7.3.4."
        ),
        (
            "Merged: arch/x86/kvm/vmx/main.c and tdx.c of 7.3.4, vt_init() and tdx_hardware_setup(), which f630de1f (7.1) put in "
            "the place of tdx_bringup(); arch/x86/kernel/reboot.c, smp.c and process.c of 7.3.4."
        ),
    )
    reading: ClassVar[tuple[str, ...]] = ("A second user calls nothing, as core has enabled TDX for all.",)
    abstracted: ClassVar[tuple[str, ...]] = (
        (
            "The checks of features in tdx_enable(): those before its callback is registered fail before any change, which "
            "leaves a kernel without TDX; check_features() fails as TDH.SYS.RD does."
        ),
        (
            "tdx_online_cpu() is one step: at boot no other actor runs, and later the CPU is not active yet, so that no actor "
            "observes it between the reference and TDH.SYS.LP.INIT."
        ),
    )
    knobs: ClassVar[tuple[Knob, ...]] = (
        OFFLINE_VETO,
        CALLBACK_IRQS,
        FREEZE_HOTPLUG,
        Knob(
            "irq_assertion",
            ("no", "yes"),
            "try_init_module_global() asserts that interrupts are off, as in RFC v3; the thread of a cpuhp callback has them on "
            "(Kai Huang, 2026-02-17)",
        ),
        FLUSH_GUARD,
        VIRT_AT_LOAD,
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.tdx_dyn = self.add_tdx_hook(
            w, "CPUHP_AP_ONLINE_DYN", self.tdx_online_cpu, self.tdx_offline_cpu, dynamic=True
        )

    @property
    def irq_assertion(self) -> IrqAssertion:
        """Where tdx_cpu_enable() asserts that interrupts are off."""
        return "try_init_module_global()" if self.setting["irq_assertion"] == "yes" else "nowhere"

    def boot(self, k: Kernel) -> None:
        """tdx_enable() is a subsys_initcall(): all CPUs that the boot brings up are online."""
        self.tdx_enable(k)

    def tdx_enable(self, k: Kernel) -> None:
        """tdx_enable(), called by the boot thread only: init_tdx_module() does not hold cpus_read_lock()."""
        w = k.w
        with k.function("tdx_enable()", TDX) as f:
            unregistered = k.cpuhp_setup_state(self.tdx_dyn)
            with k.if_(unregistered != OK):
                k.set(w.tdx_status, "ERROR")
                f.returns()
            error = init_tdx_module(k)
            with k.if_(error == OK):
                k.set(w.tdx_status, "INITIALIZED")
            with k.else_():
                k.set(w.tdx_status, "ERROR")
                k.cpuhp_remove_state(self.tdx_dyn)

    def off_for_good(self, w: World) -> Operand | bool:
        """TDX is off until reboot: the callback is removed, and every user of TDX reads the status only."""
        return w.tdx_status == "ERROR"

    def tdx_online_cpu(self, k: Kernel) -> Variable:
        """tdx_online_cpu(): a reference, then tdx_cpu_enable(); on an error the reference back, and the CPU is refused."""
        with k.function("tdx_online_cpu()", TDX, returns=(*VMXON, EACCES, EIO)) as f:
            vmx = k.get_ref()
            with k.if_(vmx != OK):
                f.returns(vmx)
            error = tdx_cpu_enable(k, self.irq_assertion)
            with k.if_(error != OK):
                k.put_ref()
            f.returns(error)
        return f.result

    def tdx_offline_cpu(self, k: Kernel) -> Variable:
        """tdx_offline_cpu(): the veto; then the reference back."""
        with k.function("tdx_offline_cpu() callback", TDX, returns=(OK, EBUSY)) as f:
            error = self.veto(k)
            with k.if_(error == OK):
                self.tdx_done_here(k)
            f.returns(error)
        return f.result

    def tdx_done_here(self, k: Kernel) -> None:
        """TDX needs this CPU no more: the reference back."""
        k.put_ref()

    def syscore_suspend(self, k: Kernel) -> None:
        """kvm_suspend(), then tdx_suspend(): each gives its reference back."""
        super().syscore_suspend(k)
        with k.if_(self.tdx_dyn.registered):
            k.put_ref()

    def syscore_resume(self, k: Kernel) -> None:
        """tdx_resume(), then kvm_resume(): WARN on an error."""
        with k.if_(self.tdx_dyn.registered):
            error = k.get_ref()
            k.warn_on(error != OK, "tdx_resume()")
        super().syscore_resume(k)

    def syscore_shutdown(self, k: Kernel) -> None:
        """kvm_shutdown(), then tdx_shutdown()."""
        super().syscore_shutdown(k)
        with k.function("tdx_shutdown()", TDX), k.if_(self.tdx_dyn.registered):
            self.tdx_shutdown(k)

    def tdx_shutdown(self, k: Kernel) -> None:
        """tdx_shutdown(): the references back, on every online CPU, whether it has one or not."""
        with k.ipi(k.w.online, "tdx_shutdown_cpu()"):
            self.tdx_done_here(k)

    def arch_enable_cpu(self, k: Kernel) -> Variable:
        """kvm_arch_enable_virtualization_cpu(): a reference of KVM's own."""
        return k.get_ref()

    def arch_disable_cpu(self, k: Kernel) -> None:
        """kvm_arch_disable_virtualization_cpu(): KVM's reference back."""
        k.put_ref()

    def kvm_load(self, k: Kernel) -> None:
        """vt_init(): vmx_init() comes to tdx_hardware_setup(); kvm_init(), which enables virtualization, is last."""
        self.tdx_hardware_setup(k)
        if not self.virt_at_load:
            k.set(k.w.kvm_loaded, value=True)
            return
        with k.function("kvm_enable_virtualization()", KVM_MAIN):
            error = self.enable_virtualization(k)
        with k.if_(error == OK):
            k.set(k.w.kvm_loaded, value=True)

    def tdx_hardware_setup(self, k: Kernel) -> None:
        """tdx_hardware_setup(): -ENODEV when core has not initialised TDX, and KVM goes on without it."""
        with k.if_(k.w.tdx_status != "INITIALIZED"):
            self.tdx_failed(k)

    def second_user(self, k: Kernel) -> None:
        """Core has enabled VMX and TDX for every user: there is nothing to call."""
