"""SEV-SNP's host side: the answers of docs/sev-snp.md, and the engine against the reference."""

from __future__ import annotations

import re
import runpy
from functools import cache
from itertools import product
from pathlib import Path

import pytest

import tdxexplore
from tdxexplore.model import Topology
from witnesses import compare_all

ROOT = Path(__file__).parent.parent
POLICY = f"{ROOT}/zoo/sev_snp.py:sev_snp"
DESIGNS = ("linux-6.12", "linux-7.3", "v8", "v9", "v10")
SEVERITIES = ("S0", "S1", "S2", "S3", "S4", "ok")


@cache
def answer(design: str, shutdown: str, snp_en: str, offline: str, boot: str) -> tdxexplore.Exploration:
    knobs = {"design": design, "shutdown": shutdown, "snp_en": snp_en, "offline": offline, "boot": boot}
    found = tdxexplore.check(POLICY, cpus=3, knobs=knobs)
    assert found.complete
    return found


def answers(design: str, snp_en: str, boot: str = "cold") -> list[tdxexplore.Exploration]:
    """The answers of a design for every shutdown and every CPU that may be offline at first."""
    shutdowns = ("legacy",) if design == "linux-6.12" else ("legacy", "x86")
    return [
        answer(design, shutdown, snp_en, n, boot)
        for shutdown, n in product(shutdowns, "0" if boot == "kexec" else "01")
    ]


def outcomes(design: str, snp_en: str, boot: str = "cold") -> set[str]:
    return {name for found in answers(design, snp_en, boot) for name in found.outcomes["outcome"]}


def test_the_table_of_the_page_is_what_comes_out() -> None:
    text = (ROOT / "docs" / "sev-snp.md").read_text()
    rows = dict(re.findall(r"^\| (linux-[\d.]+|v\d+) \| (.* \| .* \| .*) \|$", text, flags=re.MULTILINE))
    assert rows.keys() == set(DESIGNS)
    for design in DESIGNS:
        worst = [
            min(
                (found.outcomes.select("severity", "outcome").row(0) for found in answers(design, *asked)),
                key=lambda row: SEVERITIES.index(row[0]),
            )
            for asked in (("kept",), ("lost",), ("kept", "kexec"))
        ]
        assert " | ".join(" ".join(row) for row in worst) == rows[design]


def test_v8_and_v9_lose_a_cpu_between_snp_init_and_the_disabling_and_v10_does_not() -> None:
    for design in ("v8", "v9"):
        text = answer(design, "legacy", "kept", "0", "cold").traces["cpu-lost"].to_text(width=200, ascii_only=True)
        assert text.index("SNP_INIT_EX") < text.index("echo 0") < text.index("cpu_hotplug_disable()")
    assert outcomes("v10", "kept") == outcomes("v10", "lost") == {"snp-off", "snp-up"}


def test_after_a_kexec_a_cpu_can_be_skipped_and_in_v10_never_comes_online() -> None:
    for found in answers("v10", "kept", "kexec"):
        assert found.outcomes["outcome"].to_list() == ["cpu-lost"]
        assert "SNP_EN is set: nothing to do" in found.traces["cpu-lost"].to_text()
    assert "skipped" in outcomes("linux-7.3", "kept", "kexec")


def test_no_design_leaves_hotplug_disabled_without_snp_or_enables_it_once_too_often() -> None:
    looked_at = 0
    for design, snp_en, boot in product(DESIGNS, ("kept", "lost"), ("cold", "kexec")):
        assert outcomes(design, snp_en, boot).isdisjoint({"hotplug-off", "warned", "stuck"})
        looked_at += len(answers(design, snp_en, boot))
    assert looked_at == 54


@pytest.mark.parametrize("design", DESIGNS)
def test_engine_and_reference_agree(design: str) -> None:
    model = runpy.run_path(str(ROOT / "zoo" / "sev_snp.py"))["sev_snp"](design=design, snp_en="lost")
    assert compare_all(model, model.initial(Topology.of(2))).traces > 0
