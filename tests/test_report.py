"""A data set as one HTML file: what it holds, and that it holds it as text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tdxexplore
from reports import ODD, Odd, data_of, saved, small
from sweeps import spec_file
from tdxexplore.cli import run
from tdxexplore.data.files import DRAWN
from tdxexplore.data.single import write_table
from tdxexplore.errors import BadDataset, TimeUp
from tdxexplore.explore.choices import choices
from tdxexplore.explore.question import Question
from tdxexplore.explore.reasons import blocks
from tdxexplore.explore.why import explain
from tdxexplore.report import kept, source, write
from tdxexplore.report.content import content
from tdxexplore.report.drawing import drawing
from tdxexplore.report.explained import Explaining
from tdxexplore.report.page import page
from tdxexplore.report.questions import Subjects
from tdxexplore.report.traces import Shown
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(tdxexplore.__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("report") / "tables")


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    written = write(folder, folder.parent / "page.html", policies=[Odd])
    assert (written.points, written.unknown, written.changed, written.left_out) == (32, (ODD,), (), 0)
    text = (folder.parent / "page.html").read_text(encoding="utf-8")
    assert written.size == len(text.encode())
    return text


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


# -- why -------------------------------------------------------------------------------------------------------------


def test_each_bad_outcome_is_explained_as_by_the_command(folder: Path, tmp_path: Path) -> None:
    copied = copytree(folder, tmp_path / "tables")
    counts: list[tuple[int, int]] = []
    told = write(copied, tmp_path / "why.html", policies=[Odd], why=60, progress=lambda *count: counts.append(count))
    data = data_of((tmp_path / "why.html").read_text(encoding="utf-8"))
    assert told.traces == len(data["traces"]) > 20
    unknown = len(counts) - told.traces  # of the policy with the odd name
    drawings = kept.read(copied)
    explained = 0
    for drawn in drawings.values():
        severity = re.search(r"\((S\d)\)", drawn["ending"])
        assert drawn["why"]["limit"] == 0
        assert bool(drawn["why"]["blocks"]) == (severity is not None and severity[1] <= "S3")
        explained += bool(drawn["why"]["blocks"])
    assert explained > 5
    # What is kept is not looked for again, and is shown without being asked for.
    counts.clear()
    write(copied, tmp_path / "again.html", policies=[Odd], why=60, progress=lambda *count: counts.append(count))
    assert len(counts) == unknown == 2
    write(copied, tmp_path / "plain.html", policies=[Odd])
    assert (tmp_path / "why.html").read_text() == (tmp_path / "again.html").read_text()
    assert (tmp_path / "why.html").read_text() == (tmp_path / "plain.html").read_text()
    question = Question.of("dyn-hook-if-enabled", cpus=2, scenario="offline-mid-enable")
    wanted = [
        [block.said, [list(item) for item in block.items], int(block.after)] for block in blocks(explain(question))
    ]
    assert {tag for block in blocks(explain(question)) for _, tag in block.items} == {"necessary"}
    assert wanted in [drawn["why"]["blocks"] for drawn in drawings.values()]
    texts = data["texts"]
    packed = [
        [texts[said], [[texts[t], texts[g]] for t, g in items], after] for said, items, after in wanted_of(data, texts)
    ]
    assert packed == wanted


def wanted_of(data: dict[str, Any], texts: list[str]) -> Any:
    """The why of the trace of the deadlock on 2 CPUs, as it is packed."""
    command = "tdxexplore replay dyn-hook-if-enabled --module strict --cpus 2 --scenario offline-mid-enable"
    found = [trace for trace in data["traces"] if trace[0].startswith(command) and trace[1].startswith("deadlock")]
    assert len(found) == 1
    assert len(texts) > 0
    return found[0][3]


def test_what_the_time_cuts_says_so_and_is_looked_for_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied, out = copytree(folder, tmp_path / "tables"), tmp_path / "why.html"

    def up(*_: object) -> None:
        raise TimeUp

    with monkeypatch.context() as patch:
        patch.setattr("tdxexplore.report.explained.Explainer.why", up)
        assert run(["report", str(copied), "-o", str(out), "--why", "--timeout", "2", "--quiet"]) == 0
    cut = [drawn for drawn in kept.read(copied).values() if drawn["why"]["limit"]]
    assert len(cut) > 5
    assert {tuple(map(str, drawn["why"]["blocks"][0])) for drawn in cut} == {
        ("The time for it, 2 s, was up.", "[]", "0")
    }
    assert run(["report", str(copied), "-o", str(out), "--why", "--timeout", "30", "--quiet"]) == 0
    assert [drawn for drawn in kept.read(copied).values() if drawn["why"]["limit"]] == []
    assert run(["report", str(copied), "-o", str(out), "--timeout", "2"]) == 2
    assert "--timeout is for --why" in capsys.readouterr().err
    assert run(["report", str(copied), "-o", str(out), "--why", "--timeout", "-1"]) == 2
    assert "timeout" in capsys.readouterr().err


def test_what_is_too_large_to_explain_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdxexplore.report.explained.MOST_STATES", 10)
    answer = tdxexplore.check("dyn-hook-if-enabled", cpus=2, scenario="offline-mid-enable")
    found = Explaining(5).why(answer.traces["deadlock"], answer.question.digest())
    assert found["limit"] == 0
    assert found["blocks"][0][0].startswith("Not explained: ")


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_for_nothing(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    names = [tag for tag, _ in tags.found]
    assert {"main", "dialog", "script", "style", "h1"} <= set(names)
    assert names.count("script") == 2
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(names)
    assert [
        value for _, attributes in tags.found for key, value in attributes.items() if key in ("src", "action")
    ] == []
    links = [str(attributes["href"]) for tag, attributes in tags.found if tag == "a"]
    assert links == ["#maps"]
    policy = next(
        a["content"] for t, a in tags.found if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert str(policy).startswith("default-src 'none'")
    assert "{{" not in html


def test_names_with_markup_are_text(html: str) -> None:
    assert "<script>alert" not in html
    assert "onerror=alert(2)>" not in html
    data = data_of(html)
    assert ODD in [row[0] for row in data["rows"]]
    assert data["designs"][Odd.name]["title"] == "<img src=x onerror=alert(2)>"
    odd = page({"texts": ["</script><script>alert(4)</script>", "<!--", "]]>"]}, "<b>title</b> & more")
    assert "alert(4)</script>" not in odd
    assert "<!--" not in odd
    assert "<title>&lt;b&gt;title&lt;/b&gt; &amp; more</title>" in odd
    assert data_of(odd)["texts"] == ["</script><script>alert(4)</script>", "<!--", "]]>"]
    turning = ["a\u202eb", "\\\u2066", "\\u202e is text", "\N{GRINNING FACE}"]
    assert data_of(page({"texts": turning}, "\u202e"))["texts"] == ["a\\u202eb", "\\\\u2066", *turning[2:]]
    assert "\u202e" not in page({"texts": turning}, "\u202e")


def test_scripts_never_write_markup() -> None:
    scripts = sorted((PACKAGE / "report" / "browser").glob("*.js"))
    assert len(scripts) == 5
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp|import\(", text
        )
        assert len(text.splitlines()) < 400


def test_the_page_has_what_was_asked_and_found(folder: Path, html: str) -> None:
    data = data_of(html)
    assert len(data["points"]) == 32
    assert [row[0] for row in data["rows"]] == ["v19", "dyn-hook-if-enabled", "linux-6.16", ODD, Odd.name]
    assert [column[0] for column in data["columns"]] == ["late-online", "offline-mid-enable"]
    assert data["panels"] == [["strict", 1, 2], ["strict", 1, 3], ["subset", 1, 2], ["subset", 1, 3]]
    setup = dict(data["setup"])
    assert setup["points"].startswith("32 points: ")
    assert setup["topologies"] == "2-3 CPUs in 1 package"
    assert setup["command"].startswith("tdxexplore compare v19 dyn-hook-if-enabled linux-6.16 ")
    assert {"deadlock", "td-error"} <= set(data["meanings"])
    assert all(meaning.endswith(".") and "](" not in meaning for meaning in data["meanings"].values())
    said = {data["texts"][finding[1]]: data["texts"][finding[12]] for point in data["points"] for finding in point[-1]}
    assert said["deadlock"] == "an actor waits for ever"
    assert all(said.values())
    outcomes = pl.read_parquet(folder / "outcomes.parquet")
    assert sum(data["texts"][f[0]] == "outcome" for point in data["points"] for f in point[-1]) == len(outcomes)
    steps = data["designs"]["linux-6.16"]["steps"]
    assert len(steps) > 40
    assert any("kernel/cpu.c" in source for *_, source in steps)
    assert data["designs"]["linux-6.16"]["hooks"]


def test_commands_ask_the_same_again(html: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_of(html)
    texts = data["texts"]
    bad = [p for p in data["points"] if data["rows"][p[0]][0] == "dyn-hook-if-enabled" and data["panels"][p[2]][2] == 2]
    looked_at = 0
    for point in bad:
        words = texts[point[11]].split()
        assert words[:3] == ["tdxexplore", "check", "dyn-hook-if-enabled"]
        assert run([*words[1:], "--quiet"]) == (1 if texts[point[3]] == "violated" else 0)
        said = capsys.readouterr().out
        for finding in point[-1]:
            assert texts[finding[1]] in said
            looked_at += 1
    assert looked_at >= 6


# -- traces ----------------------------------------------------------------------------------------------------------


def test_each_finding_has_the_trace_of_the_fewest_cpus(html: str) -> None:
    data = data_of(html)
    shown: dict[tuple[object, ...], set[tuple[int, int]]] = {}
    for point in data["points"]:
        for finding in point[-1]:
            if data["rows"][point[0]][0] == ODD:
                assert finding[8] == -1  # nobody knows this policy
                continue
            assert finding[8] >= 0
            shown.setdefault((*point[:2], data["panels"][point[2]][0], finding[1]), set()).add((finding[8], finding[9]))
    assert len(shown) > 20
    assert all(len(traces) == 1 for traces in shown.values())
    assert {cpus for traces in shown.values() for _, cpus in traces} == {2}
    replays = [trace[0] for trace in data["traces"]]
    assert all(command.startswith("tdxexplore replay ") for command in replays)
    assert len(set(replays)) == len(replays)


def test_a_drawing_says_what_the_trace_says() -> None:
    answer = tdxexplore.check("dyn-hook-if-enabled", module="subset", cpus=3, scenario="offline-mid-enable")
    trace = answer.traces["deadlock"]
    because = {"blocks": [["because", [], 0]], "limit": 0}
    drawn = drawing(trace, why=because)
    assert drawn["why"] == because
    assert drawn["ending"] == trace.ending
    assert len(drawn["waits"]) == len(trace.waits) >= 2
    assert [row["n"] for row in drawn["rows"]] == [str(step.number) for step in trace]
    for row, step in zip(drawn["rows"], trace, strict=True):
        assert drawn["actors"][row["actor"]] == step.actor
        assert {name for name, _, _ in row["changes"]} == {n for n, _, _ in step.changes if not n.startswith("pc.")}
        assert len(row["held"]) == len(step.held)
    text = [re.sub(r"\s+", " ", line) for line in trace.to_text(width=1000).splitlines()]
    for row, line in zip(drawn["rows"], text, strict=False):
        assert re.sub(r"\s+", " ", row["said"].strip()) in line


def bars_at(drawn: dict[str, Any], row: int) -> list[tuple[str, str, str]]:
    """The locks whose bars go on below a row."""
    return sorted(
        (lock, drawn["actors"][actor], where)
        for actor, _, lock, _, where, since, until in drawn["bars"]
        if since <= row and (until is None or until > row)
    )


def test_bars_are_where_locks_are_held() -> None:
    looked_at = 0
    for policy, scenario in (("dyn-hook-if-enabled", "offline-mid-enable"), ("linux-6.16", "kvm-reload")):
        for trace in tdxexplore.check(policy, module="subset", cpus=3, scenario=scenario).traces.values():
            drawn = drawing(trace)
            for n, row in enumerate(drawn["rows"]):
                assert bars_at(drawn, n) == sorted((lock, who, where) for lock, _, who, where in row["held"])
                looked_at += len(row["held"])
    assert looked_at > 60


def places(where: str) -> int:
    """How many places a choice stands for."""
    numbers = [int(n) for n in re.findall(r"\d+", where)]
    if " of " in where:
        return numbers[0]
    return numbers[-1] - numbers[0] + 1 if numbers else 1


def test_what_else_could_have_happened_is_what_the_engine_allows() -> None:
    trace = tdxexplore.check("v19", module="subset", cpus=3, scenario="late-online").traces["td-error"]
    found = choices(trace)
    assert len(found) == len(trace)
    looked_at = 0
    for step, others in zip(trace, found, strict=True):
        before = tdxexplore.replay(trace.question, trace.schedule[: step.number - 1])
        actors = {actor for actor, _, _ in before.enabled}
        assert (step.actor, step.cpu) in {(actor, cpu) for actor, _, cpu in before.enabled}
        assert {other.actor for other in others} <= actors
        assert actors - {step.actor} <= {other.actor for other in others}
        # All that was possible but for the step that was taken.
        assert sum(places(other.where) for other in others) == len(before.enabled) - 1
        looked_at += len(others)
    assert looked_at >= 8


def test_long_traces_and_64_cpus_are_folded() -> None:
    answer = tdxexplore.check("v19", module="subset", cpus=64, scenario="kvm-reload", measures=False)
    trace = max(answer.traces.values(), key=len)
    assert len(trace) > 300
    drawn = drawing(trace)
    assert len(drawn["rows"]) < 80
    assert sum(len(row["cpus"]) for row in drawn["rows"]) > 250
    assert max(len(row["changes"]) for row in drawn["rows"]) <= 16
    assert any(row["more"] for row in drawn["rows"])
    assert max(len(row["others"]) for row in drawn["rows"]) < 10


def test_drawings_are_kept_and_used_again(folder: Path, html: str) -> None:
    assert (folder / DRAWN).is_file()
    drawings = kept.read(folder)
    assert len(drawings) == len(data_of(html)["traces"]) > 20
    # Nothing is recorded: even the policy that only this test knows has its traces.
    again = write(folder, folder.parent / "again.html", traces=False)
    assert again.traces == len(drawings)
    assert data_of((folder.parent / "again.html").read_text())["traces"] == data_of(html)["traces"]


def test_drawings_that_cannot_be_read_are_made_again(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "tables"
    copied.mkdir()
    for path in folder.glob("*.parquet"):
        (copied / path.name).write_bytes(path.read_bytes())
    (copied / DRAWN).write_bytes(b"PAR1 and then nothing")
    assert kept.read(copied) == {}
    written = write(copied, tmp_path / "page.html", policies=[Odd])
    assert written.traces == len(kept.read(copied)) > 20


def test_traces_beyond_the_size_are_left_out_mildest_first(
    folder: Path, html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdxexplore.report.content.TRACES_AT_MOST", 20_000)
    written = write(folder, folder.parent / "less.html", traces=False)
    data = data_of((folder.parent / "less.html").read_text())
    assert written.left_out == data["left_out"] > 0
    assert written.traces + written.left_out == len(data_of(html)["traces"])
    worst = min(f[2] for p in data["points"] for f in p[-1])
    assert all(f[8] >= 0 for p in data["points"] for f in p[-1] if f[2] == worst)


# -- sources ---------------------------------------------------------------------------------------------------------


def test_a_sweep_of_one_owns_its_policy_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parent.parent / "examples" / "lazy_first_vm.py"
    grid = f'[grid]\npolicy = ["{example}:LazyFirstVm"]\nmodule = "subset"\nscenario = "late-online"\ncpus = "2-3"\n'
    sweep(load(spec_file(tmp_path, f'name = "own"\nnote = "a note"\n{grid}')), tmp_path / "data")
    out = tmp_path / "own.html"
    assert run(["report", str(tmp_path / "data"), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "policy `lazy-first-vm` is not built in: with --policy FILE.py:NAME it has traces and commands" in said.err
    assert said.out.startswith(f"{out}: 2 points, 0 traces, ")
    assert run(["report", str(tmp_path / "data"), "-o", str(out), "--policy", f"{example}:LazyFirstVm"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    data = data_of(out.read_text())
    assert data["traces"]
    assert data["title"] == "own"
    assert "own: a note" in dict(data["setup"])["sweep file"]
    assert f"tdxexplore check {example}:LazyFirstVm --module subset --cpus 2 --scenario late-online" in data["texts"]
    # The data set knows the file that the report left there.
    assert (tmp_path / "data" / DRAWN).is_file()
    assert run(["analyze", "worst", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().err == ""


def test_damaged_files_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = '[grid]\npolicy = "v19"\nmodule = ["strict", "subset"]\nscenario = "late-online"\ncpus = 2\n'
    sweep(load(spec_file(tmp_path, grid)), tmp_path / "data")
    first = next(iter(sorted((tmp_path / "data" / "runs").rglob("*.parquet"))))
    first.write_bytes(b"PAR1")
    out = tmp_path / "page.html"
    assert run(["report", str(tmp_path / "data"), "-o", str(out), "--title", "a <title>"]) == 3
    said = capsys.readouterr()
    assert first.name in said.err
    assert said.out.startswith(f"{out}: 1 points, ")
    assert "<h1>a &lt;title&gt;</h1>" in out.read_text()


def test_what_was_drawn_until_ctrl_c_is_kept(tmp_path: Path) -> None:
    answers = tdxexplore.compare(["v19"], modules=["subset"], scenarios=["late-online", "kvm-reload"], cpus=2)
    folder = saved(answers, tmp_path / "tables")

    def interrupt(done: int, total: int) -> None:
        assert total > 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(folder, tmp_path / "page.html", progress=interrupt)
    assert len(kept.read(folder)) == 2
    assert not (tmp_path / "page.html").exists()


def test_models_of_ones_own_have_a_report(tmp_path: Path) -> None:
    zoo = Path(__file__).parent.parent / "zoo"
    own = [f"{zoo}/stopper.py:stopper", f"{zoo}/kvm_locks.py:kvm_locks"]
    answers = tdxexplore.compare(own, cpus=[2, 3])
    written = write(saved(answers, tmp_path / "tables"), tmp_path / "page.html", policies=own)
    assert (written.points, written.unknown, written.changed) == (4, (), ())
    data = data_of((tmp_path / "page.html").read_text())
    assert data["panels"] == [["-", 1, 2], ["-", 1, 3]]
    assert data["columns"] == [["-", "-", ""]]
    assert len(data["traces"]) >= 4
    assert f"tdxexplore check {own[0]} --cpus 2" in data["texts"]
    assert {step[0] for step in data["designs"]["stopper"]["steps"]} == {"bringup", "rescuer"}
    assert "module kinds" not in dict(data["setup"])
    assert data["meanings"] == {}  # their outcomes mean what they say themselves
    assert data["title"] == "Which model holds?"


def test_a_policy_that_has_changed_since_has_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tdxexplore.compare(["v19"], modules=["subset"], scenarios=["late-online"], cpus=2)
    folder = saved(answers, tmp_path / "tables")
    path = folder / "runs.parquet"
    runs = pl.read_parquet(path).with_columns(digest=pl.lit("0" * 32))
    write_table(path, "runs", runs)
    assert run(["report", str(folder), "-o", str(tmp_path / "page.html")]) == 0
    assert "policy `v19` is not what it was when these points were explored" in capsys.readouterr().err


def bad_folders(root: Path) -> Iterator[tuple[Path, str]]:
    yield root / "nowhere", "not a folder"
    (root / "empty").mkdir()
    yield root / "empty", "not a data set"
    answers = tdxexplore.compare(["v19"], modules=["subset"], scenarios=["late-online"], cpus=2)
    (saved(answers, root / "half") / "outcomes.parquet").unlink()
    yield root / "half", "no `outcomes.parquet`"
    (saved(answers, root / "damaged") / "runs.parquet").write_bytes(b"nothing")
    yield root / "damaged", "damaged"
    pl.DataFrame({"a": [1]}).write_parquet(saved(answers, root / "other") / "runs.parquet")
    yield root / "other", "schema unknown"


def test_a_folder_that_is_none_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looked_at = 0
    for folder, why in bad_folders(tmp_path):
        with pytest.raises(BadDataset, match=re.escape(why)):
            write(folder, tmp_path / "page.html")
        assert run(["report", str(folder), "-o", str(tmp_path / "page.html")]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert why in said
        looked_at += 1
    assert looked_at == 5
    assert not (tmp_path / "page.html").exists()


def test_a_file_that_cannot_be_written_is_an_error_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(folder), "-o", str(folder / "no" / "page.html"), "--no-traces"]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_an_empty_data_set_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "data" / "runs").mkdir(parents=True)
    written = write(tmp_path / "data", tmp_path / "page.html")
    assert (written.points, written.traces) == (0, 0)
    data = data_of((tmp_path / "page.html").read_text())
    assert data["setup"] == [["points", "none: nothing has been explored yet"]]


def test_cells_without_an_answer_say_why(tmp_path: Path) -> None:
    answers = tdxexplore.compare(["v19", "linux-7.2-update"], modules=["subset"], scenarios=["update"], cpus=2)
    write(saved(answers, tmp_path / "tables"), tmp_path / "page.html")
    data = data_of((tmp_path / "page.html").read_text())
    (row,) = data["unanswered"]
    assert row[3] == "not applicable"
    assert "v19" in row[4]
    assert len(data["points"]) == 1


def test_the_same_tables_give_the_same_bytes_in_any_locale(folder: Path, html: str) -> None:
    out = folder.parent / "again.html"
    code = (
        "from pathlib import Path; from tdxexplore.report import write; import sys;"
        "write(Path(sys.argv[1]), Path(sys.argv[2]), traces=False)"
    )
    environment = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PATH": os.environ["PATH"], "PYTHONHASHSEED": "7"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    subprocess.run([sys.executable, "-c", code, str(folder), str(out)], env=environment, check=True)
    ours = folder.parent / "ours.html"
    write(folder, ours, traces=False)
    assert out.read_bytes() == ours.read_bytes()
    assert len(html) > 100_000


def test_two_thousand_points_are_small_and_quick(folder: Path, html: str) -> None:
    """The same answers under other names; the time is that of this process, as others may run beside it."""
    tables = source.read(folder)
    assert html
    copies = 63
    many = {}
    for name in ("runs", "outcomes", "properties"):
        rows = getattr(tables, name)
        parts = [
            rows.with_columns(point=pl.col("point") + f"-{n}", policy=pl.col("policy") + f" {n}") for n in range(copies)
        ]
        many[name] = pl.concat(parts)
    assert len(many["runs"]) == 2016
    drawings = {(f"{digest}{n}", s): d for n in range(20) for (digest, s), d in kept.read(folder).items()}
    keys = list(drawings)
    large = source.Source(folder, **many, unanswered=tables.unanswered, origin={})
    reached = many["outcomes"].select("point", "outcome").rows()
    of = {(point, "outcome", name): (keys[n % len(keys)], point) for n, (point, name) in enumerate(reached)}
    began = time.process_time()
    text = page(content(large, Shown(drawings, of), Subjects(), "large"), "large")
    assert time.process_time() - began < 4
    assert len(data_of(text)["traces"]) == len(keys) > 400
    assert 1_000_000 < len(text) < 15_000_000
