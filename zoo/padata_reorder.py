"""padata looks for the next request in a control structure that is freed with the last one.

Each request holds a reference to the structure (pd), which the serial worker drops. padata_reorder() hands a request
to that worker and then looks for the next in pd. If padata_replace() has put a new pd in its place meanwhile, the
worker's reference was the last.

Source: "padata: Fix pd UAF once and for all", Herbert Xu, 2025; kernel/padata.c padata_reorder(), padata_replace(),
    v6.12.117.
Fix: The next request is looked for before the lock of the serial queue is released, without which the worker cannot
    take the last one.
Shows: use-after-free
Reading: One request and one change of the CPU mask. The list of bugs asks for commit a4fbe35a, which we could not
    find; this is the race of padata with RCU that we know.
"""

from tdxexplore.linux import Kernel, Linux, Readers, Work, kernel_model, kworker
from tdxexplore.model import Model

SOURCE = "kernel/padata.c, v6.12.117"


def padata_reorder(fixed: bool = False) -> Model:
    """A request goes through padata while its CPU mask changes."""

    def record(w: Linux) -> None:
        m, rcu, work = w.model, Readers(w.model, "rcu", "request"), Work(w.model, "squeue->work")
        users, replaced = m.counter("pd->refcnt", 2, initial=1), m.flag("pd replaced")
        lock, used = m.flag("squeue->serial.lock"), m.flag("pd used after free")

        def put(k):
            k.add(users, -1)
            with k.if_(users == 0):
                k.note("padata_free_pd()")

        def find_next(k):
            k.step("padata_find_next(pd)")
            with k.if_(users == 0):
                k.set(used, True)

        k = Kernel(w, "request")
        k.step("a request", SOURCE)
        with k.function("padata_do_parallel()", SOURCE) as f, k.rcu_read_lock(rcu):
            k.step("pd = rcu_dereference(ps->pd); refcount_inc()")
            with k.if_(replaced):
                k.note("it is the new pd")
                k.step("goes through the new pd")
                f.returns()
            k.add(users, 1)
        with k.if_(users == 2), k.function("padata_reorder()", SOURCE):
            with k.spin_lock(lock):
                k.queue_work(work)
                if fixed:
                    find_next(k)
            if not fixed:
                find_next(k)
        m.add(k)

        def serial(k):
            with k.function("padata_serial_worker()", SOURCE):
                with k.spin_lock(lock):
                    k.note("takes the request")
                k.step("padata->serial(); padata_put_pd()")
                put(k)

        m.add(kworker(Kernel(w, "kworker"), work, serial))
        k = Kernel(w, "cpumask")
        with k.function("padata_replace()", SOURCE):
            k.step("rcu_assign_pointer(ps->pd, pd_new)")
            k.set(replaced, True)
            k.synchronize_rcu(rcu)
            k.step("padata_put_pd(opd)")
            put(k)
        m.add(k)
        m.outcome("use-after-free", "S0", used, "padata_find_next() reads a freed pd", fatal=True)
        m.outcome("stuck", "S1", m.stuck())
        m.outcome("serialised", "ok", True)

    return kernel_model("padata", record)
