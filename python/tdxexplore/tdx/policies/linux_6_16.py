"""Linux 6.16 to 7.0: KVM registers a cpuhp state of its own for TDX when it is loaded.

Source: arch/x86/kvm/vmx/tdx.c, __tdx_bringup(), tdx_online_cpu(), tdx_offline_cpu(), tdx_cleanup(); v6.16 (the offline
veto since 9934d7e5); virt/kvm/kvm_main.c for KVM_ONLINE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.host import tdx_cpu_enable, tdx_enable
from tdxexplore.tdx.kernel import EACCES, EBUSY, EIO, OK, Kernel
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
    from collections.abc import Mapping

    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.tdx.fields import World


class Linux616(VirtAtLoad):
    """KVM_ONLINE does VMXON; KVM's ONLINE_DYN state does tdx_cpu_enable() and vetoes a package's last CPU."""

    name = "linux-6.16"
    title = "KVM_ONLINE does VMXON, KVM's dynamic state does LP.INIT; a TDX failure fails the load of KVM"
    source = "arch/x86/kvm/vmx/tdx.c __tdx_bringup(), v6.16 to 7.0"
    lp_init_first = True
    knobs = (
        OFFLINE_VETO,
        CALLBACK_IRQS,
        FREEZE_HOTPLUG,
        Knob(
            "kexec",
            ("yes", "no"),
            "kexec is possible, and KVM writes the cache back behind VP.FLUSH, as in 6.18 to 7.0; or it is not: in 6.16 and 6.17 "
            "INTEL_TDX_HOST excludes KEXEC_CORE, and until 7.1 machine_kexec_prepare() refuses on parts with the "
            "partial-write erratum",
        ),
        FLUSH_GUARD,
        Knob(
            "late_check",
            ("passes", "fails-unfixed", "fails-fixed"),
            "the checks of the module's features after tdx_enable(), such as TOPOLOGY_ENUM: they pass; or one fails, with which "
            "6.16 and 6.17 return 0 and KVM loads with TDX, or -EINVAL (510c47f165f0, 6.18)",
        ),
        VIRT_AT_LOAD,
    )
    read = (
        (
            "Merged: arch/x86/kvm/vmx/tdx.c, 6.16 to 7.0 (@3829d81b for 6.16 and 6.17), __tdx_bringup(), tdx_online_cpu(), "
            "tdx_offline_cpu() (9934d7e5), tdx_cleanup()."
        ),
        "Merged: arch/x86/virt/vmx/tdx/tdx.c @01fb93a3, 6.8 to 7.0, and 6.12.117: tdx_cpu_enable(), tdx_enable().",
        "Merged: virt/kvm/kvm_main.c, 6.12.117, kvm_enable_virtualization() and its callbacks.",
    )
    reading = ("6.18 to 7.0 are taken to be as 6.17 where no mail says otherwise: their host code was not read.",)
    abstracted = (
        "-ENODEV, with which KVM loads without TDX: only without an image, which no scenario of this design has.",
        "-ENOSPC from cpuhp_setup_state(): no scenario takes all dynamic slots.",
    )

    def __init__(self, knobs: Mapping[str, str] | None = None) -> None:
        super().__init__(knobs)
        self.has_kexec = self.wbinvd_after_flush = self.setting["kexec"] == "yes"

    def declare(self, w: World) -> None:
        super().declare(w)
        self.tdx_dyn = self.add_tdx_hook(
            w, "CPUHP_AP_ONLINE_DYN", self.tdx_online_cpu, self.tdx_offline_cpu, dynamic=True
        )

    def tdx_bringup(self, k: Kernel) -> None:
        """__tdx_bringup() after kvm_enable_virtualization(). No -ENODEV, as the module is present: any error fails the load.

        Without enable_virt_at_load tdx_bringup() turns TDX off, and KVM loads.
        """
        w = k.w
        if not self.virt_at_load:
            self.tdx_failed(k)
            k.set(w.kvm_loaded, value=True)
            return
        with k.function("__tdx_bringup()", self.source):
            with k.cpus_read_lock():
                unregistered = k.cpuhp_setup_state(self.tdx_dyn, cpuslocked=True)
                with k.if_(unregistered != OK):
                    self.tdx_failed(k)
                with k.else_():
                    failed = tdx_enable(k)
                    with k.if_(failed != OK):
                        k.cpuhp_remove_state_nocalls(self.tdx_dyn, cpuslocked=True)
                        self.tdx_failed(k)
            with k.if_(w.enable_tdx):
                if self.setting["late_check"] == "passes":
                    k.set(w.kvm_loaded, value=True)
                else:
                    self.late_check_fails(k)
            with k.else_():
                super().kvm_unload(k)

    def late_check_fails(self, k: Kernel) -> None:
        """Label get_sysinfo_err: the callback is removed, KVM's virtualization is off again; if r is 0, kvm_init() follows."""
        k.cpuhp_remove_state_nocalls(self.tdx_dyn)
        super().kvm_unload(k)
        if self.setting["late_check"] == "fails-fixed":
            self.tdx_failed(k)
            return
        with k.function("kvm_init()", KVM_MAIN):
            error = self.enable_virtualization(k)
            with k.if_(error == OK):
                k.set(k.w.kvm_loaded, value=True)
            with k.else_():
                self.tdx_cleanup(k)

    def off_for_good(self, w: World) -> Operand | bool:
        """TDX failed, and so did the last load of KVM, which removes its callbacks.

        A second user reads which LPs have had TDH.SYS.LP.INIT, but not after TDH.SYS.CONFIG: TDX is then coming up or has
        failed. After kexec the state of the module does not tell whether this kernel has called TDH.SYS.CONFIG.
        """
        if self.setting["late_check"] != "passes":
            return False
        off = (w.budget["kvm_load"] == 0) & ~w.enable_tdx & ~w.kvm_loaded
        if not w.has("second_user"):
            return super().off_for_good(w) | off
        return not w.has("kexec") and off & w.sys_state.isin(["CONFIG_DONE", "READY"])

    def kvm_unload(self, k: Kernel) -> None:
        """vt_exit(): kvm_exit(), then tdx_cleanup(); virtualization was enabled by both, and the second ends it.

        Where a late check has failed only kvm_init() has enabled it, so that kvm_exit() ends it.
        """
        if not self.virt_at_load:
            return
        if self.setting["late_check"] == "passes":
            self.tdx_cleanup(k)
            super().kvm_unload(k)
        else:
            super().kvm_unload(k)
            self.tdx_cleanup(k)

    def tdx_cleanup(self, k: Kernel) -> None:
        """tdx_cleanup(): the callback goes. Where a late check has failed it is gone already: WARN, and state 0 is removed."""
        if self.setting["late_check"] == "passes":
            k.cpuhp_remove_state_nocalls(self.tdx_dyn)
        else:
            k.warn("tdx_cleanup(): tdx_cpuhp_state is 0")
            k.cpuhp_remove_state_zero()

    def tdx_online_cpu(self, k: Kernel) -> Variable:
        """tdx_online_cpu(): WARN if CR4.VMXE is clear; interrupts off, tdx_cpu_enable()."""
        with k.function("tdx_online_cpu()", self.source, returns=(OK, EACCES, EIO)) as f:
            k.warn_on(~k.w.vmx_on, "CR4.VMXE is clear")
            with k.irqs_off():
                f.returns(tdx_cpu_enable(k))
        return f.result

    def tdx_offline_cpu(self, k: Kernel) -> Variable:
        """tdx_offline_cpu(): the veto."""
        with k.function("tdx_offline_cpu() callback", self.source, returns=(OK, EBUSY)) as f:
            f.returns(self.veto(k))
        return f.result
