"""--timeout covers what runs before a search: importing, recording and lowering a policy."""

from __future__ import annotations

import cProfile
import sys
import threading
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from patience import time_limit
from sweeps import spec_file
from tdxexplore import check, cli, compare
from tdxexplore.data.reading import Dataset
from tdxexplore.errors import BadModel, TimeUp
from tdxexplore.explore.engine import Engine
from tdxexplore.explore.time_limit import limited

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tdxexplore.explore.engine import Found
    from tdxexplore.explore.settings import Settings

POLICY = """
import time
from tdxexplore.tdx.policies.v19 import V19

def for_ever():
    while True:
        pass

{on_import}

class Mine(V19):
    name = "mine"

    def __init__(self, knobs=None):
        {on_init}
        super().__init__(knobs or {{}})

    def kvm_load(self, k):
        {on_record}
        super().kvm_load(k)
"""
PLACES = ("on_import", "on_init", "on_record")


def policy_file(folder: Path, **code: str) -> str:
    (folder / "mine.py").write_text(POLICY.format(**dict.fromkeys(PLACES, "pass") | code))
    return f"{folder}/mine.py:Mine"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("code", ["for_ever()", "time.sleep(60)"])
def test_a_policy_that_takes_for_ever_is_cut_with_one_line(
    place: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = policy_file(tmp_path, **{place: code})
    started = time.monotonic()
    assert cli.run(["check", policy, "--cpus", "2", "--timeout", "0.5"]) == 3
    assert time.monotonic() - started < 10
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err == f"tdxexplore: error: --timeout is 0.5 s, and recording and lowering `{policy}` takes longer\n"
    )
    # Nothing is left behind: the mended file is explored.
    assert check(policy_file(tmp_path), cpus=2, timeout=60).verdict == "holds"


def test_lowering_that_takes_too_long_is_cut(tmp_path: Path) -> None:
    body = "n = [k.w.model.counter(f'n{i}', 60) for i in range(4)]\n"
    body += "".join(f"        k.set(n[{i}], n[{i + 1}])\n" for i in range(3)) + "        k.set(n[3], n[0])"
    started = time.monotonic()
    with pytest.raises((TimeUp, BadModel)):  # or there are too many ways through one step
        check(policy_file(tmp_path, on_record=body), cpus=2, timeout=1)
    assert time.monotonic() - started < 10


def test_without_a_timeout_and_within_it_nothing_is_cut(tmp_path: Path) -> None:
    policy = policy_file(tmp_path, on_record="time.sleep(0.3)")
    assert check(policy, cpus=2).verdict == "holds"
    assert check(policy, cpus=3, timeout=60).verdict == "holds"


def test_recording_and_search_share_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def explore(self: Engine, initial: str, settings: Settings, _: object = None, share: float = 1.0) -> Found:
        asked.append(settings.timeout)
        return found(self, initial, settings, None, share)

    found = Engine.explore
    monkeypatch.setattr(Engine, "explore", explore)
    began = time.monotonic()
    answer = check("v17", cpus=3, scenario="plain-vm", budgets={"cpu_up": 2}, timeout=1000)
    took = time.monotonic() - began
    assert answer.settings.timeout == 1000
    (left,) = asked
    assert left is not None
    assert 1000 - took <= left < 1000


def test_a_comparison_and_a_sweep_name_the_policy_and_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = policy_file(tmp_path, on_record="for_ever() if k.w.limit['kvm_unload'] else None")
    asked = {"modules": ["strict"], "scenarios": ["all-online", "no-kvm"], "cpus": 2}
    limit = time_limit(partial(check, policy, cpus=3), partial(check, policy, cpus=4))
    found = compare([policy], **asked, timeout=limit)  # type: ignore[arg-type]
    assert found.matrix["verdict"].to_list() == ["holds", "incomplete"]
    assert found.matrix["reason"].to_list()[0] is None
    assert f"recording and lowering `{policy}` takes longer" in found.matrix["reason"].to_list()[1]
    assert not found.complete
    grid = f"[grid]\npolicy = '{policy}'\nmodule = 'strict'\nscenario = ['all-online', 'no-kvm']\ncpus = 2\n"
    spec = spec_file(tmp_path, grid + f"[check]\ntimeout = {limit}\n")
    assert cli.run(["sweep", str(spec), "--out", str(tmp_path / "out")]) == 3
    assert "takes longer" in capsys.readouterr().err
    assert Dataset(tmp_path / "out").runs.collect()["scenario"].to_list() == ["all-online"]
    # Importing is cut, too.
    policy = policy_file(tmp_path, on_import="for_ever()")
    for words in (["compare", policy, "--timeout", "0.5"], ["sweep", str(spec), "--out", str(tmp_path / "out")]):
        assert cli.run(words) == 3
        assert "importing the policies takes longer" in capsys.readouterr().err


def for_ever() -> None:
    while True:
        pass


def test_the_limit_works_in_any_thread() -> None:
    said: list[str] = []

    def work() -> None:
        try:
            limited(for_ever, 0.2, "it")
        except TimeUp as error:
            said.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert said == ["--timeout is 0.2 s, and it takes longer"] * 3


def test_the_exception_never_arrives_outside() -> None:
    random, cut = Random(3), 0
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)  # by default the timer waits for 5 ms while the work holds the interpreter

    def work() -> None:
        end = time.perf_counter() + random.uniform(0.0005, 0.004)
        while time.perf_counter() < end:
            pass

    try:
        for _ in range(500):
            try:
                limited(work, 0.001, "it")
            except TimeUp:
                cut += 1
        for _ in range(100_000):  # bytecodes at which a late one would arrive
            pass
    finally:
        sys.setswitchinterval(interval)
    assert 0 < cut < 500


@pytest.mark.parametrize(("call", "cut"), [(for_ever, True), (lambda: None, False)])
def test_the_limit_works_under_a_profiler(call: Callable[[], None], *, cut: bool) -> None:
    """An exception taken back leaves CPython 3.11 looking for it, and a profiled function then never begins."""
    began, profiler = time.monotonic(), cProfile.Profile()
    profiler.enable()
    try:
        limited(call, 0.2, "it")
        ended = False
    except TimeUp:
        ended = True
    profiler.disable()
    assert ended is cut
    assert time.monotonic() - began < 2
    assert "limited" in {entry.code.co_name for entry in profiler.getstats() if not isinstance(entry.code, str)}


def test_an_error_inside_passes_as_it_is() -> None:
    with pytest.raises(KeyError):
        limited(lambda: {"a": 1}["key"], 5, "it")
