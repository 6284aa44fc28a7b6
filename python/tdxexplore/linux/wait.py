"""Wait queues and rcuwait: sleeping until a condition holds that another actor makes true and says so.

Who waits makes it known that he sleeps and looks at the condition afterwards. Whoever looks before sleeps for ever if the wake-up
comes in between: a lost wake-up. Sources are those of 6.12. Each is an object that declares its fields, and methods of `Waits`.

Both were run in a kernel (``docs/kernel-results.md``), with wake-ups between all of their steps: the loops of the macros are
generated, and what they call is the kernel's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.linux.locks import Locks
from tdxexplore.model import Scope, cpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.model import Field, Model
    from tdxexplore.model.expr import Operand

WAIT = "kernel/sched/wait.c, v6.12"
RCUWAIT = "kernel/rcu/update.c and include/linux/rcuwait.h, v6.12"


class ByActor:
    """A field for each of some actors, of the machine or on each CPU.

    Args:
        model: Where the fields are declared.
        name: Of what they belong to.
        values: Their values.
        actors: The actors of the machine; without any, one actor, whoever it is.
        on_cpus: The actors on each CPU.
    """

    def __init__(
        self, model: Model, name: str, values: Sequence[str], actors: tuple[str, ...], on_cpus: tuple[str, ...]
    ) -> None:
        self.name = name
        scopes = {**dict.fromkeys(actors, Scope.GLOBAL), **dict.fromkeys(on_cpus, Scope.CPU)} or {"": Scope.GLOBAL}
        self.fields = {who: model.enum(f"{name}: {who}" if who else name, values, s) for who, s in scopes.items()}

    def of(self, actor: str) -> Field:
        """The field of an actor.

        Raises:
            BadModel: It has none.
        """
        who = actor if actor in self.fields else ""
        if who not in self.fields:
            raise BadModel(f"`{actor}` is none of the actors of `{self.name}`; {suggest(actor, self.fields)}")
        return self.fields[who]


class WaitQueue(ByActor):
    """``wait_queue_head_t``, and for each who may sleep on it whether he runs, is queued and sleeps, or was woken.

    Left out: exclusive waiters, of whom a wake-up wakes one; signals; timeouts; wake-ups without cause.

    Args:
        model: Where its fields are declared.
        name: As in the source.
        actors: The actors of the machine that wait; without any, one, whoever it is.
        on_cpus: The actors that wait on each CPU.
    """

    def __init__(self, model: Model, name: str, *actors: str, on_cpus: tuple[str, ...] = ()) -> None:
        super().__init__(model, name, ("runs", "sleeps", "woken"), actors, on_cpus)


class RcuWait:
    """``struct rcuwait``: a pointer to the one task that waits, which no lock protects.

    Left out: a second task, which would overwrite the pointer: the kernel asks the caller to exclude it; memory barriers.

    Args:
        model: Where its field is declared.
        name: As in the source.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.name = name
        self.task = model.enum(f"{name}.task", ("nobody", "runs", "sleeps"))


class Waits(Locks):
    """An actor that sleeps and wakes others.

    `Actor` has its arguments.
    """

    # -- wait queues ------------------------------------------------------------------------------------------------------

    def prepare_to_wait(self, queue: WaitQueue) -> None:
        """prepare_to_wait(&queue), under its lock: from then on a wake-up reaches this actor, who still runs."""
        with self.stands_for("prepare_to_wait", queue):
            self.step(f"prepare_to_wait(&{queue.name})", WAIT)
            self.set(queue.of(self.actor), "sleeps")

    def schedule_on(self, queue: WaitQueue) -> None:
        """schedule() after `prepare_to_wait`: sleeps until a wake-up, or not at all if it has come already."""
        with self.stands_for("schedule", queue):
            self.step(f"schedule() on {queue.name}", WAIT)
            self.might_sleep()
            self.await_(queue.of(self.actor) != "sleeps")

    def finish_wait(self, queue: WaitQueue) -> None:
        """finish_wait(&queue), as a part of the step that is recorded: leaves the queue, and no wake-up is waited for."""
        with self.stands_for("finish_wait", queue):
            self.set(queue.of(self.actor), "runs")

    def wait_event(self, queue: WaitQueue, condition: Operand) -> None:
        """wait_event(queue, condition): looks, and looks again after each `prepare_to_wait`, before it sleeps."""
        with self.function(f"wait_event({queue.name})", WAIT) as f:
            self.step(f"wait_event({queue.name}): condition?", WAIT)
            self.might_sleep()
            with self.if_(condition):
                f.returns()
            with self.loop():
                self.prepare_to_wait(queue)
                self.step("condition?", WAIT)
                with self.if_(condition):
                    self.finish_wait(queue)
                    f.returns()
                self.schedule_on(queue)

    def wake_up(self, queue: WaitQueue) -> None:
        """wake_up_all(&queue), as a part of the step that is recorded, or wake_up() where nobody is exclusive.

        Who has not called prepare_to_wait() is not reached.
        """
        self.note(f"wake_up_all(&{queue.name})")
        with self.stands_for("wake_up_all", queue):
            for field in queue.fields.values():
                if field.scope is Scope.CPU:
                    self.set_each(cpus, where=field == "sleeps", values={field: "woken"})
                else:
                    with self.if_(field == "sleeps"):
                        self.set(field, "woken")

    # -- rcuwait ----------------------------------------------------------------------------------------------------------

    def rcuwait_wait_event(self, wait: RcuWait, condition: Operand) -> None:
        """rcuwait_wait_event(&wait, condition): sets the pointer, then its own state, and only then looks at the condition."""
        with self.function(f"rcuwait_wait_event(&{wait.name})", RCUWAIT) as f:
            with self.stands_for("prepare_to_rcuwait", wait):
                self.step(f"prepare_to_rcuwait(&{wait.name})", RCUWAIT)
                self.might_sleep()
                self.set(wait.task, "runs")
            with self.loop():
                with self.stands_for("set_current_state", wait):
                    self.step("set_current_state()", RCUWAIT)
                    self.set(wait.task, "sleeps")
                self.step("condition?", RCUWAIT)
                with self.if_(condition):
                    self.note(f"finish_rcuwait(&{wait.name})")
                    with self.stands_for("finish_rcuwait", wait):
                        self.set(wait.task, "nobody")
                    f.returns()
                with self.stands_for("schedule", wait):
                    self.step("schedule()", RCUWAIT)
                    self.await_(wait.task != "sleeps")

    def rcuwait_wake_up(self, wait: RcuWait) -> None:
        """rcuwait_wake_up(&wait), as a part of the step that is recorded: wakes the task that the pointer holds, if it sleeps."""
        self.note(f"rcuwait_wake_up(&{wait.name})")
        with self.stands_for("rcuwait_wake_up", wait), self.if_(wait.task == "sleeps"):
            self.set(wait.task, "runs")
