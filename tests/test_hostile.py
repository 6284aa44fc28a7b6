"""Input of strangers: texts, sweep files and data sets that are meant to break a table, a terminal, a folder or the memory."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import tdxexplore
from sweeps import spec_file
from tdxexplore import BadModel, Knob, TdxExploreError, cli
from tdxexplore.data.files import folder_of
from tdxexplore.errors import BadSpec
from tdxexplore.render.terminal import console
from tdxexplore.sweep import load
from tdxexplore.sweep.plan import plan
from tdxexplore.tdx.policies.v19 import V19
from tdxexplore.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVIL = {
    "markup": "[/x][bold]a[/bold]",
    "newline": "a\nb",
    "escape": "a\x1b[31mb",
    "control": "a\x07\x08b",
    "bidi": "a\u202eb",
    "up": "../../a",
    "slash": "a/b",
    "surrogate": "a\ud800",
    "long": "a" * 10_000,
    "space": "a b",
    "equals": "a=b",
    "hive": "__HIVE_DEFAULT_PARTITION__",
    "html": "<script>alert(1)</script>",
    "shell": "$(touch evil); `touch evil`",
    "empty": "",
    "dot": "..",
    "nul": "a\0b",
    "number": 7,
    "none": None,
}


# -- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVIL)
def test_no_name_of_a_policy_or_a_knob_is_more_than_a_word(kind: str) -> None:
    text: Any = EVIL[kind]
    evil = [
        type("Evil", (V19,), {"name": text}),
        type("Evil", (V19,), {"name": "evil", "knobs": (*V19.knobs, Knob(text, ("a",), "what"))}),
        type("Evil", (V19,), {"name": "evil", "knobs": (*V19.knobs, Knob("knob", ("a", text), "what"))}),
    ]
    for policy in evil:
        with pytest.raises(BadModel) as caught:
            tdxexplore.check(policy, cpus=2)
        assert "of `A-Z a-z 0-9 . _ + -` are allowed" in str(caught.value)
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", [kind for kind, text in EVIL.items() if isinstance(text, str)])
def test_what_a_policy_says_is_one_line_or_refused(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = str(EVIL[kind])

    class Evil(V19):
        name = "evil"
        title = text
        source = text

        def kvm_load(self, k: Any) -> None:
            k.step(text, source=text)
            super().kvm_load(k)

    good = text != "" and text.isprintable() and len(text) <= 2000
    with pytest.raises(BadModel) if not good else contextlib.nullcontext():
        answer = tdxexplore.check(Evil, cpus=2)
        assert answer.outcomes.height
    assert capsys.readouterr().out == ""


def test_the_same_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = "from tdxexplore.tdx.policies.v19 import V19\n\nclass Mine(V19):\n    name = 'mine'\n"
    for name in ("[red]x.py", "a b.py", "a=b.py", "$(touch evil).py", "é" * 80 + ".py"):
        (tmp_path / name).write_text(body)
        policy = f"{tmp_path / name}:Mine"
        assert cli.run(["check", policy, "--cpus", "2"]) == 0
        shown = capsys.readouterr().out
        assert "mine on module kind strict" in shown
        assert tdxexplore.check(policy, cpus=2).runs["policy"][0] == "mine"
    (tmp_path / "a\x1bb.py").write_text(body)
    assert cli.run(["check", f"{tmp_path}/a\x1bb.py:Mine", "--cpus", "2"]) == 2
    assert "a\\x1bb.py" in capsys.readouterr().err
    assert not (tmp_path / "evil").exists()


def test_the_folder_of_a_partition_is_one_segment_of_at_most_255_bytes(tmp_path: Path) -> None:
    (tmp_path / ("é" * 100 + ".py")).write_text(
        "from tdxexplore.tdx.policies.v19 import V19\n\nclass Mine(V19):\n    name = 'v19'\n"
    )
    name = tdxexplore.check(f"{tmp_path}/{'é' * 100}.py:Mine", cpus=2).runs["policy"][0]
    assert name.startswith("v19 (")
    folder = folder_of({"policy": name, "module": "strict"})
    assert [len(part.encode()) < 256 for part in folder.parts] == [True, True]


# -- the terminal -----------------------------------------------------------------------------------------------------


def test_nothing_that_is_printed_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = console()
    for text in EVIL.values():
        out.print(str(text))
    shown = capsys.readouterr().out
    assert visible(shown) == shown
    assert "[/x][bold]a[/bold]" in shown
    assert "a\\x1b[31mb" in shown
    assert isinstance(out, Console)


# -- sweep files ------------------------------------------------------------------------------------------------------

GRID = '[grid]\npolicy = "v19"\nmodule = "subset"\nscenario = "late-online"\n'
SPECS = {
    "nesting": (f"a = {'[' * 100_000}{']' * 100_000}\n", "not TOML that can be read"),
    "nul": ('name = "a\0b"\n[grid]\ncpus = 2\n', "not TOML"),
    "digits": (f"[grid]\ncpus = {'9' * 5000}\n", "not TOML that can be read"),
    "range": (f'{GRID}cpus = "2-99999999999"\n', "`2-99999999999`; allowed are 1 to 2048"),
    "budget": (f'{GRID}cpus = 2\nbudget = {{ cpu_up = "1-99999999999" }}\n', "`1-99999999999`; allowed are 0 to 8"),
    "depth": (f"{GRID}cpus = 2\n[check]\nmax_depth = 1{'0' * 40}\n", "at most 4294967295 is allowed"),
    "nan": (f"{GRID}cpus = nan\n", "`grid.cpus` is nan"),
    "infinity": (f"{GRID}cpus = 2\n[check]\ntimeout = inf\n", "`check.timeout` is inf"),
    "date": (f"{GRID}cpus = 2020-01-01\n", "`grid.cpus` is datetime.date(2020, 1, 1)"),
    "size": (f"#{'a' * 10_000_000}\n{GRID}cpus = 2\n", "has 10,0"),
    "name": (f'name = "a\\u001b[31m"\n{GRID}cpus = 2\n', "printable"),
    "note": (f'note = "{"a" * 3000}"\n{GRID}cpus = 2\n', "at most 2,000 printable"),
    "policy": (GRID.replace("v19", "\\u001b[31m.py:A") + "cpus = 2\n", "printable characters is needed"),
    "policy with nul": (GRID.replace("v19", "a\\u0000.py:A") + "cpus = 2\n", "printable characters is needed"),
    "key": (f'{GRID}cpus = 2\n"a\\u001b" = 2\n', "`grid.a\\x1b` is not a key"),
}


@pytest.mark.parametrize("kind", SPECS)
def test_a_hostile_sweep_file_is_one_line_at_once(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, expected = SPECS[kind]
    before = time.process_time()
    assert cli.run(["sweep", str(spec_file(tmp_path, text)), "--out", str(tmp_path / "out")]) == 2
    assert time.process_time() - before < 3
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"tdxexplore: error: {tmp_path}/sweep.toml: ")
    assert expected in captured.err
    assert captured.err[:-1].isprintable()
    assert not (tmp_path / "out").exists()


def test_a_grid_of_too_many_cells_is_refused_before_it_is_made(tmp_path: Path) -> None:
    budgets = ", ".join(f'{name} = "1-8"' for name in ("cpu_up", "cpu_down", "kvm_load"))
    text = f'[grid]\npolicy = "v19"\ncpus = "8-2048"\npackages = "1-8"\nbudget = {{ {budgets} }}\n'
    with pytest.raises(BadModel, match=r"the grid has [\d,]+ cells; at most 1,000,000 are allowed"):
        plan(load(spec_file(tmp_path, text)), tmp_path / "out")


# -- data sets --------------------------------------------------------------------------------------------------------


def test_texts_in_a_strangers_data_set_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sweep", str(spec_file(tmp_path, GRID + "cpus = 2\n")), "--out", str(tmp_path / "out")]) == 0
    for path in (tmp_path / "out" / "outcomes").rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        evil = pl.DataFrame(table).with_columns(
            outcome=pl.lit("[/x]\x1b[31m"), text=pl.lit("\x1b]0;owned\x07"), knobs=pl.lit("knob=a\x1b[2J")
        )
        pq.write_table(evil.to_arrow().cast(table.schema), path)
    capsys.readouterr()
    for question in ("worst", "rank", "smallest", "growth", "prices", "dominates"):
        assert cli.run(["analyze", question, str(tmp_path / "out")]) in (0, 2, 3)
        captured = capsys.readouterr()
        for said in (captured.out, captured.err):
            assert visible(said) == said
    shutil.rmtree(tmp_path / "out")


# -- calls ------------------------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (None, -1, 0, 1 << 70, 1.5, float("nan"), "a\ud800", b"a", [], {}, object, (1,), "2", True)
CALLS: dict[str, Callable[[Any], object]] = {
    "policy": tdxexplore.check,
    "module": lambda value: tdxexplore.check("v19", module=value),
    "scenario": lambda value: tdxexplore.check("v19", scenario=value),
    "cpus": lambda value: tdxexplore.check("v19", cpus=value, packages=1),
    "packages": lambda value: tdxexplore.check("v19", packages=value),
    "knobs": lambda value: tdxexplore.check("v19", knobs=value),
    "knob": lambda value: tdxexplore.check("v19", knobs={"offline_veto": value}),
    "budgets": lambda value: tdxexplore.check("v19", budgets={"cpu_up": value}),
    "threads": lambda value: tdxexplore.check("v19", cpus=2, threads=value),
    "timeout": lambda value: tdxexplore.check("v19", cpus=2, timeout=value),
    "max_memory": lambda value: tdxexplore.check("v19", cpus=2, max_memory=value),
    "max_states": lambda value: tdxexplore.check("v19", cpus=2, max_states=value),
    "space": lambda value: tdxexplore.check("v19", cpus=2, space=value),
    "compare": lambda value: tdxexplore.compare(["v19"], modules=["strict"], scenarios=value, cpus=2),
    "schedule": lambda value: tdxexplore.replay(tdxexplore.Question.of("v19", cpus=2), value),
}


@pytest.mark.parametrize("argument", CALLS)
def test_a_call_with_any_value_answers_or_says_what_is_allowed(argument: str) -> None:
    refused = 0
    for value in VALUES:
        try:
            CALLS[argument](value)
        except TdxExploreError as error:
            said = str(error)
        else:
            continue
        refused += 1
        assert "\n" not in said
    assert refused >= len(VALUES) // 3


# -- fuzzing ----------------------------------------------------------------------------------------------------------

SEEDS = [
    GRID + 'cpus = "2-3"\nset = { offline_veto = "all" }\nbudget = { cpu_up = "1-2" }\n',
    *(s for s, _ in SPECS.values()),
]
WORDS = [
    '"',
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "#",
    "\\u0000",
    "1e9",
    "-",
    ",",
    ".",
    "cpus",
    "[[exclude]]",
    "[check]\n",
    "é",
]


def mutated(text: str, chance: random.Random) -> str:
    """A text with some of it cut out, doubled, or replaced."""
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(text) + 1)
        upto = min(len(text), at + chance.randrange(8))
        text = text[:at] + chance.choice(["", chance.choice(WORDS), text[at:upto] * 2]) + text[upto:]
    return text


def fuzz(seconds: float, seed: int, path: Path) -> int:
    """Load mutated sweep files; whatever is wrong is said in a line."""
    chance, until = random.Random(seed), time.monotonic() + seconds
    for runs in itertools.count(1):
        path.write_text(mutated(chance.choice(SEEDS)[:5000], chance))
        said = ""
        try:
            load(path)
        except BadSpec as error:
            said = str(error)
        assert "\n" not in said, path.read_text()
        if time.monotonic() > until:
            return runs
    raise AssertionError


@pytest.mark.parametrize("seconds", [0.5, pytest.param(10, marks=pytest.mark.long)])
def test_mutated_sweep_files_load_or_are_refused_in_a_line(seconds: float, tmp_path: Path) -> None:
    assert fuzz(seconds, 7, tmp_path / "sweep.toml") > 20
