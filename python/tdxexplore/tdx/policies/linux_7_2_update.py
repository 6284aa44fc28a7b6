"""Linux 7.2: as 7.1, and the TDX module can be replaced at run time, with the TDs running on.

Source: arch/x86/virt/vmx/tdx/seamldr.c @b2128290 do_seamldr_install_module(); tdx.c tdx_module_shutdown(),
tdx_module_run_update().
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import cpus
from tdxexplore.tdx import module
from tdxexplore.tdx.host import tdx_cpu_enable
from tdxexplore.tdx.kernel import OK, Kernel
from tdxexplore.tdx.policies.linux_7_1 import Linux71
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.tdx.fields import World

SEAMLDR = "arch/x86/virt/vmx/tdx/seamldr.c @b2128290"


class Linux72Update(Linux71):
    """cpus_read_lock(), stop_machine() on the online CPUs, four phases; a failure ends the run where it is."""

    name = "linux-7.2-update"
    title = "as linux-7.1, and the module is updated at run time: shutdown, install, LP.INIT, TDH.SYS.UPDATE"
    source = "arch/x86/virt/vmx/tdx/seamldr.c, v7.2"
    read = (
        (
            "Merged: arch/x86/virt/vmx/tdx/seamldr.c @b2128290, do_seamldr_install_module(), and of 7.2.12 and 7.3.4, which are "
            "equal; tdx.c tdx_module_shutdown() and tdx_module_run_update()."
        ),
        (
            "[PATCH v4 08/24] x86/virt/seamldr: Block TDX Module updates if any CPU is offline, Chao Gao, 2026-02-12: P-SEAMLDR "
            "requires SEAMLDR.INSTALL on every CPU. The check was posted and did not merge."
        ),
    )
    reading = (
        "A new image starts in state PENDING with no LP initialised; SEAMCALLs between the first and the last INSTALL fail.",
        "Whether every deployed P-SEAMLDR wants all LPs: the knob seamldr_all_lps.",
    )
    abstracted = (
        "A failure to read the handoff data refuses the update before any change, which is the same as no update.",
        "The barrier between phases: a phase begins when all CPUs have acknowledged the one before.",
        "TDH.SYS.SHUTDOWN does not back out: stop_machine() holds every CPU, so that no other LP is inside the module.",
    )
    knobs = (
        *Linux71.knobs,
        Knob(
            "seamldr_all_lps",
            ("yes", "no"),
            "P-SEAMLDR wants SEAMLDR.INSTALL of every LP (Chao Gao, 2026-02-12), or of the online ones",
        ),
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.phase_failed = w.model.flag("update_data.failed")

    def update(self, k: Kernel) -> None:
        """do_seamldr_install_module(): stop_machine() keeps other actors from running, and the lock CPUs from coming up."""
        w = k.w
        with k.function("do_seamldr_install_module()", SEAMLDR) as f:
            with k.cpus_read_lock(), k.stop_machine():
                with k.on_any_cpu(w.online, "TDP_SHUTDOWN: tdx_module_shutdown()"):
                    with k.if_(module.sys_shutdown(k) != module.SUCCESS):
                        f.returns()
                    self.forget(k)
                with k.on_each_cpu(w.online, "TDP_CPU_INSTALL", serial=True) as cpu:
                    installed = module.seamldr_install(k, all_lps=self.setting["seamldr_all_lps"] == "yes")
                    with k.if_(installed != module.SUCCESS):
                        k.set(self.phase_failed, value=True)
                        cpu.stop()
                with k.if_(~self.phase_failed), k.on_each_cpu(w.online, "TDP_CPU_INIT"):
                    error = tdx_cpu_enable(k)
                    with k.if_(error != OK):
                        k.set(self.phase_failed, value=True)
                with k.if_(self.phase_failed):
                    self.lost(k)
                    f.returns()
                with k.on_any_cpu(w.online, "TDP_RUN_UPDATE: tdx_module_run_update()"):
                    with k.if_(module.sys_update(k) != module.SUCCESS):
                        self.lost(k)
                        f.returns()
                    k.set(w.tdx_status, "INITIALIZED")

    def forget(self, k: Kernel) -> None:
        """Clear what the kernel knew of the old image: sysinit_done, initialized, and the flag of every possible CPU."""
        w = k.w
        k.set(w.sysinit_ret, "not called")
        k.set(w.tdx_status, "UNINITIALIZED")
        k.set_each(cpus, where=True, values={w.tdx_lp_initialized: False})

    def lost(self, k: Kernel) -> None:
        """There is no way back and no second try: TDX is off, and the TDs are gone."""
        w = k.w
        k.note("the update failed half way")
        k.set(self.phase_failed, value=False)
        k.set(w.update_failed, value=True)
        with k.if_(w.hkid_live):
            k.set(w.tds_lost, value=True)
