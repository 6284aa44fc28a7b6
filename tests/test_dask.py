"""Sweeps on Dask: a real scheduler, real worker processes, and their death."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from clusters import Cluster
from fault_lab import undisturbed
from fault_processes import MANY, WIDE
from sweeps import bytes_of, spec_file
from tdxexplore import cli
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


GRID, POINTS = WIDE, MANY


def test_a_local_cluster_from_the_command_line_and_ctrl_c(tmp_path: Path) -> None:
    other = socket.socket()
    with suppress(OSError):  # then somebody else has it already
        other.bind(("", 8787))  # the port that Dask prefers: one that is taken is nothing to warn of
        other.listen()
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
    other.close()
    assert process.returncode == 130
    assert f"of {POINTS} points" in out
    assert sweep(load(spec_file(tmp_path, GRID)), tmp_path / "out").before >= 1
    assert bytes_of(tmp_path / "out") == undisturbed(GRID)


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


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["sweep", str(spec_file(tmp_path, GRID)), "--out", str(tmp_path / "out"), "--dask", "local"]
    assert cli.run(words) == 2
    assert "pip install 'tdxexplore[dask]'" in capsys.readouterr().err
