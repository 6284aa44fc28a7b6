"""Charts: each table has its own, files hold what they need, and what is missing is said in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import tdxexplore
from sweeps import POINTS, spec_file
from tdxexplore.charts import plot, save
from tdxexplore.charts.pareto import front, labelled
from tdxexplore.charts.style import COLOURS, named
from tdxexplore.cli import run
from tdxexplore.data import analysis
from tdxexplore.data.reading import Dataset
from tdxexplore.errors import BadModel, MissingExtra
from tdxexplore.model import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("charts")
    tdxexplore.sweep(spec_file(folder), folder / "data")
    found = Dataset(folder / "data")
    assert len(found.collect(found.runs)) == POINTS
    return found


TABLES: dict[str, Callable[[Dataset], pl.LazyFrame]] = {
    "worst": lambda data: analysis.worst(data.answers),
    "shares": lambda data: analysis.shares(data.answers),
    "growth": lambda data: analysis.growth(data.runs),
    "rank": lambda data: analysis.ranking(data.answers),
    "prices": lambda data: analysis.prices(data.prices),
}
TITLES = {
    "worst": "Worst outcome",
    "shares": "How runs end",
    "growth": "Growth of the search",
    "rank": "Policies, best first",
    "prices": "Prices of the policies",
}


def rows_in(spec: dict[str, Any]) -> int:
    """The rows of data in a chart."""
    return sum(map(len, spec["datasets"].values()))


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_its_chart(name: str, data: Dataset) -> None:
    frame = TABLES[name](data).collect()
    spec = json.loads(frame.tdx.plot().to_json())  # type: ignore[attr-defined] # a namespace of polars
    assert spec["title"]["text"] == TITLES[name]
    assert rows_in(spec) >= len(frame) / 8
    assert len(frame) >= 4
    text = json.dumps(spec)
    for policy in ("v19", "linux-6.16"):
        assert policy in text
    assert "http" not in text.replace(spec["$schema"], "")


def test_results_have_charts() -> None:
    answer = tdxexplore.check("v19", module="subset", cpus=3, scenario="kvm-reload")
    levels = json.loads(answer.plot().to_json())
    assert levels["title"]["text"] == "Levels of the search"
    assert rows_in(levels) == 2 * len(answer.levels)
    shares = json.loads(answer.outcomes.tdx.plot().to_json())  # type: ignore[attr-defined] # a namespace of polars
    assert rows_in(shares) == len(answer.outcomes) == 2
    comparison = tdxexplore.compare(["v19", "linux-7.2-update"], scenarios=["update", "late-online"], cpus=[2, 3])
    heat = json.loads(comparison.plot().to_json())
    assert rows_in(heat) == 24
    assert "not applicable" in json.dumps(heat)


def test_severities_have_the_same_colours_everywhere(data: Dataset) -> None:
    text = json.dumps(json.loads(plot(analysis.worst(data.answers).collect()).to_json()))
    assert f'"range": {json.dumps([COLOURS[severity] for severity in SEVERITIES])}' in text


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")])
def test_files_hold_all_that_they_need(suffix: str, begins: bytes, data: Dataset, tmp_path: Path) -> None:
    out = tmp_path / f"chart{suffix}"
    assert run(["analyze", "worst", str(data.root), "--plot", str(out)]) == 0
    content = out.read_bytes()
    assert content.lstrip().startswith(begins)
    assert len(content) > 5_000
    assert b"<script src" not in content
    assert b"<link" not in content
    assert list(tmp_path.iterdir()) == [out]


def test_a_chart_that_cannot_be_made_is_an_error_in_a_line(
    data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = str(data.root), str(tmp_path / "chart.svg")
    cases = {
        (root, "worst", "--plot", str(tmp_path / "chart.gif")): "must end in .svg, .png or .html",
        (root, "smallest", "--plot", out): "no chart fits a table of these columns: policy, knobs,",
        (root, "prices", "--price", "vmxon", "--plot", out): "needs two of them, and the table has 1: vmxon",
        (root, "shares", "--policy", "v20", "--plot", out): "--policy is `v20`",
    }
    for (folder, question, *options), said in cases.items():
        assert run(["analyze", question, folder, *options]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadModel, match="the table of shares is empty"):
        plot(analysis.shares(data.answers).collect().clear())
    many = pl.concat([analysis.growth(data.runs).collect().with_columns(scenario=pl.lit(f"s{n}")) for n in range(61)])
    with pytest.raises(BadModel, match="122 parts, by module, scenario, budgets, packages; at most 60"):
        plot(many)


def test_a_missing_extra_is_said_in_a_line(data: Dataset, tmp_path: Path) -> None:
    code = "import sys; sys.modules.update(altair=None, vl_convert=None); from tdxexplore.cli import main; main()"
    words = ["analyze", "growth", str(data.root), "--plot", str(tmp_path / "chart.svg")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "tdxexplore: error: a chart needs the extra `report`: pip install 'tdxexplore[report]'\n"
    assert issubclass(MissingExtra, tdxexplore.TdxExploreError)


def test_shares_are_printed_too(data: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", "shares", str(data.root), "--module", "subset", "--scenario", "late-online"]) == 0
    said = capsys.readouterr().out
    assert "td-error" in said
    assert "share counts each maximal run once" in said


def test_only_knobs_that_vary_name_a_row() -> None:
    frame = pl.DataFrame({"policy": ["a", "a", "b"], "knobs": ["x=1 y=1", "x=2 y=1", "z=1"]})
    assert named(frame, ("policy", "knobs"), "row")["row"].to_list() == ["a x=1", "a x=2", "b"]


def test_the_front_is_what_no_other_beats_in_both() -> None:
    points = {"a": (1.0, 9.0), "b": (2.0, 4.0), "c": (2.0, 4.0), "d": (3.0, 5.0), "e": (4.0, 1.0), "f": (4.0, 2.0)}
    frame = pl.DataFrame([(n, *p) for n, p in points.items()], schema=["row", "across", "up"], orient="row")
    found = front(frame)
    beaten = {
        name
        for name, (x, y) in points.items()
        if any(a <= x and b <= y and (a, b) != (x, y) for a, b in points.values())
    }
    assert set(found.filter("front")["row"]) == set(points) - beaten == {"a", "b", "c", "e"}
    assert found.filter(pl.col("label") != "")["label"].to_list() == ["a", "b, c", "d", "e", "f"]
    close = frame.with_columns(up=pl.lit(1.0) + pl.int_range(pl.len()) * 0.001, across=pl.lit(2.0))
    heights = labelled(front(close)).filter(pl.col("label") != "")["at"].sort()
    assert len(heights) == 6
    assert heights.diff().drop_nulls().min() > 0.0001  # type: ignore[operator]


def test_save_refuses_a_folder_that_is_not_there(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        save(plot(analysis.growth(data.runs).collect()), tmp_path / "no" / "chart.svg")
