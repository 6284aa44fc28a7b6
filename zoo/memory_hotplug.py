"""Memory that comes online and a slab cache that is created take two hotplug locks in opposite orders.

Memory hotplug took its own lock and then, in stop_machine(), that of CPU hotplug; creating a slab cache takes that of
CPU hotplug and then that of memory. Both sides read the CPU lock, so that it takes a CPU that goes offline, whose
writer waits, to close the circle.

Source: 3f906ba23689 ("mm/memory-hotplug: switch locking to a percpu rwsem"), 2017; mm/memory_hotplug.c
    mem_hotplug_begin(), v6.12.
Fix: mem_hotplug_begin() takes cpus_read_lock() first.
Shows: deadlock
"""

from tdxexplore.linux import Kernel, Linux, RwSemaphore, hotplug, kernel_model
from tdxexplore.model import Model, Scope, never

SOURCE = "mm/memory_hotplug.c; commit 3f906ba23689"


def memory_hotplug(fixed: bool = False) -> Model:
    """A memory block, a slab cache, and a CPU that goes offline."""

    def record(w: Linux) -> None:
        m, mem = w.model, RwSemaphore(w.model, "mem_hotplug_lock")

        k = Kernel(w, "memory")
        with k.function("online_pages()", SOURCE):
            if fixed:
                with k.cpus_read_lock(), k.down_write(mem):
                    k.step("stop_machine_cpuslocked()")
            else:
                with k.down_write(mem), k.cpus_read_lock():
                    k.step("stop_machine()")
        m.add(k)

        k = Kernel(w, "slab")
        with k.function("kmem_cache_create()", "mm/slab_common.c, v4.12"):
            with k.cpus_read_lock(), k.down_read(mem):
                k.step("create the cache")
        m.add(k)

        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (), never, w.booted))
        m.outcome("deadlock", "S1", m.stuck(), "tasks wait for each other for ever")
        m.outcome("warned", "S4", w.warned, "lockdep reports the circle in a run that came through")
        m.outcome("through", "ok", True)

    return kernel_model("memory and CPU hotplug", record, budgets={"cpu_down": 1})
