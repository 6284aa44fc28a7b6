"""What holds for every test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is as wide as it needs to be, drawn with all characters, and buffered, whatever the environment.

    The workers of xdist set `COLUMNS`.
    """
    for name in ("COLUMNS", "LC_ALL", "LC_CTYPE", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
