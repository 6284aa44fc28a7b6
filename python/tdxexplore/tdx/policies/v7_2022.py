"""Host series v7: tdx_enable() does everything, and only when every LP of the platform is online.

Source: [PATCH v7 00/20] TDX host kernel support, Kai Huang, 2022-11-21; module 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import cpus
from tdxexplore.tdx import module
from tdxexplore.tdx.host import init_tdx_module
from tdxexplore.tdx.kernel import EBUSY, EFAULT, EINVAL, OK, Hook, Kernel
from tdxexplore.tdx.kvm import KvmPolicy
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World

MAIL = "TDX host v7, Kai Huang, 2022-11-21"


class V72022(KvmPolicy):
    """tdx_enable() under tdx_module_lock, and inside it cpus_read_lock(); no hook of TDX.

    That series does not say who runs VMXON. Here VMX is on for every online CPU from boot on (an assumption).
    """

    name = "v7-2022"
    title = "tdx_enable() refuses unless every LP is online, then runs SYS.INIT, LP.INIT everywhere and the rest itself"
    source = MAIL
    lp_init_first = True
    read = (
        "The host series, posted and not merged in this form: [PATCH v7 00/20] TDX host kernel support, Kai Huang, 2022-11-21.",
        "TDH.SYS.LP.SHUTDOWN: qizhangz/tdx-module @9359de5c (1.0), for which the series was written.",
    )
    reading = (
        (
            "Its KVM half was not read: VMX is on from boot on, and what KVM does with TDX_SEAMCALL_UD and at the offline of a "
            "package's last CPU are knobs."
        ),
        "It runs on a module 1.5 here, as every design.",
    )
    abstracted = (
        (
            "VMX is on for every online CPU from boot on: an assumption, because the KVM half of the series was not read. It "
            "leaves out the errors that this half may have, and adds none."
        ),
        "Status NONE after VMfailInvalid: an image is loaded in every scenario that applies to this design.",
    )
    knobs = (
        Knob("offline_veto", ("off", "on"), "refuse to offline a package's last CPU while a TD holds a key id"),
        Knob(
            "seamcall_ud",
            ("status", "oops"),
            "KVM's answer to TDX_SEAMCALL_UD, which the wrapper of this series returns for #UD: an error, or BUG() as in the KVM "
            "series of 2023 and 2024; its KVM half was not read, so that both are our reading",
        ),
    )

    def __init__(self, knobs: Mapping[str, str] | None = None) -> None:
        super().__init__(knobs)
        self.seamcall_ud = "oops" if self.setting["seamcall_ud"] == "oops" else "status"

    def declare(self, w: World) -> None:
        self.lp_init_failed = w.model.flag("tdx_module_init_cpus.error")
        self.vmx = Hook("VMX (assumed)", w.model.flag("VMX registered"), self.vmx_online_cpu, self.vmx_offline_cpu)
        self.hooks = (self.vmx,)

    def boot(self, k: Kernel) -> None:
        k.cpuhp_setup_state(self.vmx)

    def vmx_online_cpu(self, k: Kernel) -> Variable:
        """VMXON."""
        return k.vmxon()

    def vmx_offline_cpu(self, k: Kernel) -> Variable:
        """VMXOFF."""
        with k.function("VMX off", returns=(OK, EBUSY)) as f:
            error = self.veto(k)
            with k.if_(error != OK):
                f.returns(EBUSY)
            self.flush_vcpus(k)
            k.vmxoff()
            f.returns(OK)
        return f.result

    def syscore_suspend(self, k: Kernel) -> None:
        with k.if_(self.vmx.registered):
            self.flush_vcpus(k)
            k.vmxoff()

    def syscore_resume(self, k: Kernel) -> None:
        with k.if_(self.vmx.registered):
            error = k.vmxon()
            k.warn_on(error != OK, "VMXON at resume")

    def syscore_shutdown(self, k: Kernel) -> None:
        """VMXOFF where CR4.VMXE is set, as cpu_emergency_vmxoff() does; faults are expected from here on (our reading)."""
        w = k.w
        k.set(w.virt_rebooting, value=True)
        with k.ipi(w.online, "cpu_emergency_vmxoff()"), k.if_(w.vmx_on):
            k.vmxoff()

    def kvm_load(self, k: Kernel) -> None:
        error = self.tdx_enable(k)
        with k.if_(error != OK):
            k.set(k.w.enable_tdx, value=False)
        k.set(k.w.kvm_loaded, value=True)

    def second_user(self, k: Kernel) -> None:
        self.tdx_enable(k)

    def tdx_enable(self, k: Kernel) -> Variable:
        """tdx_enable(): with a CPU offline -EINVAL, and nothing has happened; any error after that is for ever."""
        w = k.w
        with k.function("tdx_enable()", MAIL, returns=(OK, EINVAL, EFAULT)) as f, k.mutex(w.tdx_module_lock):
            with k.if_(w.tdx_status == "INITIALIZED"):
                f.returns(OK)
            with k.if_(w.tdx_status == "ERROR"):
                f.returns(EFAULT)
            with k.cpus_read_lock():
                with k.if_(~cpus.all(w.online)):
                    k.note("an LP is offline: -EINVAL, no SEAMCALL made")
                    f.returns(EINVAL)
                error = self.init_all(k)
                with k.if_(error == OK):
                    k.set(w.tdx_status, "INITIALIZED")
                    f.returns(OK)
                k.set(w.tdx_status, "ERROR")
                with k.ipi(w.online, "TDH.SYS.LP.SHUTDOWN"):
                    module.sys_lp_shutdown(k)
                f.returns(EFAULT)
        return f.result

    def init_all(self, k: Kernel) -> Variable:
        """__tdx_enable(): SYS.INIT, LP.INIT on all CPUs at once, CONFIG, KEY.CONFIG, TDMR.INIT."""
        w = k.w
        with k.function("__tdx_enable()", MAIL, returns=(OK, EFAULT)) as f:
            with k.on_any_cpu(w.active, "TDH.SYS.INIT"):
                with k.if_(module.sys_init(k) != module.SUCCESS):
                    f.returns(EFAULT)
            with k.ipi(w.online, "tdx_module_init_cpus()"):
                with k.if_(module.sys_lp_init(k) != module.SUCCESS):
                    k.set(self.lp_init_failed, value=True)
            with k.if_(self.lp_init_failed):
                f.returns(EFAULT)
            error = init_tdx_module(k)
            with k.if_(error != OK):
                f.returns(EFAULT)
            f.returns(OK)
        return f.result
