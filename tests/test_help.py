"""``tdxexplore help`` explains every name that an answer shows; ``tdxexplore describe`` shows what was recorded of a policy."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tdxexplore import cli
from tdxexplore.cli import exits
from tdxexplore.model import SEVERITIES
from tdxexplore.quantities import COUNTS
from tdxexplore.render.help import FILES
from tdxexplore.tdx.fields import BUDGETS, MODULE_TEXTS
from tdxexplore.tdx.outcomes import MEANINGS
from tdxexplore.tdx.policies import ALIASES, BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = Path(__file__).parent.parent
LAZY = f"{ROOT / 'examples' / 'lazy_first_vm.py'}:LazyFirstVm"
KNOBS = {knob.name for policy in BUILT_IN.values() for knob in policy.knobs}


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.run(["help", *words]) == 0
    return capsys.readouterr().out


def test_without_a_topic_it_lists_the_topics_and_each_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [line.split()[1] for line in said(capsys).splitlines() if line.startswith("  help ")]
    assert listed[-1] == "NAME"
    topics = {name: said(capsys, name) for name in listed[:-1]}
    assert len(topics) == 12
    assert all(text.count("\n") > 3 for text in topics.values())
    everything = "".join(topics.values())
    known = [*MEANINGS, *SCENARIOS, *BUDGETS, *MODULE_TEXTS, *BUILT_IN, *KNOBS, *FILES]
    known += [*(name.strip("`") for name in COUNTS), *SEVERITIES, *exits.OF_VERDICT]
    assert len(known) > 130
    assert [name for name in known if f"\n  {name}" not in everything] == []
    assert [code for code in exits.CODES if f"\n  {code} " not in topics["exit-codes"]] == []


def test_every_name_is_explained_as_all_that_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    kinds: dict[str, Collection[str]] = {
        "a scenario": SCENARIOS,
        "a budget": BUDGETS,
        "a module kind": MODULE_TEXTS,
        "a knob": KNOBS,
    }
    looked_at = 0
    for kind, names in kinds.items():
        for name in names:
            assert f"{name}: {kind}" in said(capsys, name)
            looked_at += 1
    assert looked_at > 80
    assert [line for line in said(capsys, "suspend").splitlines() if line.startswith("suspend: ")] == [
        "suspend: a scenario (--scenario suspend)",
        "suspend: a budget (--budget suspend=N, N up to 8, or unbounded)",
    ]


def test_an_outcome_is_explained_with_a_command_that_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    for name in MEANINGS:
        text = said(capsys, name)
        assert text.startswith(f"{name} (")
        assert "](" not in text
        assert ("tdxexplore check " in text) is (name not in ("diverges", "I3", "I9"))
    assert "The owner of the TD sees an error" in said(capsys, "td-error")


def test_a_policy_is_explained_by_any_of_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (*BUILT_IN, *ALIASES):
        text = said(capsys, name)
        assert BUILT_IN[ALIASES.get(name, name)].source in text
        assert "tdxexplore describe" in text


@pytest.mark.parametrize(
    ("term", "said_of_it"),
    [
        ("share", "over all interleavings"),
        ("S3", "off until reboot"),
        ("vacuous", "an expectation is never met"),
        ("130", "Ctrl-C"),
    ],
)
def test_a_term_of_a_topic_is_explained_alone(term: str, said_of_it: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, term)
    assert text.startswith(f"{term}, of `tdxexplore help ")
    assert said_of_it in text
    assert text.count("\n") < 4


def test_a_topic_of_two_words_may_be_written_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "exit", "codes") == said(capsys, "exit-codes")


@pytest.mark.parametrize(
    ("asked", "near"), [("td-eror", "td-error"), ("scenario", "scenarios"), ("linux-6.17", "linux-6.16")]
)
def test_an_unknown_topic_gets_a_line_with_the_nearest_names(
    asked: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["help", asked]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert f"help has no topic `{asked}`; did you mean `{near}`" in captured.err
    assert len(captured.err) < 200


# -- describe ---------------------------------------------------------------------------------------------------------


def test_describe_writes_the_page_of_a_built_in_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["describe", "v19"]) == 0
    printed = capsys.readouterr().out.splitlines()
    page = (ROOT / "docs" / "policies" / "v19.md").read_text().splitlines()
    assert len(page) > 130
    assert [(a, b) for a, b in zip(printed, page, strict=True) if a != b and "abstractions" not in a] == []


def test_describe_writes_a_page_of_a_policy_of_a_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["describe", LAZY]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# lazy-first-vm\n")
    assert "| `CPUHP_AP_KVM_ONLINE` | VMXON, tdx_cpu_enable(); an error refuses the CPU. | VMXOFF, " in page
    assert "| CPUHP_AP_KVM_ONLINE startup | _cpu_up() | one CPU | VMXON, TDH.SYS.INIT, TDH.SYS.LP.INIT |" in page
    assert "\nSource: an example.\n" in page


def test_describe_says_so_where_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = "name = title = source = 'bare'\n    def kvm_load(self, k):\n        k.set(k.w.kvm_loaded, value=True)\n"
    (tmp_path / "bare.py").write_text(f"from tdxexplore import Policy\nclass Bare(Policy):\n    {bare}")
    assert cli.run(["describe", f"{tmp_path / 'bare.py'}:Bare"]) == 0
    assert "## Knobs\n\nNone.\n" in capsys.readouterr().out


def test_describe_writes_a_page_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["describe", f"{ROOT / 'zoo' / 'stopper.py'}:stopper"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# stopper\n\nA model of `stopper.py:stopper`.\n")
    assert "| `fixed` | `false`, `true` |" in page
    assert "| `stopper->enabled` | one CPU | false, true |" in page
    assert "| `wrong-cpu` | outcome, S2 | WARN: work of another CPU runs here |" in page
    assert "### rescuer\n" in page
    assert "| set_cpus_allowed_ptr(): stop_one_cpu() |  | one CPU |  | kernel/stop_machine.c, v6.12 |" in page
    assert "pc." not in page


def test_describe_shows_what_looks_like_html(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = "name = title = source = 'bare'\n    read = ('write <addr>, and `<b>` | c',)\n"
    bare += "    def kvm_load(self, k):\n        k.set(k.w.kvm_loaded, value=True)\n        k.step('a <b> | c')\n"
    (tmp_path / "bare.py").write_text(f"from tdxexplore import Policy\nclass Bare(Policy):\n    {bare}")
    assert cli.run(["describe", f"{tmp_path / 'bare.py'}:Bare"]) == 0
    page = capsys.readouterr().out
    assert "\n- write &lt;addr>, and `<b>` | c\n" in page
    assert "\n| a &lt;b> &#124; c | " in page


def test_on_a_terminal_a_page_is_laid_out_and_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.run(["describe", LAZY]) == 0
    page = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(map(len, page.splitlines())) <= 80
    assert "…" not in page
    assert "|---|" not in page
    assert page.count("TDH.SYS.LP.INIT") >= 3


def test_describe_of_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.py").write_text(
        "from tdxexplore import Policy\nclass Bad(Policy):\n    name = title = source = 'bad'\n"
    )
    assert cli.run(["describe", f"{tmp_path / 'bad.py'}:Bad"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "`bad` does not say what `kvm_load` does" in captured.err
    assert captured.err.count("\n") == 1
