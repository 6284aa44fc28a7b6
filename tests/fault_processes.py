"""Faults of processes: signals, kills, two sweeps at once, disks that fill, folders that vanish."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

from fault_lab import POINTS, SPEC, Done, ended, fault, undisturbed
from sweeps import bytes_of, spec_file
from tdxexplore.data.compacting import compact
from tdxexplore.data.holding import writing
from tdxexplore.errors import InternalError
from tdxexplore.sweep import Progress, load, sweep

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from fault_lab import Lab

REST = "explores the rest"
FINISHED = "the points that were finished"
WIDE = SPEC.replace('"2-3"', '"2-16"')
MANY = 30


def cut(lab: Lab, strike: Callable[[subprocess.Popen[str]], None]) -> Done:
    """A sweep that something strikes after its first points; then a sweep that does the rest."""
    lab.spec = spec_file(lab.folder, WIDE)
    process = lab.start(*lab.sweep, "--verbose", "--threads", "1")
    assert process.stderr is not None
    for number in range(1, 4):
        line = process.stderr.readline()
        point = rf"\[{number}/{MANY}\] tdxexplore check v19 .*: \w+, worst [\w-]+, [\d,]+ states, \d+\.\d+ s\n"
        assert re.fullmatch(point, line), line
    strike(process)
    began = time.monotonic()
    done = ended(process)
    assert time.monotonic() - began < 10
    again = sweep(load(lab.spec), lab.out)
    assert 3 <= again.before < MANY
    assert again.before + again.finished == MANY
    assert not list((lab.out / ".tmp").iterdir())
    assert bytes_of(lab.out) == undisturbed(WIDE)
    lines = [line for line in done.err.splitlines() if not line.startswith("[")]
    return Done(done.code, done.out, "\n".join(lines))


@fault("kill -9 of a sweep", "", -9, FINISHED, REST, long=True)
def sweep_is_killed(lab: Lab) -> Done:
    return cut(lab, lambda process: process.kill())


@fault(
    "Ctrl-C in a sweep",
    "error: interrupted; N of 30 points are in DIR/out, and the same command goes on",
    130,
    FINISHED,
    REST,
    long=True,
)
def sweep_is_interrupted(lab: Lab) -> Done:
    done = cut(lab, lambda process: process.send_signal(signal.SIGINT))
    assert re.match(rf"\d+ of {MANY} points in {lab.out}", done.out)
    return done


@fault(
    "kill -9 of a worker of a process pool",
    "internal: the executor lost a point: BrokenProcessPool",
    4,
    FINISHED,
    REST,
    long=True,
)
def pool_worker_is_killed(lab: Lab) -> Done:
    spec = load(spec_file(lab.folder, WIDE))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        killed: list[int] = []

        def kill(_: Progress) -> None:
            if not killed and len(lab.files("runs")) > 2:
                killed.append(min(pool._processes))  # noqa: SLF001 -- there is no other way to it
                os.kill(killed[0], signal.SIGKILL)

        try:
            sweep(spec, lab.out, executor=pool, report=kill)
            said = "nothing"
        except InternalError as error:
            said = str(error).partition(":")[0] + ": BrokenProcessPool" * ("BrokenProcessPool" in str(error))
    again = sweep(spec, lab.out)
    assert 2 < again.before < MANY
    assert bytes_of(lab.out) == undisturbed(WIDE)
    return Done(4, "", f"internal: {said}")


@fault("two sweeps of the same file at once on one folder", "", 0, "everything", "explores nothing", long=True)
def two_sweeps_at_once(lab: Lab) -> Done:
    pair = [lab.start(*lab.sweep) for _ in range(2)]
    done = [ended(process) for process in pair]
    assert [each.code for each in done] == [0, 0]
    lab.whole_again(0)
    return done[0]


@fault(
    "four sweeps begin on a folder that a killed one left full of files",
    "",
    0,
    "everything",
    "explores nothing",
    long=True,
)
def four_sweeps_begin(lab: Lab) -> Done:
    lab.copy()
    for number in range(20_000):
        (lab.out / ".tmp" / f"left-{number}").touch()
    done = [ended(process) for process in [lab.start(*lab.sweep) for _ in range(4)]]
    assert [each.code for each in done] == [0] * 4, done
    lab.whole_again(0)
    return done[0]


@fault(
    "a compaction while a sweep runs",
    "error: DIR/out: another process writes to this data set; try again when it is done",
    2,
    "everything",
    "compacts",
)
def compaction_in_a_sweep(lab: Lab) -> Done:
    lab.copy()
    with writing(lab.out):
        done = lab.inside("compact", str(lab.out))
    lab.whole_again(0)
    return done


@fault(
    "a sweep while a compaction runs",
    "error: DIR/out: it is being compacted; try again when that is done",
    2,
    "everything",
    "explores the rest",
)
def sweep_in_a_compaction(lab: Lab) -> Done:
    lab.copy()
    with writing(lab.out, alone=True):
        done = lab.inside(*lab.sweep)
    lab.whole_again(0)
    return done


@fault("analysis while a sweep runs", "", 0, "answers from the finished points", "answers from more", long=True)
def analysis_in_a_sweep(lab: Lab) -> Done:
    lab.spec = spec_file(lab.folder, WIDE)
    asked: list[int] = []

    def ask(progress: Progress) -> None:
        if progress.last is not None and progress.done % 6 == 0:
            done = lab.inside("analyze", "worst", str(lab.out), "--json")
            assert done.code == 0, done
            asked.append(done.out.count('"verdict"'))

    sweep(load(lab.spec), lab.out, report=ask)
    assert len(asked) == MANY // 6
    assert asked == sorted(asked)
    assert asked[-1] == MANY
    return lab.inside("analyze", "worst", str(lab.out))


@fault("the disk takes no file", "error: DIR/out/.lock: File too large", 4, "-", "explores everything", long=True)
def disk_takes_no_file(lab: Lab) -> Done:
    done = lab.shell(f"trap '' XFSZ; ulimit -f 0; tdxexplore {' '.join(lab.sweep)}")
    lab.whole_again(POINTS)
    return done


@fault(
    "the folder of a sweep is deleted while it runs",
    "error: DIR/out/.tmp: No such file or directory",
    2,
    "-",
    "explores everything",
    long=True,
)
def folder_is_deleted(lab: Lab) -> Done:
    lab.spec = spec_file(lab.folder, WIDE)
    process = lab.start(*lab.sweep, "--verbose", "--threads", "1")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("[")
    lab.out.rename(lab.folder / "gone")
    done = ended(process)
    assert not lab.out.exists()
    shutil.rmtree(lab.folder / "gone")
    lab.spec = spec_file(lab.folder, SPEC)
    lab.whole_again(POINTS)
    return done


@fault(
    "the folder of a sweep is read-only",
    "error: DIR/out: Permission denied",
    2,
    "everything, and it can be analysed",
    "explores nothing",
)
def folder_is_read_only(lab: Lab) -> Done:
    lab.copy()
    places = [lab.out, *(path for path in lab.out.rglob("*") if path.is_dir())]
    # Permissions do not bind root, but for the capability that says so.
    bound = "setpriv --bounding-set=-dac_override --inh-caps=-dac_override" if os.geteuid() == 0 else ""
    for path in places:
        path.chmod(0o555)
    done = lab.shell(f'{bound} "{sys.executable}" -m tdxexplore {" ".join(lab.sweep)}')
    asked = lab.shell(f'{bound} "{sys.executable}" -m tdxexplore analyze worst {lab.out}')
    for path in places:
        path.chmod(0o755)
    assert (asked.code, asked.err) == (0, ""), asked
    assert "td-error" in asked.out
    lab.whole_again(0)
    return done


@fault("the clock is set back by a day between two sweeps", "", 0, "everything", "explores nothing", long=True)
def clock_is_set_back(lab: Lab) -> Done:
    lab.copy()
    tomorrow = time.time() + 86400
    for path in lab.out.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    compact(lab.out)
    done = lab.inside(*lab.sweep)
    lab.whole_again(0)
    return done
