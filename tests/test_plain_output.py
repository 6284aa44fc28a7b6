"""What is printed fits: long names, 64 CPUs, 300 steps, 80 columns, no colour, and a locale that has ASCII only."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tdxexplore import cli
from tdxexplore.explore.question import Question
from tdxexplore.explore.trace import replay
from tdxexplore.explore.walk import Walk
from tdxexplore.render.progress import sweeping
from tdxexplore.render.traces import schedule_in
from tdxexplore.render.walk import Walker
from tdxexplore.sweep import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

NAME = "an_unusually_long_name_of_a_model_that_nobody_would_want_to_type"
OUTCOME = "the_cpu_" + "came_" * 20 + "in_time"
MODEL = f'''
from tdxexplore.model import Model, Procedure, Scope


def {NAME}() -> Model:
    """Somebody takes 299 steps, and a CPU comes in between, or does not."""
    model = Model("{NAME}")
    came = model.flag("somebody_came_" + "before_" * 12 + "the_end")
    late, taken = model.flag("late"), model.flag("taken", Scope.CPU)
    slow = Procedure("an_actor_with_a_name_" + "that_goes_on_" * 6 + "and_on", Scope.GLOBAL)
    for n in range(1, 299):
        slow.step(f"step {{n}}")
    with slow.function("with_a_function_" * 8 + "()"):
        slow.step("a step with a title of many words " + "and more words " * 10)
        with slow.if_(came):
            slow.note("a note that says " + "very much of " * 20 + "nothing")
            slow.set(late, True)
    model.add(slow)
    quick = Procedure("quick", Scope.GLOBAL)
    with quick.on_any_cpu(~taken, "come" + "_and_come_again" * 9):
        quick.set(came, True)
    model.add(quick)
    model.outcome("{OUTCOME}", "S2", late, "it came " + "and came " * 20)
    model.outcome("done", "ok", when=True)
    return model
'''
LATE = ["--module", "subset", "--cpus", "3", "--scenario", "late-online"]
RANDOM = ["--scheduler", "random", "--count", "200"]
COMMANDS: dict[str, tuple[int, list[str]]] = {
    "check": (1, ["check", "v19", *LATE]),
    "check, long": (1, ["check", "LONG", "--cpus", "64"]),
    "why": (0, ["why", "dyn-hook-if-enabled", "--cpus", "2", "--scenario", "offline-mid-enable"]),
    "why, long": (0, ["why", "LONG", "--cpus", "64"]),
    "why, too large": (3, ["why", "v19", "--module", "subset", "--cpus", "64", "--scenario", "late-online"]),
    "diff": (1, ["diff", "linux-6.16", "v19", *LATE]),
    "diff, long": (0, ["diff", "LONG", "LONG", "--cpus", "64"]),
    "diff, 64 CPUs": (1, ["diff", "linux-6.16", "v19", *LATE[:2], "--cpus", "64", *LATE[4:]]),
    "sample": (1, ["sample", "v19", *LATE, "--count", "2"]),
    "sample, long": (1, ["sample", "LONG", "--cpus", "64", "--count", "3"]),
    "sample, 64 CPUs": (1, ["sample", "v19", *LATE[:2], "--cpus", "64", *LATE[4:], *RANDOM]),
    "compare": (1, ["compare", "v19", "linux-6.16", *LATE]),
    "explore, no terminal": (2, ["explore", "v19", "--cpus", "64"]),
    "report, no data": (0, ["report", "EMPTY", "--out", "OUT"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_80_columns_of_ascii_without_colours(name: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    code, words = COMMANDS[name]
    (tmp_path / "long.py").write_text(MODEL)
    (tmp_path / "empty" / "runs").mkdir(parents=True)
    given = {"LONG": f"long.py:{NAME}", "EMPTY": "empty", "OUT": "report.html"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LC_")}
    done = subprocess.run(
        [sys.executable, "-m", "tdxexplore", *(given.get(word, word) for word in words)],
        env=environment | {"LANG": "C", "COLUMNS": "80", "NO_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    shown = (done.stdout or done.stderr).decode("ascii")
    assert done.returncode == code, shown
    assert "\x1b" not in shown
    # A terminal folds sentences, commands and schedules; tables and traces would come apart.
    wide = [line for line in shown.splitlines() if len(line) > 80 and "replay" not in line]
    assert not [line for line in wide if "  " in line.strip() and not re.match(r"[0-9a-z()]+  \S+$", line)]
    lines = [line for line in shown.splitlines() if not line.endswith(" steps/s") and " stored states/s, " not in line]
    if len(lines) > 80:  # the middle of 300 steps is as its beginning
        lines = [*lines[:40], *lines[-40:]]
    assert "\n".join(line.rstrip() for line in lines) == snapshot


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["compare", "-h"], ["analyze", "--help"]])
def test_help_is_drawn_with_the_characters_of_the_locale(words: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LC_")} | {"COLUMNS": "80"}
    shown = [
        subprocess.run(
            [sys.executable, "-m", "tdxexplore", *words],
            env=environment | {"LANG": locale},
            capture_output=True,
            check=True,
        ).stdout
        for locale in ("C", "C.UTF-8")
    ]
    plain = shown[0].decode("ascii")
    assert "+- Parameters ---" in plain or "+- Commands ---" in plain
    # The same text, drawn otherwise.
    drawn = str.maketrans("╭╮╰╯─│×", "++++-|x")
    assert shown[1].decode().translate(drawn) == plain != shown[1].decode()


def test_bars_of_progress_are_drawn_with_the_characters_of_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for locale, ascii_only in (("C", True), ("en_US.UTF-8", False)):
        monkeypatch.setenv("LANG", locale)
        written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(sys, "stderr", written)
        monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal
        with sweeping(quiet=False, verbose=False) as show:
            assert show is not None
            show(Progress(done=2, total=4, planned=4, explored=10, seconds=1.0, eta=1.0))
        written.flush()
        assert written.buffer.getvalue().isascii() is ascii_only


REPLAYED: dict[str, tuple[list[str], int, set[str]]] = {
    "check": (["check", "v19", *LATE], 3, {"td-error"}),
    "why": (["why", *COMMANDS["why"][1][1:]], 1, {"deadlock"}),
    "diff": (["diff", "linux-6.16", "v19", *LATE], 1, {"td-error"}),
    "sample": (["sample", "v19", *LATE, "--count", "2"], 3, {"td-error"}),
}


@pytest.mark.parametrize("name", REPLAYED)
def test_every_command_that_is_printed_replays(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, least, outcomes = REPLAYED[name]
    cli.run(words)
    printed = capsys.readouterr().out
    commands = [shlex.split(said) for said in re.findall(r"tdxexplore (replay .*)", printed)]
    assert len(commands) >= least
    assert schedule_in(printed) == commands[0][-1]
    ends = set()
    for command in commands:
        assert cli.run(command) == 0
        ends |= set(re.findall(r"^outcome: (\S+)", capsys.readouterr().out, flags=re.MULTILINE))
    assert ends == outcomes


def test_every_schedule_of_an_explanation_ends_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run([*REPLAYED["why"][0], "--json"])
    document = json.loads(capsys.readouterr().out)
    question = Question.of("dyn-hook-if-enabled", cpus=2, scenario="offline-mid-enable")
    schedules = [document[one]["schedule"] for one in ("shortest", "fewest_switches")]
    schedules += [cause["schedule"] for cause in document["causes"]]
    assert len(schedules) >= 3
    assert {replay(question, schedule).outcome for schedule in schedules} == {document["outcome"]}


def test_a_walk_of_long_names_on_64_cpus_fits_a_small_terminal(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text(MODEL)
    walk = Walk(Question.of(f"{tmp_path / 'long.py'}:{NAME}", cpus=64))

    async def walked() -> tuple[int, list[str], int]:
        app = Walker(walk)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            options = len(app.walk_through.options)
            await pilot.press("o", "enter")
            await pilot.pause()
            lines = str(app.query_one("#steps").render()).splitlines()
            return options, lines, app.query_one("#steps").size.width

    options, lines, width = asyncio.run(walked())
    assert options == 1 + 64
    assert any(line.strip().startswith("300") for line in lines)
    assert max(map(len, lines)) <= max(width, 40)
