"""Input of strangers: texts, sweep files and data sets that are meant to break a table, a terminal, a folder or the memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import tdxexplore
from hostile import EVIL, GRID, SPECS
from sweeps import spec_file
from tdxexplore import BadModel, Knob, TdxExploreError, cli
from tdxexplore.cli.kernel_options import lines_of
from tdxexplore.data.files import DRAWN, folder_of
from tdxexplore.errors import BadSpec
from tdxexplore.explore.question import Question
from tdxexplore.export import export
from tdxexplore.kernel import campaign
from tdxexplore.kernel.recording import BadTrace, Recording
from tdxexplore.model import Model, Procedure, Scope
from tdxexplore.render.terminal import console
from tdxexplore.report import kept
from tdxexplore.report.shape import is_drawing
from tdxexplore.sweep import load
from tdxexplore.sweep.plan import plan
from tdxexplore.tdx.policies.v19 import V19
from tdxexplore.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable

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


# -- models -----------------------------------------------------------------------------------------------------------


def model(**names: Any) -> Model:
    """A model of one step, with some of its names."""
    own = Model(names.get("model", "m"))
    field = own.counter(names.get("field", "n"), 3)
    procedure = Procedure(names.get("actor", "p"), Scope.CPU)
    procedure.step(names.get("label", "go"), source=names.get("source", "s"))
    procedure.add(field, 1)
    own.add(procedure)
    own.outcome(names.get("outcome", "done"), "ok", field > 0, names.get("text", "t"))
    return own


@pytest.mark.parametrize("place", ["model", "field", "actor", "label", "outcome", "text"])
def test_no_name_in_a_model_is_more_than_a_line(place: str) -> None:
    allowed = 0
    for text in EVIL.values():
        good = isinstance(text, str) and text.isprintable() and len(text) <= 200 and (place == "text" or text != "")
        with pytest.raises(BadModel) if not good else contextlib.nullcontext():
            tdxexplore.check(model(**{place: text}), cpus=2)
        allowed += good
    assert 5 < allowed < len(EVIL)


def test_no_text_in_a_model_reaches_into_the_next_line_of_another_language() -> None:
    places = ("model", "field", "actor", "label", "outcome", "text", "source")

    def build() -> Model:
        return model(**dict.fromkeys(places, '*/ (* a"\\'))

    question = Question.of(build, cpus=2)
    for language in ("promela", "murphi", "tla"):
        lines = export(question, language).splitlines()
        comments = [line for line in lines if re.search(r"//|--|\\\*", line)]
        assert len([line for line in comments if "*/ (*" in line]) >= 5
        assert not any(line.endswith("\\") for line in comments)


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


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(BadSpec, match="/dev/zero: has more than 1,048,576 bytes"):
        load(Path("/dev/zero"))
    with pytest.raises(BadTrace, match="/dev/zero is no recording: has more than 67,108,864 bytes"):
        Recording.read(Path("/dev/zero"))
    with pytest.raises(BadModel, match="--script is `/dev/zero`: has more than 1,048,576 bytes"):
        lines_of("/dev/zero")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"5\n", b"{}\n", b"[" * 100_000])
def test_no_other_file_is_taken_for_one_of_a_kernel(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadTrace):
        Recording.read(tmp_path / "file")
    with pytest.raises(BadModel, match="is no file of results"):
        campaign.read(tmp_path / "file")
    if content[0] == 0xFF:
        with pytest.raises(BadModel, match="--script is"):
            lines_of(str(tmp_path / "file"))


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


DAMAGE = {
    ("outcomes", "severity"): "S9",
    ("properties", "severity"): "\0",
    ("outcomes", "terminal_states"): "",
    ("outcomes", "interleavings"): "-1",
    ("properties", "states"): "1e9",
    ("runs", "states"): "9\n9",
    ("runs", "cpus"): None,
    ("runs", "packages"): 0,
}


@pytest.mark.parametrize(("table", "column"), DAMAGE)
def test_a_value_that_no_search_writes_is_damage(
    table: str, column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.run(["sweep", str(spec_file(tmp_path, GRID + "cpus = 2\n")), "--out", str(out)]) == 0
    (path,) = (out / table).rglob("*.parquet")
    rows = pq.read_table(path, partitioning=None)
    kind = pl.DataFrame(rows).schema[column]
    evil = pl.DataFrame(rows).with_columns(pl.lit(DAMAGE[table, column], dtype=kind).alias(column))
    pq.write_table(evil.to_arrow().cast(rows.schema), path)
    capsys.readouterr()
    for words in (["analyze", "worst", str(out)], ["report", str(out), "-o", str(tmp_path / "page.html"), "--quiet"]):
        assert cli.run(words) == 3
        said = capsys.readouterr().err
        assert f"damaged: `{column}` is `" in said
        assert said.count("\n") == 1


def test_a_data_set_is_not_written_where_no_reader_of_parquet_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_file(tmp_path, GRID + "cpus = 2\n")
    odd = tmp_path / "a\udcff"  # a byte that is not UTF-8
    assert cli.run(["sweep", str(spec), "--out", str(odd)]) == 2
    assert capsys.readouterr().err.endswith(
        "a\\udcff: its path is not UTF-8, and nobody who reads Parquet files finds it\n"
    )
    assert not odd.exists()
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert cli.run(["sweep", str(spec), "--out", "out"]) == 2
    assert list(odd.iterdir()) == []


OTHERS: tuple[Any, ...] = (5, None, True, [5], [[]], [{}], {})


def test_what_a_strangers_data_set_keeps_of_a_trace_is_a_drawing_or_nothing(tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    assert cli.run(["sweep", str(spec_file(tmp_path, GRID + "cpus = 2\n")), "--out", str(out)]) == 0
    assert cli.run(["report", str(out), "-o", str(page), "--quiet"]) == 0
    key, good = next(iter(kept.read(out).items()))
    row, why = good["rows"][0], {"blocks": [["a", [["b", "c"]], 0]], "limit": 0.5}
    evil: list[Any] = [5, "", [], {}, good | {"more": 1}, good | {"check": "tdxexplore check v19; touch evil"}]
    evil += [
        good | {"check": f"tdxexplore check {words}"}
        for words in ("v19\ntouch evil", "'v19", "$(touch evil)", "v19 'a'b")
    ]
    evil += [good | {name: value} for name in good for value in OTHERS if value != good[name]]
    evil += [{other: good[other] for other in good if other != name} for name in good]
    evil += [good | {"rows": [row | {name: None}]} for name in row] + [good | {"rows": [row | {"actor": 99}]}]
    evil += [good | {"why": why | {"blocks": blocks}} for blocks in (5, [5], [["a"]], [["a", ["b"], 0]])]
    assert all(map(is_drawing, (good, good | {"why": why}, good | {"check": "tdxexplore check 'a b.py:A'"})))
    assert [one for one in evil if is_drawing(one)] == []
    assert len(evil) > 60
    for drawing in (json.dumps(evil[0]), "[" * 100_000, json.dumps(evil[5]), None):
        columns = [pa.array([text], pa.string()) for text in (*key, drawing)]
        pq.write_table(pa.table(columns, schema=pq.read_schema(out / DRAWN)), out / DRAWN)
        assert kept.read(out) == {}
        assert cli.run(["report", str(out), "-o", str(page), "--quiet"]) == 0
        assert "touch evil" not in page.read_text()
    (out / DRAWN).unlink()
    os.mkfifo(out / DRAWN)
    assert kept.read(out) == {}
    assert cli.run(["report", str(out), "-o", str(page), "--quiet"]) == 0
    (tmp_path / "mine").write_text("mine")
    (out / DRAWN).unlink()
    (out / DRAWN).symlink_to(tmp_path / "mine")
    assert cli.run(["report", str(out), "-o", str(page), "--quiet"]) == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (out / DRAWN).is_symlink()


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
