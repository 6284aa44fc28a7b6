"""A worker of RCU wakes those who wait for the next grace period, and its own sleep on.

An expedited grace period ends when its worker counts expedited_sequence up; the worker then takes exp_wake_mutex and
wakes the wait queue of that number. It reads the number anew for that. A task that has found the end without sleeping
may have released exp_mutex meanwhile, and the next grace period may be over, so that the worker wakes another queue.

Source: "[PATCH] rcu: Fix missed wakeup of exp_wq waiters", Neeraj Upadhyay, 2019-11-15, and the discussion until
    2019-11-21; kernel/rcu/tree_exp.h rcu_exp_wait_wake(), v5.4.
Fix: The worker wakes the queue of the number s that it was queued with.
Shows: stuck
Reading: Of the four wait queues two, and two grace periods; the second is the last one for long, as in a suspend.
"""

from tdxexplore.linux import Kernel, Linux, WaitQueue, Work, kernel_model, kworker
from tdxexplore.model import Model

SOURCE = "kernel/rcu/tree_exp.h, v5.4"


def rcu_expedited(fixed: bool = False) -> Model:
    """Two grace periods, and a task that lost the race to begin the first."""

    def record(w: Linux) -> None:
        m = w.model
        ended = m.counter("expedited_sequence", 2)  # the grace periods that have ended
        mutex, wake_mutex = m.flag("exp_mutex"), m.flag("exp_wake_mutex")
        queues = [WaitQueue(m, f"exp_wq[{s}]", *who) for s, who in ((1, ("waiter", "task1")), (2, ("task2",)))]

        k = Kernel(w, "waiter")
        k.step("synchronize_rcu_expedited(), s = 1", SOURCE)
        with k.function("exp_funnel_lock()", SOURCE):
            k.wait_event(queues[0], ended >= 1)
        m.add(k)

        for s in (1, 2):
            work = Work(m, f"rew_work {s}")
            k = Kernel(w, f"task{s}")
            k.step(f"synchronize_rcu_expedited(), s = {s}", SOURCE)
            k.await_(ended >= s - 1)
            with k.function("_synchronize_rcu_expedited()", SOURCE), k.mutex(mutex):
                k.queue_work(work)
                k.wait_event(queues[s - 1], ended >= s)
            m.add(k)

            def wake(k, s=s):
                with k.function(f"rcu_exp_wait_wake({s})", SOURCE):
                    k.step("rcu_exp_gp_seq_end()", SOURCE)
                    k.add(ended, 1)
                    with k.mutex(wake_mutex):
                        k.step("wake_up_all()", SOURCE)
                        if fixed:
                            k.wake_up(queues[s - 1])
                        else:
                            with k.if_(ended == 1):
                                k.wake_up(queues[0])
                            with k.else_():
                                k.wake_up(queues[1])

            m.add(kworker(Kernel(w, f"kworker{s}"), work, wake))

        m.outcome("stuck", "S1", m.stuck(), "a task waits for a grace period that is over")
        m.outcome("through", "ok", True)

    return kernel_model("expedited grace periods", record)
