"""Running a sweep: what the data set does not hold yet, on threads, or on any executor.

A point is a task of plain data that writes its own files, so that results do not travel and a task that is done twice does
no harm. In process, small points run side by side with one thread each and large ones alone with all of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore.data import dataset
from tdxexplore.errors import BadDataset, InternalError, TdxExploreError
from tdxexplore.explore.exploration import check
from tdxexplore.sweep.points import Point, estimate, expand
from tdxexplore.sweep.spec import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tdxexplore.sweep.spec import Spec

LARGE = 200_000
"""Expected stored states from which a point gets all threads: below, starting threads costs more than they save."""

_OVERHEAD = 5_000  # a point of few states costs about as much as storing so many
_IN_FLIGHT = 1024
_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep would do.

    Attributes:
        points: All points.
        excluded: How many points each exclusion cuts out.
        impossible: How many combinations do not exist.
        pending: The points that the data set does not hold.
        sizes: About how many states each pending point stores.
        incomplete: Points that the data set holds and these limits would cut short again.
        skipped: Files in the data set that are not read.
    """

    points: tuple[Point, ...]
    excluded: tuple[int, ...]
    impossible: int
    pending: tuple[Point, ...]
    sizes: tuple[float, ...]
    incomplete: int
    skipped: tuple[dataset.Skipped, ...]

    @property
    def largest(self) -> tuple[Point, float] | None:
        """The pending point that is expected to be the largest, and its expected states."""
        ranked = zip(self.sizes, range(len(self.sizes), 0, -1), self.pending, strict=True)
        size, _, point = max(ranked, default=(0.0, 0, None), key=lambda r: r[:2])
        return None if point is None else (point, size)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Attributes:
        done: Points in the data set.
        total: Points of the sweep.
        planned: Points that were looked at; all of them before the first is explored.
        explored: States stored since it began.
        seconds: Since it began.
        eta: Seconds that are left, by the expected sizes; None before the first point.
        last: The point that was just finished; None if only time has passed.
        result: What came of it: verdict, worst, explored, seconds, or error.
    """

    done: int
    total: int
    planned: int
    explored: int
    seconds: float
    eta: float | None
    last: Point | None = None
    result: dict[str, Any] | None = None


@dataclass(slots=True)
class Summary:
    """What a sweep did.

    Attributes:
        total: Points of the sweep.
        before: Points that were in the data set already.
        incomplete: Points that are in the data set and incomplete.
        finished: Points that this run added.
        verdicts: How many of these got each verdict.
        explored: States that this run stored.
        seconds: Time of this run.
        failed: Points that could not be explored, with the reason; not in the data set.
        internal: Whether one of them is a defect of tdxexplore.
        interrupted: Whether Ctrl-C ended it.
    """

    total: int
    before: int
    incomplete: int
    finished: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    explored: int = 0
    seconds: float = 0.0
    failed: list[tuple[Point, str]] = field(default_factory=list)
    internal: bool = False
    interrupted: bool = False


def plan(spec: Spec, out: Path, report: Callable[[Progress], object] | None = None) -> Plan:
    """Expand a sweep file and compare it with what the data set holds. Nothing is explored but probes of its size.

    Args:
        spec: The checked sweep file.
        out: The data set.
        report: Called about twice a second.

    Raises:
        BadModel: A user's policy cannot be recorded.
        BadDataset: The data set holds answers of another model, version or setting to the same questions.
        OSError: The data set cannot be read.
    """
    grid = expand(spec)
    runs, skipped = dataset.held(out)
    done = _done(runs, spec)
    known = {row[1:]: row[0] for row in runs.select("point", *dataset.QUESTION).iter_rows()}
    pending: list[Point] = []
    sizes: list[float] = []
    incomplete = 0
    started = told = time.monotonic()
    for number, point in enumerate(grid.points):  # once: a model is recorded for its first point, and not kept for ever
        if report is not None and (now := time.monotonic()) - told > _POLL:
            told = now
            report(Progress(number - len(pending), len(grid.points), number, 0, now - started, None))
        key = point.question.key()
        other = known.get(tuple(key[name] for name in dataset.QUESTION), point.id)
        if other != point.id:
            raise _another_answer(out, point, runs.row(by_predicate=pl.col("point") == other, named=True))
        if point.id in done:
            incomplete += done[point.id] == "incomplete"
        else:
            pending.append(point)
            sizes.append(estimate(point))
    return Plan(grid.points, grid.excluded, grid.impossible, tuple(pending), tuple(sizes), incomplete, tuple(skipped))


def _done(runs: pl.DataFrame, spec: Spec) -> dict[str, str]:
    """Points that need not run, with their verdicts: complete ones, and incomplete ones that the same limits cut short."""
    limits = asdict(spec.settings)
    same_limits = [pl.col(name).eq_missing(pl.lit(limits[name])) for name in LIMITS]
    done = runs.filter((pl.col("verdict") != "incomplete") | pl.all_horizontal(same_limits))
    return dict(done.select("point", "verdict").iter_rows())


def _another_answer(out: Path, point: Point, row: dict[str, Any]) -> BadDataset:
    shown = ("digest", "version", "space", "symmetry", "measures", "prices", "fail_on")
    there = " ".join(f"{name}={row[name]}" for name in shown)
    return BadDataset(
        f"{out}: holds another answer to `{point.question.command('check')}`, of {there}, "
        f"where now digest={point.question.digest()}; sweep a changed model, version or setting into another folder"
    )


def sweep(
    spec: Spec,
    out: Path,
    *,
    executor: Executor | None = None,
    threads: int | None = None,
    report: Callable[[Progress], object] | None = None,
    warn: Callable[[dataset.Skipped], object] | None = None,
) -> Summary:
    """Explore the points of a sweep that its data set does not hold.

    Args:
        spec: The checked sweep file.
        out: The data set; created when it is not there.
        executor: Where the points run; default: threads of this process. It stays the caller's to shut down. Its workers
            must have the same tdxexplore, the same policy files, and the same folder `out`.
        threads: In process: threads in all; default: all that this process may use. On an executor: threads of each point;
            default 1.
        report: Called about twice a second, also while it is planned, and after each point.
        warn: Called for each file in the data set that is not read.

    Returns:
        What was done. After Ctrl-C, what was finished until then; it is in the data set.

    Raises:
        BadModel: A user's policy cannot be recorded.
        BadDataset: The data set cannot be used for this sweep.
        OSError: The data set cannot be written; what was finished stays.
    """
    with dataset.writing(out):
        todo = plan(spec, out, report)
        if warn is not None:
            for skipped in todo.skipped:
                warn(skipped)
        summary = Summary(len(todo.points), len(todo.points) - len(todo.pending), todo.incomplete)
        run = _Run(out, origin(spec), todo, summary, report)
        cores = threads or len(os.sched_getaffinity(0))
        try:
            if executor is not None:
                run.on(executor, range(len(todo.pending)), threads=threads or 1)
            else:
                large = [i for i, size in enumerate(todo.sizes) if size >= LARGE]
                small = [i for i, size in enumerate(todo.sizes) if size < LARGE]
                for indices, workers in ((small, cores), (large, 1)):
                    with ThreadPoolExecutor(workers) as pool:
                        run.on(pool, indices, threads=cores // workers, stop=run.stop)
        except KeyboardInterrupt:
            summary.interrupted = True
            run.last_ones()
        summary.seconds = run.elapsed
        return summary


class _Run:
    """One sweep under way: keeps a bounded number of points in flight and counts what comes back."""

    def __init__(
        self,
        out: Path,
        about: dict[str, str],
        todo: Plan,
        summary: Summary,
        report: Callable[[Progress], object] | None,
    ) -> None:
        self.out, self.about, self.todo, self.summary, self.report = out, about, todo, summary, report
        self.started = time.monotonic()
        self.stop = threading.Event()
        self.running: dict[Future[dict[str, Any]], int] = {}
        self.left = self.weight = sum(size + _OVERHEAD for size in todo.sizes)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def on(
        self, executor: Executor, indices: Sequence[int], *, threads: int, stop: threading.Event | None = None
    ) -> None:
        """Run points; on Ctrl-C, or when the data set cannot be written, give back what has not begun."""
        waiting = deque(indices)
        running = self.running
        ended: SimpleQueue[Future[dict[str, Any]]] = SimpleQueue()
        call = run_point if stop is None else partial(run_point, stop=stop)  # an event does not travel
        try:
            while waiting or running:
                while waiting and len(running) < _IN_FLIGHT:
                    index = waiting.popleft()
                    task = {
                        **self.todo.pending[index].to_task(),
                        "out": str(self.out.resolve()),
                        "threads": threads,
                        "origin": self.about,
                    }
                    future = executor.submit(call, task)
                    running[future] = index
                    future.add_done_callback(ended.put)
                try:
                    future = ended.get(timeout=_POLL)
                except Empty:
                    self._tell(None, None)
                else:
                    self._count(running.pop(future), future)
        except BaseException:
            self.stop.set()
            for future in running:
                future.cancel()
            raise

    def last_ones(self) -> None:
        """Count the points that were finished while the sweep was given up."""
        for future, index in self.running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                self._count(index, future)

    def _count(self, index: int, future: Future[dict[str, Any]]) -> None:
        try:
            result = future.result()
        except (OSError, TdxExploreError):
            raise
        except (Exception, CancelledError) as error:
            what = str(error).splitlines() or [""]
            raise InternalError(f"the executor lost a point: {type(error).__name__}: {what[0]}") from error
        point, summary = self.todo.pending[index], self.summary
        self.left -= self.todo.sizes[index] + _OVERHEAD
        if "error" in result:
            summary.failed.append((point, result["error"]))
            summary.internal |= result["internal"]
        else:
            summary.finished += 1
            summary.explored += result["explored"]
            summary.incomplete += result["verdict"] == "incomplete"
            summary.verdicts[result["verdict"]] = summary.verdicts.get(result["verdict"], 0) + 1
        self._tell(point, result)

    def _tell(self, last: Point | None, result: dict[str, Any] | None) -> None:
        if self.report is None:
            return
        ended = self.weight - self.left
        eta = self.elapsed * self.left / ended if ended > 0 else None
        done = self.summary.before + self.summary.finished
        total = self.summary.total
        self.report(Progress(done, total, total, self.summary.explored, self.elapsed, eta, last, result))


_RECORDING = threading.Lock()  # importing and recording a policy is for one thread at a time; exploring is not


class _Stopped(Exception):
    """The sweep was given up while this point ran."""


def run_point(task: dict[str, Any], stop: threading.Event | None = None) -> dict[str, Any]:
    """Explore one point and write its files; what an executor runs.

    Args:
        task: `Point.to_task`, with ``out``, ``threads`` and ``origin``.
        stop: Ends the search within half a second when it is set.

    Returns:
        The verdict, the worst outcome, explored states and seconds; or the error that is the model's.

    Raises:
        OSError: The files cannot be written.
        KeyboardInterrupt: Ctrl-C reached this process.
    """

    def heed(_: object) -> None:
        if stop is not None and stop.is_set():
            raise _Stopped

    try:
        with _RECORDING:
            point = Point.from_task(task)
            point.question.compile()
        if point.id != task["id"]:
            return {"error": "the worker has another model or version than the sweep", "internal": False}
        q = point.question
        answer = check(
            q.policy,
            module=q.module,
            cpus=q.topology.cpus,
            packages=q.topology.packages,
            scenario=q.scenario,
            knobs=dict(q.knobs),
            budgets=dict(q.budgets),
            threads=task["threads"],
            progress=heed,
            **asdict(point.settings),
        )
    except _Stopped:
        raise KeyboardInterrupt from None
    except TdxExploreError as error:
        # As data: an exception of its own making may not survive the way back from another process.
        return {"error": str(error), "internal": isinstance(error, InternalError)}
    if answer.interrupted:
        raise KeyboardInterrupt
    how = [pl.Series(name, [value], dtype=_TYPES[name]) for name, value in asdict(point.settings).items()]
    ranks = {outcome: rank for rank, outcome in enumerate(answer.outcomes["outcome"])}
    tables = {name: getattr(answer, name) for name in dataset.TABLES}
    tables["runs"] = tables["runs"].hstack(how)
    for name in ("outcomes", "prices"):
        rank = pl.Series("rank", [ranks[outcome] for outcome in tables[name]["outcome"]], dtype=pl.Int64)
        tables[name] = tables[name].hstack([rank])
    dataset.write_point(Path(task["out"]), point.id, tables, task["origin"])
    figures = answer.runs.row(0, named=True)
    return {
        "verdict": answer.verdict,
        "worst": answer.worst,
        "explored": figures["explored"],
        "seconds": figures["seconds"],
    }


_TYPES = {
    "space": pl.String,
    "symmetry": pl.String,
    "measures": pl.Boolean,
    "prices": pl.Boolean,
    "fail_on": pl.String,
    "max_states": pl.Int64,
    "max_depth": pl.Int64,
    "max_memory": pl.Int64,
    "timeout": pl.Float64,
}


def origin(spec: Spec) -> dict[str, str]:
    """Where the points come from: name, note, hash and git revision of the sweep file; the revision is empty outside git."""
    content = hashlib.blake2b(spec.path.read_bytes(), digest_size=16).hexdigest()
    values = (spec.name, spec.note, content, _revision(spec.path))
    return dict(zip(dataset.ORIGIN, values, strict=True))


def _revision(path: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return ""

    def ask(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 -- git, on the folder that the user named
            [git, "-C", str(path.resolve().parent), *words], capture_output=True, text=True, check=False, timeout=30
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    revision = ask("rev-parse", "HEAD")
    changed = revision and ask("status", "--porcelain", "--", path.name)
    return f"{revision}+modified" if changed else revision
