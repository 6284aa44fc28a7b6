"""User space takes CPUs offline and brings them online: the administrator, and smt/control."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tdxexplore.linux.cpuhp import Kernel
from tdxexplore.linux.locks import CPUHP, MAPS
from tdxexplore.model import cpus

if TYPE_CHECKING:
    from tdxexplore.linux.cpuhp import Hook
    from tdxexplore.model import Field
    from tdxexplore.model.expr import Operand

K = TypeVar("K", bound=Kernel)


def hotplug(k: K, hooks: tuple[Hook[K], ...], up_when: Operand, down_when: Operand) -> K:
    """The administrator brings CPUs up and down, one at a time (cpu_add_remove_lock): the writer of cpu_hotplug_lock.

    The boot CPU cannot go offline. While hotplug is disabled the answer is -EBUSY, which changes nothing.

    Args:
        k: An actor on each CPU.
        hooks: In the order of a CPU that comes up.
        up_when: CPUs are brought online only then.
        down_when: CPUs are taken offline only then.
    """
    w = k.w
    up = ~w.online & ~w.smt_blocked & (w.budget["cpu_up"] > 0) & up_when
    down = w.active & ~w.boot_cpu & (w.budget["cpu_down"] > 0) & down_when
    with k.loop():
        k.step("/sys/devices/system/cpu/cpuN/online", rest=True)
        k.await_((w.cpus_writer == "none") & ~w.cpu_add_remove_lock & ~w.cpu_hotplug_disabled & (up | down))
        with k.if_(~w.online):
            if w.has("cpu_up"):
                k.note("echo 1")
                k.spend("cpu_up")
                k.cpu_up(hooks)
        with k.else_():
            if w.has("cpu_down"):
                k.note("echo 0")
                k.spend("cpu_down")
                k.cpu_down(hooks)
    return k


def smt_off(k: K, hooks: tuple[Hook[K], ...]) -> K:
    """smt/control=off: cpuhp_smt_disable() takes the siblings down, one after the other; the first error ends it.

    Without an error they are kept down from then on. While hotplug is disabled the first sibling that is up is the error, -EBUSY
    (cpu_down_maps_locked()). The mechanics are those of 6.12 and 7.3.
    """
    w = k.w
    k.step("/sys/devices/system/cpu/smt/control", CPUHP, rest=True, takes=MAPS)
    k.await_(w.booted & ~w.frozen & (w.budget["smt_off"] > 0) & (w.cpus_writer == "none") & ~w.cpu_add_remove_lock)
    k.spend("smt_off")
    k.set(w.cpu_add_remove_lock, value=True)
    with k.locked(MAPS), k.function("cpuhp_smt_disable()", CPUHP):
        with k.on_each_cpu(w.sibling & w.active, "echo off", serial=True) as siblings:
            if w.restarts:
                with k.if_(w.cpu_hotplug_disabled):
                    k.note("-EBUSY")
                    siblings.stop()
            k.cpu_down(hooks)
            with k.if_(w.online):
                siblings.stop()
        with k.if_(cpus.none(w.sibling & w.online)):
            k.set_each(cpus, where=w.sibling, values={w.smt_blocked: True})
        k.set(w.cpu_add_remove_lock, value=False)
    return k


def smt_control(k: K, hooks: tuple[Hook[K], ...]) -> K:
    """smt/control=on: cpuhp_smt_enable() brings the siblings up, one after the other; the first error ends it.

    Unlike cpu_up() it does not ask whether hotplug is disabled (kernel/cpu.c of 6.12 and 7.3).
    """
    w = k.w
    k.step("/sys/devices/system/cpu/smt/control", CPUHP, rest=True, takes=MAPS)
    k.await_(w.booted & ~w.frozen & (w.budget["smt_on"] > 0) & (w.cpus_writer == "none") & ~w.cpu_add_remove_lock)
    k.spend("smt_on")
    k.set(w.cpu_add_remove_lock, value=True)
    with k.locked(MAPS), k.function("cpuhp_smt_enable()", CPUHP):
        with k.on_each_cpu(w.smt_blocked & ~w.online, "echo on", serial=True) as siblings:
            k.set(w.smt_blocked, value=False)
            k.cpu_up(hooks)
            with k.if_(~w.online):
                siblings.stop()
        k.set_each(cpus, where=True, values={w.smt_blocked: False})
        k.set(w.cpu_add_remove_lock, value=False)
    return k


def cpu_hotplug_disable(k: Kernel, depth: Field) -> None:
    """cpu_hotplug_disable(): waits for the operation that runs; until as many calls of `cpu_hotplug_enable` none begins.

    Args:
        k: The actor, without cpu_hotplug_lock: who brings a CPU up or down takes cpu_add_remove_lock before it.
        depth: A counter of the model, ``cpu_hotplug_disabled``.
    """
    _maps_update(k, "cpu_hotplug_disable()")
    k.add(depth, 1)
    k.set(k.w.cpu_hotplug_disabled, value=True)


def cpu_hotplug_enable(k: Kernel, depth: Field) -> None:
    """cpu_hotplug_enable(): a WARN where nobody has disabled it. Arguments as for `cpu_hotplug_disable`."""
    _maps_update(k, "cpu_hotplug_enable()")
    with k.if_(depth == 0):
        k.warn("Unbalanced cpu hotplug enable")
    with k.else_():
        k.add(depth, -1)
        with k.if_(depth == 0):
            k.set(k.w.cpu_hotplug_disabled, value=False)


def _maps_update(k: Kernel, title: str) -> None:
    """cpu_maps_update_begin() and cpu_maps_update_done() around what one step does."""
    k.step(title, CPUHP)
    k.await_((k.w.cpus_writer == "none") & ~k.w.cpu_add_remove_lock)
    k.might_sleep()
