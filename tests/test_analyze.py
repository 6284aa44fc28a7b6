"""``tdxexplore analyze``: each question as a command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from sweeps import spec_file
from tdxexplore import cli
from tdxexplore.data.compacting import compact
from tdxexplore.data.reading import Dataset
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from pathlib import Path

GRID = """
[grid]
policy = ["v19", "hook-before-users", "dyn-hook-if-enabled", "linux-6.16"]
module = ["strict", "subset"]
scenario = ["late-online", "offline-mid-enable", "no-kvm"]
cpus = "2-5"
"""


@pytest.fixture(scope="module")
def scattered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analyze")
    sweep(load(spec_file(folder, GRID)), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def root(scattered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in few files, as each question reads all of them."""
    folder = tmp_path_factory.mktemp("compacted") / "out"
    shutil.copytree(scattered, folder)
    compact(folder)
    return folder


QUESTIONS = {
    "worst": (["worst"], ["scenario offline-mid-enable", "S1 deadlock", "2-5"]),
    "dominates": (
        ["dominates", "--price", "ipis"],
        ["linux-6.16", "dominates", "each two of 4 policies, at 12 questions"],
    ),
    "growth": (["growth"], ["growth", "2 CPUs"]),
    "shares": (["shares", "--policy", "v19", "--scenario", "late-online"], ["td-error", "probability"]),
    "smallest": (["smallest", "--outcome", "deadlock"], ["dyn-hook-if-enabled", "S1"]),
    "smallest of all": (["smallest"], ["tdx-up", "deadlock"]),
    "diff": (["diff", "{root}"], ["nothing differs", "compared: 96 points", "identical: all 4 policies"]),
    "rank": (["rank", "--module", "subset"], ["place", "v19"]),
    "rank of all": (["rank"], ["strict", "subset"]),
    "prices": (["prices", "--module", "subset"], ["over 12 questions", "seamcalls", "v19"]),
    "prices of success": (
        ["prices", "--module", "subset", "--outcome", "tdx-up", "--price", "vmxon"],
        ["vmxon", "linux-6.16"],
    ),
}


def command(root: Path, words: list[str]) -> list[str]:
    question, *options = (word.format(root=root) for word in words)
    return ["analyze", question, str(root), *options]


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_a_command(
    question: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected = QUESTIONS[question]
    words = command(root, words)
    assert cli.run(words) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for part in expected:
        assert part in captured.out, captured.out
    assert cli.run([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    for suffix in ("parquet", "csv"):
        assert cli.run([*words, "--table", str(tmp_path / f"t.{suffix}")]) == 0
        assert capsys.readouterr().out == ""
    assert pl.read_parquet(tmp_path / "t.parquet").to_dicts() == rows
    assert len(pl.read_csv(tmp_path / "t.csv")) == len(rows)


def test_every_question_is_asked_above() -> None:
    asked = {words[0] for words, _ in QUESTIONS.values()}
    assert asked == {name for name in cli.app["analyze"] if not name.startswith("-")}
    assert len(asked) == 8


def test_no_question_loads_the_engine(root: Path) -> None:
    """The engine takes longer to load than most tables to read, and a data set may lie where it cannot be loaded."""
    code = (
        "import json, sys; from tdxexplore import cli; codes = [cli.run(words) for words in json.loads(sys.argv[1])];"
        "print(codes, 'tdxexplore._core' in sys.modules, 'tdxexplore.data.analysis' in sys.modules)"
    )
    asked = [command(root, words) for words, _ in QUESTIONS.values()]
    done = subprocess.run([sys.executable, "-c", code, json.dumps(asked)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{[0] * len(asked)} False True"


def test_a_data_set_in_many_files_is_answered_with_a_hint(
    scattered: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdxexplore.cli.analyze.MANY_FILES", 100)
    assert cli.run(["analyze", "worst", str(scattered)]) == 0
    captured = capsys.readouterr()
    files = 3 * 4 * 2 * 3 * 4  # three tables
    assert captured.err == (
        f"tdxexplore: {scattered}: {files} files were read; after `tdxexplore compact {scattered}` it is a file for each "
        "partition of a table, and quicker\n"
    )
    assert "S1 deadlock" in captured.out


MISTAKES = {
    "an unknown question": (["wurst"], ['"wurst"', 'Did you mean "worst"']),
    "an unknown outcome": (["smallest", "--outcome", "deadlok"], ["`deadlok`", "did you mean `deadlock`"]),
    "an unknown module kind": (["rank", "--module", "subsett"], ["`subsett`", "Allowed: strict, subset"]),
    "an unknown price": (["dominates", "--price", "ipi"], ["--price is `ipi`", "did you mean `ipis`"]),
    "an unknown outcome of prices": (["prices", "--outcome", "up"], ["--outcome is `up`", "tdx-up"]),
    "a price where none counts": (["rank", "--price", "ipis"], ["--price"]),
    "an unknown severity": (["rank", "--fail-on", "S9"], ["--fail-on", "S9"]),
    "an unknown form": (["worst", "--table", "t.xlsx"], ["`t.xlsx`", ".parquet or .csv"]),
    "no data set to compare with": (["diff", "nowhere"], ["nowhere: not a folder"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_clear_line(mistake: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = MISTAKES[mistake]
    assert cli.run(command(root, words)) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    for part in expected:
        assert part in captured.err


def test_knobs_and_budgets_that_vary_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    [grid]
    policy = "hook-after-kvm"
    module = "subset"
    scenario = "no-kvm"
    cpus = "2-3"
    packages = [1, 2]
    set = { skip_if_vmx_off = "all", offline_veto = "all" }
    budget = { cpu_up = [1, 2] }
    """
    sweep(load(spec_file(tmp_path, text)), tmp_path / "out")
    assert len(Dataset(tmp_path / "out").parts("runs")) == 2 * 2 * 2 * 2 * 2
    assert cli.run(["analyze", "worst", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "policy hook-after-kvm, module kind subset, scenario no-kvm" in out
    assert "knobs of hook-after-kvm without effect on these figures: offline_veto\n" in out
    for skip, outcome in (("no", "S2 online-refused"), ("yes", "S4 latent-lp")):
        for budget in ("cpu_up=1", "cpu_up=2"):
            assert re.search(rf"^{skip} +{budget} .*{outcome}", out, flags=re.MULTILINE)
    assert "register" not in out


def test_a_pipe_gets_whole_lines(root: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    asked = [sys.executable, "-m", "tdxexplore", "analyze", "prices", str(root)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 120
    assert done.stdout.count("v19") == 2  # a line for each module kind


@pytest.mark.parametrize("columns", [60, 100])
def test_columns_are_respected(
    columns: int, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for words, _ in QUESTIONS.values():
        assert cli.run(command(root, words)) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "…" not in "".join(lines)
        assert 0 < max(map(len, lines)) <= columns, words


def test_what_a_text_leaves_out_is_in_the_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text of `dominates` has those that dominate, the table every pair."""
    assert cli.run(["analyze", "dominates", str(root), "--price", "ipis", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 2 * 4 * 3
    assert {row["dominates"] for row in rows} == {True, False}
