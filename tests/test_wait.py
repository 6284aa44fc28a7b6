"""Wait queues and rcuwait: who looks at the condition in time is woken, and who looks too early sleeps for ever.

The reference interpreter, the concrete and the orbit space agree on every one of these models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tdxexplore
from tdxexplore.errors import BadModel
from tdxexplore.linux import Kernel, Linux, RcuWait, WaitQueue, kernel_model
from tdxexplore.model import Model, Scope, always, cpus
from test_sync import asked, task

if TYPE_CHECKING:
    from collections.abc import Callable


def waiting(how: str, *, wakes: bool = True, scope: Scope = Scope.CPU) -> Callable[[Linux], None]:
    """A waiter on each CPU, or one, and who makes the condition true and wakes them.

    Args:
        how: ``event`` waits as wait_event() does; ``late`` prepares before it looks, by hand; ``early`` looks before it prepares.
        wakes: Whether there is a wake-up.
        scope: Of the waiters.
    """

    def record(w: Linux) -> None:
        on_cpus = ("waiter",) if scope is Scope.CPU else ()
        queue, ready = (
            WaitQueue(w.model, "wq", *(() if on_cpus else ("waiter",)), on_cpus=on_cpus),
            w.model.flag("ready"),
        )

        def wait(k: Kernel) -> None:
            if how == "event":
                k.wait_event(queue, ready)
            elif how == "early":
                with k.if_(~ready):
                    k.prepare_to_wait(queue)
                    k.schedule_on(queue)
                    k.finish_wait(queue)
            else:
                k.prepare_to_wait(queue)
                k.step("look")
                with k.if_(~ready):
                    k.schedule_on(queue)
                k.finish_wait(queue)

        def wake(k: Kernel) -> None:
            k.step("ready")
            k.set(ready, value=True)
            if wakes:
                k.step("wake")
                k.wake_up(queue)

        task(w, "waiter", wait, scope)
        task(w, "waker", wake)
        for what in ("sleeps", "woken"):
            here = queue.of("waiter") == what
            w.model.expect(what, cpus.any(here) if scope is Scope.CPU else here)

    return record


@pytest.mark.parametrize("scope", [Scope.GLOBAL, Scope.CPU])
@pytest.mark.parametrize(
    ("how", "wakes", "outcomes"),
    [
        ("event", True, {"through"}),
        ("late", True, {"through"}),
        ("early", True, {"through", "deadlock"}),
        ("event", False, {"through", "deadlock"}),
    ],
)
def test_a_wake_up_is_lost_on_who_looks_before_he_prepares(
    how: str, wakes: bool, outcomes: set[str], scope: Scope
) -> None:
    answer = asked(waiting(how, wakes=wakes, scope=scope))
    assert set(answer.terminal_states) == outcomes
    assert answer.expected_states["sleeps"] > 0
    assert (answer.expected_states["woken"] > 0) == wakes


def test_the_trace_of_a_lost_wake_up_names_the_steps_in_their_order() -> None:
    def complete(w: Linux) -> None:
        waiting("early", scope=Scope.GLOBAL)(w)
        w.model.outcome("deadlock", "S1", w.model.stuck())
        w.model.outcome("through", "ok", True)

    answer = tdxexplore.check(kernel_model("lost", complete), cpus=1)
    trace = answer.traces["deadlock"]
    steps = [step.title for step in trace]
    assert steps.index("ready") < steps.index("wake") < steps.index("prepare_to_wait(&wq)")
    assert steps.index("begin") < steps.index("wake")
    assert "waiter in schedule() on wq" in trace.where_they_wait


@pytest.mark.parametrize("wakes", [True, False])
@pytest.mark.parametrize("order", ["condition first", "wake-up first"])
def test_rcuwait_wakes_the_one_who_waits_if_the_condition_comes_first(wakes: bool, order: str) -> None:
    def record(w: Linux) -> None:
        wait, ready = RcuWait(w.model, "wait"), w.model.flag("ready")

        def wake(k: Kernel) -> None:
            if order == "condition first":
                k.set(ready, value=True)
                k.step("wake")
            if wakes:
                k.rcuwait_wake_up(wait)
            if order != "condition first":
                k.step("condition")
                k.set(ready, value=True)

        task(w, "waiter", lambda k: k.rcuwait_wait_event(wait, ready))
        task(w, "waker", wake)
        w.model.expect("sleeps", wait.task == "sleeps")
        w.model.expect("woken before he looks", (wait.task == "runs") & ready)

    answer = asked(record)
    good = wakes and order == "condition first"
    assert set(answer.terminal_states) == ({"through"} if good else {"through", "deadlock"})
    assert all(states > 0 for states in answer.expected_states.values())


def test_who_is_woken_without_the_condition_sleeps_again() -> None:
    def record(w: Linux) -> None:
        queue, ready = WaitQueue(w.model, "wq", "waiter"), w.model.flag("ready")

        def wake(k: Kernel) -> None:
            k.wake_up(queue)
            k.step("ready")
            k.set(ready, value=True)
            k.wake_up(queue)

        task(w, "waiter", lambda k: k.wait_event(queue, ready))
        task(w, "waker", wake)
        w.model.expect("woken in vain", (queue.of("waiter") == "woken") & ~ready)

    answer = asked(record)
    assert set(answer.terminal_states) == {"through"}
    assert answer.expected_states["woken in vain"] > 0


def test_sleeping_with_preemption_off_is_reported() -> None:
    def record(w: Linux) -> None:
        queue, lock = WaitQueue(w.model, "wq", "waiter"), w.model.flag("lock")

        def wait(k: Kernel) -> None:
            with k.spin_lock(lock):
                k.wait_event(queue, always)

        task(w, "waiter", wait)

    assert set(asked(record).terminal_states) == {"reported"}


def test_a_stranger_cannot_sleep_on_a_queue() -> None:
    w = Linux(Model("strangers"), {}, {})
    queue = WaitQueue(w.model, "wq", "waiter")
    k = Kernel(w, "stranger")
    with pytest.raises(BadModel, match="`stranger` is none of the actors of `wq`; did you mean `waiter`"):
        k.prepare_to_wait(queue)
