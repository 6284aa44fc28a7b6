"""Locks, IPIs and stop_machine().

Source: kernel/cpu.c of Linux 6.12; what is cited is the same in 7.3. A lock's release is part of the step before it: a release
only enables other actors, so that a later release reaches no new state (Lipton's left mover). ``tests/test_fusion.py`` compares
the outcomes with releases as steps of their own. Mutexes, cpus_read_lock(), IPIs and stop_machine() were run in a kernel
(``docs/kernel-results.md``); `once_in_each_package` was not.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from tdxexplore.linux.context import Context
from tdxexplore.model import Event, Lock, Scope, always, block, package_cpus, packages
from tdxexplore.model.expr import Temp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model import Field
    from tdxexplore.model.expr import Operand

CPUHP = "kernel/cpu.c, v6.12"

CPUS_LOCK = "cpu_hotplug_lock"
_READER = Lock(CPUS_LOCK, "cpus_read_unlock()", shared=True)
_WRITER = Lock(CPUS_LOCK, "cpus_write_unlock()")

# Who takes many CPUs up or down holds it throughout; the administrator is kept out by the guard of his first step.
MAPS = Lock("cpu_add_remove_lock", "cpu_maps_update_done()")

# What a price can count.
IPI = Event("ipi")


class Locks(Context):
    """An actor that takes locks and sends IPIs.

    `Actor` has its arguments.
    """

    # -- cpu_hotplug_lock ---------------------------------------------------------------------------------------------

    @block
    def cpus_read_lock(self) -> Iterator[None]:
        """cpus_read_lock(): excludes hotplug. A waiting writer blocks new readers, also a task that reads already.

        lockdep reports a task that takes it a second time, whether a writer waits or not.
        """
        w = self.w
        readers = w.cpus_readers_here if self.acting is Scope.CPU else w.cpus_readers
        with self.stands_for("cpus_read_lock"):
            self.step("cpus_read_lock()", CPUHP, takes=_READER)
            self.await_(w.cpus_writer == "none")
            self.might_sleep()
            self.acquires(CPUS_LOCK)
            self.add(readers, 1)

        def release() -> None:
            with self.stands_for("cpus_read_unlock"):
                self._release(_READER)
                self.add(readers, -1)

        with self.holding(release), self.holding_lock(_READER):
            yield

    def lockdep_assert_cpus_held(self) -> None:
        """WARN unless the caller, or the hotplug operation it is a callback of, holds cpu_hotplug_lock; inert at boot."""
        if not self.holds(CPUS_LOCK):
            self.warn_on(self.w.booted, "lockdep_assert_cpus_held()")

    @block
    def cpus_write_lock(self) -> Iterator[None]:
        """cpus_write_lock(): the step before it queues the writer, which keeps new readers out until the lock is free.

        What is recorded inside says where the release is, with `cpus_write_unlock`.
        """
        self.set(self.w.cpus_writer, "waiting")
        self.step("cpus_write_lock()", takes=_WRITER)
        self.await_(~self.w.cpus_read)
        self.might_sleep()
        self.acquires(CPUS_LOCK)
        self.set(self.w.cpus_writer, "held")
        with self.holding_lock(_WRITER):
            yield

    def cpus_write_unlock(self) -> None:
        """cpus_write_unlock(), inside `cpus_write_lock`: readers may come in again."""
        self._release(_WRITER)
        self.set(self.w.cpus_writer, "none")

    # -- other locks --------------------------------------------------------------------------------------------------

    @block
    def mutex(self, lock: Field) -> Iterator[None]:
        """mutex_lock(&lock): waits until nobody holds it; what is recorded inside holds it, on every way out."""
        mutex = Lock(lock.name, f"mutex_unlock(&{lock.name})")
        with self.stands_for("mutex_lock", lock):
            self.step(f"mutex_lock(&{lock.name})", takes=mutex)
            self.await_(~lock)
            self.might_sleep()
            self.acquires(lock.name)
            self.set(lock, value=True)

        def release() -> None:
            with self.stands_for("mutex_unlock", lock):
                self._release(mutex)
                self.set(lock, value=False)

        with self.holding(release), self.holding_lock(mutex):
            yield

    def _release(self, lock: Lock) -> None:
        if not self._split_releases:
            return
        result = self.returning
        if isinstance(result, Temp):  # lives within one step; the function is over after the next
            kept = self.kept(result)
            self.set(kept, result)
            self.step(lock.released)
            self.set(result, kept)
        else:
            self.step(lock.released)

    @block
    def stop_machine(self, *, cpuslocked: bool = False) -> Iterator[None]:
        """stop_machine(): no other actor takes a step, on any CPU. It starts when every CPU takes interrupts.

        They are off inside. Unless it is the _cpuslocked form it takes cpus_read_lock(): it waits for a CPU that comes or goes.

        Left out: that it also waits for CPUs with preemption off; inside, an actor may be seen in the middle of a spin lock or of
        RCU's read side.
        """
        w = self.w
        name = "stop_machine_cpuslocked" if cpuslocked else "stop_machine"

        def release() -> None:
            with self.stands_for("stop ends"):
                self.set(w.stop_machine, value=False)

        with self.stands_for(name), nullcontext() if cpuslocked else self.cpus_read_lock():
            self.step("stop_machine()", "kernel/stop_machine.c")
            self.await_(self.every_cpu_answers)
            self.might_sleep()
            self.set(w.stop_machine, value=True)
            with self.holding(release), self.undisturbed(), self.irqs_off(), self.stands_for("stopped"):
                yield

    @property
    def every_cpu_answers(self) -> Operand:
        """Whether every CPU takes interrupts. A protocol in which one may not overrides it."""
        return always

    # -- other CPUs ---------------------------------------------------------------------------------------------------

    @block
    def ipi(self, where: Operand | bool, function: str) -> Iterator[None]:
        """on_each_cpu(function): an IPI to every CPU where ``where`` holds, the sender's own included; it waits for all.

        The function runs with interrupts off. To wait for it with interrupts off may deadlock, which the kernel reports.
        """
        self.lockdep_assert_irqs_enabled()
        with self.stands_for("on_each_cpu", where), self.on_each_cpu(where, f"IPI {function}", events=(IPI,)):
            with self.stands_for("callback"), self.irqs_off():
                yield

    @block
    def once_in_each_package(self, where: Operand, done: Field, title: str) -> Iterator[None]:
        """One CPU of each package, one package after the other; the body is a step, and sets the package's ``done``.

        The kernel takes the first CPU in the order of numbers. Here it is any, as numbers are names. A package without a CPU
        where ``where`` holds is left out.
        """
        with self.loop() as left:
            with self.on_any_cpu(where & ~done, title, picked=""):
                yield
                with self.if_(packages.none(~done & package_cpus.any(where))):
                    left.leave()
