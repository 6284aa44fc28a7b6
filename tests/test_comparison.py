"""A comparison is a sweep in memory: the same points, runner and tables."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

import tdxexplore
from sweeps import spec_file
from tdxexplore import cli, compare
from tdxexplore.data import analysis
from tdxexplore.data.reading import Dataset
from tdxexplore.data.schema import TABLES, TIMING
from tdxexplore.errors import BadModel
from tdxexplore.sweep import batch, comparison, load, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from tdxexplore.sweep import Point

POLICIES = ["v19", "linux-6.16"]
AXES: dict[str, Any] = {"modules": ["strict", "subset"], "scenarios": ["late-online", "no-kvm"], "cpus": [2, 3]}
CELLS = 2 * 2 * 2 * 2


def _points(found: tdxexplore.Comparison) -> list[Point]:
    return [cell.point for cell in found.cells if cell.point is not None]


@pytest.fixture(scope="module")
def small() -> tdxexplore.Comparison:
    return compare(POLICIES, **AXES, prices=True)


def test_its_tables_are_those_of_a_sweep(small: tdxexplore.Comparison, tmp_path: Path) -> None:
    grid = f"policy = {POLICIES}\nmodule = {AXES['modules']}\nscenario = {AXES['scenarios']}\ncpus = '2-3'\n"
    sweep(load(spec_file(tmp_path, "[grid]\n" + grid)), tmp_path / "out")
    data = Dataset(tmp_path / "out")
    for name in comparison.TABLES:
        found = getattr(small, name)
        there = data.scan(name).collect()
        assert found.schema == there.schema
        keep = [column for column in found.columns if column not in TIMING]
        assert len(found) >= CELLS
        assert found.select(keep).sort(keep).equals(there.select(keep).sort(keep)), name
    worst = analysis.worst(data.answers).collect()
    assert small.matrix.sort(analysis.KEY).equals(worst)


def test_cells_are_in_the_order_in_which_they_were_asked(small: tdxexplore.Comparison) -> None:
    backwards = compare(POLICIES[::-1], modules=["subset", "strict"], scenarios=["no-kvm"], cpus=[3, 2])
    asked = [(p.question.policy, p.question.module, p.question.topology.cpus) for p in _points(backwards)]
    assert asked == [(p, m, n) for p in POLICIES[::-1] for m in ("subset", "strict") for n in (3, 2)]
    assert backwards.matrix.select("policy", "module", "cpus").rows() == asked
    cells = small.matrix.filter(pl.col("scenario") == "no-kvm").sort(analysis.KEY)
    assert backwards.matrix.sort(analysis.KEY).equals(cells)


def test_the_worst_cell_is_the_most_severe_and_of_equals_the_nearest(small: tdxexplore.Comparison) -> None:
    assert small.worst is not None
    point, name, trace = small.worst
    rows = small.matrix.sort("severity", "shortest_steps").row(0, named=True)
    assert (point.question.key()["policy"], name, len(trace)) == (
        rows["policy"],
        rows["outcome"],
        rows["shortest_steps"],
    )


def test_a_process_pool_and_large_cells_give_the_same_tables(
    small: tdxexplore.Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = compare(POLICIES, **AXES, prices=True, executor=pool)
    monkeypatch.setattr(batch, "LARGE", 40)
    again = compare(POLICIES, **AXES, prices=True, threads=2)
    assert set(again.runs["threads"]) == {1, 2}
    for name in comparison.TABLES:
        expected = getattr(small, name).drop(TIMING, strict=False)
        assert getattr(elsewhere, name).drop(TIMING, strict=False).equals(expected)
        assert getattr(again, name).drop(TIMING, strict=False).equals(expected)


def test_knobs_budgets_and_packages_are_axes_too() -> None:
    found = compare(
        ["v19", "linux-6.16"],
        modules=["strict"],
        scenarios=["offline-mid-enable"],
        cpus=[4],
        packages=[1, 2],
        knobs={"offline_veto": ["on", "off"]},
        budgets={"cpu_down": [0, 1]},
    )
    asked = {
        (q.policy, q.topology.packages, dict(q.knobs).get("offline_veto"), dict(q.budgets)["cpu_down"])
        for q in (point.question for point in _points(found))
    }
    known = {p.policy: {k.name for k in p.subject().knobs} for p in (point.question for point in _points(found))}
    knobs = {policy: ("on", "off") if "offline_veto" in names else (None,) for policy, names in known.items()}
    assert asked == {(p, n, v, d) for p in known for n in (1, 2) for v in knobs[p] for d in (0, 1)}
    assert len(found.matrix) == len(asked) == len(found.cells)
    assert found.complete


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"knobs": {"veto": ["on"]}}, "no policy has a knob `veto`; did you mean `offline_veto`"),
        ({"scenarios": ["late"]}, "scenario `late` is not known"),
        ({"modules": ["strickt"]}, "module kind `strickt` is not known"),
        ({"max_stats": 3}, "--max-stats is 3; there is no such setting; did you mean `max_states`"),
    ],
)
def test_what_is_not_known_is_refused(asked: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadModel, match=expected):
        compare(["v19"], **{"scenarios": ["all-online"], **asked})


def test_a_cell_that_cannot_be_explored_is_named(tmp_path: Path) -> None:
    policy = "from tdxexplore.tdx.policies.v19 import V19\n\nclass Leaves(V19):\n    name = 'leaves'\n\n"
    (tmp_path / "mine.py").write_text(policy + "    def kvm_unload(self, k):\n        k.add(k.w.cpus_readers, -1)\n")
    with pytest.raises(BadModel, match=r"check .*mine.py:Leaves .*--scenario no-kvm: .*leaves its domain"):
        compare([f"{tmp_path}/mine.py:Leaves"], scenarios=["all-online", "no-kvm"], cpus=[3])


def test_its_files_have_the_columns_units_and_meanings_of_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", *POLICIES, "--module", "subset", "--scenario", "late-online", "--cpus", "2,3", "--prices"]
    assert cli.run([*words, "--set", "offline_veto=on,off", "--packages", "1-2", "--out", str(tmp_path)]) == 1
    assert cli.run([*words, "--set", "offline_veto=on,off", "--packages", "1-2", "--json"]) == 1
    out = capsys.readouterr().out
    cells = json.loads(out[out.index("\n{") :])["matrix"]
    assert len(cells) >= 2 * 2 * 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"{n}.parquet" for n in ("matrix", "outcomes", "prices", "properties", "runs")
    ]
    for name in (*comparison.TABLES, "matrix"):
        schema = pq.read_schema(tmp_path / f"{name}.parquet")
        assert schema.metadata[b"tdxexplore.table"].decode() == name
        if name in TABLES:
            assert schema.names == [column.name for column in TABLES[name]]
        for field in schema:
            assert field.metadata[b"description"], field.name
        assert len(pl.read_parquet(tmp_path / f"{name}.parquet")) >= len(cells)
