"""Every kernel function and file that models and pages cite is in the kernel's text, or the list says where else it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import citations

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = "TDXEXPLORE_LINUX_SOURCES"


def test_the_list_of_citations_has_what_is_cited_and_nothing_else() -> None:
    found, elsewhere = citations.listed()
    assert not set(found) & set(elsewhere)
    assert citations.cited() == set(found) | set(elsewhere), (
        "tools/citations.py looks new names up in the kernel's text"
    )
    assert all(series and set(series) <= set(citations.SERIES) for series in found.values())
    assert all(elsewhere.values())
    assert len(found) > 150


def test_a_name_that_no_kernel_has_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/cpu.c").write_text("static int _cpu_up(unsigned int cpu)\n{\n}\n")
    source = citations.Source(tmp_path)
    assert source.has("_cpu_up()")
    assert source.has("kernel/cpu.c")
    assert source.has("kernel/cpu.c _cpu_up()")
    assert not source.has("_cpu_down()")
    assert not source.has("kernel/cpu.c _cpu_down()")
    assert not source.has("kernel/smp.c _cpu_up()")


def test_what_is_cited_is_in_the_kernels_text() -> None:
    given = os.environ.get(SOURCES)
    if given is None:
        pytest.skip(f"NOT CHECKED: no unpacked source of Linux; {SOURCES} names it, see tools/citations.py")
    sources = {series: citations.Source(folder) for series, folder in citations.folders(given.split()).items()}
    found, _ = citations.listed()
    assert {name: series for name, series in citations.found(sources).items() if series} == found
