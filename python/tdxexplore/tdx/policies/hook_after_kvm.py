"""A2: a core-kernel hook that runs after KVM's, and does LP.INIT if TDX has been enabled.

Source: Sean Christopherson, 2024-04-25, quoted in the mail of 2024-04-26: "the kernel could register yet another cpuhp
hook that runs after KVM's, i.e. does TDX.SYS.LP.INIT after KVM has done VMXON (if TDX has been enabled)". Chao Gao, same
day, on a CPU that comes online while KVM is not loaded: "it should be ok to skip tdx_cpu_enable()".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.host import tdx_cpu_enable
from tdxexplore.tdx.kernel import EACCES, EIO, OK, Kernel
from tdxexplore.tdx.policies.inner_enable import InnerEnable
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World


class HookAfterKvm(InnerEnable):
    """tdx_enable() as in A1; on its first success core registers a hook ordered after KVM's. It survives KVM."""

    name = "hook-after-kvm"
    title = "A2: core hook after KVM's runs LP.INIT if TDX is enabled; it survives KVM"
    source = "Sean Christopherson, 2024-04-25 (A2); Chao Gao, 2024-04-26 (A6, the knob skip_if_vmx_off)"
    read = (
        (
            "A sketch in mails on v19 023/130, never a patch: Sean Christopherson, 2024-04-25, and Chao Gao, 2024-04-26, who "
            "holds that a CPU without KVM may skip the step."
        ),
    )
    reading = ("When the hook is registered, under which lock, and what it does where VMX is off: knobs.",)
    knobs = (
        *InnerEnable.knobs,
        Knob("skip_if_vmx_off", ("yes", "no"), "the callback does nothing on a CPU that is not in VMX operation"),
        Knob("register", ("under-lock", "after-release"), "register with cpus_read_lock() held, or after its release"),
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.tdx_hook = self.add_tdx_hook(w, "CPUHP_AP_TDX (after KVM)", self.tdx_online_cpu, self.nothing_to_undo)

    def enabled_under_lock(self, k: Kernel, result: Variable) -> None:
        if self.setting["register"] == "under-lock":
            self._register(k, result, cpuslocked=True)

    def enabled(self, k: Kernel, result: Variable) -> None:
        if self.setting["register"] == "after-release":
            self._register(k, result, cpuslocked=False)

    def _register(self, k: Kernel, result: Variable, *, cpuslocked: bool) -> None:
        with k.if_((result == OK) & ~self.tdx_hook.registered):
            k.set(result, k.cpuhp_setup_state(self.tdx_hook, cpuslocked=cpuslocked))

    def tdx_online_cpu(self, k: Kernel) -> Variable:
        """Not enabled: nothing to do. VMX off: skip, or try all the same. Else tdx_cpu_enable()."""
        w = k.w
        with k.function("tdx_online_cpu()", self.source, returns=(OK, EACCES, EIO)) as f:
            with k.if_(w.tdx_status != "INITIALIZED"):
                f.returns(OK)
            if self.setting["skip_if_vmx_off"] == "yes":
                with k.if_(~w.vmx_on):
                    k.note("VMX is off: tdx_cpu_enable() skipped")
                    f.returns(OK)
            with k.irqs_off():
                f.returns(tdx_cpu_enable(k))
        return f.result
