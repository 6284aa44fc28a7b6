"""SEV-SNP on the host and CPU hotplug: three versions of "Disable CPU hotplug while SNP is active", and the code before.

SNP needs SYSCFG[SNP_EN] on every present CPU before SNP_INIT, which fails otherwise; a CPU without it checks no write against
the RMP. snp_prepare() sets it on all CPUs, refuses if one is offline, and does nothing if its own CPU has it already. A
shutdown of SNP clears it with newer firmware (x86_snp_shutdown), and leaves it set with older (legacy), until reset.

v8 and v9 disable CPU hotplug after SNP_INIT and remember it with a flag: of the driver ccp in v8, so that a reload of the
driver loses it, of the kernel in v9. v10 disables it in snp_prepare(), before SNP_EN is set, and at boot in a kernel that kexec
starts with SNP_EN set.

Source: Ashish Kalra, [PATCH v8 3/7] crypto/ccp, 2026-06-15, [PATCH v9 3/6] x86/sev, 2026-06-24, and [PATCH v10 3/6] x86/sev,
    2026-06-30, "Disable CPU hotplug while SNP is active"; the answers of Tom Lendacky, 2026-06-18, and K Prateek Nayak,
    2026-06-26; snp_prepare() with the check for offline CPUs of Tycho Andersen, which these patches change.
Reading: An offline CPU keeps its SYSCFG. A kexec comes from a kernel that enabled SNP on the CPUs that it had online, without
    that check; all but the last have SNP_EN then, and the last is offline at first.
Left out: RMPOPT, for which the patches want a stable set of CPUs; guests; errors of the firmware but for a CPU without SNP_EN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from tdxexplore.linux import OK, Kernel, Linux, hotplug, kernel_model
from tdxexplore.model import Model, Scope, cpus

if TYPE_CHECKING:
    from tdxexplore.model import State, Variable

SEV = "arch/x86/virt/svm/sev.c, with the patch"
CCP = "drivers/crypto/ccp/sev-dev.c, with the patch"
EOPNOTSUPP = "-EOPNOTSUPP"
INITS, SHUTDOWNS = "SNP is initialised", "SNP is shut down"

Design: TypeAlias = Literal["before", "v8", "v9", "v10"]
Firmware: TypeAlias = Literal["x86", "legacy"]
Boot: TypeAlias = Literal["cold", "kexec"]


def sev_snp(design: Design = "v10", firmware: Firmware = "x86", boot: Boot = "cold") -> Model:
    """SNP is initialised twice and may be shut down once, while a CPU goes offline and one comes online."""
    kexec = boot == "kexec"
    return kernel_model(
        "SEV-SNP and CPU hotplug",
        lambda w: Host(w, design, firmware).record(kexec=kexec),
        budgets={"cpu_up": 1, "cpu_down": 1, INITS: 2, SHUTDOWNS: 1},
        offline=1 if kexec else 0,
        booting=kexec and design == "v10",
    )


class Host:
    """What the hardware and the host's code know of SNP, and what they do."""

    def __init__(self, w: Linux, design: Design, firmware: Firmware) -> None:
        self.w, self.design, self.firmware = w, design, firmware
        m = w.model
        self.snp_en = m.flag("SNP_EN", Scope.CPU)
        self.active = m.flag("SNP is active")
        self.unchecked = m.flag("a write is not checked")
        self.initialized = m.flag("sev->snp_initialized")
        self.wanted = m.flag("SNP is wanted")
        self.flag = m.flag("snp_cpu_hotplug_disabled")
        self.disabled = m.counter("cpu_hotplug_disabled, the count", 4)

    def record(self, *, kexec: bool) -> None:
        """Every actor, where they start, and what is asked."""
        w, m = self.w, self.w.model

        def what_the_old_kernel_left(state: State) -> None:
            for cpu in state.cpus:
                cpu[self.snp_en.name] = kexec and cpu[w.online.name]

        m.starts(what_the_old_kernel_left, self.snp_en)
        if kexec and self.design == "v10":
            k = Kernel(w, "boot")
            k.step("snp_rmptable_init(): SNP_EN is set", SEV)
            k.add(self.disabled, 1)
            k.set(w.cpu_hotplug_disabled, True)
            k.set(w.booted, True)
            m.add(k)
        m.add(self.driver(Kernel(w, "ccp")))
        k = Kernel(w, "writer", Scope.CPU)
        k.step("a write to memory of a guest", rest=True)
        k.await_(self.active & w.active & ~self.snp_en)
        k.set(self.unchecked, True)
        m.add(k)
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (), w.booted, w.booted))

        off, some, every = self.disabled > 0, cpus.any(self.snp_en), cpus.all(self.snp_en)
        lost = self.wanted & ~self.initialized
        m.outcome("unchecked", "S0", self.unchecked, "a CPU without SNP_EN writes while SNP is active")
        m.outcome("deadlock", "S1", m.stuck())
        m.outcome("cpu-lost", "S2", off & ~cpus.all(w.online), "a CPU is offline, and hotplug is disabled")
        m.outcome("hotplug-off", "S3", off & ~self.active & ~some, "hotplug stays disabled without SNP")
        m.outcome("snp-lost", "S3", lost & some & ~every, "SNP cannot be initialised until reset")
        m.outcome("refused", "ok", lost, "SNP needs every CPU online; it can be tried again then")
        m.outcome("up", "ok", True, "SNP runs on every CPU, or was shut down")

    def driver(self, k: Kernel) -> Kernel:
        """The driver ccp: ioctls that need SNP, and its removal, which shuts SNP down."""
        w = self.w
        with k.loop():
            k.step("an ioctl that needs SNP", CCP, rest=True)
            k.await_(w.booted & ~self.initialized & (w.budget[INITS] > 0))
            k.spend(INITS)
            k.set(self.wanted, True)
            self.init(k)
            with k.if_(self.initialized & (w.budget[SHUTDOWNS] > 0)), k.either() as more:
                with more.branch():
                    k.note("SNP stays")
                with more.branch():
                    k.spend(SHUTDOWNS)
                    k.set(self.wanted, False)
                    self.shutdown(k)
        return k

    def init(self, k: Kernel) -> None:
        """__sev_snp_init_locked()."""
        with k.function("__sev_snp_init_locked()", CCP):
            error = self.prepare(k)
            with k.if_(error == OK):
                k.step("SNP_INIT_EX")
                with k.if_(cpus.all(self.snp_en)):
                    k.set(self.active, True)
                    if self.design in ("v8", "v9"):
                        with k.if_(~self.flag):
                            self.disable_hotplug(k)
                            k.set(self.flag, True)
                    k.step("sev->snp_initialized = true")
                    k.set(self.initialized, True)
                with k.else_():
                    k.note("it fails: a CPU has no SNP_EN")

    def prepare(self, k: Kernel) -> Variable:
        """snp_prepare()."""
        with k.function("snp_prepare()", SEV, returns=(OK, EOPNOTSUPP)) as f:
            with k.on_any_cpu(self.w.active, "rdmsrq(MSR_AMD64_SYSCFG)"):
                with k.if_(self.snp_en):
                    k.note("SNP_EN is set here")
                    f.returns(OK)
            if self.design == "v10":
                self.disable_hotplug(k)
            with k.function("under cpus_read_lock()", SEV, returns=(OK, EOPNOTSUPP)) as locked, k.cpus_read_lock():
                k.step("are all present CPUs online?")
                with k.if_(~cpus.all(self.w.online)):
                    locked.returns(EOPNOTSUPP)
                with k.ipi(self.w.online, "snp_enable()"):
                    k.set(self.snp_en, True)
                locked.returns(OK)
            with k.if_(locked.result != OK):
                if self.design == "v10":
                    self.enable_hotplug(k)
                f.returns(EOPNOTSUPP)
            f.returns(OK)
        return f.result

    def shutdown(self, k: Kernel) -> None:
        """__sev_snp_shutdown_locked(), as the driver is removed; then it is loaded again."""
        with k.function("__sev_snp_shutdown_locked()", CCP):
            k.step("SNP_SHUTDOWN_EX")
            k.set(self.initialized, False)
            if self.firmware == "x86":
                k.note("SNP_EN is cleared on each CPU")
                k.set(self.active, False)
                k.set_each(cpus, True, {self.snp_en: False})
                if self.design == "v10":
                    self.enable_hotplug(k)
                elif self.design != "before":
                    with k.if_(self.flag):
                        self.enable_hotplug(k)
                        k.set(self.flag, False)
        if self.design == "v8":
            k.step("rmmod ccp; modprobe ccp", CCP)
            k.set(self.flag, False)

    def disable_hotplug(self, k: Kernel) -> None:
        """cpu_hotplug_disable(): waits for a hotplug operation that runs."""
        k.step("cpu_hotplug_disable()", "kernel/cpu.c")
        k.await_((self.w.cpus_writer == "none") & ~self.w.cpu_add_remove_lock)
        k.add(self.disabled, 1)
        k.set(self.w.cpu_hotplug_disabled, True)

    def enable_hotplug(self, k: Kernel) -> None:
        """cpu_hotplug_enable(): the last one that had it disabled enables it."""
        k.step("cpu_hotplug_enable()", "kernel/cpu.c")
        k.add(self.disabled, -1)
        with k.if_(self.disabled == 0):
            k.set(self.w.cpu_hotplug_disabled, False)
