"""The table of seeded faults fits the tree: ``make mutants`` tries them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mutants

ROOT = Path(__file__).parent.parent
FAULTS = mutants.read_faults()


def test_every_fault_is_a_text_that_occurs_once() -> None:
    for fault in FAULTS:
        assert fault.replace in fault.applied(ROOT)
    assert len(FAULTS) >= 15


def test_every_fault_names_tests_that_exist() -> None:
    core = "\n".join(path.read_text() for path in (ROOT / "rust" / "core").rglob("*.rs"))
    for fault in FAULTS:
        for test in fault.tests:
            if test.startswith("cargo "):
                _, binary, *names = test.split()
                assert binary in ("lib", "suite", "resident"), test
                for name in names:
                    last = name.rstrip(":").rpartition("::")[2]
                    assert re.search(rf"\b(mod|fn) {last}\b", core), test
                continue
            path, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}" in (ROOT / path).read_text(), test


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "rust/none.rs"}, "there is no file rust/none.rs"),
        ({"find": "no such text"}, "occurs 0 times"),
        ({"find": "use"}, r"occurs \d+ times in .*, not once"),
        ({"replace": FAULTS[0].find}, "changes nothing"),
    ],
)
def test_a_fault_that_does_not_apply_is_an_error(change: dict[str, str], message: str) -> None:
    fault = mutants.Fault(**{**vars(FAULTS[0]), **change})
    with pytest.raises(mutants.BadTable, match=message):
        fault.applied(ROOT)
