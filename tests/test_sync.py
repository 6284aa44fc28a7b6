"""Semaphores, completions, work items, grace periods and notifier chains of a kernel: each against a small use of its own.

The reference interpreter, the concrete and the orbit space agree on every one of these models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tdxexplore.errors import BadModel
from tdxexplore.linux import (
    Completion,
    Kernel,
    Linux,
    NotifierChain,
    Readers,
    RwSemaphore,
    Work,
    hotplug,
    kernel_model,
    kworker,
)
from tdxexplore.model import Model, Scope, Topology, cpus
from witnesses import compare_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model.reference import Answer


def asked(record: Callable[[Linux], None], count: int = 2) -> Answer:
    """A kernel with the usual questions, explored by everyone."""

    def complete(w: Linux) -> None:
        record(w)
        w.model.outcome("deadlock", "S1", w.model.stuck())
        w.model.outcome("reported", "S3", w.warned)
        w.model.outcome("through", "ok", True)

    model = kernel_model("a use", complete)
    return compare_all(model, model.initial(Topology.of(count)), replay=False).answer


def task(w: Linux, name: str, record: Callable[[Kernel], None], scope: Scope = Scope.GLOBAL) -> None:
    """An actor that begins somewhere, and then does what is recorded."""
    k = Kernel(w, name, scope)
    k.step("begin")
    record(k)
    w.model.add(k)


# -- semaphores and spin locks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.parametrize("scope", [Scope.GLOBAL, Scope.CPU])
def test_a_semaphore_has_one_writer_or_readers_who_meet(fair: bool, scope: Scope) -> None:
    def record(w: Linux) -> None:
        sem = RwSemaphore(w.model, "sem", fair=fair)
        inside = {name: w.model.flag(name, scope) for name in ("reads", "writes")}

        def use(name: str) -> Callable[[Kernel], None]:
            def record(k: Kernel) -> None:
                with k.down_read(sem) if name == "reads" else k.down_write(sem):
                    k.set(inside[name], value=True)
                    k.step("leave")
                    k.set(inside[name], value=False)

            return record

        for name in inside:
            task(w, name, use(name), scope)
        some = {name: cpus.any(field) if scope is Scope.CPU else field for name, field in inside.items()}
        w.model.invariant("no reader beside the writer", ~(some["reads"] & some["writes"]))
        w.model.expect("a writer waits for a reader", some["reads"] & (sem.writer_waits if fair else True))

    answer = asked(record)
    assert set(answer.terminal_states) == {"through"}
    assert not answer.violating_states
    assert answer.expected_states["a writer waits for a reader"] > 0


@pytest.mark.parametrize("fair", [True, False])
def test_a_second_down_read_deadlocks_behind_a_fair_writer_only(fair: bool) -> None:
    def record(w: Linux) -> None:
        sem = RwSemaphore(w.model, "sem", fair=fair)

        def twice(k: Kernel) -> None:
            with k.down_read(sem), k.down_read(sem):
                k.note("read twice")

        def write(k: Kernel) -> None:
            with k.down_write(sem):
                k.note("written")

        task(w, "reader", twice)
        task(w, "writer", write)

    # lockdep reports it in every run.
    assert set(asked(record).terminal_states) == ({"deadlock", "reported"} if fair else {"reported"})


def test_a_spin_lock_excludes_and_forbids_sleeping() -> None:
    def record(w: Linux) -> None:
        lock, inside = w.model.flag("lock"), w.model.counter("inside", 2)
        mutex = w.model.flag("mutex")

        def spin(k: Kernel) -> None:
            with k.spin_lock(lock):
                k.add(inside, 1)
                k.step("leave")
                k.add(inside, -1)

        def sleeps(k: Kernel) -> None:
            with k.spin_lock(lock), k.mutex(mutex):
                k.note("asleep in a spin lock")

        task(w, "one", spin, Scope.CPU)
        w.model.invariant("one at a time", inside < 2)
        task(w, "other", sleeps)

    answer = asked(record)
    assert set(answer.terminal_states) == {"reported"}
    assert not answer.violating_states


# -- completions ----------------------------------------------------------------------------------------------------------


def test_a_completion_wakes_as_many_as_it_was_completed_and_all_after_complete_all() -> None:
    def record(every: bool) -> Callable[[Linux], None]:
        def recorded(w: Linux) -> None:
            done = Completion(w.model, "done", most=2)
            task(w, "waits", lambda k: k.wait_for_completion(done), Scope.CPU)
            task(w, "completes", lambda k: k.complete_all(done) if every else k.complete(done))

        return recorded

    assert set(asked(record(every=True), 3).terminal_states) == {"through"}
    assert set(asked(record(every=False), 3).terminal_states) == {"deadlock"}  # one of three is woken
    assert set(asked(record(every=False), 1).terminal_states) == {"through"}


def test_a_completion_is_used_again_after_reinit_completion() -> None:
    def record(w: Linux) -> None:
        done = Completion(w.model, "done")

        def waits(k: Kernel) -> None:
            k.wait_for_completion(done)
            k.step("again")
            k.reinit_completion(done)
            k.wait_for_completion(done)

        task(w, "waits", waits)
        task(w, "completes", lambda k: k.complete_all(done))

    assert set(asked(record).terminal_states) == {"deadlock"}


# -- work items -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "outcomes"), [("flush", {"through"}), ("sync", {"through"}), ("cancel", {"through", "used after free"})]
)
def test_who_frees_what_a_work_item_uses_has_to_wait_for_it(way: str, outcomes: set[str]) -> None:
    def record(w: Linux) -> None:
        work, freed = Work(w.model, "work"), w.model.flag("freed")
        used = w.model.flag("used after free")

        def run(k: Kernel) -> None:
            k.step("use it")
            with k.if_(freed):
                k.set(used, value=True)

        def owner(k: Kernel) -> None:
            k.queue_work(work)
            if way == "flush":
                k.flush_work(work)
            elif way == "sync":
                k.cancel_work_sync(work)
            k.step("kfree()")
            if way == "cancel":
                k.cancel_work(work)
            k.set(freed, value=True)

        w.model.add(kworker(Kernel(w, "kworker"), work, run))
        task(w, "owner", owner)
        w.model.outcome("used after free", "S0", used)

    assert set(asked(record).terminal_states) == outcomes


def test_a_flush_waits_for_what_is_queued_when_it_is_called_and_for_nothing_later() -> None:
    """In 6.12 a flush returned while an item was pending that had been queued meanwhile."""

    def record(w: Linux) -> None:
        work, runs = Work(w.model, "work"), w.model.counter("runs", 2)
        early, again = w.model.flag("early"), w.model.flag("pending again")

        def run(k: Kernel) -> None:
            k.step("works")
            k.add(runs, 1)

        def flushes(k: Kernel) -> None:
            k.queue_work(work)
            k.flush_work(work)
            with k.if_(runs == 0):
                k.set(early, value=True)
            with k.if_(work.pending):
                k.set(again, value=True)

        w.model.add(kworker(Kernel(w, "kworker"), work, run))
        task(w, "flushes", flushes)
        task(w, "queues", lambda k: k.queue_work(work))
        w.model.invariant("it has run", ~early)
        w.model.expect("an item that was queued meanwhile", again)

    answer = asked(record)
    assert set(answer.terminal_states) == {"through"}
    assert not answer.violating_states
    assert answer.expected_states["an item that was queued meanwhile"] > 0


def test_an_item_that_queues_itself_is_over_after_cancel_work_sync_and_not_after_cancel_work() -> None:
    """In 6.12 it is: nobody can queue an item while cancel_work_sync() waits."""

    def record(sync: bool) -> Callable[[Linux], None]:
        def recorded(w: Linux) -> None:
            work, freed = Work(w.model, "work"), w.model.flag("freed")
            used, runs = w.model.flag("used after free"), w.model.counter("runs", 3)

            def run(k: Kernel) -> None:
                with k.if_(freed):
                    k.set(used, value=True)
                k.step("queue itself")
                with k.if_(runs < 3):
                    k.add(runs, 1)
                    k.queue_work(work)

            def owner(k: Kernel) -> None:
                k.queue_work(work)
                if sync:
                    k.cancel_work_sync(work)
                else:
                    k.step("cancel_work()")
                    k.cancel_work(work)
                k.step("kfree()")
                k.set(freed, value=True)

            w.model.add(kworker(Kernel(w, "kworker"), work, run))
            task(w, "owner", owner)
            w.model.outcome("used after free", "S0", used)

        return recorded

    assert set(asked(record(sync=True)).terminal_states) == {"through"}
    assert set(asked(record(sync=False)).terminal_states) == {"through", "used after free"}


def test_lockdep_reports_a_flush_under_a_lock_that_the_item_takes() -> None:
    def record(w: Linux) -> None:
        work, lock = Work(w.model, "work"), w.model.flag("lock")

        def run(k: Kernel) -> None:
            with k.mutex(lock):
                k.note("works")

        def owner(k: Kernel) -> None:
            k.queue_work(work)
            with k.mutex(lock):
                k.flush_work(work)

        w.model.add(kworker(Kernel(w, "kworker"), work, run))
        task(w, "owner", owner)

    # Either the item has run before, which lockdep remembers, or it waits for the lock for ever.
    assert set(asked(record).terminal_states) == {"deadlock", "reported"}


# -- grace periods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("scope", [Scope.GLOBAL, Scope.CPU])
@pytest.mark.parametrize("kind", ["rcu", "srcu"])
def test_what_readers_use_is_freed_after_a_grace_period(waits: bool, scope: Scope, kind: str) -> None:
    def record(w: Linux) -> None:
        on_cpus = ("reader",) if scope is Scope.CPU else ()
        readers = Readers(w.model, kind, *(() if on_cpus else ("reader",)), on_cpus=on_cpus)
        gone, freed = w.model.flag("gone"), w.model.flag("freed")
        used = w.model.flag("used after free")

        def read(k: Kernel) -> None:
            with k.rcu_read_lock(readers) if kind == "rcu" else k.srcu_read_lock(readers):
                with k.if_(~gone):
                    k.step("use it")
                    with k.if_(freed):
                        k.set(used, value=True)

        def free(k: Kernel) -> None:
            k.set(gone, value=True)
            if waits:
                (k.synchronize_rcu if kind == "rcu" else k.synchronize_srcu)(readers)
            k.step("kfree()")
            k.set(freed, value=True)

        task(w, "reader", read, scope)
        task(w, "frees", free)
        w.model.outcome("used after free", "S0", used)

    assert set(asked(record).terminal_states) == ({"through"} if waits else {"through", "used after free"})


def test_a_later_reader_does_not_lengthen_a_grace_period() -> None:
    """One that begins while it is waited for, and ends when it is over; an earlier one stays until the later one is there."""

    def record(w: Linux) -> None:
        readers, over = Readers(w.model, "srcu", "earlier", "later"), Completion(w.model, "over")
        first, inside = readers.of("earlier"), w.model.flag("inside")

        def earlier(k: Kernel) -> None:
            with k.srcu_read_lock(readers):
                k.step("until the later one is there, if it may come")
                k.await_(inside | (first == "reads"))

        k = Kernel(w, "later")
        k.step("begin", rest=True)
        k.await_(first == "read before")
        with k.srcu_read_lock(readers):
            k.set(inside, value=True)
            k.wait_for_completion(over)
        w.model.add(k)

        def wait(k: Kernel) -> None:
            k.synchronize_srcu(readers)
            k.step("go on")
            k.complete_all(over)

        task(w, "earlier", earlier)
        task(w, "waits", wait)
        w.model.expect("begun meanwhile", inside)

    answer = asked(record)
    assert set(answer.terminal_states) == {"through"}
    assert answer.expected_states["begun meanwhile"] > 0


def test_a_reader_that_waits_for_the_end_of_its_grace_period_deadlocks() -> None:
    def record(w: Linux) -> None:
        readers, over = Readers(w.model, "srcu"), Completion(w.model, "over")

        def read(k: Kernel) -> None:
            with k.srcu_read_lock(readers):
                k.wait_for_completion(over)

        def wait(k: Kernel) -> None:
            k.synchronize_srcu(readers)
            k.step("go on")
            k.complete(over)

        task(w, "reader", read)
        task(w, "waits", wait)

    assert set(asked(record).terminal_states) == {"deadlock", "through"}


def test_a_reader_that_sleeps_in_rcu_is_reported_and_one_that_is_not_declared_is_refused() -> None:
    def sleeps(w: Linux) -> None:
        readers, lock = Readers(w.model, "rcu", "reader"), w.model.flag("lock")

        def read(k: Kernel) -> None:
            with k.rcu_read_lock(readers), k.mutex(lock):
                k.note("asleep")

        task(w, "reader" if w.model.name == "a use" else "stranger", read)

    assert set(asked(sleeps).terminal_states) == {"reported"}
    with pytest.raises(BadModel, match="`stranger` is none of the actors of `rcu`; did you mean `reader`"):
        sleeps(Linux(Model("another use"), {}, {}))


# -- stop_machine() ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cpuslocked", [True, False])
def test_stop_machine_waits_for_a_cpu_that_comes_unless_its_caller_has_the_lock(cpuslocked: bool) -> None:
    """In 6.12 stop_machine() slept in percpu_rwsem_wait() while a CPU came."""

    def record(w: Linux) -> None:
        k = Kernel(w, "stopper")
        k.step("begin")
        with k.stop_machine(cpuslocked=cpuslocked):
            k.note("alone")
            k.step("the other half")
        w.model.add(k)
        w.model.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (), w.booted, w.booted))
        w.model.invariant("no CPU is on its way", ~(w.stop_machine & (w.cpus_writer == "held")))
        w.model.outcome("deadlock", "S1", w.model.stuck())
        w.model.outcome("through", "ok", True)

    model = kernel_model("stops", record, budgets={"cpu_up": 1}, offline=1, stoppable=True)
    answer = compare_all(model, model.initial(Topology.of(2)), replay=False).answer
    assert set(answer.terminal_states) == {"through"}
    assert bool(answer.violating_states) == cpuslocked


# -- notifiers ----------------------------------------------------------------------------------------------------------------


def test_after_unregister_no_callback_runs() -> None:
    def record(w: Linux) -> None:
        chain, registered = NotifierChain(w.model, "chain"), w.model.flag("registered")
        gone, called = w.model.flag("gone"), w.model.flag("called")
        late = w.model.flag("called after the end")

        def callback(k: Kernel) -> None:
            k.step("callback")
            k.set(called, value=True)
            with k.if_(gone):
                k.set(late, value=True)

        def owner(k: Kernel) -> None:
            k.blocking_notifier_chain_register(chain, registered)
            k.blocking_notifier_chain_unregister(chain, registered)
            k.step("the end")
            k.set(gone, value=True)

        task(w, "calls", lambda k: k.blocking_notifier_call_chain(chain, ((registered, callback),)))
        task(w, "owner", owner)
        w.model.outcome("called after the end", "S0", late)
        w.model.expect("called", called)

    answer = asked(record)
    assert set(answer.terminal_states) == {"through"}
    assert answer.expected_states["called"] > 0
