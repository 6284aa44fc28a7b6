"""The page of faults, docs/faults.md; `pages` writes it with the others. Its rows are the tests of ``tests/test_faults.py``."""

from __future__ import annotations

import sys
from pathlib import Path

_HEAD = """# When something fails

Each row is a test that injects the real fault (`tests/test_faults.py`; those marked * run in `make test-long`). *Said* is the
last line on the standard error, after `tdxexplore: `, where `DIR` is a folder, `FILE` the name of a file and `N` a number; an
empty cell means that nothing is said there. Exit codes: 0 holds, 1 violated, 2 bad input, 3 incomplete, 4 a defect, or a disk or
stream that takes nothing, 5 vacuous, 130 interrupted; a negative one is the signal that ended the process. No error has exit
code 0 or 1.

"""


def page() -> str:
    """The page as text."""
    sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
    import test_faults  # noqa: F401, PLC0415 -- it imports all rows; the tests are no part of the tools
    from fault_lab import TABLE  # noqa: PLC0415

    rows = ["| fault | said | exit code | kept | the next run |", "|---|---|---|---|---|"]
    for fault in TABLE:
        said = f"`{fault.sees}`".replace("``", "") if "`" not in fault.sees else f"`` {fault.sees} ``"
        cells = (fault.what + "*" * fault.long, said, str(fault.code), fault.kept, fault.then)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return _HEAD + "\n".join(rows) + "\n"
