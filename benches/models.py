"""Models whose counts others have published, written in the modelling language.

Two-phase commit is Lamport's TwoPhase (tlaplus/Examples, `transaction_commit/TwoPhase.tla`); the lock is Stateright's
example `increment_lock`. Resource managers and threads are the CPUs.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tdxexplore.model import Model, Procedure, Scope, State, Topology, cpus, lower, other_cpus
from tdxexplore.model.program import Atom, Bulk, Cube

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.model import Program


def two_phase_commit(managers: int) -> tuple[Program, State]:
    """Resource managers and a transaction manager agree to commit, or one of them aborts."""
    model = Model("two-phase commit")
    rm_state = model.enum("rmState", ["working", "prepared", "committed", "aborted"], Scope.CPU)
    has_prepared = model.flag("tmPrepared", Scope.CPU)
    sent_prepared = model.flag("msg.Prepared", Scope.CPU)
    tm_state = model.enum("tmState", ["init", "committed", "aborted"])
    sent_commit, sent_abort = model.flag("msg.Commit"), model.flag("msg.Abort")

    with action(model, "TMRcvPrepared", Scope.CPU) as p:
        p.await_((tm_state == "init") & sent_prepared)
        p.set(has_prepared, True)

    with action(model, "TMCommit", Scope.GLOBAL) as p:
        p.await_((tm_state == "init") & cpus.all(has_prepared))
        p.set(tm_state, "committed")
        p.set(sent_commit, True)

    with action(model, "TMAbort", Scope.GLOBAL) as p:
        p.await_(tm_state == "init")
        p.set(tm_state, "aborted")
        p.set(sent_abort, True)

    with action(model, "RMPrepare", Scope.CPU) as p:
        p.await_(rm_state == "working")
        p.set(rm_state, "prepared")
        p.set(sent_prepared, True)

    with action(model, "RMChooseToAbort", Scope.CPU) as p:
        p.await_(rm_state == "working")
        p.set(rm_state, "aborted")

    with action(model, "RMRcvCommitMsg", Scope.CPU) as p:
        p.await_(sent_commit)
        p.set(rm_state, "committed")

    with action(model, "RMRcvAbortMsg", Scope.CPU) as p:
        p.await_(sent_abort)
        p.set(rm_state, "aborted")
    return finished(model, managers)


def increment_lock(threads: int) -> tuple[Program, State]:
    """Threads increment a shared counter, each once, under a lock."""
    model = Model("increment lock")
    i, lock = model.counter("i", threads), model.flag("lock")
    t = model.counter("t", threads, Scope.CPU)
    p = Procedure("thread", Scope.CPU)
    p.step("Lock")
    p.await_(~lock)
    p.set(lock, True)
    p.step("Read")
    p.set(t, i)
    p.step("Write")
    p.set(i, t)
    p.add(i, 1)
    p.step("Release")
    p.set(lock, False)
    model.add(p)
    return finished(model, threads)


def rotation(count: int) -> tuple[Program, State]:
    """Every CPU's colour moves on at once, CPU by CPU out of step.

    All bulk updates of a rule look at the state before it. The language assigns in order, so it cannot write this one:
    the second and third update are put into the Program.
    """
    model = Model("rotation")
    colour = model.enum("colour", ["red", "green", "blue"], Scope.CPU)
    p = Procedure("light", Scope.CPU)
    with p.loop():
        p.step("switch")
        p.set_each(other_cpus, colour == "red", {colour: "green"})
    model.add(p)
    program, start = finished(model, count)
    slot = program.slots["colour"]

    def turn(old: str, new: str) -> Bulk:
        return Bulk(Atom("cpus", Cube(slot.mask, slot.encode(old))), slot.mask, slot.encode(new))

    turns = (turn("red", "green"), turn("green", "blue"), turn("blue", "red"))
    assert program.rules[0].bulk == turns[:1]
    return replace(program, rules=(replace(program.rules[0], bulk=turns), *program.rules[1:])), start


@contextmanager
def action(model: Model, name: str, scope: Scope) -> Iterator[Procedure]:
    """Record an action that may happen again and again: one step that leads back to itself."""
    p = Procedure(name, scope)
    with p.loop():
        p.step(name, rest=True)
        yield p
    model.add(p)


def finished(model: Model, count: int) -> tuple[Program, State]:
    model.outcome("end", "ok", True)
    return lower(model), State.initial(model, Topology((count,)))


MODELS: dict[str, Callable[[int], tuple[Program, State]]] = {
    "two-phase-commit": two_phase_commit,
    "increment-lock": increment_lock,
}
