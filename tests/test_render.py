"""Text: nothing is cut, the width is respected, and what a table leaves out can be told from what it says."""

from __future__ import annotations

import random
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from rich.text import Text

from tdxexplore.data import analysis
from tdxexplore.quantities import whole_numbers
from tdxexplore.render.figures import integer, ranges
from tdxexplore.render.overview import print_overview
from tdxexplore.render.tables import print_differences, print_domination
from tdxexplore.render.terminal import Sheet
from tdxexplore.render.worst import print_worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = dict[str, Any]

KNOBS = {
    "offline_veto": ("on", "off"),
    "pass": ("every-call", "first-call"),
    "register": ("after-release", "under-lock"),
    "skip_if_vmx_off": ("no", "yes"),
}
OUTCOMES = (("S0", "corrupt"), ("S2", "online-refused"), ("S3", "off-until-reboot"), ("ok", "tdx-up"))
SCENARIOS = ("all-online", "kvm-reload", "late-online", "no-kvm", "offline-mid-enable")
CPUS = range(2, 9)


def point(policy: str, knobs: dict[str, str], module: str, scenario: str, cpus: int, answer: int) -> Row:
    """A row of `analysis.worst`, whose figures are decided by `answer`."""
    severity, outcome = OUTCOMES[answer % len(OUTCOMES)]
    part, whole = 7 ** (cpus + answer // 4 % 3), 7 ** (cpus + 3) * 3
    return {
        "policy": policy,
        "knobs": " ".join(f"{name}={value}" for name, value in sorted(knobs.items())),
        "module": module,
        "scenario": scenario,
        "budgets": "",
        "packages": 1,
        "cpus": cpus,
        "verdict": "holds" if severity == "ok" else "violated",
        "complete": True,
        "broken": ("", "I1", "I1 I5")[answer % 3],
        "lost": "",
        "outcome": outcome,
        "severity": severity,
        "interleavings": str(part),
        "log10_interleavings": None,
        "all_interleavings": str(whole),
        "log10_all_interleavings": None,
        "interleaving_share": part / whole,
        "probability": 0.5,
        "shortest_steps": 20,
        "schedule": "0" * 20,
    }


def combinations() -> Iterator[dict[str, str]]:
    for values in product(*KNOBS.values()):
        yield dict(zip(KNOBS, values, strict=True))


def large() -> pl.DataFrame:
    """560 points of one policy with 4 knobs; in most scenarios some knobs change nothing."""
    rows = []
    for knobs, (number, scenario), cpus in product(combinations(), enumerate(SCENARIOS), CPUS):
        effective = list(KNOBS)[:number]
        answer = sum(KNOBS[name].index(knobs[name]) for name in effective) + (cpus > 5)
        rows.append(point("hook-after-kvm", knobs, "subset", scenario, cpus, answer))
    assert len(rows) == 560
    return pl.DataFrame(rows)


def parsed(text: str) -> list[Row]:
    """The lines of `print_worst`, each cell under its head, with the scenario of the block."""
    rows, scenario, heads = [], "", []
    policy = ""
    for line in text.splitlines()[2:]:
        if line.startswith("scenario "):
            scenario, policy = line.split()[1], ""
        elif "worst outcome" in line:
            names = list(re.finditer(r"\S+(?: \S+)*", line))
            heads = [
                (m[0], m.start(), names[i + 1].start() if i + 1 < len(names) else None) for i, m in enumerate(names)
            ]
            policy = ""
        elif line.strip() and not line.startswith("knobs of"):
            cells = {name: line[first:last].strip() for name, first, last in heads}
            policy = cells["policy"] = cells.get("policy") or policy
            rows.append({"scenario": scenario, **cells})
    return rows


def covers(line: Row, row: Row, policy: str) -> bool:
    """Whether a printed line speaks of a point."""
    knobs = dict(knob.split("=") for knob in row["knobs"].split())
    return (
        line["scenario"] in (row["scenario"], "")
        and (line["policy"] or policy) == row["policy"]
        and all(line.get(name) in (None, value) for name, value in knobs.items())
        and (line.get("module kind", "all") == "all" or row["module"] in line["module kind"].split(", "))
        and ("CPUs" not in line or row["cpus"] in whole_numbers(line["CPUs"]))
    )


@pytest.mark.parametrize(("columns", "most"), [("120", 170), ("100", 230), (None, 110)])
def test_560_points_with_4_knobs_and_7_cpu_counts_fit_a_terminal(
    columns: str | None, most: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    print_worst(large())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < most
    assert "…" not in "".join(lines)
    assert all(len(line) <= int(columns or 10_000) for line in lines)
    assert [line.split()[1] for line in lines if line.startswith("scenario ")] == list(SCENARIOS)
    if columns is None:
        assert max(map(len, lines)) > 80
        assert not [line for line in lines if line.startswith("      ")]  # no line is folded


def random_points(seed: int) -> list[Row]:
    """Points of three policies, of which some have knobs, in an order of their own, with holes."""
    r = random.Random(seed)
    known = {"v19": ["offline_veto"], "hook-after-kvm": list(KNOBS), "v17": []}
    dull, measured = r.random() < 0.6, r.random() < 0.6
    step = r.choice((1, 3, 4, 12))  # by 4 the outcome stays, by 3 the invariants that fail, by 12 both
    rows = []
    for policy, module, scenario in product(known, ("strict", "subset", "subset-nocheck"), SCENARIOS[:2]):
        effective = r.sample(known[policy], r.randint(0, len(known[policy])))
        for values in product(*(KNOBS[name] for name in known[policy])):
            knobs = dict(zip(known[policy], values, strict=True))
            for cpus in (2, 3, 4, 8):
                regular = step * sum(KNOBS[name].index(knobs[name]) for name in effective) + (cpus > 3)
                row = point(policy, knobs, module, scenario, cpus, regular if dull else r.randrange(36))
                if not measured:
                    row |= {"interleavings": None, "all_interleavings": None}
                if r.random() > 0.02 or not dull:
                    rows.append(row)
    r.shuffle(rows)
    return rows


@pytest.mark.parametrize("seed", range(16))
def test_every_point_is_told_by_exactly_one_line_and_rightly(
    seed: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = random_points(seed) if seed else large().to_dicts()
    print_worst(pl.DataFrame(rows))
    lines = parsed(capsys.readouterr().out)
    assert 20 < len(lines) <= len(rows)
    told = [0] * len(lines)
    for row in rows:
        speaking = [number for number, line in enumerate(lines) if covers(line, row, rows[0]["policy"])]
        assert len(speaking) == 1, (row, [lines[number] for number in speaking])
        line = lines[speaking[0]]
        told[speaking[0]] += 1
        broken = {"": "", "I1": "; I1 fails", "I1 I5": "; I1, I5 fail"}[row["broken"]]
        assert line["worst outcome"] == f"{row['severity']} {row['outcome']}{broken}"
        assert line["verdict"] == row["verdict"]
        ends = line["interleavings"].split(" ... ")
        counts = whole_numbers(line["CPUs"])
        if row["cpus"] in (counts[0], counts[-1]):
            said = ends[0 if row["cpus"] == counts[0] else -1]
            part, whole = (integer(row[name], None, 9) for name in ("interleavings", "all_interleavings"))
            assert said == ("-" if row["interleavings"] is None else f"{part} of {whole}")
    assert min(told) > 0


def test_an_incomplete_point_and_one_that_does_not_apply_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [point("v19", {}, "strict", "no-kvm", cpus, 0) for cpus in (2, 3, 4)]
    nothing = dict.fromkeys(analysis.WORST)
    rows[1] = {**rows[1], **nothing, "verdict": "incomplete", "complete": False}
    rows[2] = {**rows[2], **nothing, "verdict": "not applicable", "complete": None}
    rows.append({**point("v19", {}, "strict", "no-kvm", 5, 0), "complete": False})
    print_worst(pl.DataFrame(rows))
    out = capsys.readouterr().out
    assert re.search(r"^2 +S0 corrupt +violated +49 of 50,421", out, flags=re.MULTILINE)
    assert re.search(r"^3 +- +incomplete +-", out, flags=re.MULTILINE)
    assert re.search(r"^4 +- +not applicable +-", out, flags=re.MULTILINE)
    assert re.search(r"^5 +S0 corrupt +violated \(search incomplete\)", out, flags=re.MULTILINE)


def test_module_kinds_with_other_cpu_counts_share_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"strict": (2, 4), "subset": (3, 4), "subset-nocheck": (2, 4)}
    rows = [point("v19", {}, module, "no-kvm", cpus, 0) for module, some in counts.items() for cpus in some]
    print_worst(pl.DataFrame([{**row, "interleavings": None, "all_interleavings": None} for row in rows]))
    lines = parsed(capsys.readouterr().out)
    assert [(line["module kind"], line["CPUs"]) for line in lines] == [
        ("strict, subset-nocheck", "2,4"),
        ("subset", "3-4"),
    ]


def test_numbers_are_written_as_ranges_and_read_again() -> None:
    assert ranges([2, 3, 4, 8, 16, 17]) == "2-4,8,16-17"
    for seed in range(50):
        numbers = sorted(random.Random(seed).sample(range(1, 60), 12))
        assert whole_numbers(ranges(numbers)) == tuple(numbers)


@pytest.mark.parametrize("columns", [30, 50, 80, 500])
def test_a_sheet_repeats_the_names_and_cuts_no_column(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    heads = [f"{n} CPUs" for n in range(2, 22)]
    sheet = Sheet("a sheet", ["policy"], heads)
    for policy in ("v19", "linux-6.16"):
        sheet.add([policy], [Text(f"{n * 1000:,}") for n in range(2, 22)])
    sheet.print()
    out = capsys.readouterr().out
    blocks = out.strip().split("\n\n")
    assert len(blocks) == {30: 10, 50: 5, 80: 3, 500: 1}[columns]
    assert max(map(len, out.splitlines())) <= columns
    for block in blocks:
        assert "v19" in block
        assert "linux-6.16" in block
    for n in range(2, 22):
        assert len(re.findall(rf"(?<!\d){n} CPUs", out)) == 1
        assert len(re.findall(rf"(?<![\d,]){n * 1000:,}(?![\d,])", out)) == 2


# -- what found nothing -----------------------------------------------------------------------------------------------


def pair(one: str, two: str, better: int, worse: int, mixed: int = 0) -> Row:
    return {
        "module": "subset",
        "policy": one,
        "knobs": "",
        "other_policy": two,
        "other_knobs": "",
        "questions": 12,
        "better": better,
        "worse": worse,
        "mixed": mixed,
        "dominates": better > 0 and worse == mixed == 0,
    }


def pairs(*rows: tuple[str, str, int, int]) -> pl.DataFrame:
    both = [(one, two, better, worse) for one, two, better, worse in rows] + [(b, a, w, v) for a, b, v, w in rows]
    return pl.DataFrame([pair(*row) for row in both])


DOMINATION: dict[str, tuple[Sequence[tuple[str, str, int, int]], list[str], list[str]]] = {
    "nobody dominates": (
        [("a", "b", 0, 0), ("a", "c", 1, 1), ("b", "c", 1, 1)],
        [
            "no policy dominates another",
            "each two of 3 policies, at 12 questions",
            "identical at every question: a, b\n",
        ],
        ["all 3"],
    ),
    "all are identical": (
        [("a", "b", 0, 0), ("a", "c", 0, 0), ("b", "c", 0, 0)],
        ["no policy dominates another", "identical at every question: all 3 policies"],
        [],
    ),
    "two that are equal to a third and not to each other": (
        [("a", "b", 0, 0), ("b", "c", 0, 0), ("a", "c", 1, 0)],
        ["identical at every question: a, b\n", "1 of 12 questions"],
        ["a, b, c", "b, c", "no policy dominates"],
    ),
}


@pytest.mark.parametrize("case", DOMINATION)
def test_domination_says_what_was_compared_and_who_is_identical(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows, said, not_said = DOMINATION[case]
    print_domination(pairs(*rows))
    out = capsys.readouterr().out
    for text in said:
        assert text in out
    for text in not_said:
        assert text not in out


def test_domination_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_domination(pairs(("a", "b", 0, 0)).clear())
    assert "no two policies answer the same question" in capsys.readouterr().out


def test_a_difference_says_what_was_compared_and_who_is_identical(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("policy", "knobs", "both", "only_old", "only_new", "differing")
    compared = [("a", "k=1", 12, 3, 0, 0), ("a", "k=2", 12, 0, 0, 1), ("b", "", 12, 0, 0, 0), ("c", "", 0, 0, 5, 0)]
    frame = pl.DataFrame(compared, schema=names, orient="row")
    print_differences(pl.DataFrame(schema={"change": pl.String, "module": pl.String}), frame)
    out = capsys.readouterr().out
    assert "nothing differs\n" in out
    assert "compared: 36 points that are in both data sets; only in the old one: 3, only in the new one: 5\n" in out
    assert "identical: a k=1, b\n" in out


def test_an_overview_shows_the_worst_of_each_policy_and_question(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    cases = list(product(("a", "b"), ("strict", "subset"), SCENARIOS[:3], (2, 3)))
    rows = [
        {**point(policy, {}, module, scenario, cpus, number * 5), "verdict": "holds" if number % 4 == 3 else "violated"}
        for number, (policy, module, scenario, cpus) in enumerate(cases)
    ]
    for row in rows:  # not asked, or not to the end
        if (row["policy"], row["scenario"]) == ("a", "kvm-reload"):
            row.update(verdict="not applicable", outcome=None, severity=None)
        if (row["policy"], row["scenario"], row["module"]) == ("b", "kvm-reload", "subset"):
            row.update(verdict="incomplete", outcome=None, severity=None)
    meanings = {outcome: f"meaning of {outcome}" for _, outcome in OUTCOMES}
    print_overview(pl.DataFrame(rows), meanings)
    printed = capsys.readouterr().out
    looked_at = 0
    for module, block in zip(("strict", "subset"), printed.split("worst outcome, module kind ")[1:], strict=True):
        assert block.startswith(f"{module}, 2-3 CPUs\n")
        lines = block.splitlines()
        heads = re.split(r"\s{2,}", lines[1].strip())
        assert heads == ["policy", *SCENARIOS[:3]]
        for line in lines[2:4]:
            policy, *cells = re.split(r"\s{2,}", line.strip())
            for scenario, cell in zip(SCENARIOS, cells, strict=False):
                here = [
                    row for row in rows if (row["policy"], row["module"], row["scenario"]) == (policy, module, scenario)
                ]
                assert len(here) == 2
                worst = min(here, key=lambda row: (row["verdict"] != "violated", row["severity"] or "z"))
                if worst["outcome"] is None:
                    assert cell == {"not applicable": "-"}.get(worst["verdict"], worst["verdict"])
                else:
                    assert cell.startswith(f"{worst['severity']} {worst['outcome']}")
                    assert ("I1" in cell) == (worst["severity"] == "ok" and bool(worst["broken"]))
                looked_at += 1
    assert looked_at == 2 * 2 * 3
    for severity, outcome in OUTCOMES:
        assert (f"{severity} {outcome}: meaning of {outcome}" in printed) == (f"{severity} {outcome}" in printed)


def test_an_overview_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_overview(pl.DataFrame(), {})
    assert capsys.readouterr().out == "no points\n"
