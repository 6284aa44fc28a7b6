"""Never coming to an end is an outcome: found with and without measures, and part of every sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from tdxexplore import check, cli
from tdxexplore.errors import BadModel
from tdxexplore.model import Model, Procedure, State, Topology, lower
from tdxexplore.tdx.fields import UNBOUNDED
from witnesses import compare_all

if TYPE_CHECKING:
    from pathlib import Path

RETRIES = """
from tdxexplore.tdx.kernel import OK
from tdxexplore.tdx.policies.inner_enable import InnerEnable

class Retries(InnerEnable):
    name = "retries"

    def tdx_bringup(self, k):
        with k.loop() as loop:
            k.step("try again")
            error = self.tdx_enable(k)
            with k.if_(error == OK):
                loop.leave()
        k.set(k.w.kvm_loaded, value=True)
"""


@pytest.fixture
def retries(tmp_path: Path) -> str:
    """A design that calls tdx_enable() until it succeeds, which a strict module with an LP offline never lets it."""
    (tmp_path / "mine.py").write_text(RETRIES)
    return f"{tmp_path}/mine.py:Retries"


def test_a_retry_that_never_succeeds_is_a_violation_in_every_run(
    retries: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = check(retries, cpus=2, scenario="late-online")
    (row,) = answer.outcomes.to_dicts()
    assert answer.verdict == "violated"
    assert (row["outcome"], row["severity"]) == ("diverges", "S1")
    assert (row["interleavings"], row["interleaving_share"], row["probability"]) == ("1", 1, 1)
    # All states diverge, and so does the first one.
    assert (row["terminal_states"], row["shortest_steps"]) == (answer.runs["states"][0], 0)
    assert cli.run(["check", retries, "--cpus", "2", "--scenario", "late-online"]) == 1
    assert "diverges" in capsys.readouterr().out


@pytest.mark.parametrize("space", ["orbit", "concrete", "bits"])
def test_a_retry_that_may_never_succeed_has_its_share_and_a_shortest_trace(retries: str, space: str) -> None:
    asked = {"cpus": 2, "scenario": "online-mid-enable", "space": space}
    answer = check(retries, **asked)  # type: ignore[arg-type]
    rows = {row["outcome"]: row for row in answer.outcomes.to_dicts()}
    assert answer.verdict == "violated"
    assert list(rows) == ["diverges", "tdx-up"]
    if space != "bits":
        assert answer.runs["cyclic"][0]
        # Up to the first state that diverges there is no cycle, so interleavings are exact.
        assert {name: row["interleavings"] for name, row in rows.items()} == {"diverges": "1", "tdx-up": "1344"}
        assert rows["tdx-up"]["probability"] == 1 - 1 / 64
        assert sum(row["probability"] for row in rows.values()) == 1
    trace = answer.traces["diverges"]
    assert (len(trace), trace.outcome) == (6, "diverges")
    assert trace.enabled
    bare = check(retries, **asked, measures=False)  # type: ignore[arg-type]
    known = ["outcome", "terminal_states", "shortest_steps", "schedule"]
    assert bare.verdict == "violated"
    assert bare.outcomes.select(known).equals(answer.outcomes.select(known))


def test_a_search_that_a_limit_cut_short_does_not_say_what_never_ends(retries: str) -> None:
    asked = {"cpus": 2, "scenario": "late-online"}
    states = check(retries, **asked).runs["explored"][0]  # type: ignore[arg-type]
    for measures in (True, False):
        cut = check(retries, **asked, max_states=states - 1, measures=measures)  # type: ignore[arg-type]
        assert (cut.verdict, len(cut.outcomes)) == ("incomplete", 0)


def test_where_a_budget_never_runs_out_going_on_for_ever_is_what_was_asked_for(retries: str) -> None:
    lost = {}
    for policy in ("linux-6.16", retries):
        answer = check(policy, cpus=2, scenario="late-online", budgets={"cpu_up": UNBOUNDED, "cpu_down": UNBOUNDED})
        assert answer.outcomes.select("outcome", "severity", "probability").rows() == [("endless", "ok", 1)]
        lost[answer.verdict] = answer.responses.drop_nulls("schedule")["response"].to_list()
    # That KVM's load goes on for ever was not asked for.
    assert lost == {"holds": [], "violated": ["kvm-finishes"]}


def _walker(*, declared: bool) -> Model:
    """Two ways to the same state that ends or hangs, one of them longer and dearer; and a third way that ends."""
    model = Model("walker")
    at = model.enum("at", ["start", "far", "middle", "hangs", "end"])
    p = Procedure("walker")
    with p.loop():
        p.step("go")
        with p.either() as choice:
            for before, after in [
                ("start", "far"),
                ("start", "middle"),
                ("far", "middle"),
                ("middle", "hangs"),
                ("middle", "end"),
                ("hangs", "hangs"),
            ]:
                with choice.branch():
                    p.await_(at == before)
                    p.set(at, after)
    model.add(p)
    model.outcome("ends", "ok", True)
    if declared:
        model.diverges("never", "S1", "it hangs")
    model.price("steps", during=True)
    return model


def test_a_run_that_never_ends_is_counted_and_costs_up_to_where_it_begins_to_diverge() -> None:
    model = _walker(declared=True)
    initial = State.initial(model, Topology.of(1))
    native = compare_all(model, initial).program
    found = native.explore(lower(model).pack(initial), prices=True)
    outcomes, prices = (pl.DataFrame(table).to_dicts() for table in (found.outcomes(), found.prices()))
    names = [p.name for p in model.outcomes]
    assert names == ["never", "ends"]
    assert [row["interleavings"] for row in outcomes] == ["2", "2"]
    assert [row["probability"] for row in outcomes] == [0.5, 0.5]
    assert [(row["total"], row["least"], row["most"]) for row in prices] == [("5", 2, 3), ("5", 2, 3)]


def test_without_a_name_for_it_the_rest_of_the_probability_is_missing() -> None:
    model = _walker(declared=False)
    initial = State.initial(model, Topology.of(1))
    native = compare_all(model, initial).program
    (row,) = pl.DataFrame(native.explore(lower(model).pack(initial)).outcomes()).to_dicts()
    assert (row["probability"], row["interleavings"]) == (0.5, None)


def test_a_model_has_one_outcome_of_runs_that_never_end() -> None:
    model = _walker(declared=True)
    with pytest.raises(BadModel, match="`always`: runs that never come to an end have the outcome `never` already"):
        model.diverges("always", "ok")
