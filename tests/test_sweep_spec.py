"""Sweep files: what they mean, and one clear line for each mistake."""

from __future__ import annotations

import json
import pickle
import re
from typing import TYPE_CHECKING

import pytest

from sweeps import POINTS, SMALL, spec_file
from tdxexplore import cli
from tdxexplore.explore.check import check
from tdxexplore.explore.settings import Settings
from tdxexplore.sweep import Point, load
from tdxexplore.sweep.plan import estimate
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path

GRID = "[grid]\ncpus = 3\n"

MISTAKES = {
    "not TOML": ("[grid", ["not TOML"]),
    "no grid": ("name = 'x'", ["`grid` is missing"]),
    "no CPU counts": ("[grid]\npolicy = 'v19'", ["`grid.cpus` is missing", "2-6"]),
    "a grid that is no table": ("grid = 3", ["`grid` is 3", "a table"]),
    "an unknown table": (GRID + "[limits]\ntimeout = 3", ["`limits` is not a key", "check"]),
    "an unknown axis": ("[grid]\ncpu = 3", ["`grid.cpu`", "did you mean `cpus`"]),
    "an unknown policy": (GRID + "policy = ['v19', 'v91']", ["`grid.policy`", "`v91`", "did you mean `v19`"]),
    "a policy file that is not there": (
        GRID + "policy = 'mine.py:Mine'",
        ["`grid.policy`", "mine.py", "does not exist"],
    ),
    "an unknown module kind": (GRID + "module = 'strickt'", ["`grid.module` is `strickt`", "did you mean `strict`"]),
    "an unknown scenario": (GRID + "scenario = ['late']", ["`grid.scenario` is `late`", "all-online, fault-install"]),
    "a scenario that is no text": (GRID + "scenario = 3", ["`grid.scenario` is 3", "a list of names"]),
    "an empty list": (GRID + "scenario = []", ["`grid.scenario` is []", "no points"]),
    "CPUs that are no range": ("[grid]\ncpus = '2-x'", ["`grid.cpus` is `2-x`", "2-6"]),
    "an empty range": ("[grid]\ncpus = '6-2'", ["`grid.cpus` is `6-2`", "2-6"]),
    "CPUs that are no whole number": ("[grid]\ncpus = 2.5", ["`grid.cpus` is 2.5", "2-6"]),
    "CPUs that are a truth value": ("[grid]\ncpus = true", ["`grid.cpus` is True", "2-6"]),
    "too many CPUs": ("[grid]\ncpus = '2047-2049'", ["`grid.cpus` is 2049", "1 to 2048"]),
    "too many packages": (GRID + "packages = [1, 9]", ["`grid.packages` is 9", "1 to 8"]),
    "an unknown knob": (GRID + "set = { veto = 'off' }", ["`grid.set.veto`", "did you mean `offline_veto`"]),
    "an unknown value of a knob": (
        GRID + "policy = 'v19'\nset = { offline_veto = ['on', 'no'] }",
        ["`grid.set.offline_veto` is `no`", "`v19`", "Allowed: off, on"],
    ),
    "an unknown budget": (GRID + "budget = { cpus_up = 1 }", ["`grid.budget.cpus_up`", "did you mean `cpu_up`"]),
    "a budget out of range": (GRID + "budget = { kvm_load = 0 }", ["`grid.budget.kvm_load` is 0", "1 to 8"]),
    "an exclusion of all": (GRID + "[[exclude]]", ["`exclude[1]`", "whole grid"]),
    "an exclusion that is no list": (GRID + "[exclude]\ncpus = 3", ["`exclude`", "[[exclude]]"]),
    "an unknown key of an exclusion": (GRID + "[[exclude]]\ncpus = 2\n[[exclude]]\nx = 3", ["`exclude[2].x`"]),
    "an exclusion outside the grid": (
        GRID + "policy = 'v19'\n[[exclude]]\npolicy = 'linux-6.16'",
        ["`exclude[1].policy` is `linux-6.16`", "not in the grid", "v19"],
    ),
    "an unknown option": (GRID + "[check]\ntimeouts = 3", ["`check.timeouts`", "did you mean `timeout`"]),
    "an unknown space": (GRID + "[check]\nspace = 'x'", ["`check.space` is `x`", "concrete, orbit"]),
    "a symmetry of the concrete space": (
        GRID + "[check]\nspace = 'concrete'\nsymmetry = 'all'",
        ["`check.symmetry` is `all`", "space `concrete`", "`start`"],
    ),
    "a limit of zero": (GRID + "[check]\nmax_states = 0", ["`check.max_states` is 0", "positive whole number"]),
    "a limit that is no number": (GRID + "[check]\ntimeout = nan", ["`check.timeout` is nan", "positive number"]),
    "memory without a unit": (GRID + "[check]\nmax_memory = 'lots'", ["`check.max_memory` is `lots`", "2G"]),
    "a measure that is no truth value": (GRID + "[check]\nmeasures = 1", ["`check.measures` is 1", "true, false"]),
    "prices that are no truth value": (GRID + "[check]\nprices = 'all'", ["`check.prices` is `all`", "true, false"]),
    "an unknown severity": (GRID + "[check]\nfail_on = 'S9'", ["`check.fail_on` is `S9`", "S0, S1"]),
    "a name that is no text": ("name = 3\n" + GRID, ["`name` is 3", "a text"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_clear_line_and_exit_code_2_before_anything_is_written(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, expected = MISTAKES[mistake]
    path = spec_file(tmp_path, text)
    assert cli.run(["sweep", str(path), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    for part in (str(path), *expected):
        assert part in captured.err, captured.err
    assert not (tmp_path / "out").exists()


def test_a_sweep_file_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sweep", "nowhere.toml", "--out", "out"]) == 2
    assert "nowhere.toml: No such file" in capsys.readouterr().err


def test_what_is_not_named_is_all_of_it_on_one_package(tmp_path: Path) -> None:
    axes = load(spec_file(tmp_path, GRID)).grid.axes
    assert axes == {
        "policy": tuple(BUILT_IN),
        "module": MODULE_KINDS,
        "scenario": tuple(SCENARIOS),
        "cpus": (3,),
        "packages": (1,),
    }
    assert load(spec_file(tmp_path, GRID + "policy = 'all'\nmodule = 'all'\nscenario = 'all'")).grid.axes == axes


def test_ranges_lists_knobs_budgets_and_exclusions_span_the_grid(tmp_path: Path) -> None:
    text = """
    [grid]
    policy = ["v19", "inner-enable"]
    module = "strict"
    scenario = "late-online"
    cpus = [1, "3-4", 3]
    packages = "1-2"
    set = { offline_veto = "all", pass = "every-call" }
    budget = { cpu_up = "1,2" }
    [[exclude]]
    policy = "v19"
    set = { offline_veto = "off" }
    budget = { cpu_up = 2 }
    [[exclude]]
    cpus = 4
    [[exclude]]
    policy = "inner-enable"
    cpus = 3
    packages = 2
    """
    found = load(spec_file(tmp_path, text)).cells()
    asked = {
        (q.policy, q.topology.cpus, q.topology.packages, dict(q.knobs)["offline_veto"], dict(q.budgets)["cpu_up"])
        for q in (point.question for point in found.points)
    }
    expected = {
        (policy, cpus, packages, veto, ups)
        for policy in ("v19", "inner-enable")
        for cpus in (3,)  # one CPU is too few for the scenario
        for packages in (1, 2)
        for veto in ("on", "off")
        for ups in (1, 2)
        if (policy, veto, ups) != ("v19", "off", 2) and (policy, packages) != ("inner-enable", 2)
    }
    assert asked == expected
    assert len(found.points) == len(expected)
    assert found.not_applicable == 2 * 2 * 2 * 2  # one CPU in one package, or in two
    assert found.excluded == (2 * 2, 2 * 7, 2 * 2)
    assert all(("pass" in dict(p.question.knobs)) == (p.question.policy == "inner-enable") for p in found.points)


def test_points_that_are_the_same_question_are_one_point(tmp_path: Path) -> None:
    text = GRID + "policy = ['v19', 'v19']\nscenario = 'all-online'\nmodule = ['strict', 'strict']"
    assert len(load(spec_file(tmp_path, text)).cells().points) == 1


def test_policies_of_ones_own_are_found_beside_the_sweep_file_and_need_names_of_their_own(tmp_path: Path) -> None:
    body = "from tdxexplore.tdx.policies.v19 import V19\nclass A(V19):\n    name = '{0}'\nclass B(V19):\n    name = '{1}'\n"
    (tmp_path / "mine.py").write_text(body.format("a", "b"))
    text = GRID + "policy = ['mine.py:A', 'mine.py:b']\nmodule = 'strict'\nscenario = 'all-online'"
    points = load(spec_file(tmp_path, text)).cells().points
    assert [point.question.key()["policy"] for point in points] == ["a", "b"]
    (tmp_path / "mine.py").write_text(body.format("a", "a"))
    with pytest.raises(ValueError, match="its name `a` is also that of"):
        load(spec_file(tmp_path, GRID + "policy = ['mine.py:A', 'mine.py:B']"))


def test_a_point_travels_as_it_is_and_comes_back_the_same(tmp_path: Path) -> None:
    points = load(spec_file(tmp_path)).cells().points
    assert len(points) == POINTS
    for point in points:
        travelled = pickle.loads(pickle.dumps(point))
        assert travelled == point
        assert travelled.id == point.id


def test_settings_that_decide_the_rows_change_the_identity_and_limits_do_not() -> None:
    question = check("v19", cpus=2).question
    base = Point(question, Settings()).id
    others = [Settings(space="concrete"), Settings(measures=False), Settings(prices=True), Settings(fail_on="S2")]
    others.append(Settings(symmetry="all"))
    assert len({base, *(Point(question, other).id for other in others)}) == 6
    limits = Settings(max_states=3, max_depth=3, max_memory=3, timeout=3.0, threads=1)
    assert Point(question, limits).id == base


def test_expected_sizes_are_about_right(tmp_path: Path) -> None:
    policies = ["dyn-hook-if-enabled", "inner-enable", "kvm-hook-lp-init", "linux-6.16", "v19"]
    text = f"[grid]\npolicy = {policies}\ncpus = [2, 16]\nmodule = 'subset'\nscenario = 'kvm-reload'"
    points = load(spec_file(tmp_path, text)).cells().points
    assert len(points) == 2 * len(policies)
    for point in points:
        q = point.question
        assert isinstance(q.policy, str)
        cpus = q.topology.cpus
        stored = check(q.policy, module=q.module, scenario=q.scenario, cpus=cpus).runs["explored"][0]
        if cpus == 2:
            assert estimate(point) == stored
        assert 0.4 < estimate(point) / stored < 2.5, q.command("check")


def test_a_dry_run_says_how_much_there_is_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = spec_file(tmp_path, SMALL + "[[exclude]]\npolicy = 'v19'\ncpus = 4\n"), tmp_path / "out"
    words = ["sweep", str(path), "--out", str(out), "--dry-run"]
    assert cli.run(words) == 0
    text = capsys.readouterr().out
    assert f"sweep small: {POINTS - 4} points" in text
    assert "cut out by exclude[1]: 4" in text
    assert f"done in {out}: 0; to do: {POINTS - 4}" in text
    assert "largest" not in text
    assert cli.run([*words[:-1], "--largest"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"largest to do: about \d+ states: tdxexplore check linux-6.16 .*--cpus 4", text)
    assert cli.run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["total"], document["done"], document["excluded"]) == (POINTS - 4, 0, [4])
    assert document["largest"] is None
    assert cli.run([*words, "--largest", "--json"]) == 0
    assert "--cpus 4" in json.loads(capsys.readouterr().out)["largest"]["command"]
    assert not out.exists()
