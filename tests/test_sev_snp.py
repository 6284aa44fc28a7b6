"""SEV-SNP's host side: the answers of docs/sev-snp.md, and the engine against the reference."""

from __future__ import annotations

import re
import runpy
from itertools import product
from pathlib import Path

import pytest

import tdxexplore
from tdxexplore.model import State, Topology
from witnesses import compare_all

ROOT = Path(__file__).parent.parent
POLICY = f"{ROOT}/zoo/sev_snp.py:sev_snp"
DESIGNS = ("linux-6.12", "linux-7.3", "v8", "v9", "v10")
SEVERITIES = ("S0", "S1", "S2", "S3", "S4", "ok")


def reached(**knobs: str) -> list[tuple[str, str]]:
    """The outcomes of one cell, the worst first."""
    answer = tdxexplore.check(POLICY, cpus=3, knobs=knobs)
    assert answer.complete
    return answer.outcomes.select("severity", "outcome").rows()


def cells(design: str, snp_en: str) -> list[list[tuple[str, str]]]:
    shutdowns = ("legacy",) if design == "linux-6.12" else ("legacy", "x86")
    return [
        reached(design=design, snp_en=snp_en, shutdown=shutdown, offline=offline)
        for shutdown, offline in product(shutdowns, "01")
    ]


def test_the_table_of_the_page_is_what_comes_out() -> None:
    text = (ROOT / "docs" / "sev-snp.md").read_text()
    rows = dict(re.findall(r"^\| (linux-[\d.]+|v\d+) \| (.* \| .*) \|$", text, flags=re.MULTILINE))
    assert rows.keys() == set(DESIGNS)
    for design in DESIGNS:
        worst = [
            " ".join(min((cell[0] for cell in cells(design, snp_en)), key=lambda row: SEVERITIES.index(row[0])))
            for snp_en in ("kept", "lost")
        ]
        assert " | ".join(worst) == rows[design]


def test_only_a_bit_that_is_lost_lets_a_cpu_be_skipped() -> None:
    for design, snp_en in product(DESIGNS, ("kept", "lost")):
        skipped = any(("S3", "skipped") in cell for cell in cells(design, snp_en))
        assert skipped == (snp_en == "lost" and design in {"linux-7.3", "v8"}), (design, snp_en)


@pytest.mark.parametrize("design", ["v9", "v10"])
def test_the_flag_changes_no_outcome_where_firmware_and_kernel_stay(design: str) -> None:
    for shutdown, snp_en, offline in product(("legacy", "x86"), ("kept", "lost"), "01"):
        same = [
            reached(design=design, shutdown=shutdown, snp_en=snp_en, offline=offline, flag=flag)
            for flag in ("yes", "no")
        ]
        assert same[0] == same[1]


@pytest.mark.parametrize("design", DESIGNS)
def test_engine_and_reference_agree(design: str) -> None:
    model = runpy.run_path(str(ROOT / "zoo" / "sev_snp.py"))["sev_snp"](design=design, snp_en="lost")
    assert compare_all(model, State.initial(model, Topology((2,)))).traces > 0
