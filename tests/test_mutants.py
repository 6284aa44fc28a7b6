"""The table of seeded faults fits the tree: ``make mutants`` tries them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mutants

ROOT = Path(__file__).parent.parent
FAULTS = mutants.read_faults()
CORE = "\n".join(path.read_text() for part in ("core", "loom") for path in (ROOT / "rust" / part).rglob("*.rs"))


def test_every_fault_is_a_text_that_occurs_once() -> None:
    for fault in FAULTS:
        assert fault.replace in fault.applied(ROOT)
    assert len(FAULTS) >= 64
    assert {fault.area for fault in FAULTS} == set(mutants.AREAS)


def test_every_fault_names_tests_that_exist() -> None:
    for fault in FAULTS:
        for test in fault.tests:
            assert exists(test), test


def exists(test: str) -> bool:
    """Whether there is a test, or a module of tests; named as in the table of faults."""
    if test.startswith("cargo "):
        _, binary, name = test.split()
        assert binary in mutants.BINARIES, test
        last = name.rstrip(":").rpartition("::")[2]
        return re.search(rf"\b(mod|fn) {last}\b", CORE) is not None
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and f"def {name.partition('[')[0]}" in (ROOT / path).read_text()


def test_the_page_says_who_kills_each_fault_of_the_table() -> None:
    killers = mutants.read_page()
    assert list(killers) == [fault.name for fault in FAULTS], "`make mutants` writes the page"
    assert mutants.page(FAULTS, killers) == mutants.PAGE.read_text()
    for name, killer in killers.items():
        assert killer not in (mutants.ALIVE, mutants.UNTRIED), name
        in_core = re.fullmatch(r"core, (\w+): (\S+)", killer)
        assert exists(f"cargo {in_core[1]} {in_core[2]}" if in_core else f"tests/{killer}"), f"{name}: {killer}"


def test_the_page_keeps_the_rows_of_faults_that_were_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second, third = FAULTS[:3]
    monkeypatch.setattr(mutants, "PAGE", tmp_path / "mutants.md")
    killers = {first.name: "test_x.py::test_y[a|b]", second.name: mutants.ALIVE}
    mutants.PAGE.write_text(mutants.page([first, second, third], killers))
    assert mutants.read_page() == {**killers, third.name: mutants.UNTRIED}
    assert "3 faults, of which 1 live and 1 were not tried; 1 tests kill the others." in mutants.PAGE.read_text()


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
