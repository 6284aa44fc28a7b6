"""CPUs that load microcode together lose each other, as one counter serves for coming and going.

Each CPU decrements a counter and waits until it is 0, so that nobody begins before all are there. Then it updates,
increments the same counter and waits until it is the number of CPUs. A fast CPU increments while a slow one still
waits for the 0, which it then never sees.

Source: bb8c13d61a62 ("x86/microcode: Fix CPU synchronization routine"), 2018, on a5321aec6412 ("x86/microcode:
    Synchronize late microcode loading").
Fix: A counter for the way in and another for the way out.
Shows: hang
Left out: The timeout, with which the hang was a message and a CPU without the update.
"""

from tdxexplore.model import Model, Procedure, Scope

SOURCE = "arch/x86/kernel/cpu/microcode/core.c __reload_late(), v4.16; commits a5321aec6412, bb8c13d61a62"


def microcode_rendezvous(fixed: bool = False) -> Model:
    """All CPUs are in stop_machine() and run __reload_late()."""
    m = Model("a late load of microcode")
    every = m.counter("all_cpus", 8)
    here = m.counter("late_cpus_in" if fixed else "late_cpus", 8)
    gone = m.counter("late_cpus_out", 8)
    updated = m.flag("updated", Scope.CPU)

    def count(state):
        for field in (every, here):
            state.globals[field.name] = len(state.cpus)

    m.starts(count, every, here)
    p = Procedure("cpu", Scope.CPU)
    with p.function("__reload_late()", SOURCE):
        p.step("atomic_dec(): I am here")
        p.add(here, -1)
        p.step("wait until all are here")
        p.await_(here == 0)
        p.step("apply_microcode()")
        p.set(updated, True)
        p.step("atomic_inc(): I am done")
        p.add(gone if fixed else here, 1)
        p.step("wait until all are done")
        p.await_((gone if fixed else here) == every)
    m.add(p)
    m.outcome("hang", "S1", m.stuck(), "CPUs wait with interrupts off for ever")
    m.outcome("loaded", "ok", True)
    return m
