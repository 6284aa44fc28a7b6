"""System suspend and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tdxexplore.linux.cpuhp import Kernel
from tdxexplore.linux.locks import CPUHP, MAPS
from tdxexplore.model.expr import never

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.linux.cpuhp import Hook
    from tdxexplore.model.expr import Expr, Operand

K = TypeVar("K", bound=Kernel)


def suspend(k: K, hooks: tuple[Hook[K], ...], syscore: Callable[[K], None], excuse: Operand) -> K:
    """suspend_enter(): tasks are frozen, so no other actor is in the kernel; all CPUs but one go offline and come back.

    The boot CPU stays (freeze_secondary_cpus(0)). Suspend waits for the actors that were added to the model before it, and
    for a shutdown, which holds system_transition_mutex.

    Args:
        k: The actor.
        hooks: In the order of a CPU that comes up.
        syscore: Records the syscore callbacks of suspend and resume, on the CPU that stays, with interrupts off.
        excuse: Where a callback may rightly veto; elsewhere suspend is aborted without cause.
    """
    w = k.w
    in_the_kernel: Expr = never
    for code in w.model.codes:
        in_the_kernel |= w.model.busy(code)
    with k.loop():
        k.step("echo > /sys/power/state", "kernel/power/suspend.c", rest=True, takes=MAPS)
        k.await_(w.booted & ~w.restarting & (w.budget["suspend"] > 0) & ~in_the_kernel)
        k.spend("suspend")
        k.set(w.frozen, value=True)
        k.set(w.cpu_add_remove_lock, value=True)
        with k.locked(MAPS), k.function("freeze_secondary_cpus()", CPUHP):
            with k.on_each_cpu(w.active & ~w.boot_cpu, "freeze a CPU", serial=True) as each:
                k.cpu_down(hooks, vetoed=w.suspend_error)
                with k.if_(w.suspend_error):
                    each.stop()
                k.set(w.frozen_cpu, value=True)
        with k.if_(w.suspend_error):
            k.set(w.suspend_error, value=False)
            with k.if_(~excuse):
                k.set(w.suspend_aborted, value=True)
        with k.locked(MAPS), k.else_():
            with k.on_any_cpu(w.boot_cpu, "syscore_suspend(); sleep; syscore_resume()", "drivers/base/syscore.c"):
                with k.irqs_off():
                    syscore(k)
        with k.locked(MAPS), k.function("thaw_secondary_cpus()", CPUHP):
            with k.on_each_cpu(w.frozen_cpu, "thaw a CPU", serial=True):
                k.cpu_up(hooks)
                k.set(w.frozen_cpu, value=False)
        k.set(w.cpu_add_remove_lock, value=False)
        k.set(w.frozen, value=False)
    return k
