"""A3: a core-kernel hook before all users' hooks, so that online CPUs are TDX-capable and users call tdx_enable() only.

Source: Kai Huang, 2024-04-23 and 2024-04-26: "the TDX cpuhp hook should be put _BEFORE_ all in-kernel TDX-users' cpuhp
hooks". Core does VMXON, LP.INIT and VMXOFF by itself; users do their own VMXON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.host import tdx_cpu_enable
from tdxexplore.tdx.kernel import EACCES, EIO, OK, VMXON, Kernel
from tdxexplore.tdx.kvm import OFFLINE_VETO, Alternative
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World


class HookBeforeUsers(Alternative):
    """Core hook: VMXON, tdx_cpu_enable(), VMXOFF; any error refuses the CPU."""

    name = "hook-before-users"
    title = "A3: core hook before all users' hooks: VMXON, LP.INIT, VMXOFF on every CPU that comes online"
    source = "Kai Huang, 2024-04-23 and 2024-04-26 (A3)"
    read = (
        "A sketch in mails on v19 023/130, never a patch: Kai Huang, 2024-04-23 and 2024-04-26, his long-term goal.",
        "Chao Gao, 2024-04-26, quotes Kai Huang's sketch of tdx_online_cpu(): VMXOFF inside it, and users manage VMX themselves.",
    )
    reading = ("When the hook is registered, and what an error of it means: knobs.",)
    knobs = (
        OFFLINE_VETO,
        Knob("registered_at", ("boot", "after-kvm-load"), "when core registers its hook"),
        Knob(
            "setup_error",
            ("tdx-off", "ignored"),
            "an error of cpuhp_setup_state() turns TDX off, as in Linux 7.1, or is ignored; no mail says which, so that both are "
            "our reading",
        ),
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.core_hook = self.add_tdx_hook(
            w, "CPUHP_AP_TDX (before users)", self.core_online_cpu, self.nothing_to_undo, before_kvm=True
        )

    def boot(self, k: Kernel) -> None:
        """An initcall registers the hook."""
        if self.setting["registered_at"] == "boot":
            self._register(k)

    def tdx_bringup(self, k: Kernel) -> None:
        if self.setting["registered_at"] == "after-kvm-load":
            with k.if_(~self.core_hook.registered):
                self._register(k)
        super().tdx_bringup(k)

    def _register(self, k: Kernel) -> None:
        error = k.cpuhp_setup_state(self.core_hook)
        if self.setting["setup_error"] == "tdx-off":
            with k.if_(error != OK):
                k.set(k.w.tdx_status, "ERROR")

    def core_online_cpu(self, k: Kernel) -> Variable:
        """VMXON, tdx_cpu_enable(), VMXOFF: the CPU is TDX-capable, and VMX is its users' own business."""
        with k.function("tdx_online_cpu() of core", self.source, returns=(*VMXON, EACCES, EIO)) as f:
            vmx = k.vmxon()
            with k.if_(vmx != OK):
                f.returns(vmx)
            k.step("tdx_cpu_enable(); VMXOFF")
            with k.irqs_off():
                error = tdx_cpu_enable(k)
            k.vmxoff()
            f.returns(error)
        return f.result
