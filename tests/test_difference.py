"""What one design changes against another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import tdxexplore
from tdxexplore import check
from tdxexplore.cli import run
from tdxexplore.explore.difference import Difference

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

LATE = {"module": "subset", "cpus": 3, "scenario": "late-online"}


def test_hazard_b1_is_what_v19_adds_to_linux_6_16() -> None:
    difference = Difference(check("linux-6.16", **LATE), check("v19", **LATE))  # type: ignore[arg-type]
    assert difference.outcomes.select("outcome", "change", "moved").rows() == [
        ("td-error", "added", 1.0),
        ("tdx-up", "removed", -1.0),
    ]
    assert (difference.worse, difference.moved, difference.verdict) == ("td-error", 1.0, "violated")
    assert difference.trace is not None
    assert len(difference.trace) == difference.outcomes["shortest_steps_b"][0]
    # The other way round nothing is added that counts.
    back = Difference(difference.after, difference.before)
    assert (back.worse, back.trace, back.verdict) == (None, None, "holds")


def test_mass_moves_between_outcomes_that_both_reach() -> None:
    question = {"module": "strict", "cpus": 2, "scenario": "offline-mid-enable"}
    for a, b in (("linux-6.16", "kvm-hook-lp-init"), ("inner-enable", "hook-after-kvm")):
        one, two = check(a, **question), check(b, **question)  # type: ignore[arg-type]
        difference = Difference(one, two)
        assert abs(sum(difference.outcomes["moved"])) < 1e-12
        same = Difference(one, one)
        assert (same.moved, same.worse, same.outcomes["change"].unique().to_list()) == (0, None, ["kept"])


def test_a_limit_never_says_that_nothing_was_added() -> None:
    answer = check("linux-6.16", **LATE)  # type: ignore[arg-type]
    cut = check("linux-6.16", max_states=10, **LATE)  # type: ignore[arg-type]
    assert Difference(answer, cut).verdict == "incomplete"
    assert Difference(cut, answer).verdict == "incomplete"
    # Nor that something was: A may do it, too, where it was not explored.
    worse = Difference(cut, check("v19", **LATE))  # type: ignore[arg-type]
    assert (worse.worse, worse.verdict) == ("td-error", "incomplete")


def test_the_command_line_prints_both_sides_and_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--module", "subset", "--cpus", "3", "--scenario", "late-online"]
    assert run(["diff", "linux-6.16", "v19", *asked]) == 1
    text = capsys.readouterr().out
    assert "B adds violations" in text
    assert "shortest schedule that A survives and B does not: td-error (21 steps)" in text
    assert run(["diff", "v19", "linux-6.16", *asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["moved"] == 1


@pytest.mark.parametrize("columns", [60, 88, 132])
def test_no_head_is_cut_at_any_width(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    asked = ["--module", "subset", "--cpus", "3", "--scenario", "late-online", "--prices"]
    assert run(["diff", "linux-6.16", "v19", *asked]) == 1
    tables = capsys.readouterr().out.partition("at least ")[0]
    assert "…" not in tables
    for head in ("A interleavings", "B share", "moved", "B shortest", "A mean (least to most)"):
        assert head in tables
    assert tables == snapshot


def test_prices_stand_side_by_side_where_they_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--module", "subset", "--cpus", "3", "--scenario", "late-online", "--prices"]
    assert run(["diff", "v19", "linux-6.16", *asked, "--json"]) == 0
    rows = {(r["outcome"], r["price"]): r for r in json.loads(capsys.readouterr().out)["prices"]}
    answers = [
        tdxexplore.check(policy, module="subset", cpus=3, scenario="late-online", prices=True)
        for policy in ("v19", "linux-6.16")
    ]
    expected = {
        (row["outcome"], row["price"], side): row
        for side, answer in zip("ab", answers, strict=True)
        for row in answer.prices.iter_rows(named=True)
    }
    assert {key[:2] for key in expected} == rows.keys()
    assert len(rows) > 10
    for (outcome, price), row in rows.items():
        for side in "ab":
            other = expected.get((outcome, price, side))
            for figure in ("mean", "least", "most"):
                assert row[f"{figure}_{side}"] == (None if other is None else other[figure])
    assert run(["diff", "v19", "linux-6.16", *asked]) == 0
    text = capsys.readouterr().out
    assert "A mean (least to most)" in text
    assert "lp-init-again" in text
    assert run(["diff", "v19", "linux-6.16", *asked[:-1]]) == 0
    assert "least to most" not in capsys.readouterr().out


def test_knobs_may_differ_and_hazard_b4_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--cpus", "3", "--set-a", "enable_phase=subsys"]
    assert run(["diff", "linux-7.1-rfc-v1", "linux-7.1-rfc-v1", *asked]) == 1
    assert "sticky-error" in capsys.readouterr().out
    assert run(["diff", "linux-7.1-rfc-v1", "v19", "--set-b", "enable_phase=subsys"]) == 2
    assert "enable_phase" in capsys.readouterr().err
