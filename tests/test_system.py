"""Linux only, said in a line; and no clock that can jump."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tdxexplore
from tdxexplore import __all__, __main__
from tdxexplore.system import other_system

SAID = "tdxexplore runs on Linux only, and this is `darwin`"


def test_on_another_system_the_command_and_the_library_say_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert other_system() == ""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"tdxexplore: error: {SAID}\n"
    for name in ("check", "sweep", "Policy"):
        assert name in __all__
        monkeypatch.delitem(vars(tdxexplore), name, raising=False)
        with pytest.raises(ImportError) as refused:
            getattr(tdxexplore, name)
        assert str(refused.value) == SAID


def test_nothing_asks_for_the_time_of_day_so_that_the_clock_may_jump() -> None:
    package = Path(tdxexplore.__file__).parent
    paths = [*package.rglob("*.py"), *(package.parent.parent / "rust").glob("*/src/**/*.rs")]
    assert len(paths) > 250
    asking = ("time.time(", "time_ns(", "datetime.now", "SystemTime")
    assert [str(path) for path in paths for word in asking if word in path.read_text()] == []
