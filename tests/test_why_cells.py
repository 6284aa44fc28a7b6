"""docs/causes.md: why each bad cell is bad, as `tools/why_cells.py` found it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import why_cells
import why_page
from slices import every

ROOT = Path(__file__).parents[1]
ROWS = why_cells.load(why_cells.KEPT)


def test_the_page_of_causes_says_what_was_found() -> None:
    assert why_page.page() == (ROOT / "docs" / "causes.md").read_text()
    found = {(row["policy"], row["scenario"], row["module"]) for row in ROWS}
    assert len(ROWS) == len(found) > 10
    assert found <= why_page.bad()
    assert len(why_page.bad()) == 688


@pytest.mark.parametrize("row", every(67, [row for row in ROWS if not row["cut"]]))
def test_cells_are_explained_as_the_page_says(row: dict[str, Any]) -> None:
    found = why_cells.row((row["policy"], row["scenario"], row["module"]))
    assert found is not None
    assert {**found, "seconds": 0} == {**row, "seconds": 0}
