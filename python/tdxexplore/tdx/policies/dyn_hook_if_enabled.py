"""A4: the pass and tdx_enable() at KVM load; KVM registers a dynamic hook only if TDX came up.

Source: Kai Huang, 2024-04-26.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import Scope
from tdxexplore.tdx.host import tdx_cpu_enable, tdx_enable
from tdxexplore.tdx.kernel import EACCES, EINVAL, EIO, OK, Kernel
from tdxexplore.tdx.kvm import OFFLINE_VETO, Alternative
from tdxexplore.tdx.policies.inner_enable import pass_then_enable
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World


class DynHookIfEnabled(Alternative):
    """IPI pass of tdx_cpu_enable(), tdx_enable(), and on success cpuhp_setup_state() with cpus_read_lock() held."""

    name = "dyn-hook-if-enabled"
    title = "A4: pass and tdx_enable() at KVM load, then a dynamic hook that runs LP.INIT, only on success"
    source = "Kai Huang, 2024-04-26 (A4)"
    lp_init_first = True
    read = (
        (
            "A sketch in a mail on v19 023/130, never a patch: Kai Huang, quoted by Chao Gao, 2024-04-26. cpuhp_setup_state() "
            "stands between cpus_read_lock() and cpus_read_unlock() there."
        ),
    )
    reading = (
        "Whether that call was meant literally: the knob register_call has both forms.",
        "KVM removes the hook when it is unloaded.",
    )
    knobs = (
        OFFLINE_VETO,
        Knob(
            "register_call",
            ("cpuhp_setup_state", "_cpuslocked"),
            "as posted, which takes cpus_read_lock() a second time, or the form that expects it held",
        ),
        Knob(
            "pass_in",
            ("tdx_bringup", "tdx_enable"),
            "who runs the pass: KVM before tdx_enable(), or tdx_enable() itself",
        ),
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.pass_error = w.model.flag("pass.error", Scope.GLOBAL)
        self.dyn_hook = self.add_tdx_hook(
            w, "CPUHP_AP_ONLINE_DYN", self.tdx_online_cpu, self.nothing_to_undo, dynamic=True
        )

    def tdx_bringup(self, k: Kernel) -> None:
        w = k.w
        with k.function("tdx_bringup()", self.source) as f, k.cpus_read_lock():
            if self.setting["pass_in"] == "tdx_bringup":
                with k.ipi(w.online, "tdx_cpu_enable()"):
                    error = tdx_cpu_enable(k)
                    with k.if_(error != OK):
                        k.set(self.pass_error, value=True)
                with k.if_(self.pass_error):
                    k.set(self.pass_error, value=False)
                    self.tdx_failed(k)
                    f.returns()
            failed = self.tdx_enable(k)
            with k.if_(failed != OK):
                self.tdx_failed(k)
                f.returns()
            locked = self.setting["register_call"] == "_cpuslocked"
            unregistered = k.cpuhp_setup_state(self.dyn_hook, cpuslocked=locked)
            with k.if_(unregistered != OK):
                self.tdx_failed(k)
        k.set(w.kvm_loaded, value=True)

    def tdx_enable(self, k: Kernel) -> Variable:
        """tdx_enable(), cpus_read_lock() held: as it is, or with the pass inside."""
        if self.setting["pass_in"] == "tdx_bringup":
            return tdx_enable(k)
        with k.function("tdx_enable()", self.source, returns=(OK, EINVAL, EIO)) as f:
            pass_then_enable(k, f.result)
        return f.result

    def second_user(self, k: Kernel) -> None:
        with k.cpus_read_lock():
            self.tdx_enable(k)

    def kvm_unload(self, k: Kernel) -> None:
        with k.if_(self.dyn_hook.registered):
            k.cpuhp_remove_state_nocalls(self.dyn_hook)
        super().kvm_unload(k)

    def tdx_online_cpu(self, k: Kernel) -> Variable:
        """enable_tdx unset: nothing to do; else interrupts off, tdx_cpu_enable()."""
        with k.function("tdx_online_cpu()", self.source, returns=(OK, EACCES, EIO)) as f:
            with k.if_(~k.w.enable_tdx):
                f.returns(OK)
            with k.irqs_off():
                f.returns(tdx_cpu_enable(k))
        return f.result
