"""Why: every claim is held against all runs, one by one, as the reference interpreter takes them."""

from __future__ import annotations

import json
import time
from itertools import pairwise, permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest

import tdxexplore
from aloud import every_run, happens, met
from tdxexplore import cli
from tdxexplore.errors import BadModel, TooLarge
from tdxexplore.explore.check import check
from tdxexplore.explore.decisive import Fate, decisive_step
from tdxexplore.explore.learning import Learning
from tdxexplore.explore.observing import observe
from tdxexplore.explore.orders import ANYWHERE, NEAR, ONE, OTHER, Condition, Vocabulary
from tdxexplore.explore.question import Question
from tdxexplore.explore.unfolding import NONE, Unfolding, unfold
from tdxexplore.explore.why import Explainer, explain
from tdxexplore.model import State, reference
from tdxexplore.model.execution import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.orders import Event
    from tdxexplore.explore.reasons import Order
    from tdxexplore.model.execution import Transition
    from tdxexplore.tdx.fields import ModuleKind


# Small enough to take every run one by one: policy, module kind, CPUs, scenario.
CELLS: list[tuple[str, ModuleKind, int, str]] = [
    ("v19", "strict", 2, "nosmt"),
    ("v19", "strict", 2, "fault-vmxon"),
    ("inner-enable-kvm-hook", "strict", 2, "fault-seamcall"),
    ("linux-6.16", "subset", 2, "fault-vmxon"),
    ("linux-7.1", "strict", 2, "fault-vmxon"),
    ("hook-before-users", "strict", 1, "second-user"),
    ("v7-2022", "strict", 1, "kexec"),
]
DEADLOCK = "dyn-hook-if-enabled"


@pytest.mark.parametrize(("policy", "module", "cpus", "scenario"), CELLS)
def test_a_run_has_the_outcome_if_and_only_if_it_meets_a_cause(
    policy: str, module: ModuleKind, cpus: int, scenario: str
) -> None:
    question = Question.of(policy, module=module, cpus=cpus, scenario=scenario)
    actors = question.compile().program.actors
    found = explain(question)
    assert found.if_and_only_if
    assert found.causes
    runs = list(every_run(question))
    assert len(runs) == found.interleavings > 10
    ends = {True: 0, False: 0}
    counts = [0] * len(found.causes)
    for run, outcome in runs:
        of = [met(run, reason.orders, cpus, actors) for reason in found.causes]
        assert any(of) == (outcome == found.outcome), [s.label.title for s in run]
        ends[any(of)] += 1
        counts = [n + m for n, m in zip(counts, of, strict=True)]
        if outcome == found.outcome:
            for order in (o for reason in found.causes for o in reason.orders if o.necessary):
                assert met(run, (order,), cpus, actors)
    assert min(ends.values()) > 0
    assert ends[True] == found.part.interleavings
    assert counts == [reason.part.interleavings for reason in found.causes]


def test_the_circle_of_a_deadlock_is_one_condition_on_all_parties() -> None:
    """There are too many runs to take one by one: each state is taken with what is known of each order when it is reached."""
    question = Question.of("v17", cpus=2, scenario="kvm-locks")
    found = explain(question)
    assert (found.outcome, found.if_and_only_if) == ("deadlock", True)
    circles = [order for reason in found.causes for order in reason.orders if order.first.either]
    assert sorted(len(order.first.either) for order in circles) == [4, 5]
    causes = [[pair for order in reason.orders for pair in pairs_of(order)] for reason in found.causes]
    pairs = list(dict.fromkeys(pair for cause in causes for pair in cause))
    compiled = question.compile()
    actors, model = compiled.program.actors, compiled.model
    waiting: list[tuple[State, tuple[bool | None, ...]]] = [(model.initial(question.topology), (None,) * len(pairs))]
    known: set[object] = set()
    transitions: dict[object, list[Transition]] = {}
    ends = {True: 0, False: 0}
    while waiting:
        state, orders = waiting.pop()
        key = state.key()
        if (key, orders) in known:
            continue
        known.add((key, orders))
        if key not in transitions:
            transitions[key] = reference.transitions(model, state)
        for step in transitions[key]:
            now = list(orders)
            for at, (first, other) in enumerate(pairs):
                if now[at] is None and happens(step, other, None, actors):
                    now[at] = False
                elif now[at] is None and happens(step, first, None, actors):
                    now[at] = True
            waiting.append((step.target, tuple(now)))
        if not transitions[key]:
            of = dict(zip(pairs, orders, strict=True))
            is_met = any(all(of[pair] for pair in cause) for cause in causes)
            assert is_met == (outcome_of(model, state) == "deadlock")
            ends[is_met] += 1
    assert min(ends.values()) > 0


def pairs_of(order: Order) -> list[tuple[Event, Event]]:
    """Which step has to come before which, anywhere and for the first time."""
    assert order.before is not None
    assert (order.on, order.where, order.since, order.nth, order.before_nth) == ("", "", None, 1, 1)
    return [(first, order.before) for first in order.first.either or (order.first,)]


def cell(policy: str, scenario: str, module: ModuleKind = "strict", cpus: int = 2, packages: int = 1) -> Unfolding:
    graph = unfold(Question.of(policy, module=module, cpus=cpus, packages=packages, scenario=scenario), 20_000)
    assert isinstance(graph, Unfolding)
    return graph


def test_the_observer_agrees_with_the_definition_of_any_condition() -> None:
    """Random conditions, whether they explain anything or not."""
    graph = cell("linux-7.1", "fault-vmxon", cpus=3, packages=2)
    words = Vocabulary.of(graph)
    dice = np.random.default_rng(0)
    paths = list(every_path(graph))
    looked = 0
    happening = np.unique(words.marks[words.marks != NONE])
    for _ in range(40):
        cause = tuple(
            Condition(
                int(dice.choice(happening)),
                int(dice.integers(4)),
                int(dice.choice([NONE, *happening])),
                int(dice.integers(4)),
                bool(dice.integers(2)),
                int(dice.choice(happening)) if dice.random() < 0.3 else NONE,
                1 + int(dice.random() < 0.2),
                1 + int(dice.random() < 0.2),
            )
            for _ in range(dice.integers(1, 4))
        )
        seen = observe(words, [cause], count=True)
        expected = sum(by_definition(graph, words, path, cause) for path in paths)
        assert seen.runs[seen.met == 1].sum() == expected
        assert seen.runs.sum() == len(paths)
        looked += 0 < expected < len(paths)
    assert looked >= 3
    assert len(paths) == int(check("linux-7.1", cpus=3, packages=2, scenario="fault-vmxon").runs["interleavings"][0])


def every_path(graph: Unfolding) -> Iterator[list[int]]:
    waiting: list[tuple[int, list[int]]] = [(0, [])]
    while waiting:
        state, path = waiting.pop()
        edges = range(graph.indptr[state], graph.indptr[state + 1])
        if not edges:
            yield path
        waiting += [(int(graph.target[edge]), [*path, edge]) for edge in edges]


def by_definition(graph: Unfolding, words: Vocabulary, path: list[int], cause: tuple[Condition, ...]) -> bool:
    def times(event: int, cpus: set[int]) -> list[float]:
        marks = ((at, words.marks[:, e].tolist(), int(graph.cpu[e])) for at, e in enumerate(path))
        return [at for at, m, where in marks if event != NONE and event in m and where in cpus]

    def is_met(c: Condition, on: dict[int, set[int]]) -> bool:
        comes, others, never = times(c.first, on[c.at]), times(c.before, on[c.where]), [float("inf")] * 3
        if c.since != NONE:
            began = times(c.since, on[c.where])
            return any(
                before < at and not any(before < other <= at for other in others) for at in comes for before in began
            )
        one, other = (comes + never)[c.nth - 1], (others + never)[c.before_nth - 1]
        return one < other and not (c.comes and c.before != NONE and other == float("inf"))

    choices = permutations(range(graph.cpus), 2)
    near = [
        {n for n, package in enumerate(graph.package_of) if package == own and n != cpu}
        for cpu, own in enumerate(graph.package_of)
    ]
    everywhere = {NONE, *range(graph.cpus)}
    places = [{ANYWHERE: everywhere, ONE: {c}, OTHER: {d}, NEAR: near[c]} for c, d in choices]
    return any(all(is_met(c, on) for c in cause) for on in places)


def test_unfolding_has_the_states_transitions_and_runs_of_the_search() -> None:
    for policy, module, cpus, scenario in CELLS:
        graph = cell(policy, scenario, module, cpus)
        answer = check(policy, module=module, cpus=cpus, scenario=scenario)
        row = answer.runs.row(0, named=True)
        assert (graph.states, len(graph.target)) == (int(row["states"]), int(row["transitions"]))
        assert int(graph.runs_onward()[0]) == int(row["interleavings"])


def test_the_decisive_step_is_the_first_after_which_every_run_has_the_outcome() -> None:
    question = Question.of(DEADLOCK, cpus=2, scenario="offline-mid-enable")
    runs = every_run(question)
    from_state: dict[object, set[str]] = {}
    for run, outcome in runs:
        for step in run:
            from_state.setdefault(step.target.key(), set()).add(outcome)
    looked = 0
    for name, trace in check(DEADLOCK, cpus=2, scenario="offline-mid-enable").traces.items():
        if trace.outcome is None:
            continue
        number = decisive_step(question, trace.schedule, name)
        taken = reference.replay(question.compile().model, start(question), trace.schedule)
        certain = [from_state[step.target.key()] == {name} for step in taken]
        assert number == certain.index(True) + 1
        assert f">{number} " in trace.to_text() or f">{number}-" in trace.to_text()
        assert f"step {number} decides" in trace.to_text()
        looked += 1
    assert looked >= 3


def start(question: Question) -> State:
    compiled = question.compile()
    return compiled.model.initial(question.topology)


def test_mail_marks_the_decisive_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", DEADLOCK, "--cpus", "2", "--scenario", "offline-mid-enable", "--mail"]) == 1
    shown = capsys.readouterr().out
    assert "\n>#13 " in shown
    assert "> step 13 decides" in shown


def test_the_fewest_switches_are_the_fewest_of_all_runs() -> None:
    question = Question.of(DEADLOCK, cpus=2, scenario="offline-mid-enable")
    found = explain(question)
    each = [
        (sum(a.actor != b.actor for a, b in pairwise(run)), len(run))
        for run, outcome in every_run(question)
        if outcome == found.outcome
    ]
    assert (found.switches[1], len(found.easiest)) == min(each)
    assert len(found.shortest) == min(length for _, length in each)
    assert found.easiest.outcome == found.shortest.outcome == found.outcome


def test_shares_and_probabilities_are_those_of_the_search() -> None:
    looked = 0
    for policy, module, cpus, scenario in CELLS[:4]:
        answer = check(policy, module=module, cpus=cpus, scenario=scenario)
        for row in answer.outcomes.iter_rows(named=True):
            found = tdxexplore.why(policy, module=module, cpus=cpus, scenario=scenario, outcome=row["outcome"])
            assert found.part.interleavings == int(row["interleavings"])
            assert found.part.probability == pytest.approx(row["probability"])
            assert found.covered == 1 or not found.if_and_only_if
            assert sum(d.share for d in found.deciding) == pytest.approx(0 if found.always else 1)
            looked += 1
    assert looked > 10


def test_where_every_run_ends_so_nothing_decides() -> None:
    found = tdxexplore.why("v19", cpus=3, scenario="late-online")
    assert (found.always, found.if_and_only_if, found.causes, found.deciding) == (True, True, (), ())


def test_a_wrong_guess_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The re-check does not trust what was learned."""
    question = Question.of(DEADLOCK, cpus=2, scenario="offline-mid-enable")
    graph = cell(DEADLOCK, "offline-mid-enable")
    outcome = int(graph.outcome[graph.outcome != NONE].min())
    guess = Learning(Vocabulary.of(graph), outcome, Fate.of(graph, outcome))
    guess.learn()
    assert guess.exact
    assert len(guess.causes) == 1
    assert len(guess.causes[0]) == 2
    for half in guess.causes[0]:

        def learn(learning: Learning, half: Condition = half) -> None:
            learning.causes, learning.exact = ((half,),), True

        monkeypatch.setattr("tdxexplore.explore.why.Learning.learn", learn)
        found = explain(question)
        assert (found.causes, found.if_and_only_if, found.covered) == ((), False, 0)


def test_the_time_limit_leaves_what_is_proved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Learning that never ends is cut; what is said then holds for every run."""
    question = Question.of(DEADLOCK, cpus=2, scenario="offline-mid-enable")
    whole = explain(question)
    guess = Learning.learn

    def endless(learning: Learning) -> None:
        guess(learning)
        learning.causes, learning.exact = learning.causes[:missing], False
        while True:
            pass

    monkeypatch.setattr("tdxexplore.explore.why.Learning.learn", endless)
    for missing, exact in ((0, False), (1, True)):
        began = time.monotonic()
        found = explain(question, timeout=1)
        assert 0.5 < time.monotonic() - began < 2
        assert (found.if_and_only_if, found.cut, found.causes) == (exact, not exact, whole.causes[:missing])
    missing = 0
    assert cli.run(["why", DEADLOCK, "--cpus", "2", "--scenario", "offline-mid-enable", "--timeout", "1"]) == 3
    shown = capsys.readouterr().out
    assert "The time was up before conditions" in shown
    assert shown.count("[necessary]") > 1
    found = explain(question, timeout=1)
    actors = question.compile().program.actors
    bad = [run for run, outcome in every_run(question) if outcome == found.outcome]
    assert len(bad) == found.part.interleavings > 10
    assert found.necessary
    assert all(met(run, (order,), 2, actors) for order in found.necessary for run in bad)


def test_all_outcomes_share_one_list_of_the_states(monkeypatch: pytest.MonkeyPatch) -> None:
    question = Question.of(DEADLOCK, cpus=2, scenario="offline-mid-enable")
    shared = Explainer(question)
    monkeypatch.setattr("tdxexplore.explore.why.unfold", None)
    names = check(DEADLOCK, cpus=2, scenario="offline-mid-enable").outcomes["outcome"].to_list()
    assert len(names) >= 3
    found = [shared.why(name) for name in names]
    assert [each.outcome for each in found] == names
    assert sum(each.part.interleavings for each in found) == found[0].interleavings


def test_the_command_prints_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["why", DEADLOCK, "--cpus", "2", "--scenario", "offline-mid-enable"]
    assert cli.run(asked) == 0
    shown = capsys.readouterr().out
    assert "A run ends so if and only if:" in shown
    assert shown.count("[necessary]") == 2
    assert "Re-checked on all runs" in shown
    assert max(map(len, (line for line in shown.splitlines() if "replay" not in line))) <= 100
    assert cli.run([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "deadlock"
    assert [order["necessary"] for order in document["causes"][0]["orders"]] == [True, True]
    assert document["interleavings"] == str(
        explain(Question.of(asked[1], cpus=2, scenario=asked[5])).part.interleavings
    )


def test_what_cannot_be_explained_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["why", "v19", "--cpus", "2", "--outcome", "corupt"]) == 2
    assert "no run ends so" in capsys.readouterr().err
    assert cli.run(["why", "v19", "--max-states", "10"]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert cli.run(["why", "v17", "--cpus", "2", "--budget", "cpu_up=unbounded", "--budget", "cpu_down=unbounded"]) == 3
    assert "one need not end" in capsys.readouterr().err
    with pytest.raises(TooLarge):
        tdxexplore.why("v19", cpus=64, packages=2, scenario="nosmt", max_states=1000)
    with pytest.raises(BadModel):
        tdxexplore.why("v19", outcome="corrupt", cpus=2)
