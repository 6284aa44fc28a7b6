"""Reader-writer semaphores, completions, work items, grace periods, notifier chains and spin locks.

Each is an object that declares its fields, and methods of `Sync` with the names of the kernel that record steps on it. A field
that no recorded step assigns is no part of a state. Sources are those of 6.12. Left out: timeouts; signals. `await_` is for
waiting of which it does not matter how; `tdxexplore.linux.wait` has wait queues and rcuwait, where a wake-up can be lost.

Each was run in a kernel as the functions that it stands for (``docs/kernel-results.md``), but for the semaphore that is not fair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from tdxexplore.linux.wait import ByActor, Waits
from tdxexplore.model import Lock, Scope, always, block, cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.model import Field, Model
    from tdxexplore.model.expr import Expr, Operand

S = TypeVar("S", bound="Sync")

RWSEM = "kernel/locking/rwsem.c, v6.12"
COMPLETION = "kernel/sched/completion.c, v6.12"
WORKQUEUE = "kernel/workqueue.c, v6.12"
RCU = "kernel/rcu/tree.c, v6.12"
SRCU = "kernel/rcu/srcutree.c, v6.12"
NOTIFIER = "kernel/notifier.c, v6.12"
SPINLOCK = "kernel/locking/spinlock.c, v6.12"

# How many actors of the machine, and how often each CPU, may hold or wait for one semaphore.
_MOST = 7


class RwSemaphore:
    """``struct rw_semaphore``, or a ``percpu_rw_semaphore``: readers together, or one writer.

    Left out: in which order writers that wait get it, and readers that steal the lock from a queue.

    Args:
        model: Where its fields are declared.
        name: As in the source.
        fair: A writer that waits keeps new readers out, as in every semaphore of the kernel; or not, which no kernel has.
    """

    def __init__(self, model: Model, name: str, *, fair: bool = True) -> None:
        self.name, self.fair = name, fair
        self.writer = model.flag(f"{name}.writer")
        self.readers = model.counter(f"{name}.readers", _MOST)
        self.readers_here = model.counter(f"{name}.readers_here", _MOST, Scope.CPU)
        self.waiting = model.counter(f"{name}.waiting", _MOST)
        self.waiting_here = model.counter(f"{name}.waiting_here", _MOST, Scope.CPU)

    @property
    def read(self) -> Expr:
        """Whether somebody holds it for reading."""
        return (self.readers > 0) | cpus.any(self.readers_here > 0)

    @property
    def writer_waits(self) -> Expr:
        """Whether a writer waits for it."""
        return (self.waiting > 0) | cpus.any(self.waiting_here > 0)


class Completion:
    """``struct completion``: counts how often it was completed and not waited for.

    Args:
        model: Where its field is declared.
        name: As in the source.
        most: So many are counted; one more is as if `complete_all` had been called.
    """

    def __init__(self, model: Model, name: str, most: int = 3) -> None:
        self.name = name
        self.done = model.counter(f"{name}.done", most)
        self.all = most


class Work:
    """``struct work_struct``, or a ``delayed_work`` whose timer is pending: queued at most once, and run by one worker.

    Left out: which CPU runs it; workers that a pool lacks; a second flush, or cancel_work_sync(), at the same time.

    Args:
        model: Where its fields are declared.
        name: As in the source.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.name = name
        self.pending = model.flag(f"{name}.pending")
        self.running = model.flag(f"{name}.running")
        self.flushed = model.enum(f"{name}.flushed", ("none", "pending", "running"))
        self.disabled = model.flag(f"{name}.disabled")
        self.lock = Lock(name, f"{name} has run")


class Readers(ByActor):
    """Readers of RCU, or of an SRCU domain, and what each does: nothing, or it has begun after or before the last grace period.

    One grace period is waited for at a time: a second one that begins meanwhile lengthens it. Left out: that it may also wait for
    readers that begin meanwhile, as it does if somebody else's grace period runs when it is asked for (seen in 6.12).

    Args:
        model: Where the fields are declared.
        name: Of the domain; ``rcu`` for RCU itself.
        actors: The actors of the machine that read; without any, one reader, whoever it is.
        on_cpus: The actors that read on each CPU.
    """

    def __init__(self, model: Model, name: str, *actors: str, on_cpus: tuple[str, ...] = ()) -> None:
        super().__init__(model, name, ("none", "reads", "read before"), actors, on_cpus)


class NotifierChain:
    """A blocking notifier chain: callbacks under a semaphore that its registration takes for writing.

    Args:
        model: Where its fields are declared.
        name: As in the source.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.name = name
        self.rwsem = RwSemaphore(model, f"{name}.rwsem")


class Sync(Waits):
    """An actor that uses them.

    `Actor` has its arguments.
    """

    # -- semaphores -----------------------------------------------------------------------------------------------------

    @block
    def down_read(self, sem: RwSemaphore) -> Iterator[None]:
        """down_read(&sem): waits for the writer, and if it is fair also for one that waits."""
        lock = Lock(sem.name, f"up_read(&{sem.name})", shared=True)
        readers = sem.readers_here if self.acting is Scope.CPU else sem.readers
        with self.stands_for("down_read", sem):
            self.step(f"down_read(&{sem.name})", RWSEM, takes=lock)
            self.await_(~sem.writer & ~sem.writer_waits if sem.fair else ~sem.writer)
            self.might_sleep()
            self.acquires(sem.name)
            self.add(readers, 1)

        def release() -> None:
            with self.stands_for("up_read", sem):
                self._release(lock)
                self.add(readers, -1)

        with self.holding(release), self.holding_lock(lock):
            yield

    @block
    def down_write(self, sem: RwSemaphore) -> Iterator[None]:
        """down_write(&sem): waits for readers and the writer; if it is fair, a step before queues the writer."""
        lock = Lock(sem.name, f"up_write(&{sem.name})")
        waiting = sem.waiting_here if self.acting is Scope.CPU else sem.waiting
        with self.stands_for("down_write", sem):
            if sem.fair:
                self.step(f"down_write(&{sem.name}): queued", RWSEM)
                self.add(waiting, 1)
            self.step(f"down_write(&{sem.name})", RWSEM, takes=lock)
            self.await_(~sem.writer & ~sem.read)
            self.might_sleep()
            self.acquires(sem.name)
            if sem.fair:
                self.add(waiting, -1)
            self.set(sem.writer, value=True)

        def release() -> None:
            with self.stands_for("up_write", sem):
                self._release(lock)
                self.set(sem.writer, value=False)

        with self.holding(release), self.holding_lock(lock):
            yield

    @block
    def spin_lock(self, lock: Field) -> Iterator[None]:
        """spin_lock(&lock): as a mutex, with preemption off inside."""
        spin = Lock(lock.name, f"spin_unlock(&{lock.name})")
        with self.stands_for("spin_lock", lock):
            self.step(f"spin_lock(&{lock.name})", SPINLOCK, takes=spin)
            self.await_(~lock)
            self.acquires(lock.name)
            self.set(lock, value=True)

        def release() -> None:
            with self.stands_for("spin_unlock", lock):
                self._release(spin)
                self.set(lock, value=False)

        with self.holding(release), self.holding_lock(spin), self.preempt_off():
            yield

    # -- completions ----------------------------------------------------------------------------------------------------

    def complete(self, completion: Completion) -> None:
        """complete(&completion), as a part of the step that is recorded: wakes one who waits, or the next who will."""
        with self.stands_for("complete", completion), self.if_(completion.done < completion.all):
            self.add(completion.done, 1)

    def complete_all(self, completion: Completion) -> None:
        """complete_all(&completion), as a part of the step: wakes all who wait, and who will until `reinit_completion`."""
        with self.stands_for("complete_all", completion):
            self.set(completion.done, completion.all)

    def reinit_completion(self, completion: Completion) -> None:
        """reinit_completion(&completion), as a part of the step."""
        with self.stands_for("reinit_completion", completion):
            self.set(completion.done, 0)

    def wait_for_completion(self, completion: Completion) -> None:
        """wait_for_completion(&completion), without a timeout."""
        with self.stands_for("wait_for_completion", completion):
            self.step(f"wait_for_completion(&{completion.name})", COMPLETION)
            self.await_(completion.done > 0)
            self.might_sleep()
            with self.if_(completion.done < completion.all):
                self.add(completion.done, -1)

    # -- work items -----------------------------------------------------------------------------------------------------

    def queue_work(self, work: Work) -> None:
        """queue_work(), as a part of the step that is recorded; an item that is queued already stays so.

        While somebody is in cancel_work_sync() it does nothing, so that an item that queues itself ends.
        """
        self.note(f"queue_work(&{work.name})")
        with self.stands_for("queue_work", work), self.if_(~work.disabled):
            self.set(work.pending, value=True)

    def cancel_work(self, work: Work) -> None:
        """cancel_work() or cancel_delayed_work(), as a part of the step: an item that runs goes on."""
        self.note(f"cancel_work(&{work.name})")
        with self.stands_for("cancel_work", work):
            self._dequeue(work)

    def cancel_work_sync(self, work: Work) -> None:
        """cancel_work_sync(): takes it from the queue and waits until it does not run; nobody can queue it meanwhile."""
        with self.stands_for("cancel_work_sync", work):
            self.step(f"cancel_work_sync(&{work.name})", WORKQUEUE)
            self.might_sleep()
            self.acquires(work.name)
            self._dequeue(work)
            self.set(work.disabled, value=True)
            self.step(f"cancel_work_sync(&{work.name}): it has run", WORKQUEUE)
            self.await_(~work.running)
            self.set(work.disabled, value=False)

    def _dequeue(self, work: Work) -> None:
        self.set(work.pending, value=False)
        with self.if_(work.flushed == "pending"):
            self.set(work.flushed, "none")

    def flush_work(self, work: Work) -> None:
        """flush_work(): waits until what is queued now has run, or what runs. lockdep takes this for a lock that the item holds.

        An item that is queued meanwhile is not waited for: it may be pending, and run, when this returns.
        """
        with self.stands_for("flush_work", work):
            self.step(f"flush_work(&{work.name})", WORKQUEUE)
            self.might_sleep()
            self.acquires(work.name)
            with self.if_(work.pending):
                self.set(work.flushed, "pending")
            with self.else_(), self.if_(work.running & (work.flushed == "none")):
                self.set(work.flushed, "running")
            self.step(f"flush_work(&{work.name}): it has run", WORKQUEUE)
            self.await_(work.flushed == "none")

    # -- grace periods --------------------------------------------------------------------------------------------------

    @block
    def srcu_read_lock(self, srcu: Readers) -> Iterator[None]:
        """srcu_read_lock(&srcu): never waits."""
        name = srcu.name
        reader = Lock(name, f"srcu_read_unlock(&{name})", shared=True)
        with self._reading("srcu_read", srcu, f"srcu_read_lock(&{name})", SRCU, reader):
            yield

    @block
    def rcu_read_lock(self, rcu: Readers) -> Iterator[None]:
        """rcu_read_lock(): never waits; nothing inside may sleep."""
        reader = Lock(rcu.name, "rcu_read_unlock()", shared=True)
        with self._reading("rcu_read", rcu, "rcu_read_lock()", RCU, reader), self.preempt_off():
            yield

    @block
    def _reading(self, kind: str, readers: Readers, title: str, source: str, lock: Lock) -> Iterator[None]:
        mine = readers.of(self.actor)
        with self.stands_for(f"{kind}_lock", readers):
            self.step(title, source, takes=lock)
            self.acquires(readers.name)
            self.set(mine, "reads")

        def release() -> None:
            with self.stands_for(f"{kind}_unlock", readers):
                self._release(lock)
                self.set(mine, "none")

        with self.holding(release), self.holding_lock(lock):
            yield

    def synchronize_srcu(self, srcu: Readers) -> None:
        """synchronize_srcu(&srcu): waits for every reader that has begun before, and for no later one."""
        with self.stands_for("synchronize_srcu", srcu):
            self._grace_period(srcu, f"synchronize_srcu(&{srcu.name})", SRCU)

    def synchronize_rcu(self, rcu: Readers) -> None:
        """synchronize_rcu(): waits for every reader that has begun before, and for no later one."""
        with self.stands_for("synchronize_rcu", rcu):
            self._grace_period(rcu, "synchronize_rcu()", RCU)

    def _grace_period(self, readers: Readers, title: str, source: str) -> None:
        self.step(title, source)
        self.might_sleep()
        self.acquires(readers.name)
        over: Operand = always
        for field in readers.fields.values():
            if field.scope is Scope.CPU:
                self.set_each(cpus, where=field == "reads", values={field: "read before"})
                over = over & cpus.none(field == "read before")
            else:
                with self.if_(field == "reads"):
                    self.set(field, "read before")
                over = over & (field != "read before")
        self.step(f"{title}: the grace period ends", source)
        self.await_(over)

    # -- notifiers ------------------------------------------------------------------------------------------------------

    def blocking_notifier_chain_register(self, chain: NotifierChain, registered: Field) -> None:
        """blocking_notifier_chain_register(): from then on the callback behind that flag is called."""
        self._notifier("register", chain, registered, there=True)

    def blocking_notifier_chain_unregister(self, chain: NotifierChain, registered: Field) -> None:
        """blocking_notifier_chain_unregister(): it waits until no callback of the chain runs."""
        self._notifier("unregister", chain, registered, there=False)

    def _notifier(self, verb: str, chain: NotifierChain, registered: Field, *, there: bool) -> None:
        name = f"blocking_notifier_chain_{verb}"
        with (
            self.stands_for(name, chain, registered),
            self.function(f"{name}(&{chain.name})", NOTIFIER),
            self.down_write(chain.rwsem),
        ):
            self.set(registered, value=there)

    def blocking_notifier_call_chain(
        self, chain: NotifierChain, callbacks: tuple[tuple[Field, Callable[[Self], None]], ...]
    ) -> None:
        """blocking_notifier_call_chain(): every callback whose flag says that it is registered, in order.

        Args:
            chain: The chain.
            callbacks: For each callback its flag and what records its steps.
        """
        name = "blocking_notifier_call_chain"
        with (
            self.stands_for(name, chain),
            self.function(f"{name}(&{chain.name})", NOTIFIER),
            self.down_read(chain.rwsem),
        ):
            for registered, callback in callbacks:
                with self.if_(registered), self.stands_for("notifier_call", chain, registered):
                    callback(self)


def kworker(k: S, work: Work, run: Callable[[S], None]) -> S:
    """The worker that runs a work item as often as it is queued.

    Args:
        k: An actor of its own.
        work: The item.
        run: Records what it does, after the step that takes it from the queue.
    """
    with k.loop(), k.stands_for("process_one_work", work):
        k.step(f"kworker: {work.name}", WORKQUEUE, rest=True, takes=work.lock)
        with k.stands_for("work begins", work):
            k.await_(work.pending & ~work.running)
            k.acquires(work.name)
            k.set(work.pending, value=False)
            k.set(work.running, value=True)
            with k.if_(work.flushed == "pending"):
                k.set(work.flushed, "running")
        with k.holding_lock(work.lock):
            run(k)
        with k.stands_for("work ends", work):
            k.set(work.running, value=False)
            with k.if_(work.flushed == "running"):
                k.set(work.flushed, "none")
    return k
