"""Files that were read once and not touched since are not read again by a sweep; whatever else is, and damage is found."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from sweeps import spec_file
from tdxexplore.data import checked, checking
from tdxexplore.data.files import CHECKED
from tdxexplore.data.reading import Dataset, finished
from tdxexplore.data.schema import TABLES
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from tdxexplore.sweep import Spec

GRID = """
[grid]
policy = ["v19", "linux-6.16"]
module = "subset"
scenario = "late-online"
cpus = "2-4"
"""
POINTS = 2 * 3
FILES = POINTS * len(TABLES)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    found = load(spec_file(tmp_path, GRID))
    assert sweep(found, tmp_path / "out").finished == POINTS
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read."""
    seen: list[Path] = []
    inspect = checking.inspect

    def counting(root: Path, table: str, path: Path, *, pages: bool) -> object:
        seen.append(path)
        return inspect(root, table, path, pages=pages)

    monkeypatch.setattr(checked, "inspect", counting)
    return seen


def test_a_sweep_that_has_nothing_to_do_reads_no_file_from_end_to_end(
    spec: Spec, tmp_path: Path, read: list[Path]
) -> None:
    out = tmp_path / "out"
    assert (sweep(spec, out).before, read) == (POINTS, [])
    (out / CHECKED).unlink()
    assert (sweep(spec, out).before, len(read)) == (POINTS, FILES)
    read.clear()
    assert (sweep(spec, out).before, read) == (POINTS, [])
    assert len((out / CHECKED).read_text().splitlines()) == POINTS


@pytest.mark.parametrize("table", ["runs", "rules"])
def test_a_file_that_was_touched_is_read_though_its_size_and_time_are_the_same(
    table: str, spec: Spec, tmp_path: Path, read: list[Path]
) -> None:
    out = tmp_path / "out"
    path = min((out / table).rglob("*.parquet"))
    before, about = path.read_bytes(), path.stat()
    with path.open("r+b") as file:
        file.write(bytes(len(before)))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_mtime_ns == about.st_mtime_ns
    found = sweep(spec, out)
    assert (found.before, found.finished) == (POINTS - 1, 1)
    assert read[0] == path
    read.clear()
    assert (sweep(spec, out).before, Dataset(out).skipped) == (POINTS, [])


def test_damage_that_leaves_no_trace_is_found_after_analysis_has_found_it(spec: Spec, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = min((out / "runs").rglob("*.parquet"))
    path.write_bytes(bytes(path.stat().st_size))
    # As a disk that loses bits: what is written down of the file fits.
    lines = [json.loads(line) for line in (out / CHECKED).read_text().splitlines()]
    for line in lines:
        if line[1] == path.stem:
            line[4]["runs"] = checked.print_of(path)
    (out / CHECKED).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert len(checked.Checked(out)._held) == POINTS  # noqa: SLF001
    data = Dataset(out)
    assert [one.path for one in data.skipped if one.lost] == [path]
    assert not (out / CHECKED).exists()
    found = sweep(spec, out)
    assert (found.before, found.finished) == (POINTS - 1, 1)


HOSTILE = {
    "nothing": b"",
    "no text": b"\xff\xfe\0\n",
    "other JSON": b'1\nnull\n{}\n[]\n["a", 1, 2, 3, 4]\n[[], {}, [], {}, []]\n',
    "deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_list_of_files_is_no_error_and_nothing_is_believed(
    text: bytes, spec: Spec, tmp_path: Path, read: list[Path]
) -> None:
    out = tmp_path / "out"
    (out / CHECKED).write_bytes(text)
    assert (sweep(spec, out).before, len(read)) == (POINTS, FILES)


def test_nothing_is_believed_after_the_machine_has_started_anew(
    spec: Spec, tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boot").write_text("another")
    monkeypatch.setattr(checked, "_BOOT", tmp_path / "boot")
    out = tmp_path / "out"
    assert (sweep(spec, out).before, len(read)) == (POINTS, FILES)


def test_a_pipe_or_a_link_in_its_place_is_neither_read_nor_written(
    spec: Spec, tmp_path: Path, read: list[Path]
) -> None:
    out = tmp_path / "out"
    (out / CHECKED).unlink()
    os.mkfifo(out / CHECKED)
    assert (len(finished(out)[0]), len(read)) == (POINTS, FILES)
    (out / CHECKED).unlink()
    (tmp_path / "mine").write_text("mine\n")
    (out / CHECKED).symlink_to(tmp_path / "mine")
    assert (sweep(spec, out).before, len(read)) == (POINTS, 2 * FILES)
    assert (tmp_path / "mine").read_text() == "mine\n"
