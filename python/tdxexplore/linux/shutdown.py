"""Shutdown in good order: before the machine restarts, or before kexec starts another kernel.

Source: kernel/reboot.c and kernel/kexec_core.c of 6.12 and 7.3, which have the same order. User tasks are not frozen, so that
every other actor goes on until the last step. A shutdown holds system_transition_mutex, which suspend tries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tdxexplore.linux.cpuhp import Kernel
from tdxexplore.linux.kexec import new_kernel
from tdxexplore.model import cpus

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K", bound=Kernel)


def reboot(k: K, syscore: Callable[[K], None], *, freeze_hotplug: bool = True) -> K:
    """kernel_restart(), which halt and power-off resemble: the run ends where the machine restarts.

    Args:
        k: The actor. It stops the actors that were added to the model before it.
        syscore: Records the syscore callbacks of shutdown, in the order in which they are called. The task is on the boot CPU.
        freeze_hotplug: Hotplug is disabled meanwhile, as in every version; or not, which shows what that is for.
    """
    w = k.w
    with k.loop():
        _begin(k, "reboot")
        _shut_down(k, syscore, freeze_hotplug=freeze_hotplug)
        k.step("machine_restart()", "kernel/reboot.c kernel_restart(), v7.3")
        k.set(w.rebooted, value=True)
        new_kernel(k)
    return k


def kexec_orderly(k: K, syscore: Callable[[K], None], *, freeze_hotplug: bool = True) -> K:
    """kernel_kexec(): hotplug is enabled again when syscore is down, and then the other CPUs are stopped.

    stop_this_cpu() writes the cache back on each CPU that is stopped, machine_kexec() on the one that goes on; where they do
    so only if the cache may be dirty, the difference is none.

    Args:
        k: The actor. It stops the actors that were added to the model before it.
        syscore: As for `reboot`.
        freeze_hotplug: As for `reboot`.
    """
    w = k.w
    with k.loop():
        _begin(k, "kexec_orderly")
        _shut_down(k, syscore, freeze_hotplug=freeze_hotplug)
        if freeze_hotplug:
            k.set(w.cpu_hotplug_disabled, value=False)
        k.step("machine_shutdown(); machine_kexec()", "kernel/kexec_core.c kernel_kexec(), v7.3")
        if w.caches:
            k.set_each(cpus, where=w.online, values={w.cache_dirty: False})
            with k.if_(cpus.any(w.cache_dirty)):
                k.set(w.dirty_at_jump, value=True)
        new_kernel(k)
    return k


def _begin(k: Kernel, budget: str) -> None:
    """kernel_restart_prepare(): user space goes on, and sees system_state."""
    w = k.w
    k.step(f"reboot(2): {budget}", "kernel/reboot.c kernel_restart_prepare(), v7.3", rest=True)
    k.await_(w.booted & ~w.frozen & ~w.restarting & (w.budget[budget] > 0))
    k.spend(budget)
    k.set(w.restarting, value=True)


def _shut_down(k: K, syscore: Callable[[K], None], *, freeze_hotplug: bool) -> None:
    """migrate_to_reboot_cpu(), which waits for a hotplug operation that runs; syscore_shutdown()."""
    w = k.w
    if freeze_hotplug:
        k.step("cpu_hotplug_disable()", "kernel/reboot.c migrate_to_reboot_cpu(), v7.3")
        k.await_((w.cpus_writer == "none") & ~w.cpu_add_remove_lock)
        k.set(w.cpu_hotplug_disabled, value=True)
    with k.function("syscore_shutdown()", "drivers/base/syscore.c, v7.3"), k.mutex(w.syscore_lock):
        syscore(k)
