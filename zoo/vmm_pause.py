"""A VMM that pauses its vCPUs waits for one that waits for the VMM's lock.

pause() kicks every vCPU and waits until each has acknowledged it, under the lock of the vCPUs' state. A vCPU that is
just in an access to the CPU hotplug device needs that lock, and acknowledges nothing before. The first fix released
the lock between vCPUs and held it while it waited for one: the window shrank, and the deadlock stayed.

Source: cloud-hypervisor, pull requests 7990 (the lock for the whole pause), 8092 ("avoid pause deadlock on CPU
    hotplug MMIO", 2026-04-24; the lock while waiting for one) and 8210 ("Fix deadlock regarding VcpuState handling
    (finally)", 2026-05-13).
Fix: What the device needs is kept in atomic variables, and nobody waits with the lock held.
Shows: deadlock
Reading: We read the descriptions of the pull requests and their discussion, not all of the code.
"""

from typing import Literal

from tdxexplore.model import Model, Procedure, Scope, cpus

SOURCE = "cloud-hypervisor vmm/src/cpu.rs, pull requests 7990, 8092, 8210"


def vmm_pause(fix: Literal["none", "smaller-window", "no-lock"] = "none") -> Model:
    """A pause, while each vCPU may access the hotplug device once."""
    m = Model("a VMM's pause")
    lock = m.flag("vcpu_states")
    kicked, acknowledged = m.flag("kicked", Scope.CPU), m.flag("acknowledged", Scope.CPU)

    p = Procedure("vmm")
    with p.function("CpuManager::pause()", SOURCE):
        if fix == "none":
            p.step("lock(vcpu_states); kick every vCPU")
            p.await_(~lock)
            p.set(lock, True)
            p.set_each(cpus, where=True, values={kicked: True})
            p.step("every vCPU has acknowledged; unlock(vcpu_states)")
            p.await_(cpus.all(acknowledged))
            p.set(lock, False)
        else:
            p.step("kick every vCPU")
            p.await_(~lock)
            p.set_each(cpus, where=True, values={kicked: True})
            if fix == "smaller-window":
                with p.on_each_cpu(kicked, "lock(vcpu_states) to wait for this one", serial=True):
                    p.await_(~lock)
                    p.set(lock, True)
                    p.step("it has acknowledged; unlock(vcpu_states)")
                    p.await_(acknowledged)
                    p.set(lock, False)
            else:
                p.step("every vCPU has acknowledged")
                p.await_(cpus.all(acknowledged))
    m.add(p)

    p = Procedure("vcpu", Scope.CPU)
    p.step("KVM_RUN exits", SOURCE)
    with p.either() as choice:
        with choice.branch():
            p.note("for an interrupt")
        with choice.branch():
            p.note("for a read of the hotplug device")
            if fix != "no-lock":
                p.step("AcpiCpuHotplugController::read(): lock(vcpu_states)")
                p.await_(~lock)
                p.set(lock, True)
                p.step("unlock(vcpu_states)")
                p.set(lock, False)
    p.step("sees the kick and acknowledges it")
    p.await_(kicked)
    p.set(acknowledged, True)
    m.add(p)

    m.outcome("deadlock", "S1", m.stuck(), "the pause waits for a vCPU that waits for its lock")
    m.outcome("paused", "ok", cpus.all(acknowledged))
    return m
