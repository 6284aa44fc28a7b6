"""A CPU that goes offline waits for I/O, whose error handling waits for the CPU to be gone.

blk-mq's callback waits until no request is in flight on a queue that loses its last CPU. A request that has timed out
needs the driver's error handler, as that of nvme, which spreads its queues over CPUs again. group_cpus_evenly() took
cpus_read_lock() for that, and the hotplug operation holds the write side.

Source: 0263f92fadbb ("lib/group_cpus.c: avoid acquiring cpu hotplug lock in group_cpus_evenly"), 2023; block/blk-mq.c
    blk_mq_hctx_notify_offline() and lib/group_cpus.c, v6.12.
Fix: group_cpus_evenly() reads cpu_present_mask once and takes no lock.
Shows: deadlock
Left out: Requests that do not time out, which end by themselves; queues that keep a CPU.
"""

from tdxexplore.linux import OK, Hook, Kernel, Linux, hotplug, kernel_model
from tdxexplore.model import Model, Scope, never

BLK_MQ = "block/blk-mq.c blk_mq_hctx_notify_offline(), v6.12"
GROUPS = "lib/group_cpus.c group_cpus_evenly(); commit 0263f92fadbb"


def blk_mq_hotplug(fixed: bool = False) -> Model:
    """One request that times out, and a CPU that goes offline."""

    def record(w: Linux) -> None:
        m = w.model
        installed, inactive = m.flag("callback installed", initial=True), m.flag("BLK_MQ_S_INACTIVE")
        in_flight = m.flag("request in flight")

        def online(k):
            with k.function("blk_mq_hctx_notify_online()", BLK_MQ, returns=(OK,)) as f:
                f.returns(OK)
            return f.result

        def offline(k):
            with k.function("blk_mq_hctx_notify_offline()", BLK_MQ, returns=(OK,)) as f:
                k.set(inactive, True)
                k.step("wait for requests in flight")
                k.await_(~in_flight)
                f.returns(OK)
            return f.result

        k = Kernel(w, "nvme")
        k.step("a request is submitted", BLK_MQ, rest=True)
        k.await_(~inactive)
        k.set(in_flight, True)
        k.step("it times out: nvme_reset_work()", "drivers/nvme/host/pci.c")
        with k.function("group_cpus_evenly()", GROUPS):
            if fixed:
                k.step("copy cpu_present_mask")
            else:
                with k.cpus_read_lock():
                    k.note("spread over present CPUs")
        k.step("the request is retried and ends")
        k.set(in_flight, False)
        m.add(k)

        hook = Hook("CPUHP_AP_BLK_MQ_ONLINE", installed, online, offline)
        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), never, w.booted))
        m.outcome("deadlock", "S1", m.stuck(), "the offline and the request wait for each other")
        m.outcome("through", "ok", True)

    return kernel_model("blk-mq and a CPU that goes", record, budgets={"cpu_down": 1})
