"""Over random models and random policies: a diff says that a violation is added exactly if the checks do, every cell that was
asked for is in every table, and shares sum to 1.

What is a violation is said here once more, in plain loops over the reference or over the rows of a check.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from random_models import Generator
from tdxexplore import check, compare
from tdxexplore.data import analysis
from tdxexplore.data.reading import answers, findings
from tdxexplore.data.schema import TABLES
from tdxexplore.errors import BadModel, Trap
from tdxexplore.explore.check import explore
from tdxexplore.explore.difference import Difference
from tdxexplore.explore.engine import Engine
from tdxexplore.explore.question import Compiled, Question
from tdxexplore.explore.settings import Settings
from tdxexplore.model import SEVERITIES, Topology, lower, reference
from tdxexplore.sweep.batch import Answer, explore_points
from tdxexplore.sweep.comparison import Comparison
from tdxexplore.sweep.points import Cell, Point
from tdxexplore.tdx.policies import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.explore.exploration import Exploration
    from tdxexplore.model import Model, State
    from tdxexplore.sweep.batch import Failure
    from tdxexplore.tdx.kernel import Kernel
    from tdxexplore.tdx.policy import Policy

LARGEST = 400
PAIRS = 60
SEVERE = ("S0", "S1", "S2", "S3", "S4")


# -- random models ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def built(seed: int) -> tuple[Model, State, reference.Answer] | None:
    """A random model that is small, and what the reference says of it."""
    try:
        model, initial = Generator(seed).build()
        program = lower(model)
        found = Engine(program.text).explore(program.pack(initial), Settings(max_states=LARGEST, measures=False))
    except (BadModel, Trap):
        return None
    if not found.complete or found.explored < 3:
        return None
    return model, initial, reference.explore(model, initial)


@dataclass(frozen=True)
class ModelQuestion(Question):
    """A random model in the place of a policy."""

    seed: int = 0

    def compile(self, timeout: float | None = None, memory: int | None = None) -> Compiled:
        found = built(self.seed)
        assert found is not None
        program = lower(found[0])
        return Compiled(None, found[0], program, Engine(program.text))

    def initial(self) -> str:
        found = built(self.seed)
        assert found is not None
        return self.compile().program.pack(found[1])

    def digest(self) -> str:
        return f"{self.seed:032x}"

    def source(self) -> str:
        return self.digest()

    def asked(self) -> dict[str, str | int]:
        return {**super().asked(), "policy": f"random {self.seed}"}

    def endless(self) -> bool:
        return True  # where no run ends, the model says nothing; that is not asked here


def question(seed: int) -> ModelQuestion:
    return ModelQuestion("v19", "strict", "all-online", Topology((1,)), seed=seed)


def bad_by_reference(seed: int, fail_on: str) -> set[tuple[str, str]]:
    found = built(seed)
    assert found is not None
    model, _, answer = found
    severe = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    outcomes = {p.name for p in model.outcomes if p.severity in severe and answer.terminal_states[p.name]}
    invariants = {p.name for p in model.invariants if answer.violating_states[p.name]}
    responses = {r.name for r in model.responses if r.severity in severe and answer.lost_states[r.name]}
    return {
        *(("outcome", name) for name in outcomes),
        *(("invariant", name) for name in invariants),
        *(("response", name) for name in responses),
    }


def verdict_by_reference(seed: int, fail_on: str) -> str:
    found = built(seed)
    assert found is not None
    model, _, answer = found
    if bad_by_reference(seed, fail_on):
        return "violated"
    return "vacuous" if any(not answer.expected_states[p.name] for p in model.expectations) else "holds"


def seeds() -> list[int]:
    return [seed for seed in range(1, 400) if built(seed) is not None][: 2 * PAIRS]


def test_of_random_models_check_diff_and_tables_say_what_the_reference_says() -> None:
    random, seen, known = Random(1), Counter[str](), seeds()
    assert len(known) == 2 * PAIRS
    for a, b in zip(known[:PAIRS], known[PAIRS:], strict=True):
        fail_on: Any = random.choice(SEVERE)
        sides = [explore(question(seed), Settings(fail_on=fail_on)) for seed in (a, b)]
        for seed, side in zip((a, b), sides, strict=True):
            assert side.verdict == verdict_by_reference(seed, fail_on)
            seen[side.verdict] += 1
            shares_sum_to_1(side)
        added = bad_by_reference(b, fail_on) - bad_by_reference(a, fail_on)
        difference = Difference(*sides)
        assert (difference.verdict == "violated") == bool(added)
        assert {(f.kind, f.name) for f in difference.added} == added
        assert (difference.worse is None) == (not added)
        seen[f"diff {difference.verdict}"] += 1
    assert min(seen[verdict] for verdict in ("violated", "vacuous", "holds", "diff violated", "diff holds")) > 0, seen


def test_of_random_models_that_are_cut_short_a_violation_is_one_and_nothing_holds() -> None:
    random, seen = Random(2), Counter[str]()
    for seed in seeds():
        fail_on: Any = random.choice(SEVERE)
        answer = explore(question(seed), Settings(fail_on=fail_on, max_states=random.randint(1, 20)))
        bad = bad_by_reference(seed, fail_on)
        if answer.complete:
            assert answer.verdict == verdict_by_reference(seed, fail_on)
        elif answer.verdict == "violated":
            assert bad
        else:
            assert answer.verdict == "incomplete"
        whole = explore(question(seed), Settings(fail_on=fail_on))
        both = Difference(answer, whole), Difference(whole, answer)
        assert answer.complete or both[0].verdict == "incomplete"
        assert both[1].verdict != "violated"  # nothing is in a part that is not in the whole
        seen[f"{answer.verdict} {answer.complete}"] += 1
    assert min(seen[kind] for kind in ("violated False", "incomplete False", "violated True")) > 0, seen


def test_of_random_models_every_cell_is_in_every_table() -> None:
    points = [Point(question(seed), Settings(max_states=limit)) for seed in seeds() for limit in (None, 4)]
    found: dict[int, Answer] = {}

    def receive(number: int, result: Answer | Failure) -> None:
        assert isinstance(result, Answer), result
        found[number] = result

    explore_points(points, receive, tables=tuple(TABLES))
    assert len(found) == len(points) == 4 * PAIRS
    for number, point in enumerate(points):
        tables = found[number].tables
        assert tables["runs"]["point"].to_list() == [point.id]
        cell = Cell(point.question.asked(), point)
        alone = Comparison(
            (cell,), tables["runs"], tables["outcomes"], tables["properties"], tables["prices"], {point.id: point}, {}
        )
        joined = (tables["runs"].lazy(), tables["outcomes"].lazy(), tables["properties"].lazy())
        for rows in (alone.matrix, analysis.worst(answers(*joined)).collect(), findings(*joined).collect()):
            assert rows["policy"].unique().to_list() == [point.question.asked()["policy"]]
            assert set(rows["verdict"]) == {found[number].verdict} == {tables["runs"]["verdict"][0]}


# -- random policies --------------------------------------------------------------------------------------------------


def _before(policy: type[Policy], name: str) -> Callable[[Policy, Kernel], None]:
    def method(self: Policy, k: Kernel) -> None:
        k.step("something before")
        getattr(policy, name)(self, k)

    return method


def _twice(policy: type[Policy], name: str) -> Callable[[Policy, Kernel], None]:
    def method(self: Policy, k: Kernel) -> None:
        getattr(policy, name)(self, k)
        k.step("once more")
        getattr(policy, name)(self, k)

    return method


def _left_out(_policy: type[Policy], name: str) -> Callable[[Policy, Kernel], None]:
    def method(_: Policy, k: Kernel) -> None:
        k.step(f"no {name}")

    return method


def _switched_off(policy: type[Policy], name: str) -> Callable[[Policy, Kernel], None]:
    def method(self: Policy, k: Kernel) -> None:
        getattr(policy, name)(self, k)
        k.step("enable_tdx = 0")
        k.set(k.w.enable_tdx, value=False)

    return method


def _locked(policy: type[Policy], name: str) -> Callable[[Policy, Kernel], None]:
    def method(self: Policy, k: Kernel) -> None:
        with k.cpus_read_lock():
            getattr(policy, name)(self, k)

    return method


def random_policy(seed: int) -> type[Policy]:
    """A built-in design with some procedures that do more, less or the wrong thing."""
    random = Random(seed)
    base = BUILT_IN[random.choice(sorted(BUILT_IN))]
    changed = {
        name: random.choice([_before, _twice, _left_out, _switched_off, _locked])(base, name)
        for name in random.sample(["kvm_load", "kvm_unload", "last_vm"], random.randint(1, 2))
    }
    return type(f"Random{seed}", (base,), {**changed, "name": f"random-{seed}", "__module__": __name__})


def bad_by_rows(answer: Exploration, fail_on: str) -> set[tuple[str, str]]:
    severe = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    found = {("outcome", row["outcome"]) for row in answer.outcomes.to_dicts() if row["severity"] in severe}
    found |= {("invariant", row["invariant"]) for row in answer.invariants.to_dicts() if row["violating_states"] != "0"}
    return found | {
        ("response", row["response"])
        for row in answer.responses.to_dicts()
        if row["severity"] in severe and row["shortest_steps"] is not None
    }


def shares_sum_to_1(answer: Exploration) -> None:
    """Of a complete answer: runs that never end have an outcome, too, if the model names one."""
    if answer.question.compile().program.diverges is None and answer.runs["cyclic"][0]:
        return
    if not answer.outcomes["interleaving_share"].has_nulls():
        assert math.isclose(sum(answer.outcomes["interleaving_share"]), 1, abs_tol=1e-9)
    assert math.isclose(sum(answer.outcomes["probability"]), 1, abs_tol=1e-9)


@pytest.mark.parametrize("policies", [10, pytest.param(60, marks=pytest.mark.campaign)])
def test_of_random_policies_diff_says_what_the_checks_say_and_no_cell_is_lost(policies: int) -> None:
    random, seen = Random(3), Counter[str]()
    seed = 0
    while seen["compared"] < policies:
        seed += 1
        assert seed < 4 * policies, f"too few random policies can be recorded: {seen}"
        a, b = BUILT_IN[random.choice(sorted(BUILT_IN))], random_policy(seed)
        scenario = random.choice(["all-online", "late-online", "offline-mid-enable", "no-kvm", "update"])
        asked: dict[str, Any] = {"module": random.choice(["strict", "subset"]), "scenario": scenario, "cpus": 2}
        how: dict[str, Any] = {"fail_on": random.choice(SEVERE), "max_states": random.choice([None, None, 12, 60])}
        try:
            sides = [check(policy, **asked, **how) for policy in (a, b)]
        except BadModel:
            seen["refused"] += 1
            continue
        bad = [bad_by_rows(side, how["fail_on"]) for side in sides]
        for side, found in zip(sides, bad, strict=True):
            assert (side.verdict == "violated") == bool(found)
            if side.complete:
                shares_sum_to_1(side)
        difference = Difference(*sides)
        assert (difference.verdict == "violated") == (bool(bad[1] - bad[0]) and sides[0].complete)
        grid: dict[str, Any] = {"modules": [asked["module"]], "scenarios": [scenario, "second-user"], "cpus": [1, 2]}
        compared = compare([a, b], **grid, **how)
        assert len(compared.matrix) == 2 * 2 * 2
        cells = {
            (row["policy"], row["scenario"], row["cpus"]): row["verdict"]
            for row in compared.matrix.iter_rows(named=True)
        }
        assert len(cells) == 2 * 2 * 2
        for policy, side in zip((a, b), sides, strict=True):
            verdict = cells[policy.name, scenario, 2]
            assert verdict == ("not applicable" if side.question.cannot_happen() else side.verdict)
            seen[verdict] += 1
        seen["compared"] += 1
        seen[f"diff {difference.verdict}"] += 1
    wanted = ("violated", "holds", "incomplete", "not applicable", "diff violated", "diff holds", "diff incomplete")
    assert min(seen[kind] for kind in wanted) > 0, seen


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_policy_is_the_same_for_the_same_seed(seed: int) -> None:
    assert vars(random_policy(seed)).keys() == vars(random_policy(seed)).keys()
    assert random_policy(seed).__mro__[1:] == random_policy(seed).__mro__[1:]
