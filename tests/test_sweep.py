"""Running sweeps: the same rows on every executor, nothing lost when killed, clear errors when the disk says no."""

from __future__ import annotations

import multiprocessing
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from sweeps import POINTS, SMALL, bytes_of, rows, spec_file
from tdxexplore import cli
from tdxexplore.data.compacting import compact
from tdxexplore.data.reading import Dataset
from tdxexplore.data.schema import TABLES, TIMING
from tdxexplore.errors import BadDataset, InternalError
from tdxexplore.explore.check import check
from tdxexplore.explore.question import Question
from tdxexplore.sweep import Progress, batch, load, sweep
from tdxexplore.sweep.batch import Answer
from tdxexplore.sweep.plan import plan
from tdxexplore.tdx.policies.v19 import V19

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tdxexplore.tdx.policy import Policy

COMMAND = [sys.executable, "-m", "tdxexplore", "sweep"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the small sweep, one thread."""
    folder = tmp_path_factory.mktemp("small")
    summary = sweep(load(spec_file(folder)), folder / "out", threads=1)
    assert (summary.total, summary.before, summary.finished, summary.failed) == (POINTS, 0, POINTS, [])
    return folder / "out"


def test_the_rows_are_those_of_check(small: Path) -> None:
    found = rows(small)
    for policy, module, scenario, cpus in (
        ("v19", "subset", "late-online", 4),
        ("linux-6.16", "strict", "late-online", 2),
    ):
        answer = check(policy, module=module, scenario=scenario, cpus=cpus, threads=1, prices=True)
        for name in TABLES:
            frame: pl.DataFrame = getattr(answer, name)
            here = found[name].filter(pl.col("digest") == answer.question.digest())
            frame = frame.select(c for c in frame.columns if c in here.columns).sort(pl.all())
            assert len(here) == len(frame) > 0
            same = here.select(frame.columns).sort(pl.all()).cast(frame.schema)
            assert same.equals(frame), name


def test_without_prices_the_other_tables_are_the_same(small: Path, tmp_path: Path) -> None:
    sweep(load(spec_file(tmp_path, SMALL + "[check]\nprices = false\n")), tmp_path / "out")
    data = Dataset(tmp_path / "out")
    assert data.scan("prices").collect().is_empty()
    assert len(data.parts("prices")) == POINTS
    told = ["point", "prices", *TIMING]
    for table in ("runs", "outcomes", "levels", "rules"):
        frames = [d.scan(table).drop(told, strict=False).collect() for d in (data, Dataset(small))]
        one, other = (frame.sort(frame.columns) for frame in frames)
        assert one.equals(other)


def test_two_threads_and_large_points_alone_give_the_same_bytes(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LARGE", 40)
    sweep(load(spec_file(tmp_path)), tmp_path / "out", threads=2)
    assert bytes_of(tmp_path / "out") == bytes_of(small)
    used = Dataset(tmp_path / "out").scan("runs").select("threads", "explored").collect()
    assert used.filter(pl.col("explored") > 40)["threads"].unique().to_list() == [2]
    assert used.filter(pl.col("explored") <= 40)["threads"].unique().to_list() == [1]


def test_a_process_pool_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        summary = sweep(load(spec_file(tmp_path)), tmp_path / "out", executor=pool)
    assert summary.finished == POINTS
    assert bytes_of(tmp_path / "out") == bytes_of(small)


def test_a_sweep_that_is_run_again_runs_nothing(small: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*.parquet")}
    summary = sweep(load(spec_file(tmp_path)), small)
    assert (summary.before, summary.finished) == (POINTS, 0)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*.parquet")} == before


def test_a_wider_sweep_adds_only_what_is_new(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "out")
    wider = SMALL.replace('"2-4"', '"2-5"')
    told: list[Progress] = []
    summary = sweep(load(spec_file(tmp_path, wider)), tmp_path / "out", threads=2, report=told.append)
    assert (summary.before, summary.finished) == (POINTS, POINTS // 3)
    assert [p.done for p in told if p.last is not None] == list(range(POINTS + 1, summary.total + 1))
    assert all(isinstance(p.result, Answer) and p.result.explored > 0 for p in told if p.last is not None)
    assert told[-1].explored == summary.explored > 0
    assert told[-1].eta == pytest.approx(0, abs=1e-9)


def test_planning_is_reported_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdxexplore.sweep.plan.POLL", 0.0)
    told: list[Progress] = []
    summary = sweep(load(spec_file(tmp_path)), tmp_path / "out", threads=1, report=told.append)
    planning = [p for p in told if p.planned < p.total]
    assert [p.planned for p in planning] == list(range(POINTS))
    assert {(p.done, p.explored, p.last) for p in planning} == {(0, 0, None)}
    again: list[Progress] = []
    sweep(load(spec_file(tmp_path)), tmp_path / "out", threads=1, report=again.append)
    assert [p.done for p in again] == list(range(POINTS))
    assert summary.finished == POINTS


def test_planning_records_nothing(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_recording(*_: object) -> None:
        raise AssertionError("a model was recorded")

    monkeypatch.setattr("tdxexplore.explore.question._compile", no_recording)
    monkeypatch.setattr("tdxexplore.explore.question._digest", no_recording)
    empty = plan(load(spec_file(tmp_path)), tmp_path / "out")
    assert (len(empty.points), len(empty.pending)) == (POINTS, POINTS)
    full = plan(load(spec_file(tmp_path)), small)
    assert (len(full.points), len(full.pending)) == (POINTS, 0)
    wider = plan(load(spec_file(tmp_path, SMALL.replace('"2-4"', '"2-5"'))), small)
    assert len(wider.pending) == POINTS // 3


def test_a_comment_in_a_policy_changes_no_answer(tmp_path: Path) -> None:
    text = "[grid]\npolicy = 'mine.py:Mine'\nmodule = 'strict'\nscenario = 'late-online'\ncpus = '2-3'\n"
    body = "from tdxexplore.tdx.policies.v19 import V19\n\nclass Mine(V19):\n    name = 'mine'\n"
    (tmp_path / "mine.py").write_text(body)
    assert sweep(load(spec_file(tmp_path, text)), tmp_path / "out").finished == 2
    sources = set(Dataset(tmp_path / "out").runs.collect()["source"])
    assert len(sources) == 2
    (tmp_path / "mine.py").write_text(body + "# nothing new\n")
    points = load(spec_file(tmp_path, text)).cells().points
    assert not sources & {point.question.source() for point in points}
    summary = sweep(load(spec_file(tmp_path, text)), tmp_path / "out")
    assert (summary.before, summary.finished) == (2, 0)


def test_the_source_of_a_question_changes_with_all_that_decides_its_model(tmp_path: Path) -> None:
    def source(policy: str | type[Policy] = "v19", **changed: Any) -> str:
        asked: dict[str, Any] = {"module": "subset", "scenario": "late-online", "cpus": 3, **changed}
        return Question.of(policy, **asked).source()

    (tmp_path / "mine.py").write_text("from tdxexplore.tdx.policies.v19 import V19\n\nclass Mine(V19):\n    pass\n")
    mine = f"{tmp_path}/mine.py:Mine"
    others: list[dict[str, Any]] = [
        {"cpus": 4},
        {"packages": 3},
        {"module": "strict"},
        {"scenario": "no-kvm"},
        {"budgets": {"cpu_up": 2}},
        {"knobs": {"offline_veto": "off"}},
        {"policy": "linux-6.16"},
        {"policy": mine},
    ]
    found = {source(**other) for other in others}
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "# changed\n")
    assert len(found | {source(), source(mine)}) == len(others) + 2
    assert source(knobs={"offline_veto": "on"}) == source()
    typed_in: dict[str, Any] = {"V19": V19, "__name__": "__console__"}
    exec("class TypedIn(V19):\n    name = 'typed-in'\n", typed_in)
    assert source(typed_in["TypedIn"]) == ""


def test_ctrl_c_while_planning_says_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Question] = []
    original = Question.asked

    def interrupted(question: Question) -> dict[str, str | int]:
        asked.append(question)
        if len(asked) == POINTS + 4:  # once for each cell of the grid, then once for each point
            raise KeyboardInterrupt
        return original(question)

    monkeypatch.setattr(Question, "asked", interrupted)
    spec = spec_file(tmp_path)
    for more in ([], ["--dry-run"]):
        asked.clear()
        assert cli.run(["sweep", str(spec), "--out", str(tmp_path / "out"), *more]) == 130
        message = capsys.readouterr().err
        assert f"interrupted while planning, at point 4 of {POINTS}: tdxexplore check v19" in message
        assert message.count("\n") == 1


def test_a_point_that_lost_one_of_its_files_is_explored_again(small: Path, tmp_path: Path) -> None:
    for table in TABLES:
        out = tmp_path / table
        shutil.copytree(small, out)
        min((out / table).rglob("*.parquet")).unlink()
        assert sweep(load(spec_file(tmp_path)), out).finished == 1
        assert bytes_of(out) == bytes_of(small)


def test_incomplete_points_are_explored_again_only_with_other_limits(tmp_path: Path) -> None:
    limited = SMALL + "[check]\nmax_states = 20\n"
    out = tmp_path / "out"
    first = sweep(load(spec_file(tmp_path, limited)), out)
    assert 0 < first.incomplete < POINTS
    again = sweep(load(spec_file(tmp_path, limited)), out)
    assert (again.finished, again.incomplete) == (0, first.incomplete)
    assert cli.run(["sweep", str(spec_file(tmp_path, limited)), "--out", str(out)]) == 3
    before, after = compact(out)
    assert after < before
    assert Dataset(out).scan("runs").select(pl.len()).collect().item() == POINTS
    wide = sweep(load(spec_file(tmp_path, SMALL)), out)
    assert (wide.finished, wide.incomplete) == (first.incomplete, 0)
    assert Dataset(out).scan("runs").select(pl.len()).collect().item() == POINTS


def test_answers_of_another_model_version_or_setting_are_never_mixed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "from tdxexplore.tdx.policies.v19 import V19\n\nclass Mine(V19):\n    name = 'mine'\n"
    text = "[grid]\npolicy = 'mine.py:Mine'\nmodule = 'strict'\nscenario = 'late-online'\ncpus = '2-3'\n"
    (tmp_path / "mine.py").write_text(body)
    sweep(load(spec_file(tmp_path, text)), tmp_path / "out")
    (tmp_path / "mine.py").write_text(
        body + "    has_boot = True\n    def boot(self, k):\n        k.step('another model')\n"
    )
    with pytest.raises(
        BadDataset, match=r"holds another answer to .*Mine .*digest=[0-9a-f]{32} .* into another folder"
    ):
        sweep(load(spec_file(tmp_path, text)), tmp_path / "out")
    with pytest.raises(BadDataset, match="fail_on=S3"):
        sweep(load(spec_file(tmp_path, SMALL + "[check]\nfail_on = 'S2'\n")), small)
    monkeypatch.setattr("tdxexplore.sweep.points.__version__", "99.0.0")
    monkeypatch.setattr("tdxexplore.explore.source._of_the_package", lambda: "of another version")
    with pytest.raises(BadDataset, match="holds another answer"):
        sweep(load(spec_file(tmp_path)), small)


def test_a_worker_with_another_model_is_told_apart(tmp_path: Path) -> None:
    class Stale(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(fn(replace(args[0], stamp="0" * 32)))
            return future

    summary = sweep(load(spec_file(tmp_path)), tmp_path / "out", executor=Stale())
    assert summary.finished == 0
    assert {error for _, error in summary.failed} == {"the worker has another model or version than the sweep"}


def test_a_defect_of_one_point_does_not_end_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = """
from tdxexplore.tdx.policies.v19 import V19

class Leaves(V19):
    name = "leaves"

    def kvm_unload(self, k):
        k.add(k.w.cpus_readers, -1)
"""
    (tmp_path / "mine.py").write_text(policy)
    text = (
        "[grid]\npolicy = ['mine.py:Leaves', 'v19']\nmodule = 'strict'\nscenario = ['all-online', 'no-kvm']\ncpus = 3\n"
    )
    assert cli.run(["sweep", str(spec_file(tmp_path, text)), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "3 of 4 points" in captured.out
    assert captured.err.count("\n") == 1
    assert "leaves its domain" in captured.err
    assert "--scenario no-kvm" in captured.err


def test_an_executor_that_breaks_is_an_internal_error(tmp_path: Path) -> None:
    class Broken(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("a worker died"))
            return future

    with pytest.raises(InternalError, match="RuntimeError: a worker died"):
        sweep(load(spec_file(tmp_path)), tmp_path / "out", executor=Broken())


# -- killed, interrupted ----------------------------------------------------------------------------------------------

LONGER = """
[grid]
policy = ["v19", "linux-6.16"]
module = ["strict", "subset"]
scenario = "late-online"
cpus = "2-11"
"""
MANY = 2 * 2 * 10


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep file of a longer sweep; its data set is beside it."""
    folder = tmp_path_factory.mktemp("longer")
    spec = spec_file(folder, LONGER)
    assert sweep(load(spec), folder / "out").finished == MANY
    return spec


def _running(spec: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(spec), "--out", str(out), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _ready(spec: Path, out: Path) -> subprocess.Popen[str]:
    """A process that has imported all it needs and sweeps when it is sent a line."""
    code = "import sys, tdxexplore.sweep; from tdxexplore import cli; sys.stdin.readline(); sys.exit(cli.run(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "sweep", str(spec), "--out", str(out)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def _visible(out: Path) -> list[Path]:
    return [path for table in TABLES for path in (out / table).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "moments", [pytest.param(3, marks=pytest.mark.long), pytest.param(6, marks=pytest.mark.campaign)]
)
def test_killed_at_random_moments_and_resumed_it_has_the_same_rows(moments: int, longer: Path, tmp_path: Path) -> None:
    expected = bytes_of(longer.parent / "out")
    seed, out = random.Random(moments), tmp_path / "out"
    kills, looked_at = 0, 0
    ready = _ready(longer, out)
    while kills < moments:
        process, ready = ready, _ready(longer, out)
        wanted = len(_visible(out)) + seed.randrange(2 * len(TABLES) * MANY // moments)
        with process:
            assert process.stdin is not None
            print(file=process.stdin, flush=True)
            while process.poll() is None and len(_visible(out)) < wanted:
                time.sleep(0.001)
            time.sleep(seed.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
        for table in TABLES if (out / "runs").is_dir() else ():
            data = Dataset(out)
            looked_at += len(data.parts(table))
            assert data.skipped == []  # every file in sight is whole
        if process.returncode == 0:
            assert bytes_of(out) == expected
            shutil.rmtree(out)
    ready.kill()
    ready.communicate()
    assert cli.run(["sweep", str(longer), "--out", str(out)]) == 0
    assert bytes_of(out) == expected
    assert looked_at > 50 * moments
    assert not (out / ".tmp").exists() or not list((out / ".tmp").iterdir())


def test_ctrl_c_ends_a_large_point_within_a_second(tmp_path: Path) -> None:
    text = """
    [grid]
    policy = "inner-enable-kvm-hook"
    module = "subset"
    scenario = "kvm-reload"
    cpus = 64
    packages = 4
    budget = { cpu_up = 8, cpu_down = 8 }
    """
    with _running(spec_file(tmp_path, text), tmp_path / "out") as process:
        while not (tmp_path / "out" / ".lock").exists():  # it has loaded what it needs
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1.5)
        assert process.poll() is None, "the search is too short for this test"
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=30)
        assert time.monotonic() - sent < 3  # a second of search, and the end of the process
    assert process.returncode == 130
    assert "0 of 1 points" in text
    assert not _visible(tmp_path / "out")


# -- when the disk says no --------------------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes no file above 2 KiB, as a disk does that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    yield tmp_path / "out"
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_takes_no_more_is_one_line_and_nothing_is_seen_in_part(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_file(tmp_path)
    assert cli.run(["sweep", str(spec), "--out", str(full)]) == 4
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert re.search(rf"{re.escape(str(full))}/\w+/policy=.*\.parquet: File too large", captured.err)
    assert _visible(full) == []
    assert list((full / ".tmp").iterdir()) == []


def test_what_was_there_stays_when_the_disk_takes_no_more(
    small: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small, out)
    before = {path: path.read_bytes() for path in _visible(out)}
    request.getfixturevalue("full")
    with pytest.raises(OSError, match="File too large"):
        sweep(load(spec_file(tmp_path, SMALL.replace('"2-4"', '"2-5"').replace('"small"', '""'))), out)
    assert {path: path.read_bytes() for path in _visible(out)} == before
    with pytest.raises(OSError, match="File too large"):
        compact(out)
    assert {path: path.read_bytes() for path in _visible(out)} == before
