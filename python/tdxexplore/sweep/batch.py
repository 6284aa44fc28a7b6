"""A batch of points, explored on threads or on any executor: into a data set or into memory.

A point travels as a `Task` and its worker writes its files, so that large results do not travel and a task that is done
twice does no harm. In process, small points run side by side with one thread each, and large ones alone with all threads:
starting threads costs more than they save on a small search. No size is known before, so every point runs as a small one
first and is given up at `LARGE` stored states, which costs a moment.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, TypeAlias

from tdxexplore.data.keeping import keep
from tdxexplore.data.schema import TABLES, conform
from tdxexplore.errors import InternalError, TdxExploreError, TimeUp
from tdxexplore.explore.check import search
from tdxexplore.explore.engine import usable_cpus, worker_threads
from tdxexplore.explore.exploration import Exploration
from tdxexplore.sweep.points import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import polars as pl

LARGE = 200_000
"""Stored states from which a point gets all threads."""

POLL = 0.5
"""Seconds after which somebody who waits is told that time has passed."""

_IN_FLIGHT = 1024


# -- one point --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Destination:
    """The data set that the tables of a point go to.

    Attributes:
        out: Its folder.
        origin: Where the points come from.
    """

    out: Path
    origin: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Task:
    """What an executor runs.

    Attributes:
        point: What is explored; its settings have the threads that it may use.
        stamp: Of the sources that the point was planned with; see `Point.stamp`.
        tables: The tables that are wanted, if they travel back.
        destination: Where the tables are written instead.
        give_up: Stored states at which the search is given up, to be done again with more threads; None for never.
        share: The part of the free memory that it may use, if its settings have no limit.
    """

    point: Point
    stamp: str
    tables: tuple[str, ...] = ()
    destination: Destination | None = None
    give_up: int | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a point.

    Attributes:
        verdict: Of its exploration; where the data set holds a better answer, which stays, that answer's.
        complete: Whether everything was explored, likewise.
        worst: The most severe outcome that was reached.
        explored: Stored states.
        seconds: Of search and measures.
        tables: Those that were asked for, with the columns of a data set.
    """

    verdict: str
    complete: bool
    worst: str | None
    explored: int
    seconds: float
    tables: Mapping[str, pl.DataFrame]

    def __str__(self) -> str:
        return f"{self.verdict}, worst {self.worst}, {self.explored:,} states, {self.seconds:.3f} s"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a point has no answer.

    Attributes:
        error: In one line.
        cause: A mistake in the ``model``, a policy that takes too much ``time`` to be recorded, too little ``memory``, or an
            ``internal`` defect.
    """

    error: str
    cause: Cause

    def __str__(self) -> str:
        return f"error: {self.error}"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The search of a point was given up because it is large."""


Cause: TypeAlias = Literal["model", "time", "memory", "internal"]
Result: TypeAlias = Answer | Failure | GivenUp


class _Stopped(Exception):
    """The run was given up while this point was explored."""


def run_point(task: Task, stop: threading.Event | None = None) -> Result:
    """Explore one point; what an executor runs.

    Args:
        task: What to do.
        stop: Ends the search within half a second when it is set.

    Raises:
        OSError: The files cannot be written.
        KeyboardInterrupt: Ctrl-C reached this process.
    """

    def heed(_: object) -> None:
        if stop is not None and stop.is_set():
            raise _Stopped

    point, settings = task.point, task.point.settings
    give_up = task.give_up
    if give_up is not None and (settings.max_states is None or settings.max_states > give_up):
        settings = replace(settings, max_states=give_up)
    else:
        give_up = None
    try:
        if point.stamp() != task.stamp:
            return Failure("the worker has another model or version than the sweep", "model")
        compiled, found = search(point.question, settings, heed, task.share)
    except _Stopped:
        raise KeyboardInterrupt from None
    except MemoryError as error:
        return Failure(f"not enough memory: {error}", "memory")
    except TdxExploreError as error:
        # As data: an exception of its own making may not survive the way back from another process.
        kinds: dict[type, Cause] = {InternalError: "internal", TimeUp: "time"}
        return Failure(str(error), kinds.get(type(error), "model"))
    if found.interrupted:
        raise KeyboardInterrupt
    if give_up is not None and not found.complete and found.explored >= give_up:
        return GivenUp()
    answer = Exploration(point.question, point.settings, compiled, found)
    tables = {name: getattr(answer, name) for name in (task.tables if task.destination is None else TABLES)}
    verdict, complete = answer.verdict, answer.complete
    if task.destination is not None:
        kept = keep(task.destination.out, point.id, tables, task.destination.origin)
        verdict, complete, tables = kept.verdict, kept.complete, {}
    tables = {name: conform(name, point.id, table) for name, table in tables.items()}
    return Answer(verdict, complete, answer.worst, found.explored, found.seconds, tables)


# -- many points ------------------------------------------------------------------------------------------------------


def explore_points(
    points: Sequence[Point],
    receive: Callable[[int, Answer | Failure], object],
    *,
    tables: tuple[str, ...] = (),
    destination: Destination | None = None,
    executor: Executor | None = None,
    threads: int | None = None,
    idle: Callable[[], object] = lambda: None,
) -> None:
    """Explore points.

    Args:
        points: What is explored.
        receive: Called with the number of each point and what came of it, in the order in which they end.
        tables: The tables that travel back.
        destination: Where all tables are written instead.
        executor: Where the points run; default: threads of this process. It stays the caller's to shut down.
        threads: In process: threads in all; default: all that this process may use. On an executor: threads of each point;
            default 1.
        idle: Called twice a second while no point ends.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was finished until then has been handed over.
        InternalError: The executor lost a point.
        OSError: A table cannot be written.
    """
    batch = _Batch(points, receive, idle, tables, destination)
    everything = range(len(points))
    try:
        if executor is not None:
            batch.on(executor, everything, threads or 1, share=1 / usable_cpus())
            return
        threads = worker_threads(threads)
        with ThreadPoolExecutor(threads) as pool:
            give_up = LARGE if threads > 1 else None
            large = batch.on(pool, everything, 1, share=1 / threads, give_up=give_up, stop=batch.stop)
        with ThreadPoolExecutor(1) as pool:
            batch.on(pool, sorted(large), threads, stop=batch.stop)
    except KeyboardInterrupt:
        batch.hand_over_the_last()
        raise


class _Batch:
    """Points under way: keeps a bounded number of them in flight."""

    def __init__(
        self,
        points: Sequence[Point],
        receive: Callable[[int, Answer | Failure], object],
        idle: Callable[[], object],
        tables: tuple[str, ...],
        destination: Destination | None,
    ) -> None:
        self.points, self.receive, self.idle = points, receive, idle
        self.tables, self.destination = tables, destination
        self.stop = threading.Event()
        self.running: dict[Future[Result], int] = {}

    def on(
        self,
        executor: Executor,
        numbers: Sequence[int],
        threads: int,
        *,
        share: float = 1.0,
        give_up: int | None = None,
        stop: threading.Event | None = None,
    ) -> list[int]:
        """Run points, and return those that were given up. What has not begun is given back on Ctrl-C and on an error."""
        waiting, running, large = deque(numbers), self.running, []
        ended: SimpleQueue[Future[Result]] = SimpleQueue()
        call = run_point if stop is None else partial(run_point, stop=stop)  # an event does not travel
        try:
            while waiting or running:
                while waiting and len(running) < _IN_FLIGHT:
                    number = waiting.popleft()
                    future = executor.submit(call, self._task(number, threads, give_up, share))
                    running[future] = number
                    future.add_done_callback(ended.put)
                try:
                    future = ended.get(timeout=POLL)
                except Empty:
                    self.idle()
                    look = getattr(executor, "look", None)  # of one that waits for ever where others raise
                    if look is not None:
                        look()
                    continue
                number = running.pop(future)
                result = _result(future)
                if isinstance(result, GivenUp):
                    large.append(number)
                else:
                    self.receive(number, result)
        except BaseException:
            self.stop.set()
            for future in running:
                future.cancel()
            raise
        return large

    def _task(self, number: int, threads: int, give_up: int | None, share: float) -> Task:
        point = self.points[number]
        own = Point(point.question, replace(point.settings, threads=threads))
        return Task(own, point.stamp(), self.tables, self.destination, give_up, share)

    def hand_over_the_last(self) -> None:
        """Hand over the points that were finished while the others were given back."""
        for future, number in self.running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                result = future.result()
                if not isinstance(result, GivenUp):
                    self.receive(number, result)


def _result(future: Future[Result]) -> Result:
    try:
        return future.result()
    except (OSError, TdxExploreError):
        raise
    except (Exception, CancelledError) as error:
        what = str(error).splitlines() or [""]
        said = f"{type(error).__name__}: {what[0]}".removesuffix(": ")
        raise InternalError(f"the executor lost a point: {said}") from error
