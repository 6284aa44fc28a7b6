"""A pointer holds one CPU or none, whatever is done with it; CPUs stay interchangeable."""

from __future__ import annotations

from collections import Counter

import pytest

import tdxexplore
from random_models import Pointing
from slices import every
from tdxexplore import _core
from tdxexplore.errors import BadModel
from tdxexplore.export import Form
from tdxexplore.model import Model, Pointer, Procedure, Scope, Topology, cpus, lower, other_cpus
from test_export import Interpreter
from witnesses import compare_all


def anything(pointers: int) -> Model:
    """Each CPU puts itself into each pointer at any time, and somebody clears it at any time."""
    model = Model("anything")
    for number in range(pointers):
        pointer = Pointer(model, f"p{number}")
        for name, scope in (("set", Scope.CPU), ("clear", Scope.GLOBAL)):
            p = Procedure(f"{name} p{number}", scope)
            with p.loop():
                p.step(name, rest=True)
                pointer.set_me(p) if name == "set" else pointer.clear(p)
            model.add(p)
    return model


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("pointers", [1, 2])
def test_it_has_a_value_for_each_cpu_and_one_for_none(count: int, pointers: int) -> None:
    answer = tdxexplore.check(anything(pointers), cpus=count)
    assert int(answer.runs["states"][0]) == (count + 1) ** pointers
    # None, or some CPU; of two also whether they hold the same one.
    orbits = {1: 2, 2: 5 if count > 1 else 4}[pointers]
    assert answer.runs["explored"][0] == orbits


def owned(check_owner: bool) -> Model:
    """A lock that knows its owner; whoever unlocks may check that it is his."""
    model = Model("a lock with an owner")
    owner, inside = Pointer(model, "owner"), model.flag("inside", Scope.CPU)
    stolen, kicked = model.flag("stolen"), model.flag("kicked", Scope.CPU)
    p = Procedure("thread", Scope.CPU)
    p.step("lock()")
    p.await_(owner.none)
    owner.set_me(p)
    p.set(inside, True)
    p.step("unlock()")
    p.set(inside, False)
    owner.clear(p)
    model.add(p)
    thief = Procedure("thief")
    thief.step("unlock() of somebody's lock", rest=True)
    thief.await_(owner.none if check_owner else ~owner.none)
    owner.clear(thief)
    model.add(thief)
    watch = Procedure("watch", Scope.CPU)
    watch.step("inside without the lock", rest=True)
    watch.await_(inside & ~owner.me)
    watch.set(stolen, True)
    model.add(watch)
    kick = Procedure("kick")
    with kick.on_any_cpu(owner.me, "IPI to the owner", rest=True, picked=""):
        kick.set(kicked, True)
        with kick.if_(other_cpus.any(owner.me)):
            kick.set(stolen, True)
    model.add(kick)
    model.invariant("owner is inside", owner.none | owner.holds(inside))
    model.invariant("not stolen", ~stolen)
    model.expect("the owner is kicked", owner.holds(kicked))
    model.outcome("stuck", "S1", model.stuck())
    model.outcome("through", "ok", True)
    return model


@pytest.mark.parametrize("check_owner", [True, False])
def test_a_lock_with_an_owner(check_owner: bool) -> None:
    model = owned(check_owner)
    answer = compare_all(model, model.initial(Topology.of(3)), replay=False).answer
    assert set(answer.terminal_states) == {"through"}
    assert answer.expected_states["the owner is kicked"] > 0
    assert set(answer.violating_states) == (set() if check_owner else {"not stolen"})


def test_a_pointer_cannot_hold_who_does_not_act() -> None:
    model = Model("nobody")
    pointer = Pointer(model, "p")
    p = Procedure("nobody")
    p.step("set")
    pointer.set_me(p)
    model.add(p)
    model.outcome("set", "ok", cpus.any(pointer.me))
    with pytest.raises(BadModel, match="field `p` of a cpu is used where none acts"):
        lower(model)


# Of these kinds there must be so many, or the generator has lost them.
BLOCKS = 4
WANTED = 15
LEAST = {"acyclic": 5, "held": 10, "moved": 10}


@pytest.mark.parametrize("block", every(BLOCKS, range(BLOCKS)))
def test_random_models_with_pointers_agree(block: int) -> None:
    """The orbit space, the concrete one, that of bits, measures, threads, traces, exports and the plain interpreter agree."""
    seen: Counter[str] = Counter()
    for seed in range(900_000 + block * 1_000, 901_000 + block * 1_000):
        if seen["compared"] >= WANTED and all(seen[kind] >= least for kind, least in LEAST.items()):
            break
        try:
            model, initial = Pointing(seed).build()
            program = lower(model)
            native = _core.Program(program.text)
            probe = native.explore(program.pack(initial), space="concrete", max_states=800, measures=False)
        except (BadModel, _core.Trap):
            continue
        if not probe.complete or probe.explored < 5:
            continue
        answer = compare_all(model, initial).answer
        form = Form(program, initial)
        assert Interpreter(form).count() == (answer.states, answer.transitions), seed
        names = [name for name in initial.cpus[0] if name.startswith("pointer")]
        held = set()
        for state, _ in answer.graph.values():
            holders = [tuple(i for i, cpu in enumerate(state.cpus) if cpu[name]) for name in names]
            assert all(len(who) <= 1 for who in holders), "a pointer holds two CPUs"
            held.add(tuple(holders))
        seen["compared"] += 1
        seen["acyclic"] += answer.interleavings is not None
        seen["held"] += any(any(holders) for holders in held)
        seen["moved"] += len(held) > 2
    assert seen["compared"] >= WANTED
    assert all(seen[kind] >= least for kind, least in LEAST.items()), seen
