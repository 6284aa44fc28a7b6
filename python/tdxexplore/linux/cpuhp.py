"""CPU hotplug: states with callbacks, their registration, and CPUs that come and go.

Source: kernel/cpu.c of Linux 6.12 and 7.3. What follows an error in a rollback was seen in a running 6.12.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from tdxexplore.linux.errno import EIO, OK
from tdxexplore.linux.locks import CPUHP
from tdxexplore.linux.state import CPUHP_BUG
from tdxexplore.linux.sync import Sync
from tdxexplore.model import cpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model import Field
    from tdxexplore.model.expr import Variable
    from tdxexplore.model.procedure import Frame

K = TypeVar("K")


@dataclass(frozen=True, eq=False)
class Hook(Generic[K]):
    """A cpuhp state with its callbacks, which run on the CPU that comes or goes.

    Attributes:
        state: The cpuhp state, such as ``CPUHP_AP_ONLINE_DYN``.
        registered: The flag that says whether the callbacks are installed.
        startup: Records the startup callback; returns 0 or an error.
        teardown: Records the teardown callback; returns 0, or an error that vetoes the offline.
        dynamic: A slot of ``CPUHP_AP_ONLINE_DYN``, above ``CPUHP_AP_WORKQUEUE_ONLINE``.
    """

    state: str
    registered: Field
    startup: Callable[[K], Variable]
    teardown: Callable[[K], Variable]
    dynamic: bool = False


class Kernel(Sync):
    """An actor that knows CPU hotplug: it registers callbacks, and brings CPUs up and down."""

    # -- registration -------------------------------------------------------------------------------------------------

    def cpuhp_setup_state(self, hook: Hook[Self], *, cpuslocked: bool = False) -> Variable:
        """cpuhp_setup_state(): install the callbacks, then run startup on every online CPU, one after the other.

        On an error the CPUs done are torn down and the callbacks removed; an error from a teardown is BUG_ON.
        """
        w, suffix = self.w, "_cpuslocked" if cpuslocked else ""
        name = f"cpuhp_setup_state{suffix}"
        with (
            self.stands_for(name, hook) as native,
            self.function(f"{name}({hook.state})", CPUHP, returns=(OK, EIO)) as f,
        ):
            native.result = f.result
            with nullcontext() if cpuslocked else self.cpus_read_lock(), self.mutex(w.cpuhp_state_mutex):
                self.set(hook.registered, value=True)
                with self.on_each_cpu(w.online, f"{hook.state} startup", serial=True) as each:
                    error = self._callback(hook, hook.startup)
                    with self.if_(error != OK):
                        self.set(w.cpuhp_failed, value=True)
                        each.stop()
                    self.set(w.cpuhp_done, value=True)
                with self.if_(w.cpuhp_failed):
                    self.set(w.cpuhp_failed, value=False)
                    with self.on_each_cpu(w.cpuhp_done, f"{hook.state} teardown (rollback)", serial=True):
                        self._teardown_or_bug(hook)
                    self._unregister(hook)
                    f.returns(EIO)
                self.set_each(cpus, where=True, values={w.cpuhp_done: False})
                f.returns(OK)
        return f.result

    def cpuhp_remove_state(self, hook: Hook[Self]) -> None:
        """cpuhp_remove_state(): teardown on every online CPU, one after the other; an error from one is BUG_ON."""
        w, name = self.w, "cpuhp_remove_state"
        with self.stands_for(name, hook), self.function(f"{name}({hook.state})", CPUHP):
            with self.cpus_read_lock(), self.mutex(w.cpuhp_state_mutex):
                with self.on_each_cpu(w.online, f"{hook.state} teardown", serial=True):
                    self._teardown_or_bug(hook)
                self._unregister(hook)

    def cpuhp_setup_state_nocalls(self, hook: Hook[Self]) -> None:
        """cpuhp_setup_state_nocalls(): one step. No callback runs, so that no actor observes the state under the lock."""
        self._install("cpuhp_setup_state_nocalls", hook, installed=True)

    def cpuhp_remove_state_nocalls(self, hook: Hook[Self], *, cpuslocked: bool = False) -> None:
        """cpuhp_remove_state_nocalls(), or its _cpuslocked form: one step for the same reason."""
        suffix = "_cpuslocked" if cpuslocked else ""
        self._install(f"cpuhp_remove_state_nocalls{suffix}", hook, installed=False, cpuslocked=cpuslocked)

    def cpuhp_remove_state_zero(self) -> None:
        """cpuhp_remove_state_nocalls(0), for a dynamic state that is removed already: BUG_ON(cpuhp_cb_check(state))."""
        with self.stands_for("cpuhp_remove_state_nocalls(0)"):
            self.step("cpuhp_remove_state_nocalls(0)", CPUHP)
            self.note("BUG_ON(cpuhp_cb_check(0))")
            self.set(self.w.oops, CPUHP_BUG)

    def _install(self, name: str, hook: Hook[Self], *, installed: bool, cpuslocked: bool = False) -> None:
        w = self.w
        with self.stands_for(name, hook):
            self.step(f"{name}({hook.state})", CPUHP)
            self.await_(~w.cpuhp_state_mutex if cpuslocked else ~w.cpuhp_state_mutex & (w.cpus_writer == "none"))
            self.might_sleep()
            self.set(hook.registered, value=installed)

    def _callback(self, hook: Hook[Self], callback: Callable[[Self], Variable]) -> Variable:
        """The kernel calls a callback, on the acting CPU."""
        with self.stands_for("callback", hook, callback is hook.startup) as native:
            native.result = self.call(callback)
        return native.result

    def _teardown_or_bug(self, hook: Hook[Self]) -> None:
        """cpuhp_issue_call(): BUG_ON(ret && !bringup)."""
        error = self._callback(hook, hook.teardown)
        with self.if_(error != OK):
            self.set(self.w.oops, CPUHP_BUG)

    def _unregister(self, hook: Hook[Self]) -> None:
        self.set_each(cpus, where=True, values={self.w.cpuhp_done: False})
        self.set(hook.registered, value=False)

    # -- a CPU comes and goes -----------------------------------------------------------------------------------------

    def cpu_up(self, hooks: tuple[Hook[Self], ...]) -> None:
        """_cpu_up(): the acting CPU walks up the cpuhp states; an error of a callback walks it back down.

        An error on the way back is a WARN in cpuhp_thread_fun(), and what that teardown should have undone stays. Then
        cpuhp_up_callbacks() calls the teardowns below on the control CPU, the wrong one. From a dynamic state that ends at
        workqueue_offline_cpu(), which refuses there: the CPU stays, its online bit set, and no task on it. From a state below
        it the CPU goes offline. The model skips the teardowns that run on the control CPU: that the CPU was refused is an
        outcome already.

        The STARTING section is part of the first step. It sets the online bit, which is read only under the read lock.
        """
        w = self.w
        with self.stands_for("_cpu_up", *hooks), self.function("_cpu_up()", CPUHP) as up, self.cpus_write_lock():
            self.note("CPU starts")
            self.set(w.online, value=True)
            for reached, hook in enumerate(hooks):
                with self.if_(hook.registered):
                    self.step(f"{hook.state} startup")
                    error = self._callback(hook, hook.startup)
                    with self.if_(error != OK):
                        for lower in reversed(hooks[:reached]):
                            with self.if_(lower.registered):
                                self.step(f"{lower.state} teardown (rollback)")
                                again = self._callback(lower, lower.teardown)
                                with self.if_(again != OK):
                                    self.blame(w.online_refused)
                                    if lower.dynamic:
                                        self._stays_between(up)
                                    else:
                                        self.warn("error in a rollback, the control CPU takes the CPU down")
                                        self._refused(up)
                        self._refused(up)
            self.step("CPUHP_ONLINE")
            self.set(w.active, value=True)
            self.cpus_write_unlock()

    def cpu_down(self, hooks: tuple[Hook[Self], ...], vetoed: Field | None = None) -> None:
        """_cpu_down(): down the cpuhp states in reverse; a callback may veto, and the CPU walks back up.

        An error on the way back is a WARN, and the CPU stays there: its online bit set, and no task on it.

        Args:
            hooks: In the order of a CPU that comes up.
            vetoed: A flag that a veto sets.
        """
        w = self.w
        with self.stands_for("_cpu_down", *hooks), self.function("_cpu_down()", CPUHP) as down, self.cpus_write_lock():
            self.set(w.active, value=False)
            for reached, hook in reversed(list(enumerate(hooks))):
                with self.if_(hook.registered):
                    self.step(f"{hook.state} teardown")
                    error = self._callback(hook, hook.teardown)
                    with self.if_(error != OK):
                        self.note("offline vetoed")
                        if vetoed is not None:
                            self.set(vetoed, value=True)
                        for upper in hooks[reached + 1 :]:
                            with self.if_(upper.registered):
                                self.step(f"{upper.state} startup (rollback)")
                                again = self._callback(upper, upper.startup)
                                with self.if_(again != OK):
                                    self._stays_between(down)
                        self.set(w.active, value=True)
                        self.cpus_write_unlock()
                        down.returns()
            self.step("CPUHP_OFFLINE")
            self._offline()

    def _refused(self, way: Frame) -> None:
        """The CPU that should come online is offline again."""
        self.note("online refused")
        self.blame(self.w.online_refused)
        self._offline()
        way.returns()

    def _offline(self) -> None:
        self.set(self.w.online, value=False)
        for field in self.w.lost_offline:
            self.set(field, field.initial)
        self.cpus_write_unlock()

    def wbinvd(self) -> None:
        """WBINVD on the acting CPU: its cache is written back."""
        if self.w.caches:
            self.note("WBINVD")
            self.set(self.w.cache_dirty, value=False)

    def _stays_between(self, way: Frame) -> None:
        """After an error in a rollback the CPU goes neither up nor down."""
        self.warn("error in a rollback, the CPU is stuck between two states")
        self.cpus_write_unlock()
        way.returns()
