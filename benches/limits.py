"""Measures whether ``--timeout`` and ``--max-memory`` hold, for every space, one to eight threads, and models up to 512 CPUs.

Each model runs without a limit first. Then it runs again under time limits that end in each part of that run, from its
recording to its traces, and under memory limits below what it needs. Every run is a process of its own. It says how much longer
it took than it may, and how much more of it was resident than it may: the most of the run (``VmHWM``, reset before it) less what
was resident before.

Prints a table, and fails where a time is exceeded by more than a second, memory by more than a tenth besides `SLACK`, or where
``peak_memory_bytes`` of an answer is off by as much.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tdxexplore.explore import engine
from tdxexplore.explore.check import search
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import Settings

SECOND, TENTH = 1.0, 0.1
SLACK, SLACK_OF_A_THREAD = 6 << 20, 2 << 20
"""Bytes of the process, and of each thread, that no limit counts: stacks, working memory, the rest of a batch, and what the
allocator adds to small pieces and keeps."""

THREADS = (1, 2, 8)
TIMES = (0.0, 0.05, 0.3, 0.6, 0.8, 0.9, 0.97)
"""Of the time of the run without a limit; 0 is 10 ms, which ends while the model is recorded."""

SHARES = (0.3, 0.6, 0.9)
"""Of the memory of the run without a limit."""

LONGEST = 8.0
"""Seconds of a run without a limit of time; a model that takes longer is cut here."""


@dataclass(frozen=True)
class Case:
    """A question."""

    policy: str
    scenario: str
    cpus: int
    packages: int = 1
    budgets: dict[str, int] = field(default_factory=dict)
    space: str = "orbit"
    prices: bool = False

    def __str__(self) -> str:
        budgets = "".join(f", {name}={number}" for name, number in self.budgets.items())
        prices = ", prices" if self.prices else ""
        return f"{self.policy}, {self.scenario}, {self.cpus} CPUs in {self.packages}{budgets}: {self.space}{prices}"


TWICE = {"cpu_down": 2, "cpu_up": 2}
CASES = (
    Case("linux-7.1", "td-life", 48, 4),
    Case("linux-7.1", "td-life", 32, 2, TWICE, prices=True),
    Case("linux-7.1", "td-life", 512, 8),
    Case("v19", "late-online", 512, 2),
    Case("linux-7.1", "td-life", 10, budgets=TWICE, space="concrete"),
    Case("linux-7.1", "td-life", 9, budgets=TWICE, space="concrete", prices=True),
    Case("linux-7.1", "td-life", 20, space="bits"),
)


def status(name: str) -> int:
    """A line of ``/proc/self/status``, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) << 10


def one(about: dict[str, Any]) -> dict[str, Any]:
    """A run, in this process."""
    settings, recorded = Settings(**about.pop("settings")), about.pop("recorded")
    engine.worker_threads = lambda asked: asked or 1  # also more than there are cores
    question = Question.of(module="subset", **about)
    if recorded:
        question.compile()
    Path("/proc/self/clear_refs").write_text("5")
    before, began = status("VmRSS"), time.monotonic()
    answer: dict[str, Any] = {"recorded": None}

    def note(_: object) -> None:
        answer["recorded"] = answer["recorded"] or time.monotonic() - began

    try:
        _, found = search(question, settings, note)
        answer |= {"reason": found.reason or "", "explored": found.explored, "said": found.memory_bytes}
    except Exception as error:  # noqa: BLE001 -- it is in the table
        answer |= {"reason": type(error).__name__, "explored": 0, "said": 0}
    return {**answer, "seconds": time.monotonic() - began, "resident": status("VmHWM") - before}


def run(case: Case, *, recorded: bool = False, **settings: object) -> dict[str, Any]:
    """A run, in a process of its own; its model may be recorded before."""
    how = {"space": case.space, "prices": case.prices, **settings}
    about = {"policy": case.policy, "scenario": case.scenario, "cpus": case.cpus, "packages": case.packages}
    text = json.dumps({**about, "budgets": case.budgets, "settings": how, "recorded": recorded})
    done = subprocess.run([sys.executable, __file__, "--one", text], check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@dataclass(frozen=True)
class Row:
    """A model with so many threads."""

    case: Case
    threads: int
    full: dict[str, Any]
    late: float = 0.0
    over: float = 0.0
    off: float = 0.0
    runs: int = 0

    def with_(
        self, answer: dict[str, Any], *, timeout: float | None = None, memory: int | None = None, said: int = 0
    ) -> Row:
        """With a run under a limit."""
        late = 0.0 if timeout is None else answer["seconds"] - timeout
        slack = SLACK + SLACK_OF_A_THREAD * self.threads
        more = 0.0 if memory is None else max(0, answer["resident"] - slack - memory) / memory
        off = max(0, abs(answer["resident"] - said) - slack) / said if said else 0.0
        return replace(
            self, late=max(self.late, late), over=max(self.over, more), off=max(self.off, off), runs=self.runs + 1
        )

    def __str__(self) -> str:
        full, most = self.full, self.full["said"] / 2**20
        cut = "+" if full["reason"] else ""
        return (
            f"| {self.case} | {self.threads} | {full['explored']:,}{cut} | {full['seconds']:.1f} | {most:,.0f} | {self.runs} | "
            f"{self.late:.2f} | {100 * self.over:.0f} | {100 * self.off:.0f} |"
        )

    @property
    def holds(self) -> bool:
        return self.late <= SECOND and self.over <= TENTH and self.off <= TENTH


def measure(case: Case, threads: int) -> Row:
    """All runs of a model with so many threads."""
    full = run(case, threads=threads, timeout=LONGEST, recorded=True)
    row = Row(case, threads, full).with_(full, timeout=LONGEST, said=full["said"])
    for part in TIMES:
        timeout = max(0.01, full["seconds"] * part)
        row = row.with_(run(case, threads=threads, timeout=timeout), timeout=timeout)
    for share in SHARES:
        memory = int(full["said"] * share)
        answer = run(case, threads=threads, max_memory=memory, recorded=True)
        row = row.with_(answer, memory=memory, said=answer["said"])
    return row


def main() -> int:
    """All models, or one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help="a run, as JSON")
    parser.add_argument("--threads", type=int, nargs="*", default=THREADS)
    parser.add_argument("--only", default="", help="models whose description has this text")
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(one(json.loads(given.one))))
        return 0
    print("| model | threads | stored states | s | MiB | runs | late, s | memory over, % | report off, % |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for case in (case for case in CASES if given.only in str(case)):
        for threads in given.threads:
            rows.append(measure(case, threads))
            print(rows[-1], flush=True)
    wrong = [row for row in rows if not row.holds]
    print(f"{sum(row.runs for row in rows)} runs; {len(wrong)} of {len(rows)} rows do not hold")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
