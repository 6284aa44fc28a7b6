"""A CPU cannot go offline because the scheduling domains still have the one that went before.

To keep housekeeping_update() out of the hotplug operation, cpuset deferred the rebuild of the scheduling domains with
it to a workqueue. The item takes cpus_read_lock(), so that it runs after the operation; a second offline may begin
before, finds the old domains, and is told -EBUSY.

Source: ca174c705db5 ("cgroup/cpuset: Call rebuild_sched_domains() directly in hotplug"), 2026-03-05, on 6df415aa46ec
    ("cgroup/cpuset: Defer housekeeping_update() calls from CPU hotplug to workqueue").
Fix: The callback rebuilds the domains itself; only housekeeping_update() stays deferred.
Shows: refused
Reading: We read a summary of the commit, not its text. That the check of deadline bandwidth is what sees old domains
    is our reading.
"""

from tdxexplore.linux import EBUSY, OK, Hook, Kernel, Linux, Work, hotplug, kernel_model, kworker
from tdxexplore.model import Model, Scope, never

CPUSET = "kernel/cgroup/cpuset.c; commits 6df415aa46ec, ca174c705db5"


def cpuset_domains(fixed: bool = False) -> Model:
    """Two CPUs go offline, one after the other."""

    def record(w: Linux) -> None:
        m, rebuild = w.model, Work(w.model, "hk_sd_work")
        m.least_cpus = 3
        installed, stale, refused = m.flag("callback installed", initial=True), m.flag("old domains"), m.flag("refused")

        def activate(k):
            with k.function("sched_cpu_activate()", "kernel/sched/core.c, v6.12", returns=(OK,)) as f:
                f.returns(OK)
            return f.result

        def deactivate(k):
            with k.function("sched_cpu_deactivate()", "kernel/sched/core.c, v6.12", returns=(OK, EBUSY)) as f:
                with k.if_(stale):
                    k.note("dl_bw_deactivate() = -EBUSY")
                    k.set(refused, True)
                    f.returns(EBUSY)
                with k.function("cpuset_handle_hotplug()", CPUSET):
                    if fixed:
                        k.note("rebuild_sched_domains()")
                    else:
                        k.set(stale, True)
                    k.queue_work(rebuild)
                f.returns(OK)
            return f.result

        def work(k):
            with k.function("hk_sd_workfn()", CPUSET), k.cpus_read_lock():
                k.note("housekeeping_update()" if fixed else "housekeeping_update(); rebuild_sched_domains()")
                if not fixed:
                    k.set(stale, False)

        hook = Hook("CPUHP_AP_ACTIVE", installed, activate, deactivate)
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), never, w.booted))
        m.add(kworker(Kernel(w, "kworker"), rebuild, work))
        m.outcome("refused", "S3", refused, "a CPU that may go offline stays, with -EBUSY")
        m.outcome("stuck", "S1", m.stuck())
        m.outcome("offline", "ok", True)

    return kernel_model("cpuset's rebuild", record, budgets={"cpu_down": 2})
