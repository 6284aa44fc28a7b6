"""What a recording refuses, and what it records on every way out: no call is silently without effect."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tdxexplore
from small_models import finish
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.model import (
    Group,
    Model,
    Procedure,
    Scope,
    State,
    Topology,
    always,
    block,
    cpus,
    lower,
    packages,
    reference,
)
from tdxexplore.tdx.fields import BUDGETS, World
from tdxexplore.tdx.kernel import OK, Kernel
from tdxexplore.tdx.policies.v19 import V19
from witnesses import compare_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.model import Expr, Field, Frame
    from tdxexplore.model.expr import Variable

HERE = Path(__file__)


def answer(model: Model, sizes: tuple[int, ...] = (2,)) -> reference.Answer:
    return compare_all(model, State.initial(model, Topology(sizes))).answer


# -- names --------------------------------------------------------------------------------------------------------------


def test_a_step_may_have_any_title_that_the_program_counter_has_implicitly() -> None:
    model = Model("titles")
    seen, more = model.flag("seen", Scope.CPU), model.counter("more", 2, initial=2)
    p = Procedure("caller")
    p.step("done")
    with p.on_each_cpu(always, "idle"):
        p.step("done")
        p.set(seen, value=True)
        p.step("idle")
    with p.loop() as rounds:
        p.step("idle")
        with p.if_(more == 0):
            rounds.leave()
        p.add(more, -1)
    model.add(p)
    model.invariant("a caller that is through has seen all", (model["pc.caller"] != "(done)") | cpus.all(seen))
    found = answer(finish(model))
    assert set(found.terminal_states) == {"done"}
    assert not found.violating_states
    # Three steps each on two CPUs, before them one, after them three rounds.
    assert found.interleavings == {"done": 20}


@pytest.mark.parametrize("title", ["", "(idle)", "(done)", "(anything)"])
def test_no_title_reaches_the_implicit_values(title: str) -> None:
    with pytest.raises(BadModel, match="a title begins with something else than `\\(`"):
        Procedure("actor").step(title)


def test_a_title_like_the_name_of_a_repeated_step_is_a_step_of_its_own() -> None:
    model = Model("titles")
    p = Procedure("actor")
    for title in ("x #2", "x", "x", "x #2"):
        p.step(title)
    model.add(p)
    assert model["pc.actor"].values == ("x #2", "x", "x #3", "x #2 #2", "(done)")
    assert answer(finish(model)).states == 5


def test_results_of_two_calls_of_one_function_are_two_results() -> None:
    model = Model("results")
    right, wrong = model.flag("right"), model.flag("wrong")

    def called(p: Procedure, value: str) -> Variable:
        with p.function("f()", returns=("a", "b")) as f:
            f.returns(value)
        return f.result

    p = Procedure("actor")
    p.step("call twice")
    first, second = called(p, "a"), called(p, "b")
    with p.if_((first == "a") & (second == "b")):
        p.set(right, value=True)
    with p.if_(first == second):
        p.set(wrong, value=True)
    model.add(p)
    model.expect("right", right & ~wrong)
    assert answer(finish(model)).expected_states == {"right": 1}


def test_a_field_cannot_be_named_like_a_program_counter() -> None:
    with pytest.raises(BadModel, match=r"`pc.x` has the name of a program counter"):
        Model("names").flag("pc.x")
    model = Model("names")
    for actor, pass_ in (("a", True), ("a.cpu", False)):
        p = Procedure(actor)
        p.step("begin")
        if pass_:
            with p.on_each_cpu(always, "each"):
                pass
            model.add(p)
    with pytest.raises(BadModel, match=r"the program counter of `a.cpu` is `pc.a.cpu`, which is a field already"):
        model.add(p)


def test_another_actor_may_only_be_put_back_to_its_start() -> None:
    def build(*fields: tuple[str, str]) -> None:
        model = Model("counters")
        victim = Procedure("victim")
        victim.step("begin")
        with victim.on_each_cpu(always, "each"):
            victim.step("later")
        model.add(victim)
        p = Procedure("actor")
        p.step("move")
        for name, value in fields:
            if name == "pc.victim":
                p.set(model[name], value)
            else:
                p.set_each(cpus, where=True, values={model[name]: value})
        model.add(p)

    build(("pc.victim", "begin"), ("pc.victim.cpu", "(idle)"))
    with pytest.raises(BadModel, match=r"sets `pc.victim` and leaves `pc.victim.cpu`; it must reset all or none"):
        build(("pc.victim", "begin"))
    with pytest.raises(BadModel, match=r"moves `pc.victim.cpu` of another actor"):
        build(("pc.victim", "begin"), ("pc.victim.cpu", "later"))


# -- blocks -------------------------------------------------------------------------------------------------------------


def world() -> World:
    return World(Model("world"), "strict", dict.fromkeys(BUDGETS, 0))


def kernel(w: World) -> Kernel:
    k = Kernel(w, "actor")
    k.step("begin")
    return k


@block
def helper(k: Kernel) -> Iterator[None]:
    with k.cpus_read_lock():
        yield


UNENTERED: dict[str, Callable[[Kernel], Any]] = {
    "cpus_read_lock": lambda k: k.cpus_read_lock(),
    "mutex": lambda k: k.mutex(k.w.tdx_lock),
    "if_": lambda k: k.if_(k.w.booted),
    "loop": lambda k: k.loop(),
    "either": lambda k: k.either(),
    "function": lambda k: k.function("f()"),
    "on_any_cpu": lambda k: k.on_any_cpu(k.w.online, "any"),
    "on_each_cpu": lambda k: k.on_each_cpu(k.w.online, "each"),
    "on_each_package": lambda k: k.on_each_package(always, "each"),
    "stop_machine": lambda k: k.stop_machine(),
    "fault": lambda k: k.fault("no_memory"),
    "once_in_each_package": lambda k: k.once_in_each_package(k.w.online, k.w.pkg_config, "once"),
    "helper": helper,
}


@pytest.mark.parametrize("name", UNENTERED)
def test_a_block_that_is_not_entered_is_an_error_with_its_line(name: str) -> None:
    w = world()
    k = kernel(w)
    UNENTERED[name](k)
    with pytest.raises(BadModel) as caught:
        w.model.add(k)
    assert f"`{name}(...)` is not entered, so it records nothing" in str(caught.value)
    line = UNENTERED[name].__code__.co_firstlineno if name != "helper" else None
    if line is not None:
        assert str(caught.value).startswith(f"{HERE}, line {line}: ")


def test_a_branch_that_is_not_entered_is_an_error_too() -> None:
    p = Procedure("actor")
    p.step("begin")
    with p.either() as choice:
        choice.branch()
    with pytest.raises(BadModel, match=r"`branch\(...\)` is not entered"):
        p.finish()


def test_a_block_cannot_be_entered_twice() -> None:
    p = Procedure("actor")
    p.step("begin")
    again = p.loop()
    with again:
        p.step("round")
    with pytest.raises(BadModel, match="a second time"), again:
        pass


def test_every_block_of_a_recording_says_when_it_is_not_entered() -> None:
    """A mechanism that is written with ``contextlib.contextmanager`` would lose that."""
    looked_at = 0
    for path in sorted((HERE.parent.parent / "python" / "tdxexplore").rglob("*.py")):
        # `blocks` is where it is done; importing the file of a policy records nothing.
        if {"model", "linux", "tdx"} & set(path.parts[-3:]) and path.name not in ("blocks.py", "policy_file.py"):
            assert "contextmanager" not in path.read_text(), f"{path}: use `tdxexplore.model.block`"
            looked_at += 1
    assert looked_at >= 30


# -- callbacks and conditions -------------------------------------------------------------------------------------------


def returns_nothing(p: Procedure) -> Variable:
    with p.function("callback()", returns=("0", "-EIO")) as f:
        f.returns("0")
    return None  # type: ignore[return-value]


def returns_a_name(_: Procedure) -> Variable:
    return OK  # type: ignore[return-value]


@pytest.mark.parametrize("callback", [returns_nothing, returns_a_name])
def test_a_callback_that_returns_no_result_is_an_error_that_names_it(callback: Callable[[Procedure], Variable]) -> None:
    p = Procedure("actor")
    p.step("begin")
    with pytest.raises(BadModel) as caught:
        p.call(callback)
    line = callback.__code__.co_firstlineno
    assert f"{HERE}, line {line}: `{callback.__name__}` returns " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_condition_that_python_has_decided_is_an_error() -> None:
    p = Procedure("actor")
    p.step("begin")
    forgotten: Any = None
    with pytest.raises(BadModel, match="is True, which Python has decided"), p.if_(forgotten != OK):
        pass
    with pytest.raises(BadModel, match="is False, which Python has decided"):
        p.await_(forgotten == OK)


@pytest.mark.parametrize("compare", [lambda r: r == "-EAGAIN", lambda r: r != "-EAGAIN", lambda r: r.isin(["0", 0])])
def test_a_result_is_compared_with_what_it_can_be_only(compare: Callable[[Variable], Expr]) -> None:
    p = Procedure("actor")
    p.step("begin")
    with p.function("f()", returns=("0", "-EIO")) as f:
        f.returns("0")
    with pytest.raises(BadModel, match=r"`f\(\).return` cannot be .*; it is one of '0', '-EIO'"):
        compare(f.result)


def test_a_counter_is_ordered_with_numbers_and_counters_only() -> None:
    model = Model("order")
    count, flag = model.counter("count", 3), model.flag("flag")
    for wrong in ("1", True, None):
        with pytest.raises(BadModel, match="counter `count` can be compared with a number or a counter"):
            count < wrong  # type: ignore[operator]  # noqa: B015
    with pytest.raises(BadModel, match="field `flag` is not a counter, so it has no order"):
        count < flag  # noqa: B015


def test_a_counter_up_to_one_is_no_flag() -> None:
    model = Model("flags")
    p = Procedure("actor")
    with pytest.raises(BadModel, match="`count` is not a flag; compare it with one of 0, 1"):
        p.await_(model.counter("count", 1))


# -- ways out -----------------------------------------------------------------------------------------------------------


@block
def locked(p: Procedure, lock: Field) -> Iterator[None]:
    p.step("lock")
    p.await_(~lock)
    p.set(lock, value=True)
    with p.holding(lambda: p.set(lock, value=False)):
        yield


@pytest.mark.parametrize("way", ["end", "returns", "leave", "both"])
def test_a_lock_is_released_on_every_way_out(way: str) -> None:
    model = Model("ways out")
    lock, quick = model.flag("lock"), model.flag("quick")
    for actor in ("first", "second"):
        p = Procedure(actor)
        p.step("begin")
        with p.either() as choice:
            for value in (True, False):
                with choice.branch():
                    p.set(quick, value)
        with p.function("f()") as f, p.loop() as rounds:
            with locked(p, lock):
                p.step("inside")
                if way in ("returns", "both"):
                    with p.if_(quick):
                        f.returns()
                if way in ("leave", "both"):
                    with p.if_(~quick):
                        rounds.leave()
            if way in ("end", "returns"):
                rounds.leave()
        model.add(p)
    model.invariant(
        "nobody is through and holds it", ~lock | (model["pc.first"] == "inside") | (model["pc.second"] == "inside")
    )
    found = answer(finish(model), (1,))
    assert set(found.terminal_states) == {"done"}
    assert not found.violating_states


def test_a_pass_that_stops_releases_what_a_cpu_took_and_lets_the_others_finish() -> None:
    def build(*, serial: bool) -> reference.Answer:
        model = Model("stop")
        lock, began, ended = model.flag("lock"), model.flag("began", Scope.CPU), model.flag("ended", Scope.CPU)
        p = Procedure("caller")
        p.step("send")
        with p.on_each_cpu(always, "enter", serial=serial) as each:
            p.set(began, value=True)
            with locked(p, lock):
                p.step("inside")
                with p.either() as choice:
                    with choice.branch():
                        p.set(ended, value=True)
                        each.stop()
                    with choice.branch():
                        p.set(ended, value=True)
        p.step("after")
        model.add(p)
        model.invariant("after it no CPU is inside", (model["pc.caller"] != "after") | cpus.all(~began | ended) & ~lock)
        model.expect("some CPU never began", (model["pc.caller"] == "(done)") & cpus.any(~began))
        model.outcome("deadlock", "S1", model.stuck())
        model.outcome("done", "ok", when=True)
        return answer(model, (3,))

    for serial in (True, False):
        found = build(serial=serial)
        assert set(found.terminal_states) == {"done"}, serial
        assert not found.violating_states
        assert found.expected_states["some CPU never began"] > 0


def leaves_a_function(p: Procedure, f: Frame) -> None:
    with p.on_each_cpu(always, "each"):
        f.returns()


def leaves_late(p: Procedure, _: Frame) -> None:
    with p.function("g()") as g:
        p.note("g")
    g.returns()


def stops_late(p: Procedure, _: Frame) -> None:
    with p.on_each_cpu(always, "each") as each:
        p.note("each")
    each.stop()


def branches_late(p: Procedure, _: Frame) -> None:
    with p.either() as choice, choice.branch():
        p.note("one")
    with choice.branch():
        p.note("two")


def says_something_between(p: Procedure, _: Frame) -> None:
    with p.either() as choice:
        with choice.branch():
            p.note("one")
        p.note("lost")
        with choice.branch():
            p.note("two")


WRONG_WAYS: dict[Callable[[Procedure, Frame], None], str] = {
    leaves_a_function: "`f()` of `actor` is left from inside a loop over CPUs",
    leaves_late: "`g()` of `actor` is left after its end",
    stops_late: "`pass` of `actor` is left after its end",
    branches_late: "has something besides its branches",
    says_something_between: "has something besides its branches",
}


@pytest.mark.parametrize("wrong", WRONG_WAYS)
def test_what_leads_nowhere_is_refused(wrong: Callable[[Procedure, Frame], None]) -> None:
    p = Procedure("actor")
    p.step("begin")
    with pytest.raises(BadModel) as caught, p.function("f()") as f:
        wrong(p, f)
    assert WRONG_WAYS[wrong] in str(caught.value)


# -- who is meant -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "group", "missing"),
    [
        (Scope.GLOBAL, Group.OTHER_CPUS, "cpu"),
        (Scope.GLOBAL, Group.OTHER_PACKAGE_CPUS, "cpu"),
        (Scope.GLOBAL, Group.PACKAGE_CPUS, "package"),
        (Scope.GLOBAL, Group.OTHER_PACKAGES, "package"),
        (Scope.PACKAGE, Group.OTHER_CPUS, "cpu"),
        (Scope.PACKAGE, Group.OTHER_PACKAGE_CPUS, "cpu"),
    ],
)
@pytest.mark.parametrize("how", ["condition", "bulk assignment", "property"])
def test_a_group_is_refused_where_nobody_acts_whom_it_is_relative_to(
    scope: Scope, group: Group, missing: str, how: str
) -> None:
    model = Model("groups")
    field = model.flag("field", group.scope)
    p = Procedure("actor", scope)
    p.step("begin")
    if how == "condition":
        p.await_(group.any(field))
    elif how == "bulk assignment":
        p.set_each(group, where=True, values={field: True})
    elif scope is Scope.GLOBAL:
        model.outcome("asked", "S2", group.none(field))
    else:
        model.outcome("asked", "S2", packages.any(group.none(field)))
    model.add(p)
    finish(model)
    with pytest.raises(BadModel, match=f"`{group.value}` is used where no {missing} acts"):
        lower(model)
    with pytest.raises(BadModel, match=f"`{group.value}` is used where no {missing} acts"):
        reference.explore(model, State.initial(model, Topology((2,))))


def test_a_cpu_field_of_a_package_is_refused() -> None:
    model = Model("scopes")
    mine = model.flag("mine", Scope.CPU)
    p = Procedure("actor", Scope.CPU)
    p.step("begin")
    p.await_(packages.any(mine))
    model.add(p)
    with pytest.raises(BadModel, match="field `mine` of a cpu is used where none acts"):
        lower(finish(model))


def test_a_deadlock_is_one_of_every_actor_whenever_it_is_asked_for() -> None:
    model = Model("stuck")
    model.outcome("deadlock", "S1", model.stuck())
    model.outcome("done", "ok", when=True)
    p = Procedure("late")
    p.step("wait for ever")
    p.await_(model.flag("never"))
    model.add(p)
    assert answer(model).terminal_states == {"deadlock": 1}


@pytest.mark.parametrize("who", ["an actor on each CPU", "a CPU in a pass", "a package in a pass"])
def test_whoever_stands_still_on_a_cpu_or_package_is_stuck(who: str) -> None:
    """Also if the actor that waits for the pass may rest."""
    model = Model("stuck")
    p = Procedure("waits", Scope.CPU if who == "an actor on each CPU" else Scope.GLOBAL)
    p.step("begin", rest=True)
    each = {"a CPU in a pass": p.on_each_cpu, "a package in a pass": p.on_each_package}.get(who)
    with each(always, "begin each", rest=True) if each else nullcontext():
        p.step("wait for ever")
        p.await_(model.flag("never"))
    model.add(p)
    assert set(answer(finish(model)).terminal_states) == {"deadlock"}


def test_no_procedure_comes_after_the_model_has_been_settled() -> None:
    model = Model("settled")
    model.flag("unused")
    model.settle()
    p = Procedure("late")
    p.step("begin")
    with pytest.raises(BadModel, match="added after the model has been settled"):
        model.add(p)


def test_an_actor_can_rest_before_a_pass() -> None:
    def build(*, rest: bool, each: bool) -> set[str]:
        model = Model("rest")
        ready = model.flag("ready", Scope.CPU)
        p = Procedure("caller")
        p.step("begin")
        with (p.on_each_cpu if each else p.on_any_cpu)(always, "whenever it is ready", rest=rest):
            p.await_(ready)
        model.add(p)
        return set(answer(finish(model)).terminal_states)

    for each in (True, False):
        assert build(rest=True, each=each) == {"done"}
        assert build(rest=False, each=each) == {"deadlock"}


def test_a_policy_declares_outcomes_of_any_severity_and_invariants_of_its_own() -> None:
    class Own(V19):
        name = "own"

        def declare(self, w: World) -> None:
            super().declare(w)
            w.model.outcome("tdx-up-on-all", "ok", (w.tdx_status == "INITIALIZED") & cpus.all(w.lp_is_init))
            w.model.outcome("refused-twice", "S2", w.vm_refused & (w.sysinit_ret == "-EIO"))
            w.model.outcome("kvm-came-up", "S1", w.kvm_loaded & w.model.stuck())
            w.model.invariant("VMX is off outside the pass", ~w.kvm_loaded | cpus.none(w.vmx_on), severity="S3")

    found = tdxexplore.check(Own, cpus=2, scenario="late-online", module="subset")
    plain = tdxexplore.check("v19", cpus=2, scenario="late-online", module="subset")
    names = [o.name for o in Question.of(Own, scenario="late-online").compile().model.outcomes]
    assert names.index("deadlock") > names.index("kvm-came-up") > names.index("cpuhp-bug")
    assert names.index("td-error") > names.index("refused-twice") > names.index("tds-lost")
    assert names[-3:] == ["tdx-up-on-all", "tdx-up", "clean-refusal"]
    # It holds what the shared outcomes hold, and besides what it asks itself.
    assert int(found.runs["states"][0]) == int(plain.runs["states"][0])
    assert "VMX is off outside the pass" in set(found.invariants["invariant"])
