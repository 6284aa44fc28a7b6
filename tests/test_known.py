"""Known bugs: their commands show them, and show that the fix removes them; the page says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import known_page
import meanings_page
from tdxexplore.render.examples import EXAMPLES, declared
from tdxexplore.tdx.outcomes import MEANINGS

DOCS = Path(__file__).parent.parent / "docs"
BUGS = {bug.name: bug for bug in known_page.bugs()}
COMMANDS = {
    f"{bug.name}: {name}": (bug, getattr(bug, name))
    for bug in BUGS.values()
    for name in ("before", "after")
    if getattr(bug, name)
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_bug_is_found_before_its_fix_and_not_after_it(case: str) -> None:
    bug, command = COMMANDS[case]
    assert set(bug.shows) <= set(MEANINGS)
    assert known_page.find(command).of(bug.shows) == (list(bug.shows) if command == bug.before else [])


def test_most_of_the_bugs_are_shown_and_the_others_say_why_not() -> None:
    assert sum(bool(bug.after) for bug in BUGS.values()) >= 18
    assert len(BUGS) >= 20


def test_the_page_of_known_bugs_is_up_to_date() -> None:
    page = known_page.page()
    assert page == (DOCS / "known.md").read_text()
    assert page.count(" found: ") == sum(bool(bug.before) for bug in BUGS.values())
    assert page.count(" gone; ") == sum(bool(bug.after) for bug in BUGS.values())
    assert "still there" not in page


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "needs both commands, or waits_for, or cannot"),
        ({"before": "v19", "shows": ("deadlock",)}, "needs both commands"),
        ({"before": "v19", "after": "v17", "shows": ("deadlock",), "cannot": "a reason"}, "one of these only"),
        ({"before": "v19", "after": "v17"}, "does not say in `shows`"),
    ],
)
def test_a_row_that_is_not_complete_is_refused(row: dict[str, str], message: str) -> None:
    with pytest.raises(known_page.BadTable, match=message):
        known_page.Bug(name="a bug", what="It bites.", fixed="It does not.", **row)  # type: ignore[arg-type]


def test_a_command_that_cannot_be_asked_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(known_page.BadTable, match="exit code 2"):
        known_page.find("v19 --cpus 2 --scenario nothing")
    assert "scenario `nothing`" in capsys.readouterr().err


# -- what outcomes mean -----------------------------------------------------------------------------------------------


def test_every_declared_outcome_and_invariant_is_explained() -> None:
    names = [p.name for p in declared()]
    assert len(names) >= 26
    assert sorted(names) == sorted(MEANINGS)
    assert set(names) - set(EXAMPLES) == {"diverges", "I3", "I9"}
    assert [row[0] for row in meanings_page.rows()] == [f"`{name}`" for name in names]


@pytest.mark.parametrize("name", MEANINGS)
def test_an_explanation_has_two_sentences(name: str) -> None:
    assert MEANINGS[name].endswith(".")
    assert MEANINGS[name].count(". ") == 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_shows_it(name: str) -> None:
    assert known_page.find(EXAMPLES[name]).of((name,)) == [name]
