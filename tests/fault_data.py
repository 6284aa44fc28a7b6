"""Faults of data sets: lost and damaged files, folders of others, two sweeps at once, disks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq

from fault_lab import POINTS, SPEC, Done, fault
from sweeps import spec_file
from tdxexplore._version import __version__
from tdxexplore.data.reading import Dataset
from tdxexplore.sweep import origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fault_lab import Lab

AGAIN = "explores what is lost again"
EMPTY = "damaged: Parquet file size is 0 bytes"
OTHERS = "answers from the other points"


def one(table: str, reason: str) -> str:
    """What is said of the first file of a table."""
    return f"DIR/out/{table}/policy=linux-6.16/module=subset/FILE.parquet: {reason}"


def several(tables: Sequence[str], reason: str) -> str:
    """What is said where a merged file is missing in one table."""
    return f"5 files skipped: {'; '.join(one(table, reason) for table in tables)}; and 2 more"


def _asked(lab: Lab, left: int) -> Done:
    """Ask the data set; only so many points may be in the answer."""
    done = lab.inside("analyze", "worst", str(lab.out), "--json")
    assert done.out.count('"verdict"') == left
    return done


@fault(
    "a merged file of `outcomes` is removed",
    several(("runs", "properties", "prices"), "2 of its points are missing in `outcomes`"),
    3,
    OTHERS,
    AGAIN,
)
def merged_outcomes_are_removed(lab: Lab) -> Done:
    lab.copy(compacted=True)
    lab.files("outcomes")[0].unlink()
    done = _asked(lab, POINTS // 2)
    assert lab.inside("compact", str(lab.out)).code == 2
    lab.whole_again(POINTS // 2)
    return done


@fault(
    "a merged file of `runs` is removed",
    several(("outcomes", "properties", "prices"), "2 of its points are missing in `runs`"),
    3,
    OTHERS,
    AGAIN,
    long=True,
)
def merged_runs_are_removed(lab: Lab) -> Done:
    lab.copy(compacted=True)
    lab.files("runs")[0].unlink()
    done = _asked(lab, POINTS // 2)
    lab.whole_again(POINTS // 2)
    return done


MIXED = "DIR/out: its points are of tdxexplore 0.1.9, N, whose models may differ"


@fault("points of two versions are in one data set", MIXED, 0, "answers from all", "the same")
def versions_are_mixed(lab: Lab) -> Done:
    lab.copy()
    path = lab.files("runs")[0]
    table = pq.read_table(path, partitioning=None)
    old = pl.DataFrame(table).with_columns(version=pl.lit("0.1.9")).to_arrow().cast(table.schema)
    pq.write_table(old.replace_schema_metadata(table.schema.metadata), path)
    done = _asked(lab, POINTS)
    return Done(done.code, done.out, done.err.replace(__version__, "N"))


@fault(
    "all files of `runs` are damaged",
    f"2 files skipped: {one('runs', EMPTY)}; {one('runs', EMPTY).replace('linux-6.16', 'v19')}",
    3,
    "-",
    AGAIN,
)
def all_runs_are_damaged(lab: Lab) -> Done:
    lab.copy(compacted=True)
    for path in lab.files("runs"):
        path.write_bytes(b"")
    done = _asked(lab, 0)
    lab.whole_again(POINTS)
    return done


@fault(
    "the file of a point in `outcomes` is removed",
    one("runs", "its point is missing in `outcomes`; skipped"),
    3,
    OTHERS,
    AGAIN,
)
def outcomes_of_a_point_are_removed(lab: Lab) -> Done:
    lab.copy()
    lab.files("outcomes")[0].unlink()
    done = _asked(lab, POINTS - 1)
    lab.whole_again(1)
    return done


@fault(
    "a sweep is killed between the files of a point that it explores anew",
    one("outcomes", "another search of its point wrote the other files; skipped"),
    3,
    OTHERS,
    AGAIN,
)
def files_are_of_two_searches(lab: Lab) -> Done:
    lab.copy()
    lab.spec = spec_file(lab.folder, SPEC + "[check]\nmax_states = 5\n")
    short = lab.folder / "short"
    assert lab.inside("sweep", str(lab.spec), "--out", str(short)).code == 3
    path = lab.files("outcomes")[0]
    shutil.copy(short / path.relative_to(lab.out), path)
    done = _asked(lab, POINTS - 1)
    lab.spec = spec_file(lab.folder, SPEC)
    lab.whole_again(1)
    return done


@fault(
    "a file is a pipe",
    one("runs", "damaged: not a file; skipped"),
    3,
    OTHERS,
    AGAIN,
)
def file_is_a_pipe(lab: Lab) -> Done:
    lab.copy()
    path = lab.files("runs")[0]
    path.unlink()
    os.mkfifo(path)
    done = _asked(lab, POINTS - 1)
    lab.whole_again(1)
    return done


@fault(
    "a file is a symbolic link that leads nowhere",
    one("prices", "damaged: No such file or directory; skipped"),
    3,
    OTHERS,
    AGAIN,
    long=True,
)
def file_is_a_broken_link(lab: Lab) -> Done:
    lab.copy()
    path = lab.files("prices")[0]
    path.unlink()
    path.symlink_to(lab.folder / "nowhere")
    done = _asked(lab, POINTS - 1)
    lab.whole_again(1)
    return done


@fault(
    "a folder of a data set is a symbolic link to somebody else's",
    "error: DIR/out/runs/policy=v19/module=strict: it is a symbolic link; the folders of a data set are its own",
    2,
    "everything, there and here",
    "the same",
)
def folder_is_a_link(lab: Lab) -> Done:
    lab.copy()
    others = lab.folder / "others"
    (others / "old" / "runs").mkdir(parents=True)
    (others / "old" / "runs" / "mine").write_text("mine")
    (lab.out / ".tmp").rmdir()
    for inside in (".tmp", ".compacting", ".compacting/old", "runs/policy=mine", "runs/policy=v19/module=strict"):
        link = lab.out / inside
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(others / "old" if link.name == "old" else others)
        for words in (lab.sweep, ("compact", str(lab.out))):
            done = lab.inside(*words)
            assert (done.code, f"{inside}: it is a symbolic link" in done.err) == (2, True), done
        link.unlink()
    (lab.out / ".compacting").rmdir()
    assert [path.name for path in sorted(others.rglob("*"))] == ["old", "runs", "mine"]
    lab.whole_again(0)
    return done


@fault(
    "10,000 files of others lie among the points",
    "10,000 files skipped: DIR/out/runs/policy=v19/module=subset/note-0: not part of a data set; "
    "DIR/out/runs/policy=v19/module=subset/note-1: not part of a data set; "
    "DIR/out/runs/policy=v19/module=subset/note-10: not part of a data set; and 9,997 more",
    0,
    "everything",
    "the same",
    long=True,
)
def others_are_many(lab: Lab) -> Done:
    lab.copy()
    folder = lab.out / "runs" / "policy=v19" / "module=subset"
    for number in range(10_000):
        (folder / f"note-{number}").touch()
    done = _asked(lab, POINTS)
    again = lab.inside(*lab.sweep)
    assert (again.code, f"{POINTS} were there" in again.out) == (0, True)
    assert len(list(folder.iterdir())) >= 10_000
    return done


@fault(
    "a compaction is killed while tables change places",
    "error: DIR/out: a compaction is under way, or was cut short; `tdxexplore compact DIR/out` does it again",
    2,
    "everything",
    "undoes it",
)
def compaction_is_killed(lab: Lab) -> Done:
    lab.copy()
    old = lab.out / ".compacting" / "old"
    old.mkdir(parents=True)
    (lab.out / "runs").rename(old / "runs")
    done = lab.inside("analyze", "worst", str(lab.out))
    lab.whole_again(0)
    return done


@fault("a sweep with narrower limits on the same folder", "", 0, "the better answers", "explores nothing")
def limits_are_narrower(lab: Lab) -> Done:
    lab.copy()
    narrow = spec_file(lab.folder, SPEC + "[check]\nmax_states = 5\n")
    done = lab.inside("sweep", str(narrow), "--out", str(lab.out))
    assert f"{POINTS} were there" in done.out
    lab.spec = spec_file(lab.folder, SPEC)
    lab.whole_again(0)
    return done


@fault(
    "the folder of `--out` is somebody else's",
    "error: DIR/out: holds `.compacting` and is not a data set; name a new or an empty folder, which becomes one",
    2,
    "everything in it",
    "the same",
)
def folder_is_of_others(lab: Lab) -> Done:
    for name in (".tmp", ".compacting", "runs"):
        (lab.out / name).mkdir(parents=True)
        (lab.out / name / "mine").write_text("mine")
    before = sorted(lab.out.rglob("*"))
    done = lab.inside(*lab.sweep)
    (lab.out / ".lock").write_text("mine")
    again = lab.inside(*lab.sweep)
    assert again.code == 2
    assert "its `.lock` is not that of a data set" in again.err
    (lab.out / ".lock").unlink()
    assert sorted(lab.out.rglob("*")) == before
    return done


@fault(
    "`--out` is empty, as of a variable that is not set",
    "error: an argument is empty; is a variable not set?",
    2,
    "everything",
    "the same",
)
def out_is_empty(lab: Lab) -> Done:
    return lab.inside("sweep", str(lab.spec), "--out", "")


@fault("a file is named as a temporary one would be, beside `--table`", "", 0, "both files", "-")
def table_has_a_neighbour(lab: Lab) -> Done:
    lab.copy()
    (lab.folder / "x.tmp").write_text("mine")
    done = lab.inside("analyze", "rank", str(lab.out), "--table", str(lab.folder / "x.parquet"))
    assert (lab.folder / "x.tmp").read_text() == "mine"
    assert sorted(path.name for path in lab.folder.iterdir()) == ["out", "sweep.toml", "x.parquet", "x.tmp"]
    return done


@fault("a folder above the data set has `=` in its name", "", 0, "-", "-")
def folder_has_an_equals_sign(lab: Lab) -> Done:
    lab.out = lab.folder / "a=b" / "policy=c"
    lab.sweep = ("sweep", str(lab.spec), "--out", str(lab.out))
    assert lab.inside(*lab.sweep).code == 0
    lab.whole_again(0)
    done = _asked(lab, POINTS)
    assert set(Dataset(lab.out).runs.collect()["policy"]) == {"v19", "linux-6.16"}
    return done


@fault("the sweep file lies in a git folder whose configuration names commands", "", 0, "-", "-")
def git_folder_is_hostile(lab: Lab) -> Done:
    ran = lab.folder / "ran"
    (lab.folder / "evil").write_text(f"#!/bin/sh\necho $0 $* >> {ran}\ncat\n")
    (lab.folder / "evil").chmod(0o755)
    (lab.folder / ".gitattributes").write_text("* filter=evil diff=evil\n")

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(lab.folder), *who, *words], check=True, capture_output=True)

    git("init")
    git("add", "sweep.toml")
    git("commit", "-m", "a")
    names = (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
    )
    for name in (*names, "core.hooksPath", "alias.rev-parse", "alias.cat-file"):
        git("config", name, str(lab.folder if name == "core.hooksPath" else lab.folder / "evil"))
    (lab.folder / "post-index-change").symlink_to(lab.folder / "evil")
    lab.spec.touch()
    done = lab.inside(*lab.sweep)
    assert not ran.exists(), ran.read_text()
    revision = pq.read_schema(lab.files("runs")[0]).metadata[b"tdxexplore.spec_revision"]
    assert re.fullmatch(rb"[0-9a-f]{40}", revision)
    git("status")  # the trap works
    assert ran.exists()
    return done


@fault("git never answers", "", 0, "-", "-", long=True)
def git_is_slow(lab: Lab) -> Done:
    (lab.folder / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (lab.folder / "git").chmod(0o755)
    before, patience = os.environ["PATH"], origin.PATIENCE
    os.environ["PATH"], origin.PATIENCE = f"{lab.folder}:{before}", 0.1
    try:
        return lab.inside(*lab.sweep)
    finally:
        os.environ["PATH"], origin.PATIENCE = before, patience
