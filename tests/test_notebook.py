"""What a notebook shows of each result: a small table, in which every text is escaped."""

from __future__ import annotations

import sys
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import pytest

import tdxexplore
from reports import ODD
from sweeps import spec_file
from tdxexplore import markup
from tdxexplore.model import SEVERITIES, Model, Procedure

ALLOWED = {"p", "table", "thead", "tbody", "tr", "th", "td", "div", "span", "details", "summary", "img"}
SVG = "data:image/svg+xml;base64,"
ASKED: dict[str, Any] = {"module": "subset", "cpus": 2, "scenario": "late-online"}


class Checked(HTMLParser):
    """Tags are closed in order, are those that `tdxexplore.markup` makes, and have no attribute but a style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.charts: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        self.seen.append(tag)
        if tag == "img":
            source = dict(attrs)["src"] or ""
            assert source.startswith(SVG)
            self.charts.append(b64decode(source.removeprefix(SVG)).decode())
            return
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, list[str]]]:
    """Each result, and words that its table has."""
    tmp_path = tmp_path_factory.mktemp("notebook")
    answer = tdxexplore.check("dyn-hook-if-enabled", module="subset", cpus=2, scenario="offline-mid-enable")
    spec = spec_file(tmp_path, '[grid]\npolicy = "v19"\nmodule = "subset"\nscenario = "late-online"\ncpus = "2-3"\n')
    return {
        "check": (
            answer,
            ["violated", "deadlock", "S1", "probability", "shortest trace to deadlock", "tdxexplore check"],
        ),
        "trace": (answer.traces["deadlock"], ["hotplug", "outcome: deadlock (S1)", "tdxexplore replay"]),
        "compare": (
            tdxexplore.compare(["v19", "linux-6.16"], scenarios=["late-online"], cpus=[2, 3]),
            ["module kind strict, 3 CPUs", "S2 td-error"],
        ),
        "compare nothing": (
            tdxexplore.compare(["v19"], scenarios=["update"]),
            ["not applicable", "worst outcome of 0 points"],
        ),
        "diff": (tdxexplore.diff("linux-6.16", "v19", **ASKED), ["v19 against linux-6.16", "added", "I1", "td-error"]),
        "why": (
            tdxexplore.why("dyn-hook-if-enabled", module="subset", cpus=2, scenario="offline-mid-enable"),
            ["S1 deadlock", "A run ends so if and only if:", "necessary", "Decided by", "tdxexplore replay"],
        ),
        "sample": (tdxexplore.sample("v19", count=4, **ASKED), ["4 of ", "td-error", "schedules"]),
        "sweep": (tdxexplore.sweep(spec, tmp_path / "data"), ["points", "violated", "states stored"]),
        "report": (tdxexplore.report(tmp_path / "data", tmp_path / "page.html"), ["page.html", "open it in a browser"]),
    }


def test_every_result_has_a_small_table(results: dict[str, tuple[Any, list[str]]]) -> None:
    assert len(results) == 9
    for name, (result, words) in results.items():
        html = result._repr_html_()
        checked = Checked(html)
        assert "table" in checked.seen, name
        for word in words:
            assert word in checked.text, (name, word)
        assert len(html) < 120_000, name
        assert "http" not in html


def test_results_that_have_a_chart_show_it(
    results: dict[str, tuple[Any, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_chart = {name: Checked(result._repr_html_()).charts for name, (result, _) in results.items()}
    assert [name for name, charts in with_chart.items() if charts] == ["check", "compare", "compare nothing"]
    for (chart,) in (with_chart["check"], with_chart["compare"]):
        assert chart.startswith("<svg")
        assert "<script" not in chart
    assert "linux-6.16" in with_chart["compare"][0]
    # Without the extra there is the table alone.
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    html = results["check"][0]._repr_html_()
    assert Checked(html).charts == []
    assert "deadlock" in html


def test_severities_have_their_colours(results: dict[str, tuple[Any, list[str]]]) -> None:
    html = results["check"][0]._repr_html_()
    assert f"background:{markup.COLOURS['S1'][0]}" in html
    assert set(markup.COLOURS) == set(SEVERITIES)
    assert len({paper for paper, _ in markup.COLOURS.values()}) == len(SEVERITIES)


def test_texts_with_markup_are_text() -> None:
    model = Model("m")
    flag = model.flag("up")
    procedure = Procedure("actor")
    procedure.step("<script>alert(1)</script>")
    procedure.set(flag, True)
    model.add(procedure)
    model.outcome("up", "ok", flag, '<b>bold & "quoted"</b>')
    html = tdxexplore.check(model, cpus=1)._repr_html_()
    text = Checked(html).text
    assert "<script>alert(1)</script>" in text
    assert '<b>bold & "quoted"</b>' in text
    assert "<script>" not in html
    table = markup.table(("<i>",), [(ODD,), (markup.severity(ODD, "S0"),), (markup.bar(ODD, 0.5),), (None,), (1234,)])
    assert Checked(table.text).text.count("<script>alert(1)</script>") == 3
    assert "1,234" in table.text


def test_a_sample_draws_what_the_command_draws() -> None:
    drawn = tdxexplore.sample("v19", module="subset", cpus=2, scenario="kvm-reload", count=50, seed=3)
    again = tdxexplore.sample("v19", module="subset", cpus=2, scenario="kvm-reload", count=50, seed=3)
    assert drawn.schedules.equals(again.schedules)
    assert drawn.counts["count"].sum() == 50
    assert set(drawn.counts["outcome"]) == {"td-error", "tdx-up"}
    with pytest.raises(tdxexplore.BadModel, match="--count is 0"):
        tdxexplore.sample("v19", count=0)


def test_policies_and_scenarios_are_tables() -> None:
    policies, scenarios = tdxexplore.policies(), tdxexplore.scenarios()
    assert len(policies) == 13
    assert policies.filter(policy="linux-7.2-update")["also"][0] == "linux-7.3"
    assert len(scenarios) > 30
    assert scenarios.filter(scenario="late-online")["budgets"][0] == "kvm_load=1 cpu_up=1"
