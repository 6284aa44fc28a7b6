"""The first VM deadlocks with a memslot update and a CPU that goes offline.

KVM counts its VMs under kvm_lock, inside cpus_read_lock(). Another task takes kvm->slots_lock inside kvm_lock, a
third waits for the readers of kvm->srcu inside kvm->slots_lock, and such a reader takes cpus_read_lock() to flip a
static key. With a hotplug writer that waits, which keeps that last reader out, the circle is closed.

Source: 44d174596260 ("KVM: Use dedicated mutex to protect kvm_usage_count to avoid deadlock"), merged for v6.12.
Fix: A mutex of its own, kvm_usage_lock, guards the count; kvm_lock is taken inside cpus_read_lock() no more.
Shows: deadlock
Left out: VMs and vCPUs themselves; each task does once what it takes locks for.
"""

from tdxexplore.linux import Kernel, Linux, Readers, hotplug, kernel_model
from tdxexplore.model import Model, Scope, never

SOURCE = "commit 44d174596260"


def kvm_locks(fixed: bool = False) -> Model:
    """Four tasks that take KVM's locks, and a CPU that goes offline."""

    def record(w: Linux) -> None:
        m, srcu = w.model, Readers(w.model, "kvm->srcu", "vcpu")
        slots_lock, kvm_lock, usage_lock = m.flag("kvm->slots_lock"), m.flag("kvm_lock"), m.flag("kvm_usage_lock")

        k = Kernel(w, "memslot")
        k.step("KVM_SET_USER_MEMORY_REGION", SOURCE)
        with k.mutex(slots_lock):
            k.synchronize_srcu(srcu)
        m.add(k)

        k = Kernel(w, "vcpu")
        k.step("an ioctl that flips a static key", SOURCE)
        with k.srcu_read_lock(srcu), k.cpus_read_lock():
            k.note("static_key_slow_inc()")
        m.add(k)

        k = Kernel(w, "nx")
        k.step("echo > nx_huge_pages", SOURCE)
        with k.mutex(kvm_lock), k.mutex(slots_lock):
            k.note("zap all pages")
        m.add(k)

        k = Kernel(w, "first-vm")
        k.step("KVM_CREATE_VM", SOURCE)
        with k.cpus_read_lock(), k.mutex(usage_lock if fixed else kvm_lock):
            k.note("kvm_usage_count++")
        m.add(k)

        m.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (), never, w.booted))
        m.outcome("deadlock", "S1", m.stuck(), "tasks wait for each other for ever")
        m.outcome("warned", "S4", w.warned, "lockdep reports the circle in a run that came through")
        m.outcome("through", "ok", True)

    return kernel_model("KVM's locks", record, budgets={"cpu_down": 1})
