"""One small model for each primitive of `tdxexplore.linux`: every interleaving of it is run in a kernel (docs/kernel-results.md).

``tdxexplore kernel run examples/primitives.py:completion --cpus 1 --all`` runs one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.linux import (
    OK,
    Completion,
    Hook,
    Kernel,
    Linux,
    NotifierChain,
    RcuWait,
    Readers,
    RwSemaphore,
    WaitQueue,
    Work,
    hotplug,
    kernel_model,
    kworker,
)
from tdxexplore.model import Model, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model import Field, Variable


def actor(w: Linux, name: str, record: Callable[[Kernel], None]) -> None:
    """An actor that does what is recorded."""
    k = Kernel(w, name)
    record(k)
    w.model.add(k)


def ends(w: Linux, bad: Field | None = None, text: str = "") -> None:
    """How a run may end."""
    if bad is not None:
        w.model.outcome(bad.name.replace(" ", "-"), "S0", bad, text)
    w.model.outcome("deadlock", "S1", w.model.stuck(), "somebody waits for ever")
    w.model.outcome("through", "ok", True)


def semaphore() -> Model:
    """Two readers and a writer, who writes in two steps."""

    def record(w: Linux) -> None:
        sem, half, torn = RwSemaphore(w.model, "sem"), w.model.flag("half written"), w.model.flag("torn read")

        def reads(k: Kernel) -> None:
            with k.down_read(sem):
                k.step("read")
                with k.if_(half):
                    k.set(torn, value=True)

        def writes(k: Kernel) -> None:
            with k.down_write(sem):
                k.set(half, value=True)
                k.step("write the other half")
                k.set(half, value=False)

        actor(w, "reader", reads)
        actor(w, "other reader", reads)
        actor(w, "writer", writes)
        ends(w, torn, "a reader sees half of what the writer writes")

    return kernel_model("semaphore", record)


def writers() -> Model:
    """Two writers and a reader of a semaphore."""

    def record(w: Linux) -> None:
        sem, inside, two = RwSemaphore(w.model, "sem"), w.model.flag("inside"), w.model.flag("two inside")

        def writes(k: Kernel) -> None:
            with k.down_write(sem):
                with k.if_(inside):
                    k.set(two, value=True)
                k.set(inside, value=True)
                k.step("write")
                k.set(inside, value=False)

        def reads(k: Kernel) -> None:
            with k.down_read(sem):
                k.step("read")
                with k.if_(inside):
                    k.set(two, value=True)

        actor(w, "writer", writes)
        actor(w, "other writer", writes)
        actor(w, "reader", reads)
        ends(w, two, "a writer is not alone")

    return kernel_model("writers", record)


def recursive_read() -> Model:
    """A second down_read() behind a writer that waits."""

    def record(w: Linux) -> None:
        sem = RwSemaphore(w.model, "sem")

        def twice(k: Kernel) -> None:
            with k.down_read(sem):
                k.step("look")
                with k.down_read(sem):
                    k.step("look again")

        def writes(k: Kernel) -> None:
            with k.down_write(sem):
                k.step("write")

        actor(w, "reader", twice)
        actor(w, "writer", writes)
        ends(w)

    return kernel_model("recursive read", record)


def spin_lock() -> Model:
    """Three threads, a counter that each reads and then writes."""

    def record(w: Linux) -> None:
        lock, count = w.model.flag("lock"), w.model.counter("count", 3)
        lost = w.model.flag("lost update")
        read = {name: w.model.counter(f"{name} has read", 3) for name in ("one", "two", "three")}

        def counts(name: str) -> Callable[[Kernel], None]:
            def record(k: Kernel) -> None:
                with k.spin_lock(lock):
                    k.set(read[name], count)
                    k.step("write")
                    with k.if_(read[name] != count):
                        k.set(lost, value=True)
                    k.add(count, 1)

            return record

        for name in read:
            actor(w, name, counts(name))
        ends(w, lost, "a count is lost")

    return kernel_model("spin lock", record)


def completion() -> Model:
    """Two who wait, and one who completes twice."""

    def record(w: Linux) -> None:
        done, ready = Completion(w.model, "done"), w.model.counter("ready", 2)
        early = w.model.flag("too early")

        def waits(k: Kernel) -> None:
            k.wait_for_completion(done)
            with k.if_(ready == 0):
                k.set(early, value=True)
            k.step("use it")

        def completes(k: Kernel) -> None:
            for _ in range(2):
                k.step("complete()")
                k.add(ready, 1)
                k.complete(done)

        actor(w, "waiter", waits)
        actor(w, "other waiter", waits)
        actor(w, "completer", completes)
        ends(w, early, "a waiter does not wait")

    return kernel_model("completion", record)


def complete_all() -> Model:
    """complete_all() and reinit_completion() beside two who wait."""

    def record(w: Linux) -> None:
        done, over = Completion(w.model, "done"), w.model.flag("over")

        def waits(k: Kernel) -> None:
            k.wait_for_completion(done)
            k.step("go on")

        def completes(k: Kernel) -> None:
            k.step("complete_all()")
            k.complete_all(done)
            k.step("reinit_completion()")
            k.reinit_completion(done)
            k.set(over, value=True)

        actor(w, "waiter", waits)
        actor(w, "other waiter", waits)
        actor(w, "completer", completes)
        ends(w)

    return kernel_model("complete all", record)


def wait_queue() -> Model:
    """wait_event() of one, and a wake-up before and after the condition holds."""

    def record(w: Linux) -> None:
        queue, ready = WaitQueue(w.model, "queue", "waiter"), w.model.flag("ready")

        def waits(k: Kernel) -> None:
            k.wait_event(queue, ready)
            k.step("go on")

        def wakes(k: Kernel) -> None:
            k.step("wake_up() too early")
            k.wake_up(queue)
            k.step("wake_up()")
            k.set(ready, value=True)
            k.wake_up(queue)

        actor(w, "waiter", waits)
        actor(w, "waker", wakes)
        ends(w)

    return kernel_model("wait queue", record)


def lost_wake_up() -> Model:
    """Who looks at the condition before prepare_to_wait() may sleep for ever."""

    def record(w: Linux) -> None:
        queue, ready = WaitQueue(w.model, "queue", "waiter"), w.model.flag("ready")

        def waits(k: Kernel) -> None:
            k.step("condition?")
            with k.if_(~ready):
                k.prepare_to_wait(queue)
                k.schedule_on(queue)
                k.finish_wait(queue)
            k.step("go on")

        def wakes(k: Kernel) -> None:
            k.step("wake_up()")
            k.set(ready, value=True)
            k.wake_up(queue)

        actor(w, "waiter", waits)
        actor(w, "waker", wakes)
        ends(w)

    return kernel_model("lost wake-up", record)


def rcuwait() -> Model:
    """rcuwait_wait_event(), and a wake-up before and after the condition holds."""

    def record(w: Linux) -> None:
        wait, ready = RcuWait(w.model, "wait"), w.model.flag("ready")

        def waits(k: Kernel) -> None:
            k.rcuwait_wait_event(wait, ready)
            k.step("go on")

        def wakes(k: Kernel) -> None:
            k.step("rcuwait_wake_up() too early")
            k.rcuwait_wake_up(wait)
            k.step("rcuwait_wake_up()")
            k.set(ready, value=True)
            k.rcuwait_wake_up(wait)

        actor(w, "waiter", waits)
        actor(w, "waker", wakes)
        ends(w)

    return kernel_model("rcuwait", record)


def flush() -> Model:
    """One queues a work item and flushes it; another queues it again."""

    def record(w: Linux) -> None:
        work, runs = Work(w.model, "work"), w.model.counter("runs", 2)
        early = w.model.flag("too early")

        def run(k: Kernel) -> None:
            k.step("work")
            k.add(runs, 1)

        def flushes(k: Kernel) -> None:
            k.step("queue_work()")
            k.queue_work(work)
            k.flush_work(work)
            with k.if_(runs == 0):
                k.set(early, value=True)
            k.step("go on")

        def queues(k: Kernel) -> None:
            k.step("queue_work()")
            k.queue_work(work)

        w.model.add(kworker(Kernel(w, "kworker"), work, run))
        actor(w, "flusher", flushes)
        actor(w, "other", queues)
        ends(w, early, "a flush does not wait")

    return kernel_model("flush", record)


def cancel(most: int = 2) -> Model:
    """A work item that queues itself again, and cancel_work_sync()."""

    def record(w: Linux) -> None:
        work, runs = Work(w.model, "work"), w.model.counter("runs", most)
        freed, used = w.model.flag("freed"), w.model.flag("used after free")

        def run(k: Kernel) -> None:
            with k.if_(freed):
                k.set(used, value=True)
            k.step("queue itself")
            k.add(runs, 1)
            with k.if_(runs < most):
                k.queue_work(work)

        def cancels(k: Kernel) -> None:
            k.step("queue_work()")
            k.queue_work(work)
            k.cancel_work_sync(work)
            k.step("kfree()")
            k.set(freed, value=True)

        w.model.add(kworker(Kernel(w, "kworker"), work, run))
        actor(w, "owner", cancels)
        ends(w, used, "the item runs after cancel_work_sync()")

    return kernel_model("cancel", record)


def cancel_only() -> Model:
    """cancel_work(), which does not wait for an item that runs."""

    def record(w: Linux) -> None:
        work = Work(w.model, "work")
        freed, used = w.model.flag("freed"), w.model.flag("used after free")

        def run(k: Kernel) -> None:
            k.step("work")
            with k.if_(freed):
                k.set(used, value=True)

        def cancels(k: Kernel) -> None:
            k.step("queue_work()")
            k.queue_work(work)
            k.step("cancel_work(), kfree()")
            k.cancel_work(work)
            k.set(freed, value=True)
            k.step("queue_work() again")
            k.set(freed, value=False)
            k.queue_work(work)
            k.step("cancel_work() again")
            k.cancel_work(work)

        w.model.add(kworker(Kernel(w, "kworker"), work, run))
        actor(w, "owner", cancels)
        ends(w, used, "the item runs on after cancel_work()")

    return kernel_model("cancel only", record)


def _grace_period(kind: str) -> Model:
    def record(w: Linux) -> None:
        readers = Readers(w.model, kind, "reader", "other reader")
        gone, freed, used = w.model.flag("gone"), w.model.flag("freed"), w.model.flag("used after free")

        def reads(k: Kernel) -> None:
            with k.srcu_read_lock(readers) if kind == "srcu" else k.rcu_read_lock(readers):
                with k.if_(~gone):
                    k.step("use it")
                    with k.if_(freed):
                        k.set(used, value=True)
                with k.else_():
                    k.step("it is gone")

        def frees(k: Kernel) -> None:
            k.step("unlink")
            k.set(gone, value=True)
            if kind == "srcu":
                k.synchronize_srcu(readers)
            else:
                k.synchronize_rcu(readers)
            k.set(freed, value=True)
            k.step("done")

        actor(w, "reader", reads)
        actor(w, "other reader", reads)
        actor(w, "frees", frees)
        ends(w, used, "a reader uses what was freed")

    return kernel_model(kind, record)


def srcu() -> Model:
    """Two readers of an SRCU domain, and one who waits for a grace period before he frees what they read."""
    return _grace_period("srcu")


def rcu() -> Model:
    """The same with RCU."""
    return _grace_period("rcu")


def notifier() -> Model:
    """A chain with two callbacks is called while one of them is unregistered."""

    def record(w: Linux) -> None:
        chain = NotifierChain(w.model, "chain")
        first, second = w.model.flag("first registered", initial=True), w.model.flag("second registered", initial=True)
        gone, called = w.model.flag("gone"), w.model.counter("called", 3)
        late = w.model.flag("called too late")

        def one(k: Kernel) -> None:
            k.step("first callback")
            k.add(called, 1)
            with k.if_(gone):
                k.set(late, value=True)

        def two(k: Kernel) -> None:
            k.step("second callback")
            k.add(called, 1)

        def owner(k: Kernel) -> None:
            k.blocking_notifier_chain_unregister(chain, first)
            k.set(gone, value=True)
            k.step("done")

        actor(w, "calls", lambda k: k.blocking_notifier_call_chain(chain, ((first, one), (second, two))))
        actor(w, "owner", owner)
        ends(w, late, "a callback runs after it was unregistered")

    return kernel_model("notifier", record)


def notifier_register() -> Model:
    """A callback is registered while the chain is called, and called itself the next time."""

    def record(w: Linux) -> None:
        chain = NotifierChain(w.model, "chain")
        first, second = w.model.flag("first registered", initial=True), w.model.flag("second registered")
        calls = w.model.counter("calls", 4)

        def callback(k: Kernel) -> None:
            k.step("callback")
            k.add(calls, 1)

        def caller(k: Kernel) -> None:
            for _ in range(2):
                k.blocking_notifier_call_chain(chain, ((first, callback), (second, callback)))

        actor(w, "calls", caller)
        actor(w, "owner", lambda k: k.blocking_notifier_chain_register(chain, second))
        ends(w)

    return kernel_model("notifier register", record)


def stop_machine() -> Model:
    """stop_machine() in two steps, beside an actor that would see it between them, and a CPU that comes."""

    def record(w: Linux) -> None:
        half, torn, ready = w.model.flag("half"), w.model.flag("seen half"), w.model.flag("ready", Scope.CPU)
        registered = w.model.flag("registered")

        def stops(k: Kernel) -> None:
            with k.stop_machine():
                k.set(half, value=True)
                k.step("the other half")
                k.set(half, value=False)

        def looks(k: Kernel) -> None:
            k.step("look")
            with k.if_(half):
                k.set(torn, value=True)

        def online(k: Kernel) -> Variable:
            with k.function("online()", returns=(OK,)) as f:
                k.set(ready, value=True)
                f.returns(OK)
            return f.result

        def offline(k: Kernel) -> Variable:
            with k.function("offline()", returns=(OK,)) as f:
                k.set(ready, value=False)
                f.returns(OK)
            return f.result

        hook = Hook("CPUHP_AP_ONLINE_DYN", registered, online, offline)
        k = Kernel(w, "driver")
        k.cpuhp_setup_state(hook)
        w.model.add(k)
        actor(w, "stopper", stops)
        actor(w, "looks", looks)
        w.model.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), registered, registered))
        ends(w, torn, "somebody acts while stop_machine() holds the CPUs")

    return kernel_model("stop_machine", record, budgets={"cpu_up": 1}, offline=1, stoppable=True)
