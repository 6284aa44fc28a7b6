"""Faults of the machine: a memory cgroup that is full, a wall clock that jumps."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fault_lab import HOLDS, Done, ended, fault
from fault_processes import FINISHED, REST, cut
from fault_streams import LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fault_lab import Lab

# -- memory -----------------------------------------------------------------------------------------------------------

GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))
"""Where groups are made, with either version of cgroups, and the file of their limit."""


@contextlib.contextmanager
def group(limit: int) -> Iterator[Path]:
    """A memory cgroup of so many bytes, at the top of the hierarchy: it takes root, and a hierarchy that has the controller."""
    for top, name in GROUPS:
        folder = Path(top) / f"tdxexplore-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if not (folder / name).exists():
            folder.rmdir()
            continue
        try:
            (folder / name).write_text(str(limit))
            yield folder
        finally:
            folder.rmdir()
        return
    pytest.skip("no memory cgroup can be made here: that takes root and a hierarchy with the controller")


def _enter(folder: Path, process: subprocess.Popen[str]) -> None:
    """What the process takes from now on counts in the group."""
    (folder / "cgroup.procs").write_text(str(process.pid))


@fault("a memory cgroup ends a search", "", 3, "what was explored", long=True)
def group_is_small(lab: Lab) -> Done:
    with group(256 << 20) as folder:
        process = lab.start(*LARGE.split(), "--threads", "2")
        _enter(folder, process)
        done = ended(process)
    assert "verdict: incomplete (memory of this machine" in done.out
    return done


EATER = """
import os, sys
open("/proc/self/oom_score_adj", "w").write("-1000")
held = []
while os.path.exists(f"/proc/{sys.argv[1]}/fd/1"):
    held.append(b"x" * (1 << 20))
"""


@fault(
    "another process takes the memory of a sweep's cgroup, and the kernel kills the sweep",
    "",
    -9,
    FINISHED,
    REST,
    long=True,
)
def group_is_full(lab: Lab) -> Done:
    with group(96 << 20) as folder:

        def strike(process: subprocess.Popen[str]) -> None:
            process.send_signal(signal.SIGSTOP)  # it would be done before its memory is taken
            _enter(folder, process)
            other = subprocess.Popen([sys.executable, "-c", EATER, str(process.pid)], text=True)
            _enter(folder, other)
            process.wait(60)
            other.kill()
            other.wait()

        return cut(lab, strike)


# -- threads ----------------------------------------------------------------------------------------------------------


@fault(
    "`ulimit -u` leaves no threads",
    "error: the system starts no more threads: `ulimit -u`, or `pids.max` of a cgroup",
    3,
    long=True,
)
def threads_are_refused(lab: Lab) -> Done:
    # Root has as many as it likes, so that somebody else asks, who may read what is root's.
    other = "setpriv --reuid 65534 --inh-caps=+dac_override --ambient-caps=+dac_override" if os.geteuid() == 0 else ""
    command = f'exec "{sys.executable}" -m tdxexplore {" ".join(HOLDS)} --threads 2'
    found = [lab.shell(f"{other} bash -c 'ulimit -u {most}; {command}'") for most in (1, 5)]
    if os.geteuid() == 0:
        assert [lab.said(one) for one in found] == [lab.said(found[0])] * 2, found
    return found[0]


# -- the clock --------------------------------------------------------------------------------------------------------

JUMPS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

/* A day ahead and a day back, in turns. */
static time_t shift(void) {
    static int calls;
    return __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) & 1 ? 86400 : -86400;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += shift();
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec wall;
    int done = clock_gettime(CLOCK_REALTIME, &wall);
    now->tv_sec = wall.tv_sec;
    now->tv_usec = wall.tv_nsec / 1000;
    return done;
}

time_t time(time_t *at) {
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    if (at != NULL) *at = wall.tv_sec;
    return wall.tv_sec;
}
"""
"""A jump of the machine's own clock would meet all processes; those of the sweep see this one instead."""


@fault(
    "the wall clock jumps by two days at every look, under `--timeout 60`",
    "",
    0,
    "everything",
    "explores nothing",
    long=True,
)
def clock_jumps(lab: Lab) -> Done:
    library = lab.folder / "jumps.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"], input=JUMPS, text=True, check=True)
    env = {**os.environ, "LD_PRELOAD": str(library)}
    look = "import time; print(time.time() - time.time())"
    looked = subprocess.run([sys.executable, "-c", look], env=env, capture_output=True, text=True, check=True)
    assert abs(float(looked.stdout)) > 172_000
    check = ended(lab.start(*HOLDS, "--timeout", "60", env=env))
    assert (check.code, "verdict: holds" in check.out) == (0, True), check
    done = ended(lab.start(*lab.sweep, "--threads", "2", env=env))
    lab.whole_again(0)
    return done
