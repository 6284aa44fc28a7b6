"""Faults of the standard streams, the terminal, and of policies."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from fault_lab import HOLDS, fault

if TYPE_CHECKING:
    from fault_lab import Done, Lab

NO_SPACE = "error: output: No space left on device"


@fault("stdout is a full disk", NO_SPACE, 4, long=True)
def stdout_is_full(lab: Lab) -> Done:
    return lab.shell("tdxexplore $HOLDS > /dev/full")


@fault("stdout is a full disk, with `--json`", NO_SPACE, 4, long=True)
def stdout_is_full_of_json(lab: Lab) -> Done:
    return lab.shell("tdxexplore $HOLDS --json > /dev/full")


@fault("whoever reads stdout has ended, as `| head` does", "", 4)
def pipe_is_closed(lab: Lab) -> Done:
    return lab.shell("tdxexplore $HOLDS | true; exit ${PIPESTATUS[0]}")


@fault("stdin, stdout and stderr are closed", "", 0, "the verdict is the exit code")
def streams_are_closed(lab: Lab) -> Done:
    return lab.shell("tdxexplore $HOLDS <&- >&- 2>&-")


@fault("stderr is closed", "", 2, "the exit code says the same", long=True)
def stderr_is_closed(lab: Lab) -> Done:
    return lab.shell("tdxexplore check nosuch 2>&-")


@fault("stderr is a full disk", "", 2, "the exit code says the same", long=True)
def stderr_is_full(lab: Lab) -> Done:
    return lab.shell("tdxexplore check nosuch 2> /dev/full")


@fault("a policy takes the standard streams away", "", 2, "the exit code says the same")
def policy_takes_the_streams(lab: Lab) -> Done:
    (lab.folder / "mine.py").write_text("import sys\nsys.stdout = sys.stderr = None\n")
    return lab.shell("tdxexplore check mine.py:Mine > /dev/null")


@fault("the encoding of stdout lacks characters", "", 0, "the answer, with `?` in their place", long=True)
def encoding_is_narrow(lab: Lab) -> Done:
    done = lab.shell("tdxexplore $HOLDS && tdxexplore compare --help", PYTHONIOENCODING="ascii", LC_ALL="C.UTF-8")
    assert "policies ? module kinds ? scenarios" in done.out
    assert "verdict: holds" in done.out
    return done


@fault("the terminal has one column, or a trillion", "", 0, "the answer, in 40 columns, or 65,536", long=True)
def terminal_is_narrow(lab: Lab) -> Done:
    for columns in (1, 10**12):
        done = lab.shell("tdxexplore check --help", COLUMNS=str(columns))
        assert "--timeout" in done.out
        assert max(map(len, done.out.splitlines())) <= 1 << 16
    return done


@fault(
    "the disk takes no file when the tables of a comparison are written",
    "error: out/runs.parquet: File too large",
    4,
    "the answer, which is printed before",
    long=True,
)
def disk_is_full_of_tables(lab: Lab) -> Done:
    grid = f"{HOLDS[1]} {' '.join(HOLDS[2:])}"
    done = lab.shell(f"trap '' XFSZ; ulimit -f 0; tdxexplore compare {grid} --out out")
    assert "holds" in done.out or "ok" in done.out
    assert list(lab.out.iterdir()) == []
    return done


WRITERS = (
    "export v19 --to promela --cpus 2 -o",
    "analyze worst data --table",
    "report data -o",
)
"""Commands that write a file."""


@fault("the disk is full when a file is written", "error: out/a.parquet: File too large", 4, "no part of it")
def disk_is_full_of_a_file(lab: Lab) -> Done:
    lab.out.mkdir()
    (lab.folder / "data").symlink_to(lab.whole)
    found = [lab.shell(f"trap '' XFSZ; ulimit -f 0; tdxexplore {words} out/a.parquet") for words in WRITERS]
    assert len({(done.code, done.err) for done in found}) == 1, found
    assert list(lab.out.iterdir()) == []
    return found[0]


@fault(
    "a file that is written is a device, or a link", "error: full: No space left on device", 4, "the device, the link"
)
def file_is_a_device(lab: Lab) -> Done:
    # A device of its own: `/dev/full` would be gone for the whole machine.
    (lab.folder / "link").symlink_to("there")
    assert lab.shell(f"tdxexplore {WRITERS[0]} link").code == 0
    assert (lab.folder / "link").is_symlink()
    assert "init" in (lab.folder / "there").read_text()
    done = lab.shell(f"tdxexplore {WRITERS[0]} /dev/stdout | cat")
    assert (done.code, "init" in done.out) == (0, True), done
    try:
        os.mknod(lab.folder / "full", 0o600 | stat.S_IFCHR, os.makedev(1, 7))
    except PermissionError:
        pytest.skip("no device can be made here")
    done = lab.shell(f"tdxexplore {WRITERS[0]} full")
    assert (lab.folder / "full").is_char_device()
    return done


MINE = "from tdxexplore.tdx.policies.v19 import V19\n\nclass Mine(V19):\n    name = 'mine'\n"


def _raises(lab: Lab, statement: str) -> Done:
    body = f"    def __init__(self, knobs=None):\n        super().__init__(knobs)\n        {statement}\n"
    (lab.folder / "mine.py").write_text(MINE + body)
    return lab.inside("check", f"{lab.folder}/mine.py:Mine", *HOLDS[2:])


EXITS = "error: DIR/mine.py: line 7: it calls sys.exit(0); the process is not its own"


@fault("a policy calls `sys.exit(0)`", EXITS, 2)
def policy_exits(lab: Lab) -> Done:
    return _raises(lab, "raise SystemExit(0)")


@fault("a policy raises an error", "error: DIR/mine.py: line 7: RuntimeError: no way out", 2)
def policy_raises(lab: Lab) -> Done:
    return _raises(lab, "raise RuntimeError('no way out')")


@fault("a policy raises what is no `Exception`", "error: DIR/mine.py: line 7: GeneratorExit", 2)
def policy_raises_a_base_exception(lab: Lab) -> Done:
    return _raises(lab, "raise GeneratorExit")


@fault(
    "a policy calls itself for ever", "error: DIR/mine.py: line 7: RecursionError: maximum recursion depth exceeded", 2
)
def policy_recurs(lab: Lab) -> Done:
    return _raises(lab, "(f := lambda: f())()")


LOOPS = "error: --timeout is 0.2 s, and recording and lowering `DIR/mine.py:Mine` takes longer"


@fault("a policy loops for ever, with `--timeout 0.2`", LOOPS, 3)
def policy_loops(lab: Lab) -> Done:
    body = "    def declare(self, w):\n        while True: pass\n"
    (lab.folder / "mine.py").write_text(MINE + body)
    return lab.inside("check", f"{lab.folder}/mine.py:Mine", *HOLDS[2:], "--timeout", "0.2")


GROWS = "error: --max-memory is 1,048,576 bytes, and recording and lowering `DIR/mine.py:Mine` takes more"


@fault("a policy takes memory for ever, with `--max-memory 1M`", GROWS, 3)
def policy_grows(lab: Lab) -> Done:
    body = "    def declare(self, w):\n        held = []\n        while True: held.append(bytes(1 << 20))\n"
    (lab.folder / "mine.py").write_text(MINE + body)
    return lab.inside("check", f"{lab.folder}/mine.py:Mine", *HOLDS[2:], "--max-memory", "1M")


NO_ADDRESSES = "error: not enough memory: `ulimit -v` leaves N MiB of addresses; N MiB are needed for N threads"


@fault("`ulimit -v` leaves too little to begin", NO_ADDRESSES, 3, long=True)
def addresses_are_few(lab: Lab) -> Done:
    return lab.shell("ulimit -v 700000; tdxexplore $HOLDS --threads 1")


LARGE = (
    "check linux-7.1 --cpus 64 --packages 4 --scenario td-life --module subset --budget cpu_down=4 --budget cpu_up=4"
)


@fault("`ulimit -v` ends a search, whatever `--max-memory` allows", "", 3, "what was explored", long=True)
def addresses_end(lab: Lab) -> Done:
    lines = [f"ulimit -v 1500000; tdxexplore {LARGE} --threads 2 {given}" for given in ("", "--max-memory 100G")]
    found = [lab.shell(line) for line in lines]
    assert all("verdict: incomplete (memory of this machine" in done.out for done in found), found
    assert found[0].code == found[1].code
    return found[0]


@fault("a policy prints", "hello", 0, "stdout has the JSON document alone")
def policy_prints(lab: Lab) -> Done:
    (lab.folder / "mine.py").write_text(
        MINE + "    def declare(self, w):\n        print('hello')\n        super().declare(w)\n"
    )
    done = lab.inside("check", f"{lab.folder}/mine.py:Mine", "--cpus", "2", "--json")
    assert done.out.startswith("{\n")
    assert "hello" not in done.out
    return done
