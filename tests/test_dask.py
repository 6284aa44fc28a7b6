"""Sweeps on Dask: a real scheduler, real worker processes, and their death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from sweeps import bytes_of, spec_file
from tdxexplore import cli
from tdxexplore.errors import InternalError
from tdxexplore.sweep import load, sweep
from tdxexplore.sweep.cluster import dask

if TYPE_CHECKING:
    from pathlib import Path


GRID = """
[grid]
policy = ["v19", "linux-6.16"]
module = ["strict", "subset"]
scenario = "late-online"
cpus = "2-16"
"""
POINTS = 2 * 2 * 15


class Cluster:
    """A scheduler and worker processes, as a user starts them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack, self.file = stack, folder / "scheduler.json"
        self.scheduler = self.start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        deadline = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.address: str = json.loads(self.file.read_text())["address"]

    def start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(self.file), *options]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def workers(self, *names: str) -> list[subprocess.Popen[bytes]]:
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name")
        return [self.start("dask_worker", *options, name) for name in names]


@pytest.mark.long
def test_both_workers_are_killed_half_way_and_the_rows_are_the_same(tmp_path: Path) -> None:
    spec = load(spec_file(tmp_path, GRID))
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path)
        first = cluster.workers("a", "b")
        second: list[subprocess.Popen[bytes]] = []
        executor = stack.enter_context(dask(cluster.address))

        def kill_half_way(_: object) -> None:
            if not second and len(list((tmp_path / "out" / "runs").rglob("*.parquet"))) >= POINTS // 2:
                for worker in first:
                    worker.kill()
                second.extend(cluster.workers("c", "d"))

        summary = sweep(spec, tmp_path / "out", executor=executor, report=kill_half_way)
        assert len(second) == 2
        assert all(worker.wait(10) == -9 for worker in first)
    assert (summary.finished, summary.failed) == (POINTS, [])
    sweep(spec, tmp_path / "alone")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "alone")


def test_a_local_cluster_from_the_command_line_and_ctrl_c(tmp_path: Path) -> None:
    words = ["sweep", str(spec_file(tmp_path, GRID)), "--out", str(tmp_path / "out"), "--dask", "local", "--verbose"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tdxexplore", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith(f"[1/{POINTS}] tdxexplore check")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"of {POINTS} points" in out
    assert sweep(load(spec_file(tmp_path, GRID)), tmp_path / "out").before >= 1
    sweep(load(spec_file(tmp_path, GRID)), tmp_path / "alone")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "alone")


def test_a_scheduler_that_does_not_answer_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdxexplore.sweep.cluster._PATIENCE", "1s")
    words = ["sweep", str(spec_file(tmp_path, GRID)), "--out", str(tmp_path / "out"), "--dask", "tcp://127.0.0.1:9"]
    assert cli.run(words) == 2
    captured = capsys.readouterr()
    assert "--dask is `tcp://127.0.0.1:9`; no scheduler answers there" in captured.err
    assert not (tmp_path / "out").exists()


def test_a_scheduler_without_workers_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdxexplore.sweep.cluster._WORKERS", 1)
    with ExitStack() as stack:
        address = Cluster(stack, tmp_path).address
        words = ["sweep", str(spec_file(tmp_path, GRID)), "--out", str(tmp_path / "out"), "--dask", address]
        assert cli.run(words) == 2
    said = capsys.readouterr().err
    assert said == f"tdxexplore: error: --dask is `{address}`; no worker has joined the scheduler within 1 s\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_a_scheduler_that_is_killed_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    spec = spec_file(tmp_path, GRID)
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path)
        cluster.workers("a", "b")
        words = ["sweep", str(spec), "--out", str(tmp_path / "out"), "--dask", cluster.address, "--verbose"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tdxexplore", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("[1/")
        cluster.scheduler.kill()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    lines = [line for line in err.splitlines() if not line.startswith("[")]
    assert len(lines) == 1, err
    assert lines[0].startswith("tdxexplore: error: internal: the executor lost a point: CancelledError")
    again = sweep(load(spec), tmp_path / "out")
    assert 0 < again.before < POINTS
    assert again.before + again.finished == POINTS
    sweep(load(spec), tmp_path / "alone")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "alone")


@pytest.mark.long
def test_workers_that_are_all_lost_are_one_line_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, out = load(spec_file(tmp_path, GRID)), tmp_path / "out"
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path)
        workers = cluster.workers("a", "b")
        executor = stack.enter_context(dask(cluster.address))
        monkeypatch.setattr("tdxexplore.sweep.cluster._WORKERS", 2)

        def kill(_: object) -> None:
            if len(list((out / "runs").rglob("*.parquet"))) >= 3:
                for worker in workers:
                    worker.kill()

        with pytest.raises(InternalError, match="the executor lost all workers, and none has joined within 2 s"):
            sweep(spec, out, executor=executor, report=kill)
        assert all(worker.wait(10) == -9 for worker in workers)
    again = sweep(spec, out)
    assert 3 <= again.before < POINTS
    assert again.before + again.finished == POINTS


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["sweep", str(spec_file(tmp_path, GRID)), "--out", str(tmp_path / "out"), "--dask", "local"]
    assert cli.run(words) == 2
    assert "pip install 'tdxexplore[dask]'" in capsys.readouterr().err
