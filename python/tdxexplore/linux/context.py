"""Context rules: where interrupts or preemption are off, which locks are held, and what the kernel reports of it.

Both are known while a step is recorded, so that they are no part of the state: a task and a cpuhp callback run with interrupts
and preemption on (the thread of a callback is pinned, which is no context), the function of an IPI and of stop_machine() and
the syscore callbacks with interrupts off. A rule that is broken is a WARN in every run that comes there. Source: 6.12 and 7.3,
kernel/sched/core.c __might_resched(), kernel/smp.c smp_call_function_many_cond(), include/linux/lockdep.h.

The order of two locks is a matter of runs, see `tdxexplore.linux.lock_order`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.linux.actor import Actor
from tdxexplore.model import Lock, block

if TYPE_CHECKING:
    from collections.abc import Iterator


class Context(Actor):
    """An actor with the context of its steps.

    `Actor` has its arguments.
    """

    _irqs_off = 0
    _preempt_off = 0
    _lockdep: tuple[str, ...] = ()

    # -- contexts -----------------------------------------------------------------------------------------------------

    @block
    def irqs_off(self) -> Iterator[None]:
        """local_irq_save(): what is recorded inside runs with interrupts off."""
        self._irqs_off += 1
        yield
        self._irqs_off -= 1

    @block
    def preempt_off(self) -> Iterator[None]:
        """preempt_disable(): what is recorded inside is not preempted."""
        self._preempt_off += 1
        yield
        self._preempt_off -= 1

    # -- rules --------------------------------------------------------------------------------------------------------

    def lockdep_assert_irqs_disabled(self) -> None:
        """WARN unless interrupts are off."""
        if not self._irqs_off:
            self._broken("lockdep_assert_irqs_disabled()")

    def lockdep_assert_irqs_enabled(self) -> None:
        """WARN if interrupts are off."""
        if self._irqs_off:
            self._broken("lockdep_assert_irqs_enabled()")

    @property
    def preemptible(self) -> bool:
        """Whether preemption is on; with interrupts off it is not."""
        return not self._preempt_off and not self._irqs_off

    def lockdep_assert_preemption_disabled(self) -> None:
        """WARN unless preemption is off."""
        if self.preemptible:
            self._broken("lockdep_assert_preemption_disabled()")

    def might_sleep(self) -> None:
        """A report where interrupts or preemption are off."""
        if not self.preemptible:
            self._broken("sleeping function called from invalid context")

    def _broken(self, rule: str) -> None:
        place = next((name for name, _ in reversed(self._frames)), "")
        self.warn(f"{rule} in {place}" if place else rule)

    # -- locks, as lockdep sees them ------------------------------------------------------------------------------------

    def holds(self, lock: str) -> bool:
        """Whether the actor holds that lock where it is recorded now."""
        return lock in self._lockdep

    def acquires(self, lock: str) -> None:
        """lock_acquire(): lockdep looks at the locks that are held already, and at which orders this run has had."""
        with self.stands_for("lockdep"):
            if self.holds(lock):
                self.warn(f"lockdep: possible recursive locking, {lock}")
            order = self.w.lock_order
            for outer in dict.fromkeys(self._lockdep):
                if outer == lock:
                    continue
                order.nested.add((outer, lock))
                seen = order.seen((outer, lock))
                if seen is not None:
                    self.set(seen, value=True)
                    for text, condition in order.reports((outer, lock)):
                        self.warn_on(condition, text)

    @block
    def holding_lock(self, lock: Lock) -> Iterator[None]:
        """What is recorded inside holds that lock, for lockdep and for traces."""
        before, self._lockdep = self._lockdep, (*self._lockdep, lock.name)
        with self.locked(lock):
            yield
        self._lockdep = before
