"""The modelling language: what it records, how it lowers, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tdxexplore import _core
from tdxexplore.errors import BadModel, BadSchedule, Trap
from tdxexplore.model import Model, Procedure, Scope, State, Topology, cpus, lower, packages, reference
from tdxexplore.model.lowering.layout import WIDEST
from tdxexplore.model.lowering.matches import MOST_MATCHES
from tdxexplore.model.lowering.symbolic import MOST_PARTS, MOST_WAYS
from tdxexplore.model.schedule import decode, encode
from witnesses import compare_all

if TYPE_CHECKING:
    from collections.abc import Callable


def finish(model: Model) -> Model:
    model.outcome("deadlock", "S1", model.stuck())
    model.outcome("done", "ok", when=True)
    return model


def increment_lock(threads_read_before: bool) -> Model:
    """Threads increment a shared counter under a lock; each remembers that it has."""
    model = Model("increment_lock")
    lock = model.flag("lock")
    p = Procedure("thread", Scope.CPU)
    p.step("lock")
    p.await_(~lock)
    p.set(lock, value=True)
    if threads_read_before:
        p.step("read")
    p.step("write")
    p.step("release")
    p.set(lock, value=False)
    model.add(p)
    return finish(model)


@pytest.mark.parametrize("cpu_count", [1, 2, 3, 4])
def test_a_lock_lets_threads_through_in_every_order(cpu_count: int) -> None:
    model = increment_lock(threads_read_before=True)
    compared = compare_all(model, State.initial(model, Topology.of(cpu_count)))
    orders = 1
    for n in range(2, cpu_count + 1):
        orders *= n
    assert compared.answer.interleavings == {"done": orders}
    # At rest with k threads done: C(n, k) states; with one inside and k done: n * C(n-1, k), at each of 3 steps.
    assert compared.answer.states == 2**cpu_count + 3 * cpu_count * 2 ** (cpu_count - 1)


def test_an_ipi_pass_waits_for_all_in_any_order() -> None:
    model = Model("ipi")
    online, seen = model.flag("online", Scope.CPU, initial=True), model.flag("seen", Scope.CPU)
    p = Procedure("caller")
    p.step("send")
    with p.on_each_cpu(online, "IPI"):
        p.set(seen, value=True)
    p.step("after")
    model.add(p)
    model.invariant("all were seen", (model["pc.caller"] != "after") | cpus.all(~online | seen))
    compared = compare_all(finish(model), State.initial(model, Topology.of(4)))
    assert compared.answer.interleavings == {"done": 24}
    assert not compared.answer.violating_states


def test_a_serial_loop_over_cpus_finishes_one_before_it_begins_the_next() -> None:
    def build(*, serial: bool) -> reference.Answer:
        model = Model("loop")
        inside = model.flag("inside", Scope.CPU)
        p = Procedure("caller")
        p.step("begin")
        with p.on_each_cpu(True, "enter", serial=serial):
            p.set(inside, value=True)
            p.step("leave")
            p.set(inside, value=False)
        model.add(p)
        return compare_all(finish(model), State.initial(model, Topology.of(3))).answer

    assert build(serial=True).interleavings == {"done": 6}
    # Two steps each on three CPUs: 6! / (2! 2! 2!).
    assert build(serial=False).interleavings == {"done": 90}


def test_packages_are_quantified_with_their_cpus() -> None:
    model = Model("packages")
    ready, busy = model.flag("ready", Scope.CPU), model.flag("busy", Scope.PACKAGE)
    p = Procedure("cpu", Scope.CPU)
    p.step("get ready")
    p.await_(packages.any(~busy))
    p.set(ready, value=True)
    p.set(busy, value=True)
    model.add(p)
    model.outcome("every package", "S4", packages.all(busy))
    model.outcome("some package", "ok", when=True)
    compared = compare_all(model, State.initial(model, Topology((2, 1))))
    assert set(compared.answer.terminal_states) == {"every package"}


REFUSED: dict[str, tuple[Callable[[Model, Procedure], object], str]] = {
    "a field that is not in the model": (
        lambda m, p: p.set(Model("other").flag("stranger"), value=True),
        "`stranger` is not defined in this model",
    ),
    "a value outside a domain": (lambda m, p: p.set(m["kind"], "d"), "cannot be 'd'; it is one of 'a', 'b', 'c'"),
    "a number for a flag": (lambda m, p: p.set(m["flag"], 1), "cannot be 1"),
    "an addition to an enum": (lambda m, p: p.add(m["kind"], 1), "not a counter"),
    "an enum as a condition": (lambda m, p: p.await_(m["kind"]), "not a flag"),
    "a CPU field without a CPU": (lambda m, p: p.await_(m["mine"]), "none acts"),
    "a bulk assignment to a global field": (lambda m, p: p.set_each(cpus, True, {m["flag"]: True}), "not one of a cpu"),
    "a loop in a loop over CPUs": (lambda m, p: _nested_loops(p), "inside another loop"),
    "an else without an if": (lambda m, p: _else(p), "`else_` without `if_`"),
    "a loop without a step": (lambda m, p: _endless(p), "never ends"),
    "the result of a function after a step": (lambda m, p: _late_result(p), "was not set in this step"),
    "forgetting by what is forgotten": (
        lambda m, p: m.forget([m["flag"]], m["flag"]),
        "`flag` is forgotten, and decides",
    ),
    "forgetting by what an earlier one forgets": (
        lambda m, p: _forget_twice(m),
        "`flag` is forgotten, and decides",
    ),
    "forgetting by a field of the acting CPU": (lambda m, p: m.forget([m["kind"]], m["mine"]), "none acts"),
    "a field that does not exist": (lambda m, p: p.set(m["flagg"], True), "did you mean `flag`"),
}


def _forget_twice(m: Model) -> None:
    m.forget([m["kind"]], m["flag"])
    m.forget([m["flag"]], True)


def _nested_loops(p: Procedure) -> None:
    with p.on_each_cpu(True, "outer"), p.on_each_cpu(True, "inner"):
        p.note("never")


def _else(p: Procedure) -> None:
    with p.else_():
        p.note("never")


def _endless(p: Procedure) -> None:
    with p.loop():
        p.note("round")


def _late_result(p: Procedure) -> None:
    with p.function("f()", returns=(0, 1)) as f:
        f.returns(0)
    p.step("later")
    p.await_(f.result == 0)


@pytest.mark.parametrize("what", REFUSED)
def test_the_language_refuses(what: str) -> None:
    def build() -> None:
        model = Model("refused")
        model.flag("flag")
        model.enum("kind", ["a", "b", "c"])
        model.flag("mine", Scope.CPU)
        p = Procedure("actor")
        p.step("begin")
        REFUSED[what][0](model, p)
        model.add(p)
        lower(finish(model))

    with pytest.raises(BadModel) as caught:
        build()
    assert REFUSED[what][1] in str(caught.value)


def test_leaving_the_domain_of_a_counter_is_a_trap_with_the_way_there() -> None:
    model = Model("trap")
    count = model.counter("count", 2)
    p = Procedure("actor")
    with p.loop():
        p.step("count")
        p.add(count, 1)
    model.add(p)
    finish(model)
    program, initial = lower(model), State.initial(model, Topology.of(2))
    for space in ("orbit", "concrete"):
        with pytest.raises(_core.Trap, match="`count` \\+1 leaves its domain, 0 to 2") as caught:
            _core.Program(program.text).explore(program.pack(initial), space=space)
        assert caught.value.schedule == "00"
    with pytest.raises(Trap):
        reference.explore(model, initial)


def test_a_counter_may_begin_below_zero() -> None:
    model = Model("below")
    count = model.counter("count", 1, smallest=-2)
    p = Procedure("actor")
    with p.loop():
        p.step("count")
        with p.either() as choice:
            for delta in (-1, 1):
                with choice.branch():
                    p.await_(count > -2 if delta < 0 else count < 1)
                    p.add(count, delta)
    model.add(p)
    model.expect("below", count == -2)
    model.expect("above", count >= 1)
    compared = compare_all(finish(model), State.initial(model, Topology.of(1)))
    assert compared.answer.states == 4
    assert compared.answer.expected_states == {"below": 1, "above": 1}
    with pytest.raises(BadModel, match="at least -2, not -3"):
        model.counter("none", -3, smallest=-2)


def forgetful(when_done: bool) -> Model:
    """Each CPU leaves a mark, or does not; then all are done, and nobody looks at marks any more."""
    model = Model("forgetful")
    mark, done = model.flag("mark", Scope.CPU), model.flag("done")
    p = Procedure("actor")
    p.step("begin")
    with p.on_each_cpu(True, "mark"), p.either() as choice:
        for value in (False, True):
            with choice.branch():
                p.set(mark, value)
    p.step("end")
    p.set(done, value=True)
    p.step("rest", rest=True)
    model.add(p)
    if when_done:
        model.forget([mark], when=done)
    return finish(model)


def test_what_is_forgotten_tells_no_states_apart() -> None:
    kept, lost = (
        compare_all(model, State.initial(model, Topology.of(3))).answer
        for model in (forgetful(when_done=False), forgetful(when_done=True))
    )
    # The states at "rest" and at the end differ in the marks of three CPUs, or not.
    assert kept.states - lost.states == 2 * (2**3 - 1)
    assert kept.interleavings == lost.interleavings == {"done": 6 * 2**3}


def test_a_state_that_holds_what_is_forgotten_is_no_initial_state() -> None:
    model = forgetful(when_done=True)
    initial = State.initial(model, Topology.of(2))
    initial.globals["done"] = initial.cpus[1]["mark"] = True
    with pytest.raises(BadModel, match="normal form"):
        reference.explore(model, initial)


def test_a_terminal_state_without_an_outcome_is_an_error() -> None:
    model = Model("unclassified")
    p = Procedure("actor")
    p.step("only")
    model.add(p)
    model.outcome("deadlock", "S1", model.stuck())
    program, initial = lower(model), State.initial(model, Topology.of(1))
    with pytest.raises(_core.BadModel, match="outcome"):
        _core.Program(program.text).explore(program.pack(initial))
    with pytest.raises(BadModel, match="matches no outcome"):
        reference.explore(model, initial)


def test_a_terminal_state_gets_the_most_severe_outcome_and_of_equal_ones_the_first() -> None:
    model = Model("order")
    flag = model.flag("flag")
    for name, severity in (("late", "S4"), ("own", "S2"), ("worst", "S0"), ("shared", "S2"), ("rest", "ok")):
        model.outcome(name, severity, flag if name == "worst" else True)
    assert [o.name for o in model.outcomes] == ["worst", "own", "shared", "late", "rest"]
    p = Procedure("actor")
    p.step("only")
    model.add(p)
    assert compare_all(model, State.initial(model, Topology.of(1))).answer.terminal_states == {"own": 1}


def test_schedules_round_trip() -> None:
    indices = [0, 9, 10, 35, 36, 1234, 0]
    assert encode(indices) == "09az(36)(1234)0"
    assert decode(encode(indices)) == indices
    with pytest.raises(BadSchedule, match="position 3"):
        decode("00-")


def test_a_program_dump_reads_like_its_model() -> None:
    text = lower(increment_lock(threads_read_before=False)).to_text()
    assert "field global lock @0+1: False True" in text
    assert "thread: lock" in text
    assert "when global: lock in {False}" in text
    assert "set global: lock := True" in text


def test_the_digest_is_stable_and_depends_on_the_rules() -> None:
    first, again = (lower(increment_lock(threads_read_before=True)).digest for _ in range(2))
    other = lower(increment_lock(threads_read_before=False)).digest
    assert first == again
    assert first != other
    assert len(first) == 32


def test_the_code_on_the_page_of_the_language_runs() -> None:
    page = Path(__file__).parent.parent / "docs" / "language.md"
    codes = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    for code in codes:
        exec(code, names)
    assert len(codes) == 4
    limits = (WIDEST[Scope.GLOBAL], WIDEST[Scope.PACKAGE], WIDEST[Scope.CPU], MOST_WAYS, MOST_MATCHES, MOST_PARTS)
    assert limits == (128, 64, 48, 16_384, 4_096, 4_096)
