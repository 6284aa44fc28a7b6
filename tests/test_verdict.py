"""The verdict: its definition, its words, and that everybody who compares answers uses it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from sweeps import spec_file
from tdxexplore import check, cli, compare
from tdxexplore.data.reading import Dataset
from tdxexplore.explore import verdict
from tdxexplore.explore.difference import Difference
from tdxexplore.explore.verdict import Finding
from tdxexplore.sweep import load, sweep
from tdxexplore.tdx.fields import UNBOUNDED

if TYPE_CHECKING:
    from pathlib import Path

BAD = Finding("outcome", "deadlock", "S1")
WARNED = Finding("outcome", "warned", "S4", share=1.0)
FINE = Finding("outcome", "tdx-up", "ok", share=0.5)
BROKEN = Finding("invariant", "I4", "S4")
LOST = Finding("response", "I8", "S3")
UNMET = Finding("expectation", "ran", "ok", "expectation `ran` is never met: something ran")

CASES: dict[str, tuple[tuple[Finding, ...], bool, str, str]] = {
    "nothing is found": ((), True, "S3", "holds"),
    "nothing bad is found": ((FINE, WARNED), True, "S3", "holds"),
    "a bad outcome": ((FINE, BAD), True, "S3", "violated"),
    "a bad outcome of a search that was cut short": ((FINE, BAD), False, "S3", "violated"),
    "an outcome just bad enough": ((WARNED,), True, "S4", "violated"),
    "an outcome not bad enough": ((BAD,), True, "S0", "holds"),
    "an invariant counts whatever its severity": ((BROKEN,), True, "S0", "violated"),
    "an invariant of a search that was cut short": ((BROKEN,), False, "S3", "violated"),
    "a lost response": ((LOST,), True, "S3", "violated"),
    "a lost response that is not bad enough": ((LOST,), True, "S2", "holds"),
    "a search that was cut short and saw nothing bad": ((FINE, WARNED), False, "S3", "incomplete"),
    "an expectation that is never met": ((FINE, UNMET), True, "S3", "vacuous"),
    "a violation of a model that says nothing else": ((UNMET, BAD), True, "S3", "violated"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_definition(case: str) -> None:
    findings, complete, fail_on, expected = CASES[case]
    assert verdict.of(findings, complete=complete, fail_on=fail_on) == expected


def test_the_line_says_why_and_what_occurs_besides() -> None:
    def line(*findings: Finding, reason: str | None = None) -> str:
        found = verdict.of(findings, complete=reason is None, fail_on="S3")
        return verdict.in_words(found, findings, reason=reason, fail_on="S3")

    assert line(FINE) == "holds"
    assert line(FINE, WARNED) == "holds; S4 warned in 100 % of the runs"
    assert line(Finding("outcome", "warned", "S4")) == "holds; S4 warned occurs"
    assert line(BAD, WARNED) == "violated"
    assert line(BAD, reason="max-states 68").startswith("violated (search incomplete: max-states 68; ")
    assert line(WARNED, reason="timeout 5 s").startswith("incomplete (timeout 5 s; ")
    assert line(UNMET) == "vacuous: expectation `ran` is never met: something ran"
    assert verdict.percent(0.99999) == "more than 99.99 %"
    assert verdict.percent(1e-7) == "1e-05 %"
    assert verdict.percent(0.25) == "25 %"


# -- what a user asks -------------------------------------------------------------------------------------------------

LATE = ["v19", "--module", "subset", "--scenario", "late-online"]


def test_a_counterexample_is_a_violation_whatever_cut_the_search_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", *LATE, "--max-states", "68"]) == 1
    out = capsys.readouterr().out
    assert "verdict: violated (search incomplete: max-states 68" in out
    assert "shortest trace to td-error (24 steps)" in out
    assert cli.run(["check", *LATE, "--max-states", "5"]) == 3
    assert "verdict: incomplete (max-states 5" in capsys.readouterr().out
    assert cli.run(["check", *LATE, "--max-states", "68", "--json"]) == 1
    run = json.loads(capsys.readouterr().out)["run"]
    assert (run["verdict"], run["complete"], run["reason"]) == ("violated", False, "max-states 68")


def test_what_happens_in_every_run_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "dyn-hook-if-enabled", "--cpus", "3"]) == 0
    assert "verdict: holds; S4 warned in 100 % of the runs" in capsys.readouterr().out
    assert cli.run(["check", "dyn-hook-if-enabled", "--cpus", "3", "--fail-on", "S4"]) == 1


def test_an_expectation_that_is_never_met_is_not_holds(capsys: pytest.CaptureFixture[str]) -> None:
    # Every CPU is online, and none may go: there is none to bring up.
    assert cli.run(["check", "v19", "--cpus", "2", "--budget", "cpu_up=1"]) == 5
    assert "verdict: vacuous: expectation `hotplug-ran` is never met" in capsys.readouterr().out
    # Only a search that is complete knows that it is never met.
    for max_states, unmet in ((None, ["hotplug-ran"]), (5, [])):
        answer = check("v19", cpus=2, budgets={"cpu_up": 1}, max_states=max_states)
        assert answer.properties.filter("fails")["property"].to_list() == unmet


LOOPS = """
from tdxexplore.tdx.policies.v19 import V19

class Loops(V19):
    name = "loops"

    def kvm_load(self, k):
        with k.loop():
            k.step("again")
            k.step("and again")
"""


def test_a_model_in_which_no_run_ends_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOOPS)
    policy = f"{tmp_path}/mine.py:Loops"
    for measures in (True, False):
        answer = check(policy, cpus=2, measures=measures)
        assert (answer.complete, answer.outcomes["outcome"].to_list()) == (True, ["diverges"])
        assert answer.verdict_line == "violated"
        # `diverges` is S1: where only S0 is a violation, nothing bad is left to happen, and nothing else happens either.
        lenient = check(policy, cpus=2, measures=measures, fail_on="S0")
        assert lenient.verdict == "vacuous"
        share = "in 100 % of the runs" if measures else "occurs"
        assert lenient.verdict_line.endswith(f"; no run comes to an end; S1 diverges {share}")
    assert cli.run(["check", policy, "--cpus", "2", "--quiet"]) == 1
    assert cli.run(["check", policy, "--cpus", "2", "--quiet", "--fail-on", "S0"]) == 5
    # What may go on for ever need not end.
    endless = dict.fromkeys(("cpu_up", "cpu_down"), UNBOUNDED)
    assert check("v17", cpus=2, budgets=endless).verdict == "holds"


def test_a_scenario_that_cannot_happen_to_a_design_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "v19", "--cpus", "2", "--scenario", "update"]) == 5
    assert "vacuous: scenario `update` cannot happen: `v19` does not update the module" in capsys.readouterr().out
    assert check("linux-7.2-update", cpus=2, scenario="update").verdict == "holds"
    assert cli.run(["compare", "v19", "linux-7.2-update", "--cpus", "2", "--scenario", "update"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"v19 +all +- +not applicable", out)
    assert re.search(r"linux-7.2-update +all +ok tdx-up +holds", out)
    assert cli.run(["compare", "v19", "--cpus", "2", "--scenario", "update"]) == 5
    capsys.readouterr()
    assert cli.run(["compare", "v19", "--cpus", "2", "--scenario", "update", "--json"]) == 5
    rows = json.loads(capsys.readouterr().out)["matrix"]
    assert [row["verdict"] for row in rows] == ["not applicable"] * 3
    assert all("does not update the module" in row["reason"] for row in rows)


# -- everybody uses it ------------------------------------------------------------------------------------------------


def test_an_invariant_that_only_b_fails_is_a_violation_that_b_adds(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["diff", "inner-enable", "v7-2022", "--packages", "2", "--scenario", "suspend"]
    assert cli.run(words) == 1
    out = capsys.readouterr().out
    assert "B adds violations" in out
    assert "added: invariant I4 fails (B in 36 states)" in out
    assert "shortest schedule that A survives and B does not: I4" in out
    assert cli.run([*words, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["worse"] == "I4"
    assert [(p["property"], p["change"], p["states_b"]) for p in document["properties"]] == [("I4", "added", "36")]
    back = ["diff", "v7-2022", "inner-enable", "--packages", "2", "--scenario", "suspend"]
    assert cli.run(back) == 0
    assert "removed: invariant I4" in capsys.readouterr().out


def test_compare_and_analyze_show_an_invariant_that_fails_and_name_it_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "inner-enable", "v7-2022", "--packages", "2", "--scenario", "suspend", "--module", "strict"]
    assert cli.run(words) == 1
    out = capsys.readouterr().out
    assert "I4 fails" in out
    assert "the worst cell: shortest trace to I4" in out
    grid = "[grid]\npolicy = ['inner-enable', 'v7-2022']\nmodule = 'strict'\nscenario = 'suspend'\n"
    sweep(load(spec_file(tmp_path, grid + "cpus = 4\npackages = 2\n")), tmp_path / "out")
    assert cli.run(["analyze", "worst", str(tmp_path / "out")]) == 0
    assert "I4 fails" in capsys.readouterr().out
    properties = Dataset(tmp_path / "out").scan("properties").collect()
    failing = properties.filter("fails").select("policy", "kind", "property", "states").rows()
    assert failing == [("v7-2022", "invariant", "I4", "36")]
    assert set(properties["kind"]) == {"invariant", "expectation"}


ASKED: list[dict[str, Any]] = [
    {"policy": "v19", "module": "subset", "scenario": "late-online", "cpus": 3},
    {"policy": "linux-6.16", "module": "subset", "scenario": "late-online", "cpus": 3},
    {"policy": "v17", "module": "subset", "scenario": "late-online", "cpus": 2},
    {"policy": "dyn-hook-if-enabled", "module": "subset", "scenario": "all-online", "cpus": 3},
    {"policy": "dyn-hook-if-enabled", "module": "subset", "scenario": "offline-mid-enable", "cpus": 3},
    {"policy": "v19", "module": "strict", "scenario": "all-online", "cpus": 2, "budgets": {"cpu_up": 1}},
]


@pytest.mark.parametrize("max_states", [None, 5, 60])
@pytest.mark.parametrize("fail_on", ["S1", "S3", "S4"])
def test_check_compare_and_sweep_agree(fail_on: str, max_states: int | None, tmp_path: Path) -> None:
    seen = set()
    for number, asked in enumerate(ASKED):
        policy, budgets = asked["policy"], asked.get("budgets", {})
        plain = {name: asked[name] for name in ("module", "scenario", "cpus")}
        answer = check(policy, **plain, budgets=budgets, fail_on=fail_on, max_states=max_states)
        found = compare(
            [policy],
            modules=[asked["module"]],
            scenarios=[asked["scenario"]],
            cpus=asked["cpus"],
            budgets={name: [value] for name, value in budgets.items()},
            fail_on=fail_on,
            max_states=max_states,
        )
        budget = f"budget = {{ cpu_up = {budgets['cpu_up']} }}\n" if budgets else ""
        grid = "".join(f"{name} = {json.dumps(value)}\n" for name, value in {"policy": policy, **plain}.items())
        limit = f"max_states = {max_states}\n" if max_states else ""
        spec = spec_file(tmp_path, f"[grid]\n{grid}{budget}[check]\nfail_on = '{fail_on}'\n{limit}")
        sweep(load(spec), tmp_path / str(number))
        stored = Dataset(tmp_path / str(number)).runs.collect()
        assert found.matrix["verdict"].to_list() == stored["verdict"].to_list() == [answer.verdict]
        assert Difference(answer, answer).verdict in ("holds", "incomplete", "vacuous")
        assert cli.exits.of(found.verdicts) == cli.exits.of([answer.verdict])
        seen.add(answer.verdict)
    assert len(seen) >= (1 if max_states == 5 else 2)


def test_no_cell_disappears(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "v19", "linux-6.16", "--cpus", "2,4", "--module", "subset", "--scenario", "late-online"]
    for states, code in (("5", 3), ("40", 1), ("100000", 1)):
        assert cli.run([*words, "--max-states", states, "--json"]) == code
        rows = json.loads(capsys.readouterr().out)["matrix"]
        assert [(row["policy"], row["cpus"]) for row in rows] == [(p, n) for p in ("v19", "linux-6.16") for n in (2, 4)]
        assert all(row["verdict"] in ("holds", "violated", "incomplete") for row in rows)
        assert (states == "5") == all(row["verdict"] == "incomplete" for row in rows)
    assert cli.run([*words, "--max-states", "5"]) == 3
    out = capsys.readouterr().out
    assert re.search(r"v19 +2,4 +- +incomplete", out)
    assert re.search(r"linux-6.16 +2,4 +- +incomplete", out)
    assert cli.run([*words, "--max-states", "40"]) == 1
    assert re.search(r"v19 +2,4 +I5 fails +violated \(search incomplete\)", capsys.readouterr().out)


def test_a_cell_that_was_interrupted_is_there() -> None:
    def interrupt(done: int, _total: int, _last: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    found = compare(
        ["v19"], modules=["subset"], scenarios=["late-online"], cpus=[2, 3, 4, 5], threads=1, progress=interrupt
    )
    assert found.interrupted
    assert not found.complete
    assert found.matrix["cpus"].to_list() == [2, 3, 4, 5]
    assert found.matrix["verdict"].to_list().count("not explored") >= 1


# -- names and commands -----------------------------------------------------------------------------------------------

SAME = """
from tdxexplore.tdx.policies.v19 import V19

class Mine(V19):
    def kvm_load(self, k):
        k.step("something else")
        super().kvm_load(k)
"""


def test_two_policies_of_one_name_are_told_apart_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(SAME)
    (tmp_path / "other.py").write_text(SAME.replace("something else", "something more"))
    mine, other = f"{tmp_path}/mine.py:Mine", f"{tmp_path}/other.py:Mine"
    assert check(mine, cpus=2).runs["policy"].to_list() == ["v19 (mine.py:Mine)"]
    found = compare(["v19", mine, other], modules=["strict"], scenarios=["all-online"], cpus=2)
    assert found.matrix["policy"].to_list() == ["v19", "v19 (mine.py:Mine)", "v19 (other.py:Mine)"]
    assert found.matrix["interleavings"].n_unique() >= 1
    assert cli.run(["diff", "v19", mine, "--cpus", "2"]) == 0
    assert "A: v19, B: v19 (mine.py:Mine);" in capsys.readouterr().out
    spec = spec_file(
        tmp_path, f"[grid]\npolicy = ['v19', '{mine}']\nmodule = 'strict'\nscenario = 'all-online'\ncpus = 2\n"
    )
    assert sweep(load(spec), tmp_path / "out").finished == 2
    assert set(Dataset(tmp_path / "out").runs.collect()["policy"]) == {"v19", "v19 (mine.py:Mine)"}
    # A name that no built-in policy has must be one policy's.
    for path in (tmp_path / "mine.py", tmp_path / "other.py"):
        path.write_text(path.read_text().replace("class Mine(V19):", "class Mine(V19):\n    name = 'mine'"))
    for words in (["compare", mine, other, "--cpus", "2"], ["diff", mine, other, "--cpus", "2"]):
        code = cli.run(words)
        captured = capsys.readouterr()
        if words[0] == "diff":
            assert code == 0
            assert "A: mine (mine.py:Mine), B: mine (other.py:Mine);" in captured.out
        else:
            assert code == 2
            assert "its name `mine` is also that of `mine.py:Mine`; rename one" in captured.err


def test_a_printed_command_can_be_pasted_into_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my policies (new)"
    folder.mkdir()
    (folder / "it's.py").write_text(SAME)
    assert cli.run(["check", f"{folder}/it's.py:Mine", "--module", "subset", "--scenario", "late-online"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("replay: "))
    command = line.removeprefix("replay: ")
    said = subprocess.run(["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    words = said.stdout.splitlines()
    assert words == shlex.split(command)
    assert words[2] == f"{folder}/it's.py:Mine"
    assert cli.run(words[1:]) == 0
    assert "outcome: td-error" in capsys.readouterr().out
    # Many CPUs: tokens of a schedule in parentheses.
    answer = check("v19", module="subset", cpus=64, scenario="late-online", measures=False)
    schedule = answer.outcomes["schedule"][0]
    assert "(" in schedule
    command = answer.question.command("replay", schedule)
    assert shlex.split(command)[-1] == schedule
    assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0


def test_verdicts_of_a_sweep_are_counted(tmp_path: Path) -> None:
    grid = (
        "[grid]\npolicy = 'v19'\nmodule = 'subset'\nscenario = ['late-online', 'all-online', 'update']\ncpus = '2-3'\n"
    )
    summary = sweep(load(spec_file(tmp_path, grid)), tmp_path / "out")
    assert summary.verdicts == {"violated": 2, "holds": 2}
    assert load(spec_file(tmp_path, grid)).cells().not_applicable == 2
    runs = Dataset(tmp_path / "out").runs.collect()
    assert runs.filter(pl.col("scenario") == "update").is_empty()
