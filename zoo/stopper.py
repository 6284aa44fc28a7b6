"""A task asks the stopper of a CPU that has just come online, and is told that it was moved when it was not.

A CPU sets its online bit and starts to schedule before the one that brings it up has unparked its stopper. Work for a
stopper that is not enabled counts as done at once. A rescuer of a workqueue that runs there meanwhile and changes its
affinity goes on where it is.

Source: 45178ac0cea8 ("cpu/hotplug, stop_machine: Fix stop_machine vs hotplug order"), 2019; kernel/cpu.c
    cpuhp_online_idle() and kernel/stop_machine.c cpu_stop_queue_work(), v6.12.
Fix: The CPU unparks its stopper itself, before it enters the idle loop and schedules.
Shows: wrong-cpu
Reading: Which thread runs there so early is that of the report, a rescuer; any thread that is bound to the CPU may.
"""

from tdxexplore.model import Model, Procedure, Scope, cpus

SOURCE = "kernel/cpu.c, v6.12; commit 45178ac0cea8"


def stopper(fixed: bool = False) -> Model:
    """One CPU is brought up while a rescuer attaches to it, and leaves it again."""
    m = Model("stopper")
    online, schedules = m.flag("online", Scope.CPU), m.flag("schedules", Scope.CPU)
    enabled, rescuer = m.flag("stopper->enabled", Scope.CPU), m.flag("rescuer", Scope.CPU)
    wrong = m.flag("wrong CPU")

    def boot_cpu_is_up(state):
        for name in ("online", "schedules", "stopper->enabled"):
            state.cpus[0][name] = True

    m.starts(boot_cpu_is_up, online, schedules, enabled, least_cpus=2)

    p = Procedure("bringup")
    with p.function("bringup_cpu()", SOURCE):
        with p.on_any_cpu(~online, "start_secondary(): set_cpu_online()", picked=""):
            p.set(online, True)
        if fixed:
            with p.on_any_cpu(online & ~enabled, "cpuhp_online_idle(): stop_machine_unpark()", picked=""):
                p.set(enabled, True)
        with p.on_any_cpu(online & ~schedules, "the idle loop begins", picked=""):
            p.set(schedules, True)
        if not fixed:
            with p.on_any_cpu(schedules & ~enabled, "bringup_wait_for_ap(): stop_machine_unpark()", picked=""):
                p.set(enabled, True)
    m.add(p)

    p = Procedure("rescuer")
    with p.on_any_cpu(schedules, "worker_attach_to_pool()", "kernel/workqueue.c"):
        p.set(rescuer, True)
    with p.on_any_cpu(rescuer, "set_cpus_allowed_ptr(): stop_one_cpu()", "kernel/stop_machine.c, v6.12", picked=""):
        with p.if_(enabled):
            p.note("the stopper moves it")
            p.set(rescuer, False)
        with p.else_():
            p.note("stopper->enabled is false: done at once")
            p.set(wrong, True)
    m.add(p)

    m.outcome("wrong-cpu", "S2", wrong, "WARN: work of another CPU runs here")
    m.outcome("stuck", "S1", m.stuck())
    m.outcome("moved", "ok", cpus.none(rescuer))
    return m
