"""Microcode is loaded while a CPU is offline, and CPUs of two revisions run together once it comes online.

A CPU that comes online loads the cached microcode in a callback, some time after it has begun to execute code, beside CPUs
with the new revision. A check for offline CPUs refuses the load; it came after the new revision was cached, so that
the CPU that comes later has the new one, and the others keep the old one for good.

Source: 30ec26da9967 ("x86/microcode: Do not upload microcode if CPUs are offline"), 2018, and 7189b3c11903
    ("x86/microcode: Check for offline CPUs before requesting new microcode"), 2021.
Fix: The check comes first, under the lock that excludes hotplug, and caches nothing if a CPU is offline.
Shows: two-revisions
Left out: SMT: a load is refused only if the first thread of a core is offline.
"""

from typing import Literal

from tdxexplore.linux import OK, Hook, Kernel, Linux, hotplug, kernel_model
from tdxexplore.model import Model, Scope, cpus

SOURCE = "arch/x86/kernel/cpu/microcode/core.c; commits 30ec26da9967, 7189b3c11903"


def microcode_offline(check: Literal["none", "after-caching", "first"] = "none") -> Model:
    """A late load at any time, and a CPU that comes online at any time."""

    def record(w: Linux) -> None:
        m = w.model
        installed, loaded = m.flag("callback installed", initial=True), m.flag("a revision is cached")
        new, mixed = m.flag("new revision", Scope.CPU), m.flag("two revisions")

        def online(k):
            with k.function("mc_cpu_online()", SOURCE, returns=(OK,)) as f:
                with k.if_(loaded):
                    k.set(new, True)
                f.returns(OK)
            return f.result

        def offline(k):
            with k.function("mc_cpu_down_prep()", SOURCE, returns=(OK,)) as f:
                f.returns(OK)
            return f.result

        k = Kernel(w, "reload")
        k.step("echo 1 > /sys/devices/system/cpu/microcode/reload", SOURCE)
        with k.function("reload_store()", SOURCE) as f:
            if check != "first":
                k.step("request_microcode_fw(): the new revision is cached")
                k.set(loaded, True)
            with k.cpus_read_lock():
                if check != "none":
                    k.step("check_online_cpus()")
                    with k.if_(~cpus.all(w.online)):
                        k.note("Not all CPUs online, aborting microcode update.")
                        f.returns()
                if check == "first":
                    k.step("request_microcode_fw(): the new revision is cached")
                    k.set(loaded, True)
                k.step("stop_machine(): every online CPU loads it")
                k.set_each(cpus, where=w.online, values={new: True})
        m.add(k)

        watch = Kernel(w, "code", Scope.CPU)
        watch.step("executes beside a CPU of another revision", rest=True)
        watch.await_(w.online & ~new & cpus.any(w.online & new))
        watch.set(mixed, True)
        m.add(watch)

        hook = Hook("CPUHP_AP_ONLINE_DYN", installed, online, offline)
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), w.booted, w.booted))
        m.outcome("two-revisions", "S2", mixed, "CPUs of two revisions run at the same time")
        m.outcome("stuck", "S1", m.stuck())
        m.outcome("one-revision", "ok", True)

    return kernel_model("microcode and an offline CPU", record, budgets={"cpu_up": 1}, offline=1)
