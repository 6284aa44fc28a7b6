"""SEV-SNP on the host: who sets SNP_EN on which CPU, and while which CPUs may come and go.

Writes of a CPU are checked against the RMP only where SYSCFG[SNP_EN] is set, and SNP_INIT fails unless it is set on every
CPU. The kernel cannot clear it. A full shutdown (X86_SNP_SHUTDOWN) clears it on every CPU, the legacy one leaves it.

Source: linux-6.12: arch/x86/virt/svm/sev.c snp_rmptable_init(), 6.12.117. linux-7.3: the same file, snp_prepare() and
    snp_shutdown(), and drivers/crypto/ccp/sev-dev.c __sev_snp_init_locked() and __sev_snp_shutdown_locked(), 7.3.4.
    v8, v9, v10: the patches [PATCH v8 3/7] crypto/ccp, [PATCH v9 3/6] and [PATCH v10 3/6] x86/sev: "Disable CPU hotplug while
    SNP is active", Ashish Kalra, 2026-06-15, 2026-06-24 and 2026-06-30, and the answers of Tom Lendacky, 2026-06-18, and
    K Prateek Nayak, 2026-06-26.
Shows: unchecked, cpu-lost, skipped
Reading: v8 and v9 disable hotplug when SNP_INIT has succeeded, once, by a flag (of the module in v8, so that loading it again
    forgets it), and the full shutdown enables it. v10 does so in snp_prepare(), before SNP_EN is set, and enables it again if
    that fails; and at boot if SNP_EN is set by then. Whether SNP_EN outlives an offline is a parameter: the mails call it
    write-1-only until a reset, and also fear a CPU that comes online without it. Before a kexec an older kernel, without
    the check for offline CPUs, has enabled SNP on the CPUs that it had online: all but the last, which is still offline.
Left out: RMPOPT, the panic notifier, physical hotplug, and commands of the firmware that fail for other reasons.
"""

from typing import Literal, TypeAlias

from tdxexplore.linux import (
    OK,
    Hook,
    Kernel,
    Linux,
    cpu_hotplug_disable,
    cpu_hotplug_enable,
    hotplug,
    initcalls,
    kernel_model,
)
from tdxexplore.model import Model, Scope, cpus

SEV = "arch/x86/virt/svm/sev.c, v7.3"
SEV_6_12 = "arch/x86/virt/svm/sev.c, v6.12"
CCP = "drivers/crypto/ccp/sev-dev.c, v7.3"
NOT_ALL_ONLINE = "-EOPNOTSUPP"

Design: TypeAlias = Literal["linux-6.12", "linux-7.3", "v8", "v9", "v10"]


def sev_snp(
    design: Design = "linux-7.3",
    shutdown: Literal["legacy", "x86"] = "legacy",
    snp_en: Literal["kept", "lost"] = "kept",
    offline: Literal["0", "1"] = "0",
    boot: Literal["cold", "kexec"] = "cold",
) -> Model:
    """SNP is initialised up to twice and shut down once, while a CPU goes offline and one comes online.

    Args:
        design: The kernel, or the version of the series on top of 7.3.
        shutdown: What the firmware can do: the legacy shutdown, or the full one.
        snp_en: A CPU keeps SNP_EN while it is offline, or loses it.
        offline: CPUs that are offline at first, as with nosmt or maxcpus.
        boot: SNP_EN is clear at boot; or an older kernel, which started this one by kexec, has set it on the online CPUs.
    """
    kexec = boot == "kexec"

    def record(w: Linux) -> None:
        host = Host(w, design, full=shutdown == "x86", lost=snp_en == "lost", kexec=kexec)
        m = w.model
        m.starts(host.of_the_old_kernel, host.enabled)
        m.add(initcalls(Kernel(w, "boot"), host.snp_rmptable_init))
        m.add(host.command("snp_init", "a SEV ioctl", host.snp_init, ~host.initialised))
        m.add(host.command("snp_shutdown", "the module is unloaded", host.snp_shutdown, host.initialised))
        m.add(host.guest())
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (host.hook,), w.booted, w.booted))

        off = ~host.initialised & cpus.none(host.enabled)
        skipped = ~host.initialised & cpus.any(host.enabled) & cpus.any(w.online & ~host.enabled)
        m.outcome("unchecked", "S0", host.unchecked, "a CPU writes to a guest's page without the RMP check", fatal=True)
        m.outcome("stuck", "S1", m.stuck(), "an actor waits for ever")
        m.outcome("hotplug-off", "S3", off & w.cpu_hotplug_disabled, "SNP is off, and hotplug is disabled for good")
        m.outcome(
            "cpu-lost", "S3", w.cpu_hotplug_disabled & ~cpus.all(w.online), "a CPU is offline, and hotplug is disabled"
        )
        m.outcome("skipped", "S3", skipped, "snp_prepare() can skip a CPU without SNP_EN: SNP_INIT is refused")
        m.outcome("warned", "S4", w.warned, "an unbalanced cpu_hotplug_enable()")
        m.outcome("snp-off", "ok", ~host.initialised, "SNP is not up")
        m.outcome("snp-up", "ok", True, "SNP is up, and every CPU checks")
        if not kexec:
            m.expect("SNP comes up", host.initialised, "otherwise nothing is at stake")

    budgets = {"snp_init": 2, "snp_shutdown": 1, "cpu_down": 1, "cpu_up": 1}
    return kernel_model("SEV-SNP", record, budgets=budgets, offline=max(int(offline), kexec), booting=True)


class Host:
    """The host's side of SEV-SNP: fields, and what the functions do."""

    def __init__(self, w: Linux, design: Design, *, full: bool, lost: bool, kexec: bool) -> None:
        m = w.model
        self.w, self.design, self.full, self.kexec = w, design, full, kexec
        self.enabled = m.flag("SNP_EN", Scope.CPU)
        if lost:
            w.per_online(self.enabled)
        self.initialised, self.sev_cmd_mutex = m.flag("sev->snp_initialized"), m.flag("sev_cmd_mutex")
        self.depth, self.flag = m.counter("cpu_hotplug_disabled, depth", 2), m.flag("snp_cpu_hotplug_disabled")
        self.refused, self.unchecked = m.flag("not all CPUs online"), m.flag("a write was not checked")
        installed = m.flag("callback installed")
        self.hook = Hook("CPUHP_AP_ONLINE_DYN", installed, self.online, self.nothing, dynamic=True)

    def of_the_old_kernel(self, state):
        for cpu in state.cpus:
            cpu[self.enabled.name] = self.kexec and cpu[self.w.online.name]

    def command(self, name, title, body, when):
        """An actor that issues a command of the firmware whenever it makes sense, within its budget."""
        k = Kernel(self.w, name)
        with k.loop():
            k.step(title, CCP, rest=True)
            k.await_(self.w.booted & when & (self.w.budget[name] > 0))
            k.spend(name)
            with k.mutex(self.sev_cmd_mutex), k.if_(when):
                body(k)
        return k

    def guest(self):
        """A write from a CPU without SNP_EN, while pages may belong to a guest: no RMP check sees it."""
        k = Kernel(self.w, "guest")
        k.step("a CPU writes to a page of a guest", rest=True)
        k.await_(self.initialised & cpus.any(self.w.online & ~self.enabled))
        k.set(self.unchecked, True)
        return k

    # -- 6.12: at boot, and on each CPU that comes later

    def snp_rmptable_init(self, k):
        if self.design == "linux-6.12":
            with k.function("snp_rmptable_init()", SEV_6_12):
                if not self.kexec:
                    with k.ipi(self.w.online, "snp_enable()"):
                        self.snp_enable(k)
                k.cpuhp_setup_state(self.hook)
        elif self.design == "v10" and self.kexec:
            with k.function("snp_rmptable_init()", SEV):
                cpu_hotplug_disable(k, self.depth)

    def online(self, k):
        with k.function("__snp_enable()", SEV_6_12, returns=(OK,)) as f:
            self.snp_enable(k)
            f.returns(OK)
        return f.result

    def nothing(self, k):
        with k.function("no teardown", SEV_6_12, returns=(OK,)) as f:
            f.returns(OK)
        return f.result

    def snp_enable(self, k):
        k.note("SNP_EN")
        k.set(self.enabled, True)

    # -- later: before SNP_INIT, on all CPUs at once

    def snp_prepare(self, k):
        w = self.w
        with k.function("snp_prepare()", SEV, returns=(OK, NOT_ALL_ONLINE)) as f:
            with k.on_any_cpu(w.active, "reads SYSCFG"), k.if_(self.enabled):
                k.note("SNP_EN is set: nothing to do")
                f.returns(OK)
            if self.design == "v10":
                cpu_hotplug_disable(k, self.depth)
            with k.cpus_read_lock():
                with k.if_(cpus.all(w.online)), k.ipi(w.online, "snp_enable()"):
                    self.snp_enable(k)
                with k.if_(~cpus.all(w.online)):
                    k.note("not all CPUs online")
                    k.set(self.refused, True)
            with k.if_(self.refused):
                k.set(self.refused, False)
                if self.design == "v10":
                    cpu_hotplug_enable(k, self.depth)
                f.returns(NOT_ALL_ONLINE)
            f.returns(OK)
        return f.result

    def snp_init(self, k):
        with k.function("__sev_snp_init_locked()", CCP) as f:
            if self.design != "linux-6.12":
                with k.if_(self.snp_prepare(k) != OK):
                    f.returns()
            k.step("SNP_INIT_EX", CCP)
            with k.if_(~cpus.all(self.enabled)):
                k.note("the firmware refuses: a CPU has no SNP_EN")
                f.returns()
            if self.design in {"v8", "v9"}:
                with k.if_(~self.flag):
                    cpu_hotplug_disable(k, self.depth)
                    k.set(self.flag, True)
            k.step("snp_initialized = true", CCP)
            k.set(self.initialised, True)

    def snp_shutdown(self, k):
        with k.function("__sev_snp_shutdown_locked()", CCP):
            k.step("SNP_SHUTDOWN_EX", CCP)
            k.set(self.initialised, False)
            if self.full:
                k.set_each(cpus, where=True, values={self.enabled: False})
                with k.function("snp_shutdown()", SEV):
                    if self.design == "v10":
                        cpu_hotplug_enable(k, self.depth)
                    if self.design in {"v8", "v9"}:
                        with k.if_(self.flag):
                            k.set(self.flag, False)
                            cpu_hotplug_enable(k, self.depth)
        if self.design == "v8":
            k.step("the module is loaded again", CCP)
            k.set(self.flag, False)
