"""What holds for every test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is as wide as it needs to be, whatever the terminal of whoever runs the tests; the workers of xdist set `COLUMNS`."""
    monkeypatch.delenv("COLUMNS", raising=False)
