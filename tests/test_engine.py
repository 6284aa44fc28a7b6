"""The door to the engine: one module, one mapping of errors, no more threads than CPUs."""

from __future__ import annotations

import ast
import sys
import time
from pathlib import Path

import pytest

import tdxexplore
import tdxexplore.cli
from tdxexplore.errors import BadModel, BadSchedule, Trap
from tdxexplore.explore.engine import Engine, usable_cpus
from tdxexplore.explore.settings import Settings

PACKAGE = Path(tdxexplore.__file__).parent


def _imports_the_engine(path: Path) -> bool:
    """Whether a file imports `_core`, for types or for use."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if any("_core" in name.split(".") for name in names):
            return True
    return False


def test_one_module_imports_the_engine() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 60
    found = {str(path.relative_to(PACKAGE)) for path in files if _imports_the_engine(path)}
    assert found == {"explore/engine.py"}


def test_more_threads_than_cpus_are_not_started() -> None:
    started = time.monotonic()
    answer = tdxexplore.check("v19", cpus=3, threads=512)
    assert time.monotonic() - started < 5
    assert answer.runs["threads"].to_list() == [usable_cpus()]
    assert answer.settings.threads == 512
    assert tdxexplore.check("v19", cpus=3, threads=1).runs["threads"].to_list() == [1]


def test_a_capped_number_of_threads_is_told_to_who_watches_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["check", "v19", "--cpus", "2", "--threads", "512"]
    assert tdxexplore.cli.run(words) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert tdxexplore.cli.run(words) == 0
    message = f"tdxexplore: --threads is 512; this process may use {usable_cpus()} CPUs, and {usable_cpus()} threads"
    assert message in capsys.readouterr().err
    assert tdxexplore.cli.run([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_errors_of_the_engine_are_those_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"JSON|json|expected"):
        Engine("no Program")
    compiled = tdxexplore.Question.of("v19", cpus=2).compile()
    with pytest.raises(BadModel):
        compiled.engine.explore("no state", Settings())
    with pytest.raises(BadModel, match="65 CPUs"):
        tdxexplore.check("v19", cpus=65, space="concrete")
    with pytest.raises(BadSchedule, match="step 3"):
        tdxexplore.replay(tdxexplore.Question.of("v19"), "00!")
    policy = "from tdxexplore.tdx.policies.v19 import V19\n\nclass Leaves(V19):\n    name = 'leaves'\n\n"
    (tmp_path / "mine.py").write_text(
        policy + "    def kvm_load(self, k):\n        k.step('on')\n        k.add(k.w.cpus_readers, -1)\n"
    )
    with pytest.raises(Trap, match="leaves its domain") as caught:
        tdxexplore.check(f"{tmp_path}/mine.py:Leaves", cpus=2)
    assert caught.value.schedule
