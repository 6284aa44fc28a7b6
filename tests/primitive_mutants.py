"""Faults in the primitives of ``linux/``, each of which the runs in a kernel contradict; and how a run is held against a model.

What was seen of a run is its plan, where the kernel agreed with it: who took which step, who was seen to be blocked, the state at
its end (`tdxexplore.kernel.plan.Planner.plan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_mutants import Fault
from tdxexplore.errors import Trap
from tdxexplore.linux import locks, sync, wait
from tdxexplore.model import reference

if TYPE_CHECKING:
    from tdxexplore.kernel.litmus import Litmus
    from tdxexplore.kernel.plan import Plan
    from tdxexplore.model import Model, State
    from tdxexplore.model.execution import Transition

FAIR = "~sem.writer & ~sem.writer_waits if sem.fair else ~sem.writer"
S, W, L = sync.Sync, wait.Waits, locks.Locks

# The fault, and the model of examples/primitives.py whose runs contradict it.
FAULTS = [
    (Fault("rwsem: a reader does not wait for the writer", S, "down_read", FAIR, "~sem.writer_waits"), "semaphore"),
    (Fault("rwsem: a reader passes a writer that waits", S, "down_read", FAIR, "~sem.writer"), "recursive_read"),
    (
        Fault("rwsem: the writer does not wait for readers", S, "down_write", "~sem.writer & ~sem.read", "~sem.writer"),
        "semaphore",
    ),
    (Fault("rwsem: two writers", S, "down_write", "~sem.writer & ~sem.read", "~sem.read"), "writers"),
    (
        Fault("rwsem: a writer never lets it go", S, "down_write", "self.set(sem.writer, value=False)", "pass"),
        "writers",
    ),
    (Fault("spin lock: nobody waits", S, "spin_lock", "self.await_(~lock)", "pass"), "spin_lock"),
    (
        Fault(
            "completion: nobody waits",
            S,
            "wait_for_completion",
            "self.await_(completion.done > 0)",
            "self.set(completion.done, 1)",
        ),
        "completion",
    ),
    (
        Fault(
            "completion: one wakes all",
            S,
            "complete",
            "self.add(completion.done, 1)",
            "self.set(completion.done, completion.all)",
        ),
        "completion",
    ),
    (
        Fault("completion: a second is lost", S, "complete", "completion.done < completion.all", "completion.done < 1"),
        "completion",
    ),
    (
        Fault(
            "completion: complete_all() wakes one",
            S,
            "complete_all",
            "completion.done, completion.all",
            "completion.done, 1",
        ),
        "complete_all",
    ),
    (
        Fault(
            "completion: reinit_completion() does nothing",
            S,
            "reinit_completion",
            "self.set(completion.done, 0)",
            "pass",
        ),
        "complete_all",
    ),
    (
        Fault("wait queue: nobody sleeps", W, "schedule_on", 'self.await_(queue.of(self.actor) != "sleeps")', "pass"),
        "wait_queue",
    ),
    (Fault("wait queue: a wake-up wakes nobody", W, "wake_up", 'self.set(field, "woken")', "pass"), "wait_queue"),
    (Fault("wait queue: no wake-up is lost", W, "prepare_to_wait", '"sleeps"', '"woken"'), "lost_wake_up"),
    (Fault("rcuwait: nobody sleeps", W, "rcuwait_wait_event", 'self.await_(wait.task != "sleeps")', "pass"), "rcuwait"),
    (Fault("rcuwait: a wake-up wakes nobody", W, "rcuwait_wake_up", 'self.set(wait.task, "runs")', "pass"), "rcuwait"),
    (
        Fault("work: a flush does not wait", S, "flush_work", 'self.await_(work.flushed == "none")', "pass"),
        "flush",
    ),
    (
        Fault("work: cancel_work_sync() does not wait", S, "cancel_work_sync", "self.await_(~work.running)", "pass"),
        "cancel",
    ),
    (
        Fault("work: cancel_work() leaves it queued", S, "cancel_work", "self._dequeue(work)", "pass"),
        "cancel_only",
    ),
    (
        Fault(
            "work: a flush waits for what is queued meanwhile",
            S,
            "flush_work",
            'self.await_(work.flushed == "none")',
            "self.await_(~work.pending & ~work.running)",
        ),
        "flush",
    ),
    (
        Fault(
            "work: it queues itself while it is cancelled",
            S,
            "queue_work",
            "self.if_(~work.disabled)",
            "self.if_(always)",
        ),
        "cancel",
    ),
    (Fault("work: it is not queued", S, "queue_work", "self.set(work.pending, value=True)", "pass"), "flush"),
    (Fault("grace period: it waits for no reader", S, "_grace_period", "self.await_(over)", "pass"), "srcu"),
    (Fault("grace period: it waits for later readers", S, "_reading", '"reads"', '"read before"'), "srcu"),
    (Fault("RCU: a grace period waits for no reader", S, "_grace_period", "self.await_(over)", "pass"), "rcu"),
    (
        Fault(
            "notifier: unregister does not wait for callbacks",
            S,
            "_notifier",
            "self.down_write(chain.rwsem)",
            "self.down_read(chain.rwsem)",
        ),
        "notifier",
    ),
    (Fault("notifier: unregister leaves it", S, "_notifier", "value=there", "value=True"), "notifier"),
    (Fault("notifier: register adds nothing", S, "_notifier", "value=there", "value=False"), "notifier_register"),
    (
        Fault(
            "stop_machine(): it does not wait for a CPU that comes",
            L,
            "stop_machine",
            "nullcontext() if cpuslocked else self.cpus_read_lock()",
            "nullcontext()",
        ),
        "stop_machine",
    ),
]


def contradiction(litmus: Litmus, plan: Plan, model: Model) -> str:
    """Why a model cannot have what was seen in the kernel; empty if it can.

    Args:
        litmus: What ran.
        plan: What was seen.
        model: A model with steps of the same names.
    """
    names = {number: name for name, number in litmus.generator.labels.items()}
    state = model.initial(litmus.question.topology)
    for word in plan.text.split():
        kind, who, cpu, *numbers = word.replace(",", ":").split(":")
        actor, label = names[int(numbers[0])]
        if kind == "A":
            continue
        try:
            found = [t for t in reference.transitions(model, state) if _is(model, t, actor, label, int(cpu))]
        except Trap as trap:
            return str(trap)
        gates = litmus.planner.gates[int(who) // 16]
        joins = label in gates.through and label not in gates.locks | gates.hidden
        if kind == "E" and not joins:
            if found:
                return f"{actor} need not wait in {label}"
            continue
        if not found:
            return f"{actor} cannot take {label}"
        state = found[0].target
        if kind == "E" and any(_is(model, t, actor, "", int(cpu)) for t in reference.transitions(model, state)):
            return f"{actor} need not wait behind {label}"
    return _differs(litmus, plan, state)


def _is(model: Model, step: Transition, actor: str, label: str, cpu: int) -> bool:
    return model.codes[step.actor].actor == actor and label in ("", step.label.name) and cpu in (-1, step.cpu)


def _differs(litmus: Litmus, plan: Plan, state: State) -> str:
    g = litmus.generator
    for name in (*g.names.fields, *(field.name for _, field, _ in g.primitives.shown(g.names))):
        seen, had = ([s.globals.get(name), *(c.get(name) for c in s.cpus)] for s in (plan.last, state))
        if seen != had:
            return f"{name} is {had}, seen {seen}"
    return ""
