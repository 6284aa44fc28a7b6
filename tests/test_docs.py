"""The generated pages of the documentation are what the models say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pages
import picture
from slices import every
from tdxexplore.render.subject_page import policy_page
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN

FOLDER = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("policy", BUILT_IN)
def test_the_page_of_a_policy_is_up_to_date(policy: str) -> None:
    page = policy_page(BUILT_IN[policy], pages.SHARED)
    assert (FOLDER / "policies" / f"{policy}.md").read_text() == page
    for hook in BUILT_IN[policy]().hooks:
        assert hook.state in page


def test_there_is_a_page_for_each_policy_and_no_other() -> None:
    assert {page.stem for page in (FOLDER / "policies").iterdir()} == set(BUILT_IN)


@pytest.mark.parametrize("policy", every(13, BUILT_IN, long=4))
def test_the_table_of_worst_outcomes_is_up_to_date(policy: str) -> None:
    section = pages.outcomes_section(BUILT_IN[policy])
    assert section.count("\n| ") >= 20
    assert section in (FOLDER / "outcomes.md").read_text()


def test_the_table_of_worst_outcomes_has_a_section_for_each_policy_and_no_other() -> None:
    text = (FOLDER / "outcomes.md").read_text()
    assert text.startswith(pages.outcomes_head())
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == ["Outcomes and invariants", *BUILT_IN]


@pytest.mark.parametrize("policy", every(13, BUILT_IN, long=4))
def test_the_table_of_what_stays_possible_is_up_to_date(policy: str) -> None:
    section = pages.liveness_section(BUILT_IN[policy])
    assert section.count("lost: ") == len(MODULE_KINDS) * len(pages.ENDLESS)
    assert section in (FOLDER / "liveness.md").read_text()


@pytest.mark.parametrize(("before", "after"), every(7, pages.STEPS, long=3))
def test_the_table_of_what_a_design_changes_is_up_to_date(before: str, after: str) -> None:
    section = pages.changes_section(before, after)
    assert all(scenario in section for scenario in pages.COMPARED)
    assert section in (FOLDER / "changes.md").read_text()


def test_the_pages_of_liveness_and_changes_have_a_section_for_each_design_and_step_and_no_other() -> None:
    liveness, changes = ((FOLDER / f"{name}.md").read_text() for name in ("liveness", "changes"))
    assert liveness.startswith(pages.liveness_head())
    assert re.findall(r"^## (.*)$", liveness, flags=re.MULTILINE) == list(BUILT_IN)
    assert re.findall(r"^## (.*)$", changes, flags=re.MULTILINE) == [f"{a} to {b}" for a, b in pages.STEPS]
    assert {after for _, after in pages.STEPS} | {pages.STEPS[0][0]} == set(BUILT_IN)


def test_the_links_of_the_pages_lead_somewhere() -> None:
    followed = 0
    for page in FOLDER.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)
            followed += 1
    assert followed >= len(BUILT_IN)


def test_the_demo_asks_what_the_picture_shows() -> None:
    makefile = (FOLDER.parent / "Makefile").read_text()
    for name, words in (("DESIGNS", picture.POLICIES), ("QUESTIONS", picture.QUESTIONS)):
        assert f"\n{name} := {' '.join(words)}\n" in makefile
    demo = re.search(r"^\t\$\(BIN\)/tdxexplore compare (.*)$", makefile, flags=re.MULTILINE)
    assert demo is not None
    assert f"--cpus {picture.CPUS} {' '.join(f'--module {m}' for m in picture.MODULES)} " in demo[1]


@pytest.mark.long
def test_the_picture_is_up_to_date() -> None:
    assert (FOLDER / "answers.svg").read_text() == picture.picture()
