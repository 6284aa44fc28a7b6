"""The first posting of what became Linux 7.1: core brings TDX up before the APs, and KVM keeps a callback for the veto.

Source: [RFC PATCH 0/4] KVM: x86/tdx: Have TDX handle VMXON during bringup, Sean Christopherson, 2025-10-10, patches 2 and 3, on
Linux 6.17; Chao Gao, 2025-10-13, on the APs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.linux.boot import bringup_nonboot_cpus
from tdxexplore.tdx.kernel import EBUSY, OK, Hook, Kernel
from tdxexplore.tdx.kvm import FLUSH_GUARD, KVM_MAIN
from tdxexplore.tdx.policies.linux_7_1 import Linux71
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World

RFC = "VMXON RFC v1 3/4, Sean Christopherson, 2025-10-10"


class Linux71RfcV1(Linux71):
    """tdx_init() calls tdx_enable() on the boot CPU; KVM registers a dynamic state whose teardown may veto."""

    name = "linux-7.1-rfc-v1"
    title = "as linux-7.1, but TDX is enabled before the APs are started, and the offline veto is a callback of KVM"
    key_ids = "counter"
    wbinvd_after_flush = False
    source = "VMXON RFC v1 2/4 and 3/4, Sean Christopherson, 2025-10-10"
    read = (
        (
            "Posted, not merged in this form: [RFC PATCH 2/4] and [RFC PATCH 3/4] KVM: x86/tdx: Do VMXON and TDX-Module "
            "initialization during tdx_init(), Sean Christopherson, 2025-10-10; Chao Gao's answer, 2025-10-13."
        ),
    )
    reading = (
        "before-aps: cpuhp_setup_state() works before the APs are up, and they run the callback when they start.",
        "What the patches do not touch is as in linux-7.1.",
    )
    abstracted = (
        "Whether cpuhp_setup_state() works as early as tdx_init(), in identify_boot_cpu(), is not asked: here it does.",
        (
            "misc_cg_set_capacity() and the checks of tdx_bringup() before it registers the veto: they fail before any "
            "change, and then the load of KVM fails."
        ),
    )
    knobs = (
        *(knob for knob in Linux71.knobs if knob is not FLUSH_GUARD),
        Knob(
            "enable_phase",
            ("before-aps", "subsys"),
            "tdx_enable() in tdx_init(), before the APs are started, as posted; or as subsys_initcall(), as later versions do",
        ),
        Knob(
            "preempt_guard",
            ("none", "on"),
            "x86_virt_get_cpu() and x86_virt_put_cpu() may be preempted between the count and VMXON or VMXOFF, as posted, or not",
        ),
        Knob(
            "put_at_reboot",
            ("vmx-off", "counted"),
            "while the system reboots x86_virt_put_cpu() turns VMX off whoever else has a reference, as posted; or the count "
            "decides, as merged",
        ),
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.veto_hook = Hook(
            "CPUHP_AP_ONLINE_DYN of KVM",
            w.model.flag("KVM's TDX hook registered"),
            self.kvm_tdx_online_cpu,
            self.kvm_tdx_offline_cpu,
            dynamic=True,
        )
        self.hooks = (*self.hooks, self.veto_hook)

    @property
    def boots_aps(self) -> bool:
        return self.setting["enable_phase"] == "before-aps"

    def boot(self, k: Kernel) -> None:
        super().boot(k)
        if self.boots_aps:
            bringup_nonboot_cpus(k, self.hooks)

    def tdx_offline_cpu(self, k: Kernel) -> Variable:
        """tdx_offline_cpu() of core: the reference back."""
        with k.function("tdx_offline_cpu() of core", RFC, returns=(OK,)) as f:
            self.tdx_done_here(k)
            f.returns(OK)
        return f.result

    def kvm_tdx_online_cpu(self, k: Kernel) -> Variable:
        """tdx_online_cpu() of KVM: nothing."""
        with k.function("tdx_online_cpu() of KVM", RFC, returns=(OK,)) as f:
            f.returns(OK)
        return f.result

    def kvm_tdx_offline_cpu(self, k: Kernel) -> Variable:
        """tdx_offline_cpu() of KVM: the veto."""
        with k.function("tdx_offline_cpu() of KVM", RFC, returns=(OK, EBUSY)) as f:
            f.returns(self.veto(k))
        return f.result

    def kvm_load(self, k: Kernel) -> None:
        """vt_init(): tdx_bringup() registers the veto, if core has TDX; then kvm_init() enables virtualization."""
        w = k.w
        with k.function("tdx_bringup()", RFC):
            with k.if_(w.tdx_status == "INITIALIZED"):
                k.cpuhp_setup_state(self.veto_hook)
            with k.else_():
                self.tdx_failed(k)
        with k.function("kvm_enable_virtualization()", KVM_MAIN):
            error = self.enable_virtualization(k)
        with k.if_(error == OK):
            k.set(w.kvm_loaded, value=True)
        with k.else_():
            self.tdx_cleanup(k)

    def kvm_unload(self, k: Kernel) -> None:
        """vt_exit(): kvm_exit(), then tdx_cleanup()."""
        super().kvm_unload(k)
        self.tdx_cleanup(k)

    def tdx_cleanup(self, k: Kernel) -> None:
        """tdx_cleanup(): cpuhp_remove_state() runs the teardown, which may veto, and a veto is a BUG there."""
        with k.if_(self.veto_hook.registered):
            k.cpuhp_remove_state(self.veto_hook)

    def arch_enable_cpu(self, k: Kernel) -> Variable:
        return k.get_ref(preemptible=self._preemptible(k))

    def arch_disable_cpu(self, k: Kernel) -> None:
        k.put_ref(preemptible=self._preemptible(k), counts_at_reboot=self.setting["put_at_reboot"] == "counted")

    def tdx_done_here(self, k: Kernel) -> None:
        self.arch_disable_cpu(k)

    def _preemptible(self, k: Kernel) -> bool:
        return self.setting["preempt_guard"] == "none" and k.preemptible
