"""Linux 7.2: as 7.1, and the TDX module can be replaced at run time, with the TDs running on.

Source: arch/x86/virt/vmx/tdx/seamldr.c @b2128290 and 7.3.4, seamldr_install_module(), do_seamldr_install_module(); tdx.c
tdx_module_shutdown(), tdx_module_run_update(). seamldr.c and kernel/cpu.c are the same in 7.2.12 and in 7.3.4, and tdx.c differs
in how it reads an MSR and allocates pages, so that this design is Linux 7.3 too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import cpus
from tdxexplore.tdx import module
from tdxexplore.tdx.host import init_tdx_module, tdx_cpu_enable, tdx_cpu_flush_cache
from tdxexplore.tdx.kernel import OK, Kernel
from tdxexplore.tdx.policies.linux_7_1 import Linux71
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.procedure import Frame
    from tdxexplore.tdx.fields import World

SEAMLDR = "arch/x86/virt/vmx/tdx/seamldr.c @b2128290"


class Linux72Update(Linux71):
    """cpus_read_lock(), stop_machine() on the online CPUs, four phases; a failure ends the run where it is."""

    name = "linux-7.2-update"
    title = (
        "as linux-7.1, and the module is updated at run time (7.2 and 7.3): shutdown, install, LP.INIT, TDH.SYS.UPDATE"
    )
    source = "arch/x86/virt/vmx/tdx/seamldr.c, v7.2 to 7.3.4"
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
        (
            "The read of the version after TDH.SYS.UPDATE, get_tdx_sys_info_version(): it wants TDH.SYS.LP.INIT of CPU 0, and "
            "TDH.SYS.UPDATE has just found it done on all LPs."
        ),
        (
            "The barrier between phases: a phase begins when all CPUs have acknowledged the one before. After the first error "
            "the other CPUs leave before or after their part: any set of CPUs has done it, as here, where any set comes first."
        ),
        "TDH.SYS.SHUTDOWN does not back out: stop_machine() holds every CPU, so that no other LP is inside the module.",
        (
            "CPU 0 is online. It leads: without it, as after a write to its hotplug/target, all phases succeed although nobody "
            "has called TDH.SYS.SHUTDOWN and TDH.SYS.UPDATE."
        ),
    )
    wbinvd_after_flush = False
    knobs = (
        *Linux71.knobs,
        Knob(
            "sys_disable",
            ("yes", "no"),
            "the module knows TDH.SYS.DISABLE, which the shutdown calls, or answers TDX_OPERAND_INVALID, as older ones do",
        ),
        Knob(
            "seamldr_all_lps",
            ("yes", "no"),
            "P-SEAMLDR wants SEAMLDR.INSTALL of every LP (its published source; Chao Gao, 2026-02-12), or of the online ones",
        ),
        Knob(
            "offline_check",
            ("none", "userspace", "kernel"),
            "an update with a CPU offline is not refused, or by the tool that writes the image, some time before the write, or "
            "by the kernel under cpus_read_lock() (v2 to v4 of the series)",
        ),
        Knob(
            "avoid_compat_sensitive",
            ("off", "on"),
            "TDH.SYS.SHUTDOWN refuses while a TD is being built (AVOID_COMPAT_SENSITIVE, posted with v4 to v10, not merged)",
        ),
        Knob(
            "module_extensions",
            ("none", "v2"),
            "after TDH.SYS.UPDATE nothing, or TDH.EXT.INIT, which fails the update, and TDH.QUOTE.INIT, which WARNs (Module "
            "Extensions v2, Xu Yilun, 2026-06-18)",
        ),
        Knob(
            "retry",
            ("none", "config"),
            "a TDH.SYS.UPDATE that fails leaves TDX off, or the new image is configured from the start, without the TDs; nobody "
            "posted that: our reading",
        ),
    )

    def declare(self, w: World) -> None:
        super().declare(w)
        self.phase_failed = w.model.flag("update_data.failed")

    def update(self, k: Kernel) -> None:
        """seamldr_install_module(): stop_machine() keeps other actors from running, and the lock CPUs from coming up."""
        with k.function("seamldr_install_module()", SEAMLDR) as f:
            if self.setting["offline_check"] == "userspace":
                self.refuse_if_offline(k, f)
            with k.cpus_read_lock():
                if self.setting["offline_check"] == "kernel":
                    self.refuse_if_offline(k, f)
                with k.stop_machine(cpuslocked=True), k.function("do_seamldr_install_module()", SEAMLDR) as phases:
                    self.run_phases(k, phases)
                if self.setting["retry"] == "config":
                    with k.if_(self.phase_failed):
                        self.configure_again(k)

    def refuse_if_offline(self, k: Kernel, f: Frame) -> None:
        """No update while a CPU is offline: nothing has happened yet."""
        with k.if_(~cpus.all(k.w.online)):
            k.note("a CPU is offline: no update, -EBUSY")
            f.returns()

    def run_phases(self, k: Kernel, f: Frame) -> None:
        """do_seamldr_install_module() on every online CPU, interrupts off: the first error ends the run where it is."""
        w = k.w
        with k.on_any_cpu(w.online & w.cpu_0, "MODULE_UPDATE_SHUTDOWN: tdx_module_shutdown()"):
            avoid = self.setting["avoid_compat_sensitive"] == "on"
            with k.if_(module.sys_rd(k) != module.SUCCESS):  # get_tdx_sys_info_handoff()
                f.returns()
            with k.if_(module.sys_shutdown(k, avoid_compat_sensitive=avoid) != module.SUCCESS):
                f.returns()
            self.forget(k)
        with k.on_each_cpu(w.online, "MODULE_UPDATE_CPU_INSTALL", serial=True) as cpu:
            installed = module.seamldr_install(k, all_lps=self.setting["seamldr_all_lps"] == "yes")
            with k.if_(installed != module.SUCCESS):
                k.set(self.phase_failed, value=True)
                cpu.stop()
        with k.if_(~self.phase_failed), k.on_each_cpu(w.online, "MODULE_UPDATE_CPU_INIT", serial=True) as cpu:
            error = tdx_cpu_enable(k, self.irq_assertion)
            with k.if_(error != OK):
                k.set(self.phase_failed, value=True)
                cpu.stop()
        with k.if_(self.phase_failed):
            k.set(self.phase_failed, value=False)
            self.lost(k)
            f.returns()
        with k.on_any_cpu(w.online & w.cpu_0, "MODULE_UPDATE_RUN_UPDATE: tdx_module_run_update()"):
            with k.if_(module.sys_update(k) != module.SUCCESS):
                self.lost(k)
                if self.setting["retry"] == "config":
                    k.set(self.phase_failed, value=True)
                f.returns()
            if self.setting["module_extensions"] == "v2":
                self.update_extensions(k, f)
            k.set(w.tdx_status, "INITIALIZED")

    def update_extensions(self, k: Kernel, f: Frame) -> None:
        """update_tdx_module_extensions() of Module Extensions v2."""
        with k.if_(module.ext_init(k) != module.SUCCESS):
            self.lost(k)
            f.returns()
        k.warn_on(module.quote_init(k) != module.SUCCESS, "update_tdx_quoting_extension()")

    def configure_again(self, k: Kernel) -> None:
        """The new image is brought up as at boot, with cpus_read_lock() held and the machine running: allocations need that."""
        w = k.w
        k.set(self.phase_failed, value=False)
        error = init_tdx_module(k)
        with k.if_(error == OK):
            k.set(w.update_failed, value=False)
            k.set(w.tdx_status, "INITIALIZED")

    def tdx_done_here(self, k: Kernel) -> None:
        """WBINVD, then the reference back; before 7.2 KVM wrote the cache back (597bdf6e)."""
        tdx_cpu_flush_cache(k, guarded=self.flush_guarded)
        super().tdx_done_here(k)

    def tdx_shutdown(self, k: Kernel) -> None:
        """tdx_sys_disable(), again while it is interrupted or busy, whatever it returns in the end; then as before 7.2."""
        again = (module.INTERRUPTED_RESUMABLE, module.BUSY)
        with k.loop() as calls, k.on_any_cpu(k.w.boot_cpu, "tdx_sys_disable()"):
            status = module.sys_disable(k, supported=self.setting["sys_disable"] == "yes")
            with k.if_(~status.isin(again)):
                calls.leave()
        super().tdx_shutdown(k)

    def forget(self, k: Kernel) -> None:
        """Clear what the kernel knew of the old image: sysinit_done, initialized, and the flag of every possible CPU."""
        w = k.w
        k.set(w.sysinit_ret, "not called")
        k.set(w.tdx_status, "UNINITIALIZED")
        k.set_each(cpus, where=True, values={w.tdx_lp_initialized: False})

    def lost(self, k: Kernel) -> None:
        """There is no way back, and a second write fails in MODULE_UPDATE_SHUTDOWN: TDX is off, and the TDs are gone."""
        w = k.w
        k.note("the update failed half way")
        k.set(w.update_failed, value=True)
        with k.if_(w.hkid_live):
            k.set(w.tds_lost, value=True)
