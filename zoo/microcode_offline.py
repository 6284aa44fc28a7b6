"""Microcode is loaded while a CPU is offline, and CPUs of two revisions run together once it comes online.

The CPU gets the new microcode in a callback, which runs some time after it has begun to execute code; until then it
runs the old revision beside CPUs with the new one.

Source: bd20733045b3 ("x86/microcode: Do not upload microcode if CPUs are offline"), 2018.
Fix: Under cpus_read_lock(), a late load is refused while some present CPU is offline.
Shows: two-revisions
Reading: That the callback loads it is ours, of the code of that time; without it the CPU would keep the old revision
    for good.
"""

from tdxexplore.linux import OK, Hook, Kernel, Linux, hotplug, kernel_model
from tdxexplore.model import Model, Scope, cpus

SOURCE = "arch/x86/kernel/cpu/microcode/core.c, v4.16; commit bd20733045b3"


def microcode_offline(fixed: bool = False) -> Model:
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
        with k.function("reload_store()", SOURCE) as f, k.cpus_read_lock():
            if fixed:
                k.step("check_online_cpus()")
                with k.if_(~cpus.all(w.online)):
                    k.note("Not all CPUs online, aborting microcode update.")
                    f.returns()
            k.step("stop_machine(): every online CPU loads it")
            k.set_each(cpus, where=w.online, values={new: True})
            k.set(loaded, True)
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
