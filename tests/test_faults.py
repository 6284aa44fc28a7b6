"""Every row of the table of faults: the real fault, what the user sees, what is kept, and what the next run does."""

from __future__ import annotations

from pathlib import Path

import pytest

import fault_dask
import fault_data
import fault_machine
import fault_processes
import fault_signals
import fault_streams
import faults_page
from fault_lab import POINTS, SPEC, TABLE, Fault, Lab
from sweeps import spec_file
from tdxexplore.sweep import load, sweep

MODULES = (fault_dask, fault_data, fault_machine, fault_processes, fault_signals, fault_streams)
ROWS = [pytest.param(row, id=row.inject.__name__, marks=[pytest.mark.long] if row.long else []) for row in TABLE]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert sweep(load(spec_file(folder, SPEC)), folder / "out").finished == POINTS
    return folder / "out"


@pytest.mark.parametrize("row", ROWS)
def test_a_fault_is_said_in_a_line_and_loses_nothing(row: Fault, tmp_path: Path, whole: Path) -> None:
    lab = Lab(tmp_path, whole)
    done = row.inject(lab)
    assert (lab.said(done), done.code) == (row.sees, row.code), done


def test_the_page_of_faults_is_up_to_date() -> None:
    assert (Path(__file__).parent.parent / "docs" / "faults.md").read_text() == faults_page.page()


def test_the_table_is_not_empty_and_names_no_fault_twice() -> None:
    assert len({row.what for row in TABLE}) == len(TABLE) >= 62
    assert all(
        module.__doc__
        for module in (fault_dask, fault_data, fault_machine, fault_processes, fault_signals, fault_streams)
    )
