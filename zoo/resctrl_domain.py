"""A work item of resctrl uses a domain that was freed under it.

When the last CPU of a domain goes offline, the callback cancels the domain's delayed work and frees the domain.
cancel_delayed_work() does not wait for an item that runs; it may not, as the item takes cpus_read_lock(), which the
hotplug operation excludes. So an item that waits for that lock goes on afterwards, in freed memory.

Source: "[PATCH] fs,mpam,x86/resctrl: Track reference count for L3 monitor domains", Tony Luck, 2026-05-21;
    arch/x86/kernel/cpu/resctrl/monitor.c cqm_handle_limbo() and rdtgroup.c resctrl_offline_mon_domain(), v6.12.
Fix: Proposed there: the work holds a reference to the domain, and ends when it sees that the domain has no CPU.
Shows: use-after-free
Left out: All domains but that of the CPU that goes offline, which is its only one.
"""

from tdxexplore.linux import OK, Hook, Kernel, Linux, Work, hotplug, kernel_model, kworker
from tdxexplore.model import Model, Scope, never

MONITOR = "arch/x86/kernel/cpu/resctrl/monitor.c, v6.12"
RDTGROUP = "arch/x86/kernel/cpu/resctrl/rdtgroup.c, v6.12"


def resctrl_domain(fixed: bool = False) -> Model:
    """The delayed work of a domain, whose only CPU goes offline."""

    def record(w: Linux) -> None:
        m, limbo = w.model, Work(w.model, "d->cqm_limbo")
        installed, mutex = m.flag("callback installed", initial=True), m.flag("rdtgroup_mutex")
        users = m.counter("users of d", 2, initial=2 if fixed else 1)
        offline, used = m.flag("d has no CPU"), m.flag("d used after free")

        def put(k):
            k.add(users, -1)
            with k.if_(users == 0):
                k.note("kfree(d)")

        def online(k):
            with k.function("resctrl_online_cpu()", RDTGROUP, returns=(OK,)) as f:
                f.returns(OK)
            return f.result

        def goes(k):
            with k.function("resctrl_offline_mon_domain()", RDTGROUP, returns=(OK,)) as f:
                with k.mutex(mutex):
                    k.set(offline, True)
                    if not fixed:
                        k.cancel_work(limbo)
                    put(k)
                f.returns(OK)
            return f.result

        def handle(k):
            with k.function("cqm_handle_limbo()", MONITOR), k.cpus_read_lock(), k.mutex(mutex):
                with k.if_(users == 0):
                    k.note("reads d")
                    k.set(used, True)
                if fixed:
                    with k.if_(offline):
                        put(k)

        k = Kernel(w, "rmdir")
        k.step("a group is removed, its RMID is in limbo", RDTGROUP, rest=True)
        k.await_(~offline)
        k.queue_work(limbo)
        m.add(k)
        m.add(kworker(Kernel(w, "kworker"), limbo, handle))
        hook = Hook("CPUHP_AP_X86_RESCTRL_ONLINE", installed, online, goes)
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), never, w.booted))
        m.outcome("use-after-free", "S0", used, "the work item reads a freed domain", fatal=True)
        m.outcome("stuck", "S1", m.stuck())
        m.outcome("offline", "ok", True)

    return kernel_model("resctrl's domain", record, budgets={"cpu_down": 1})
