"""``tdxexplore analyze``: each question as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from sweeps import spec_file
from tdxexplore import cli
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
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analyze")
    sweep(load(spec_file(folder, GRID)), folder / "out")
    return folder / "out"


QUESTIONS = {
    "worst": (["worst"], ["module kind subset", "S1 deadlock", "5 CPUs"]),
    "dominates": (["dominates", "--price", "ipis"], ["linux-6.16", "other_policy", "better"]),
    "growth": (["growth"], ["growth", "2 CPUs"]),
    "smallest": (["smallest", "--outcome", "deadlock"], ["dyn-hook-if-enabled", "S1"]),
    "smallest of all": (["smallest"], ["tdx-up", "deadlock"]),
    "diff": (["diff", "{root}"], ["nothing"]),
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
    assert len(asked) == 7


def test_no_question_loads_the_engine(root: Path) -> None:
    """The engine takes longer to load than most tables to read, and a data set may lie where it cannot be loaded."""
    code = (
        "import json, sys; from tdxexplore import cli\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    code = cli.run([*words, '--json'])\n"
        "    loaded = [name in sys.modules for name in ('tdxexplore._core', 'tdxexplore.data.analysis')]\n"
        "    print(words[1], code, *loaded, file=sys.stderr)\n"
    )
    asked = [command(root, words) for words, _ in QUESTIONS.values()]
    done = subprocess.run([sys.executable, "-c", code, json.dumps(asked)], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [f"{words[1]} 0 False True" for words in asked]


def test_a_data_set_in_many_files_is_answered_with_a_hint(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdxexplore.cli.analyze.MANY_FILES", 100)
    assert cli.run(["analyze", "worst", str(root)]) == 0
    captured = capsys.readouterr()
    files = 2 * 4 * 2 * 3 * 4  # two tables
    assert captured.err == (
        f"tdxexplore: {root}: {files} files were read; after `tdxexplore compact {root}` it is a file for each partition "
        "of a table, and quicker\n"
    )
    assert "module kind subset" in captured.out


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
    policy = "v19"
    module = "subset"
    scenario = "late-online"
    cpus = "2-3"
    packages = [1, 2]
    set = { offline_veto = "all" }
    budget = { cpu_up = [1, 2] }
    """
    sweep(load(spec_file(tmp_path, text)), tmp_path / "out")
    assert cli.run(["analyze", "worst", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert out.count("late-online") == 2 * 2 * 2
    assert out.count("cpu_up=2") == out.count("offline_veto=off") == 4
    assert len(Dataset(tmp_path / "out").parts("runs")) == 2 * 2 * 2 * 2
