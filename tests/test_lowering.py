"""Lowering, case by case: what a step reads after a bulk assignment, numbers of choices, comparisons, bounds and widths."""

from __future__ import annotations

import re
import time
from itertools import product
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any

import pytest

import interpreter
from small_models import finish
from tdxexplore.errors import BadModel
from tdxexplore.export import Form, murphi, tla
from tdxexplore.model import (
    Model,
    Procedure,
    Scope,
    State,
    Topology,
    always,
    cpus,
    lower,
    other_cpus,
    other_package_cpus,
    other_packages,
    package_cpus,
    packages,
    reference,
)
from tdxexplore.model.lowering.symbolic import MOST_WAYS
from tdxexplore.tdx.build import build
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS
from witnesses import compare_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tdxexplore.model import Program
    from tdxexplore.model.expr import Value


def compared(model: Model, state: State) -> reference.Answer:
    """What the reference finds. The engine finds as much, and each step of the Program ends with the same values."""
    answer = compare_all(model, state).answer
    program = lower(model)
    for reached, _ in answer.graph.values():
        interpreter.agrees(model, program, reached)
    return answer


class Board:
    """A model with fields of every scope, and a flag for what a step has read."""

    def __init__(self) -> None:
        self.model = Model("board")
        self.c, self.d = (self.model.flag(name, Scope.CPU) for name in "cd")
        self.pk, self.k = self.model.flag("pk", Scope.PACKAGE), self.model.counter("k", 2, Scope.PACKAGE)
        self.read = self.model.flag("read")
        self.p = Procedure("actor")
        self.p.step("begin")

    def reads(self, sizes: tuple[int, ...], **initial: Sequence[Value]) -> bool:
        """Whether the step ends with ``read``; the Program and the reference agree on it."""
        self.model.add(self.p)
        state = State.initial(finish(self.model), Topology(sizes))
        for name, values in initial.items():
            homes = state.packages if name in state.packages[0] else state.cpus
            for home, value in zip(homes, values, strict=True):
                home[name] = value
        found = compared(self.model, state)
        ends = {s.globals["read"] for s, following in found.graph.values() if not following}
        assert len(ends) == 1
        return ends == {True}


@pytest.mark.parametrize("group", [other_package_cpus, package_cpus, other_cpus, cpus])
@pytest.mark.parametrize("hit", [True, False])
def test_a_bulk_assignment_by_a_package_field_is_read_of_the_acting_package(group: Any, hit: bool) -> None:
    board = Board()
    with board.p.on_any_cpu(always, "step"):
        board.p.set_each(cpus, board.pk, {board.c: True})
        with board.p.if_(group.any(board.c)):
            board.p.set(board.read, value=True)
    assert board.reads((2,), pk=[hit]) is hit


@pytest.mark.parametrize("group", [other_cpus, other_package_cpus])
def test_an_addition_to_a_package_counter_is_read_of_the_other_cpus_of_the_package(group: Any) -> None:
    def build(**initial: list[Value]) -> bool:
        board = Board()
        with board.p.on_any_cpu(board.d, "step"):
            board.p.add(board.k, 1)
            with board.p.if_(group.any(board.k == 1)):
                board.p.set(board.read, value=True)
        return board.reads((2, 1), **initial)

    assert build(d=[True, False, False], k=[0, 0])  # the other CPU of this package
    assert build(d=[True, False, False], k=[0, 1])
    assert not build(d=[True, False, False], k=[1, 0])
    # Alone in its package, it sees the others as they were.
    assert build(d=[False, False, True], k=[1, 0]) is (group is other_cpus)
    assert not build(d=[False, False, True], k=[0, 0])


def test_a_bulk_assignment_over_other_packages_is_read_of_their_cpus_and_not_of_near_ones() -> None:
    def build(read: Callable[[Board], Any]) -> bool:
        board = Board()
        with board.p.on_any_cpu(board.d, "step"):
            board.p.set_each(other_packages, where=True, values={board.pk: True})
            with board.p.if_(read(board)):
                board.p.set(board.read, value=True)
        return board.reads((2, 1), d=[True, False, False])

    assert build(lambda b: cpus.any(b.pk))
    assert build(lambda b: other_cpus.any(b.pk))
    assert build(lambda b: packages.any(b.pk & package_cpus.none(b.d)))
    assert not build(lambda b: other_package_cpus.any(b.pk))
    assert not build(lambda b: package_cpus.any(b.pk))
    assert not build(lambda b: cpus.all(b.pk))
    assert not build(lambda b: b.pk)


@pytest.mark.parametrize("sizes", [(2, 2), (1, 2), (3,)])
def test_a_bulk_assignment_by_a_package_field_that_the_step_has_changed_leaves_near_cpus_to_their_own_package(
    sizes: tuple[int, ...],
) -> None:
    model = Model("far and near")
    c, e = model.flag("c", Scope.CPU), model.enum("e", ["x", "y", "z"], Scope.CPU)
    pk, acts = model.flag("pk", Scope.PACKAGE), model.flag("acts", Scope.CPU)
    p = Procedure("actor")
    p.step("begin")
    with p.on_any_cpu(acts, "step"):
        p.set_each(package_cpus, c, {e: "y"})
        p.set(pk, value=False)
        p.set_each(cpus, pk | (e == "y"), {e: "z"})
        p.set_each(other_cpus, e == "z", {c: False})
    model.add(p)
    states = 0
    finish(model)
    for values in product((False, True), repeat=sum(sizes) + len(sizes)):
        state = State.initial(model, Topology(sizes))
        state.cpus[0]["acts"] = True
        for home, value in zip((*state.packages, *state.cpus), values, strict=True):
            home["pk" if home in state.packages else "c"] = value
        states += compared(model, state).states
    assert states > 2 ** (sum(sizes) + len(sizes))


def test_a_bulk_assignment_that_overwrites_another_hides_it() -> None:
    board = Board()
    board.p.set_each(cpus, board.d, {board.c: True})
    board.p.set_each(cpus, board.c, {board.c: False})
    with board.p.if_(cpus.any(board.c)):
        board.p.set(board.read, value=True)
    assert not board.reads((2,), d=[True, False], c=[False, True])


@pytest.mark.parametrize("met", [True, False])
def test_what_is_known_of_others_decides_no_more_than_it_implies(met: bool) -> None:
    """Nobody is both: so nobody is one of the two? Somebody is one of the two: so somebody is both?"""

    def build(known: Callable[[Any, Any], Any], asked: Callable[[Any, Any], Any], **initial: Sequence[Value]) -> bool:
        board = Board()
        with board.p.if_(known(board.c, board.d)), board.p.if_(asked(board.c, board.d)):
            board.p.set(board.read, value=True)
        return board.reads((2,), **initial)

    apart: list[Value] = [met, False]
    together: list[Value] = [False, met]
    assert build(lambda c, d: cpus.none(c & d), lambda c, _: cpus.any(c), c=apart, d=[False, True]) is met
    assert build(lambda c, _: cpus.any(c), lambda c, d: cpus.any(c & d), c=[False, True], d=together) is met


# -- free choices -------------------------------------------------------------------------------------------------------


def nested_choices() -> Model:
    """A choice among three, of which two are choices among two: five ways."""
    model = Model("choices")
    taken = model.counter("taken", 5)
    p = Procedure("actor")
    p.step("choose")
    numbers = iter(range(1, 6))
    with p.either() as outer:
        for inner in (2, 1, 2):
            with outer.branch():
                if inner == 1:
                    p.set(taken, next(numbers))
                    continue
                with p.either() as choice:
                    for _ in range(inner):
                        with choice.branch():
                            p.set(taken, next(numbers))
    model.add(p)
    return finish(model)


def test_nested_choices_have_numbers_of_their_own() -> None:
    model = nested_choices()
    answer = compared(model, State.initial(model, Topology((1,))))
    assert (answer.states, answer.transitions) == (6, 5)
    assert sorted(rule.choice for rule in lower(model).rules) == [0, 1, 2, 3, 4]


def test_an_action_of_tla_takes_a_condition_on_some_cpu_as_a_value_or_tlc_would_count_each_such_cpu() -> None:
    model = Model("some and none")
    up, bad = model.flag("up", Scope.CPU), model.flag("bad", Scope.CPU)
    p = Procedure("actor")
    p.step("wait")
    p.await_(cpus.any(up) & cpus.none(bad))
    model.add(p)
    model.outcome("some", "S2", cpus.any(up))
    lines = tla(Form(lower(finish(model)), State.initial(model, Topology((2,))))).splitlines()
    quantified = [line.strip().removeprefix("/\\ ") for line in lines if "\\E i" in line]
    assert quantified == [
        r"\/ ((\E i \in Cpus : up[i]))",
        r"(\E i \in Cpus : up[i]) = TRUE",
        r"~(\E i \in Cpus : bad[i])",
    ]


def test_an_exported_rule_of_murphi_stands_for_one_transition_of_a_state() -> None:
    """Ways of one rule exclude each other in every reachable state, or Rumur would lose transitions."""
    looked_at = 0
    for model, sizes in (
        (nested_choices(), (1,)),
        (build(BUILT_IN["v19"](), "strict", SCENARIOS["fault-seamcall"]), (2,)),
    ):
        program = lower(model)
        form = Form(program, State.initial(model, Topology(sizes)))
        by_rule = {(way.number): (n, way.choice) for n, step in enumerate(form.steps) for way in step.ways}
        assert len(re.findall('^ *rule "', murphi(form), re.MULTILINE)) == len(set(by_rule.values()))
        for state, _ in reference.explore(model, form.start).graph.values():
            words = interpreter.Words.of(program, state)
            for p, c in ((-1, -1), *((q, c) for c, q in enumerate(state.package_of))):
                enabled = [
                    by_rule[n]
                    for n, rule in enumerate(program.rules)
                    if (rule.label.scope is Scope.CPU) is (c >= 0) and interpreter.holds(rule.guard, words, p, c)
                ]
                assert len(enabled) == len(set(enabled))
                looked_at += len(enabled)
    assert looked_at > 50


# -- comparisons of fields ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", [eq, ne, lt, le, gt, ge])
@pytest.mark.parametrize("where", ["own", "own and global", "member", "member and global", "member and package"])
def test_fields_are_compared_with_fields(relation: Callable[[Any, Any], Any], where: str) -> None:
    model = Model("compare")
    a, b = model.counter("a", 3, Scope.CPU), model.counter("b", 2, Scope.CPU)
    package, shared = model.counter("package", 3, Scope.PACKAGE), model.counter("shared", 3)
    member = {"member": (a, b), "member and global": (a, shared), "member and package": (package, a)}
    left, right = {"own": (a, b), "own and global": (shared, a), **member}[where]
    p = Procedure("actor", Scope.CPU)
    p.step("step")
    p.await_(other_cpus.any(relation(left, right)) if where in member else relation(left, right))
    model.add(p)
    model.outcome("some", "S2", cpus.any(relation(left, right)))
    model.outcome("rest", "ok", when=True)
    program = lower(model)
    looked_at = 0
    for values in product(range(4), range(3), range(4), range(3), range(4), range(4)):
        state = State.initial(model, Topology((2,)))
        state.cpus[0].update(a=values[0], b=values[1])
        state.cpus[1].update(a=values[2], b=values[3])
        state.packages[0]["package"], state.globals["shared"] = values[4:]

        def value(field: Any, cpu: int, state: State = state) -> int:
            found = {**state.globals, **state.packages[0], **state.cpus[cpu]}[field.name]
            assert isinstance(found, int)
            return found

        holds = [relation(value(left, cpu), value(right, cpu)) for cpu in (0, 1)]
        words = interpreter.Words.of(program, state)
        acts = [order[2] for order, _ in interpreter.transitions(program, words)]
        assert acts == [cpu for cpu in (0, 1) if holds[1 - cpu if where in member else cpu]]
        assert [t.cpu for t in reference.transitions(model, state)] == acts
        assert any(interpreter.holds(g, words, -1, -1) for g in program.outcomes[0][1]) is any(holds)
        looked_at += 1
    assert looked_at == 2304


def test_fields_that_are_never_equal_are_not_compared() -> None:
    model = Model("compare")
    with pytest.raises(BadModel, match="`flag` and `count` have no value in common"):
        model.flag("flag") == model.counter("count", 1)  # noqa: B015


# -- bounds -------------------------------------------------------------------------------------------------------------


def test_a_step_that_copies_three_wide_counters_is_refused_quickly_with_what_multiplies() -> None:
    model = Model("wide")
    fields = [(model.counter(f"from{i}", 63), model.counter(f"to{i}", 63)) for i in range(3)]
    p = Procedure("actor")
    p.step("copy")
    for source, target in fields:
        p.set(target, source)
    model.add(p)
    began = time.process_time()
    with pytest.raises(BadModel) as caught:
        lower(finish(model))
    assert time.process_time() - began < 10
    message = str(caught.value)
    assert f"step `copy` of `actor`: it takes more than {MOST_WAYS} ways" in message
    assert all(f"`from{i}` (64 values)" in message for i in range(3))
    assert "\n" not in message


def test_two_wide_copies_stay_within_the_bound() -> None:
    model = Model("wide")
    fields = [(model.counter(f"from{i}", 63), model.counter(f"to{i}", 63)) for i in range(2)]
    p = Procedure("actor")
    p.step("copy")
    for source, target in fields:
        p.set(target, source)
    model.add(p)
    assert len(lower(finish(model)).rules) == 64 * 64


def test_a_condition_that_takes_too_much_is_refused() -> None:
    def refused(when: Any) -> None:
        model.outcomes.clear()
        model.outcome("asked", "S2", when)
        with pytest.raises(BadModel) as caught:
            lower(model)
        refusals.append(str(caught.value))

    refusals: list[str] = []
    model = Model("matches")
    fields = [model.counter(f"f{i}", 4, Scope.CPU) for i in range(13)]
    shared = [model.counter(f"g{i}", 4) for i in range(13)]
    # Two matches tell 1 and 2 from the rest.
    refused(cpus.any(all_of(f.isin([1, 2]) for f in fields)))
    refused(all_of(f.isin([1, 2]) for f in shared))
    parity = fields[0] == 1
    for field in fields[1:]:
        parity = (parity & (field != 1)) | (~parity & (field == 1))
    refused(cpus.all(parity))
    either = all_of((f == 1) | (g == 1) for f, g in zip(shared, (*shared[1:], shared[0]), strict=True))
    refused(either & all_of(cpus.any(f == 1) | cpus.any(f == 2) for f in fields))
    names = ", ".join(f"`g{i}`" for i in range(13))
    assert refusals[:3] == [
        "outcome `asked`: a condition on others takes more than 4096 matches; ask for less at once",
        f"outcome `asked`: one condition takes more than 4096 matches on {names}; ask for less at once",
        "outcome `asked`: a condition reads more than 4096 times; keep part of it in a field",
    ]
    assert "outcome `asked`: it takes more than 16384 ways, as these multiply: whether some of cpus has" in refusals[3]


def all_of(parts: Iterable[Any]) -> Any:
    found: Any = always
    for part in parts:
        found &= part
    return found


def counting(largest: int) -> Program:
    """A loop that counts up with conditions in the middle of the domain."""
    model = Model("counting")
    count, each = model.counter("count", largest), model.counter("each", largest, Scope.CPU)
    p = Procedure("actor")
    with p.loop():
        p.step("count", rest=True)
        p.await_(count < largest)
        p.add(count, 1)
        with p.if_(count > largest // 3):
            p.add(count, -1)
    model.add(p)
    model.outcome("some", "S2", (count < largest // 5) | cpus.any(each >= largest // 7))
    model.outcome("rest", "ok", when=True)
    return lower(model)


def test_lowering_is_linear_in_the_domain_of_a_counter() -> None:
    counting(100)
    began = time.process_time()
    program = counting(64_000)
    assert time.process_time() - began < 3
    # A range is a few halves of the domain, not its values.
    assert len(program.rules) + len(program.outcomes[0][1]) < 100


def test_ranges_of_a_wide_counter_are_told_apart() -> None:
    program = counting(200)
    slot = program.slots["count"]
    rules = [rule for rule in program.rules if rule.trap is None]
    for value in range(201):
        words = interpreter.Words(slot.encode(value), [0], [0], (0,))
        enabled = [rule for rule in rules if interpreter.holds(rule.guard, words, -1, -1)]
        assert len(enabled) == (value < 200), value
        assert sum(interpreter.holds(g, words, -1, -1) for g in program.outcomes[0][1]) == (value < 40)


@pytest.mark.parametrize(("scope", "limit"), [(Scope.GLOBAL, 128), (Scope.PACKAGE, 64), (Scope.CPU, 48)])
def test_fields_that_do_not_fit_are_named_with_the_limit_before_anything_is_lowered(scope: Scope, limit: int) -> None:
    def build(widths: list[int]) -> Model:
        model = Model("wide")
        for i, width in enumerate(widths):
            model.counter(f"f{i}", (1 << width) - 1, scope)
        p = Procedure("actor")
        p.step("only")
        model.add(p)
        return finish(model)

    used = 1 if scope is Scope.GLOBAL else 0  # the program counter: at its step, or through
    lower(build([10] * (limit // 10) + [limit % 10 - used]))
    with pytest.raises(BadModel) as caught:
        lower(build([10] * (limit // 10) + [limit % 10 + 1 - used, 3]))
    message = str(caught.value)
    assert f"the {scope.value} fields of model `wide` take {limit + 4} bits; {limit} fit: `f0` 10, `f1` 10" in message
    assert "\n" not in message
