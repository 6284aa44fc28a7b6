"""The questions to a data set, against plain loops over its rows."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import groupby, permutations, product
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from sweeps import spec_file
from tdxexplore import check, compare
from tdxexplore.data import analysis
from tdxexplore.data.reading import Dataset
from tdxexplore.model import SEVERITIES
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GRID = """
[grid]
policy = ["v19", "hook-before-users", "dyn-hook-if-enabled", "linux-6.16"]
module = ["strict", "subset"]
scenario = ["late-online", "offline-mid-enable", "no-kvm"]
cpus = "2-5"
"""
SUBSET = pl.col("module") == "subset"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analysis")
    sweep(load(spec_file(folder, GRID)), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def answers(root: Path) -> pl.LazyFrame:
    return Dataset(root).answers


@pytest.fixture(scope="module")
def findings(root: Path) -> pl.LazyFrame:
    return Dataset(root).findings


@pytest.fixture(scope="module")
def prices(root: Path) -> pl.LazyFrame:
    return Dataset(root).prices


def points(answers: pl.LazyFrame) -> dict[tuple[object, ...], list[Row]]:
    """The rows of each point, most severe first."""
    rows = answers.sort(*analysis.KEY, "rank").collect().to_dicts()
    return {key: list(group) for key, group in groupby(rows, lambda row: tuple(row[name] for name in analysis.KEY))}


def bad(rows: list[Row], column: str) -> float:
    return math.fsum(row[column] for row in rows if row["severity"] <= "S3")


def mean_price(answers: pl.LazyFrame, prices: pl.LazyFrame, price: str) -> dict[tuple[object, ...], float]:
    """The mean of a price over all interleavings of each point, from the exact sums."""
    totals: Counter[tuple[object, ...]] = Counter()
    for row in prices.filter(pl.col("price") == price).collect().to_dicts():
        totals[tuple(row[name] for name in analysis.KEY)] += int(row["total"])
    runs = {key: sum(int(row["interleavings"]) for row in rows) for key, rows in points(answers).items()}
    return {key: totals[key] / runs[key] for key in runs}


def incomplete(rows: pl.LazyFrame, which: pl.Expr) -> pl.LazyFrame:
    """The answers or findings with some searches cut short before anything was found."""
    kept = (*analysis.KEY, "point", "digest", "verdict", "complete", "reason", "broken", "lost")
    types = rows.collect_schema()
    cut = (
        rows.filter(which).unique("point").with_columns(pl.lit(None).alias(name) for name in types if name not in kept)
    )
    cut = cut.with_columns(verdict=pl.lit("incomplete"), complete=pl.lit(value=False))
    if "broken" in types:
        cut = cut.with_columns(broken=pl.lit(""), lost=pl.lit(""))
    return pl.concat([rows.filter(~which), cut.cast(types)])


def test_the_worst_outcomes_are_those_that_compare_finds(answers: pl.LazyFrame) -> None:
    found = analysis.worst(answers).collect()
    matrix = compare(
        ["v19", "hook-before-users", "dyn-hook-if-enabled", "linux-6.16"],
        modules=["strict", "subset"],
        scenarios=["late-online", "offline-mid-enable", "no-kvm"],
        cpus=[2, 3, 4, 5],
    ).matrix
    assert len(found) == len(matrix) == 4 * 2 * 3 * 4
    key = [name for name in analysis.KEY if name in matrix.columns]
    assert found.select(matrix.columns).equals(matrix.sort(key).cast(dict(found.select(matrix.columns).schema.items())))


def test_an_incomplete_search_is_shown_as_such(answers: pl.LazyFrame) -> None:
    cut = incomplete(answers, pl.col("cpus") == 5)
    found = analysis.worst(cut).collect()
    assert len(found) == 4 * 2 * 3 * 4
    assert found.filter(pl.col("outcome").is_null())["verdict"].to_list() == ["incomplete"] * 4 * 2 * 3


@pytest.mark.parametrize("by", [(), analysis.COMPARED])
def test_a_policy_dominates_another_that_is_nowhere_better(
    by: tuple[str, ...], answers: pl.LazyFrame, prices: pl.LazyFrame
) -> None:
    found = analysis.domination(answers, prices, by=by).collect()
    means = [mean_price(answers, prices, price) for price in by]
    by_policy: dict[tuple[str, str], dict[tuple[object, ...], tuple[float, ...]]] = {}
    for key, rows in points(answers).items():
        vector = (
            len(SEVERITIES) - SEVERITIES.index(rows[0]["severity"]),
            int(rows[0]["broken"] != ""),
            bad(rows, "interleaving_share"),
            bad(rows, "probability"),
            *(mean[key] for mean in means),
        )
        by_policy.setdefault((str(key[2]), str(key[0])), {})[key[2:]] = vector
    expected = {}
    for (module, a), (other_module, b) in permutations(by_policy, 2):
        if module != other_module:
            continue
        pairs = [(by_policy[module, a][q], by_policy[module, b][q]) for q in by_policy[module, a]]
        less = [any(x < y * (1 - 1e-9) for x, y in zip(*pair, strict=True)) for pair in pairs]
        more = [any(x * (1 - 1e-9) > y for x, y in zip(*pair, strict=True)) for pair in pairs]
        counts = [
            sum(up and not down for up, down in zip(less, more, strict=True)),
            sum(down and not up for up, down in zip(less, more, strict=True)),
            sum(up and down for up, down in zip(less, more, strict=True)),
        ]
        expected[module, a, b] = (len(pairs), *counts, counts[0] > 0 and counts[1] == counts[2] == 0)
    columns = ("module", "policy", "other_policy", "questions", "better", "worse", "mixed", "dominates")
    got = {row[:3]: row[3:] for row in found.select(columns).iter_rows()}
    assert got == expected
    assert len(got) == 2 * 4 * 3
    # The safer one, not always the cheaper.
    assert got["subset", "hook-before-users", "v19"][-1] == (not by)
    assert not got["subset", "v19", "hook-before-users"][-1]


def test_a_question_without_prices_is_compared_by_the_other_objectives(
    answers: pl.LazyFrame, prices: pl.LazyFrame
) -> None:
    without = analysis.domination(answers, prices.filter(pl.lit(value=False))).collect()
    assert without.equals(analysis.domination(answers, prices, by=()).collect())
    assert not without.equals(analysis.domination(answers, prices).collect())


@pytest.mark.parametrize("outcome", [None, "tdx-up"])
def test_the_benchmark_is_the_mean_over_questions_of_what_check_says(outcome: str | None, prices: pl.LazyFrame) -> None:
    found = analysis.prices(prices.filter(SUBSET), outcome).collect()
    assert set(found["price"]) >= {"seamcalls", "vmxon", "vmxoff", "ipis", "lp-init-again", *analysis.COMPARED}
    known: dict[tuple[str, str], dict[tuple[str, int], tuple[float, int, int]]] = {}
    for policy in ("v19", "hook-before-users", "dyn-hook-if-enabled", "linux-6.16"):
        for scenario, cpus in product(("late-online", "offline-mid-enable", "no-kvm"), (2, 3, 4, 5)):
            answer = check(policy, module="subset", scenario=scenario, cpus=cpus, prices=True)
            runs = {o: Fraction(n) for o, n in answer.outcomes.select("outcome", "interleavings").iter_rows()}
            runs = {o: n for o, n in runs.items() if outcome in (None, o)}
            for (price,), rows in answer.prices.group_by("price"):
                ended = [row for row in rows.to_dicts() if row["outcome"] in runs]
                if ended:
                    mean = sum(Fraction(row["total"]) for row in ended) / sum(runs.values())
                    least, most = min(row["least"] for row in ended), max(row["most"] for row in ended)
                    known.setdefault((str(price), policy), {})[scenario, cpus] = (float(mean), least, most)
    assert len(found) == len(known) >= 3 * 8
    for row in found.to_dicts():
        asked = [set(at) for (price, _), at in known.items() if price == row["price"]]
        common = set.intersection(*asked)
        at = known[row["price"], row["policy"]]
        means, least, most = zip(*(at[question] for question in common), strict=True)
        assert row["questions"] == len(common) > 0
        assert row["mean"] == pytest.approx(math.fsum(means) / len(means), rel=1e-8)
        assert (row["least"], row["most"]) == (min(least), max(most))
        cheaper = [r for r in found.to_dicts() if r["price"] == row["price"] and r["mean"] < row["mean"]]
        assert row["place"] == 1 + len(cheaper)
    assert len({(row["price"], row["mean"]) for row in found.to_dicts()}) > 8


def test_incomplete_searches_have_no_price(prices: pl.LazyFrame) -> None:
    cut = prices.with_columns(complete=(pl.col("cpus") != 5) | (pl.col("policy") != "v19"))
    assert set(analysis.prices(prices.filter(SUBSET)).collect()["questions"]) == {3 * 4}
    assert set(analysis.prices(cut.filter(SUBSET)).collect()["questions"]) == {3 * 3}


def test_incomplete_searches_are_not_compared(answers: pl.LazyFrame, prices: pl.LazyFrame) -> None:
    cut = incomplete(answers, (pl.col("cpus") == 5) & (pl.col("policy") == "v19"))
    assert set(analysis.domination(cut, prices).filter(pl.col("policy") == "v19").collect()["questions"]) == {3 * 3}
    ranked = analysis.ranking(cut.filter(SUBSET)).collect()
    assert ranked["questions"].to_list() == [3 * 3] * 4
    assert dict(ranked.select("policy", "incomplete").iter_rows())["v19"] == 3
    assert ranked["incomplete"].sum() == 3


def test_the_growth_is_the_exponent_of_a_power_law(root: Path) -> None:
    runs = Dataset(root).runs
    law = runs.with_columns(explored=(3 * pl.col("cpus") ** 4), seconds=pl.col("cpus").cast(pl.Float64) ** 1.5)
    found = analysis.growth(law).collect()
    assert len(found) == 4 * 2 * 3 * 4
    assert found["growth"].to_list() == pytest.approx([4.0] * len(found))
    assert found["growth_of_seconds"].to_list() == pytest.approx([1.5] * len(found))
    assert found["r_squared"].to_list() == pytest.approx([1.0] * len(found))
    real = analysis.growth(runs).collect()
    for key, rows in real.group_by(analysis.SERIES, maintain_order=True):
        x, y = ([math.log(v) for v in rows[name]] for name in ("cpus", "explored"))
        mean = sum(x) / len(x), sum(y) / len(y)
        slope = sum((a - mean[0]) * (b - mean[1]) for a, b in zip(x, y, strict=True)) / sum(
            (a - mean[0]) ** 2 for a in x
        )
        assert rows["growth"].to_list() == pytest.approx([slope] * 4), key
    alone = analysis.growth(runs.filter(pl.col("cpus") == 3)).collect()
    assert alone["growth"].null_count() == alone["r_squared"].null_count() == len(alone) == 4 * 2 * 3
    none = analysis.growth(runs.with_columns(complete=pl.lit(value=False))).collect()
    assert none.is_empty()


def test_the_smallest_cpu_count_of_each_outcome_and_invariant(findings: pl.LazyFrame) -> None:
    late = findings.filter((pl.col("cpus") > 3) | (pl.col("finding") != "deadlock"))
    found = analysis.smallest(late).collect()
    expected: dict[tuple[object, ...], int] = {}
    for row in late.collect().to_dicts():
        series = (*(row[name] for name in analysis.SERIES), row["kind"], row["finding"])
        expected[series] = min(expected.get(series, 99), row["cpus"])
    got = {row[:-1]: row[-1] for row in found.select(*analysis.SERIES, "kind", "finding", "cpus").iter_rows()}
    assert got == expected
    assert set(found["kind"]) == {"outcome", "invariant"}
    broken = found.filter(pl.col("finding") == "I5", pl.col("policy") == "v19", SUBSET)
    assert set(broken["cpus"]) == {2}
    deadlock = analysis.smallest(late, "deadlock").collect()
    assert set(deadlock["finding"]) == {"deadlock"}
    assert set(deadlock["cpus"]) == {4}
    assert set(deadlock["unsure"]) == {0}
    cut = incomplete(late, pl.col("cpus") == 2)
    assert set(analysis.smallest(cut, "deadlock").collect()["unsure"]) == {1}
    assert set(analysis.smallest(cut, "deadlock").collect()["tried"]) == {2}


def test_nothing_differs_from_itself(findings: pl.LazyFrame) -> None:
    assert analysis.differences(findings, findings).collect().is_empty()
    cut = incomplete(findings, pl.col("cpus") == 5)
    assert analysis.differences(cut, cut).collect().is_empty()


CHANGES: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "only old": lambda a: a.filter(pl.col("cpus") < 5),
    "gone": lambda a: a.filter(~pl.col("finding").is_in(["deadlock", "I5"])),
    "severity": lambda a: a.with_columns(
        severity=pl.when(pl.col("finding") == "deadlock").then(pl.lit("S0")).otherwise("severity")
    ),
    "figures": lambda a: a.with_columns(
        probability=pl.col("probability") * 0.5,
        states=pl.when(pl.col("kind") == "invariant").then(pl.lit("0")).otherwise("states"),
    ),
    "verdict": lambda a: a.with_columns(verdict=pl.lit("incomplete")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_difference_is_found(change: str, findings: pl.LazyFrame) -> None:
    other = CHANGES[change](findings)
    found = analysis.differences(findings, other).collect()
    assert set(found["change"]) == {change}
    every = findings.collect_schema().names()
    touched = findings.collect().join(other.collect(), on=every, how="anti", nulls_equal=True)
    assert len(found) == len(touched) > 0
    back = {"only old": "only new", "gone": "appears"}.get(change, change)
    assert set(analysis.differences(other, findings).collect()["change"]) == {back}


def test_the_ranking_counts_the_worst_outcomes(answers: pl.LazyFrame) -> None:
    found = analysis.ranking(answers.filter(SUBSET)).collect()
    expected: dict[str, list[Any]] = {}
    for key, rows in points(answers).items():
        if key[2] == "subset":
            row = expected.setdefault(str(key[0]), [0] * len(SEVERITIES) + [0, 0.0])
            row[SEVERITIES.index(rows[0]["severity"])] += 1
            row[-2] += rows[0]["broken"] != ""
            row[-1] += bad(rows, "interleaving_share") / 12
    for got in found.to_dicts():
        assert [*(got[s] for s in SEVERITIES), got["invariants"]] == expected[got["policy"]][:-1]
        assert got["bad_share"] == pytest.approx(expected[got["policy"]][-1], rel=1e-8)
        assert got["questions"] == 12

    def place(item: tuple[str, list[Any]]) -> tuple[float, ...]:
        s0, s1, s2, s3, s4, _, invariants, share = item[1]
        return (s0, s1, s2, s3, invariants, s4, float(f"{share:.8e}"))

    order = sorted(expected.items(), key=place)
    assert sum(row[-2] for row in expected.values()) > 0
    assert found["policy"].to_list() == [policy for policy, _ in order]
    assert found["place"].to_list() == sorted(found["place"])
    tie = analysis.ranking(answers.with_columns(severity=pl.lit("ok"), broken=pl.lit(""))).collect()
    assert tie["place"].to_list() == [1] * 4 * 2


def test_every_question_is_lazy(
    answers: pl.LazyFrame, findings: pl.LazyFrame, prices: pl.LazyFrame, root: Path
) -> None:
    questions = [
        analysis.worst(answers),
        analysis.domination(answers, prices),
        analysis.growth(Dataset(root).runs),
        analysis.smallest(findings),
        analysis.differences(findings, findings),
        analysis.ranking(answers),
        analysis.prices(prices),
    ]
    assert all(isinstance(q, pl.LazyFrame) for q in questions)


def test_a_module_kind_is_compared_by_itself(answers: pl.LazyFrame, prices: pl.LazyFrame) -> None:
    """Filtering before and after is the same: nothing of one module kind decides anything on another."""
    cut = incomplete(answers, (pl.col("cpus") == 5) & (pl.col("policy") == "v19") & SUBSET)
    for question, rows in (
        (analysis.ranking, answers),
        (analysis.ranking, cut),
        (analysis.prices, prices.filter(~SUBSET | (pl.col("cpus") < 5))),
    ):
        whole = question(rows).collect()
        assert whole["module"].unique().sort().to_list() == ["strict", "subset"]
        for module in ("strict", "subset"):
            only = pl.col("module") == module
            assert whole.filter(only).equals(question(rows.filter(only)).collect())


def test_a_vacuous_answer_is_not_compared(answers: pl.LazyFrame, prices: pl.LazyFrame) -> None:
    which = (pl.col("cpus") == 5) & (pl.col("policy") == "v19")
    verdict = pl.when(which).then(pl.lit("vacuous")).otherwise("verdict")
    vacuous = answers.with_columns(verdict=verdict)
    assert set(analysis.domination(vacuous, prices).filter(pl.col("policy") == "v19").collect()["questions"]) == {9}
    ranked = analysis.ranking(vacuous.filter(SUBSET)).collect()
    assert ranked["questions"].to_list() == [9] * 4
    assert dict(ranked.select("policy", "vacuous").iter_rows()) == dict.fromkeys(ranked["policy"], 0) | {"v19": 3}


def test_a_lost_response_counts_by_its_severity(answers: pl.LazyFrame) -> None:
    here = SUBSET & (pl.col("policy") == "linux-6.16")
    severity = pl.when(here).then(pl.lit("S1")).otherwise("lost_severity")
    ranked = analysis.ranking(answers.with_columns(lost_severity=severity)).collect()
    row = ranked.filter(here).row(0, named=True)
    assert (row["S1"], row["ok"]) == (12, 0)
    assert analysis.ranking(answers).collect().filter(here)["S1"].to_list() == [0]
