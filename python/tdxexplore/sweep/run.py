"""Running a sweep: the points that its data set does not hold yet are explored into it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.data.holding import writing
from tdxexplore.markup import page, paragraph, table, verdict
from tdxexplore.sweep.batch import Answer, Destination, Failure, explore_points
from tdxexplore.sweep.origin import origin
from tdxexplore.sweep.plan import plan
from tdxexplore.sweep.spec import Spec, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from tdxexplore.data.reading import Skipped
    from tdxexplore.markup import Cell
    from tdxexplore.sweep.batch import Cause
    from tdxexplore.sweep.points import Point


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Attributes:
        done: Points in the data set.
        total: Points of the sweep.
        planned: Points that were looked at; all of them before the first is explored.
        explored: States stored since it began.
        seconds: Since it began.
        eta: Seconds that are left if the points to come take as long as those before; None before the first point.
        last: The point that was just finished; None if only time has passed.
        result: What came of it.
    """

    done: int
    total: int
    planned: int
    explored: int
    seconds: float
    eta: float | None
    last: Point | None = None
    result: Answer | Failure | None = None


@dataclass(slots=True)
class Summary:
    """What a sweep did.

    Attributes:
        total: Points of the sweep.
        before: Points that were in the data set already.
        incomplete: Points that are in the data set and were cut short.
        finished: Points that this run added.
        verdicts: How many of these got each verdict.
        explored: States that this run stored.
        seconds: Time of this run.
        failed: Points that could not be explored, with the reason; not in the data set.
        causes: Why points failed: `tdxexplore.sweep.batch.Failure`.
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
    causes: set[Cause] = field(default_factory=set)
    interrupted: bool = False

    def count(self, point: Point, result: Answer | Failure) -> None:
        """Take in what came of a point."""
        if isinstance(result, Failure):
            self.failed.append((point, result.error))
            self.causes.add(result.cause)
            return
        self.finished += 1
        self.explored += result.explored
        self.incomplete += not result.complete
        self.verdicts[result.verdict] = self.verdicts.get(result.verdict, 0) + 1

    def _repr_html_(self) -> str:
        verdicts = ((verdict(name), count) for name, count in sorted(self.verdicts.items()))
        figures: tuple[tuple[Cell, Cell], ...] = (
            ("points", self.total),
            ("there before", self.before),
            ("explored now", self.finished),
            *verdicts,
            ("cut short", self.incomplete),
            ("states stored", self.explored),
            ("seconds", f"{self.seconds:.1f}"),
        )
        failed = [(point.question.command("check"), error) for point, error in self.failed]
        return page(
            paragraph("interrupted" if self.interrupted else "done"),
            table(("", ""), figures),
            table(("not explored", "why"), failed) if failed else None,
        )


def sweep(
    spec: Spec | Path | str,
    out: Path | str,
    *,
    executor: Executor | None = None,
    threads: int | None = None,
    report: Callable[[Progress], object] | None = None,
    warn: Callable[[Sequence[Skipped]], object] | None = None,
) -> Summary:
    """Explore the points of a sweep that its data set does not hold.

    Args:
        spec: The sweep file, or what `tdxexplore.sweep.load` made of it.
        out: The data set; created when it is not there.
        executor: Where the points run; default: threads of this process. It stays the caller's to shut down. Its workers
            must have the same tdxexplore, the same policy files, and the same folder `out`.
        threads: In process: threads in all; default: all that this process may use. On an executor: threads of each point;
            default 1.
        report: Called about twice a second, also while it is planned, and after each point.
        warn: Called once with the files in the data set that are not read, if there are any.

    Returns:
        What was done. After Ctrl-C, what was finished until then; it is in the data set.

    Raises:
        BadModel: A user's policy cannot be recorded.
        BadSpec: The sweep file says something that is not allowed.
        BadDataset: The data set cannot be used for this sweep.
        OSError: The data set cannot be written; what was finished stays.
        KeyboardInterrupt: Ctrl-C while it is planned; says how far it came.
    """
    spec, out = spec if isinstance(spec, Spec) else load(Path(spec)), Path(out)
    tell, warn = report or (lambda _: None), warn or (lambda _: None)
    started = time.monotonic()

    def planning(planned: int, done: int, total: int) -> None:
        tell(Progress(done, total, planned, 0, time.monotonic() - started, None))

    with writing(out):
        todo = plan(spec, out, planning)
        if todo.skipped:
            warn(todo.skipped)
        summary = Summary(len(todo.points), len(todo.points) - len(todo.pending), todo.incomplete)
        started = time.monotonic()

        def progress(last: Point | None = None, result: Answer | Failure | None = None) -> None:
            summary.seconds = time.monotonic() - started
            ended = summary.finished + len(summary.failed)
            left = len(todo.pending) - ended
            eta = summary.seconds * left / ended if ended else None
            done, total = summary.before + summary.finished, summary.total
            tell(Progress(done, total, total, summary.explored, summary.seconds, eta, last, result))

        def receive(number: int, result: Answer | Failure) -> None:
            point = todo.pending[number]
            summary.count(point, result)
            progress(point, result)

        destination = Destination(out.resolve(), origin(spec))
        try:
            explore_points(
                todo.pending, receive, destination=destination, executor=executor, threads=threads, idle=progress
            )
        except KeyboardInterrupt:
            summary.interrupted = True
        summary.seconds = time.monotonic() - started
        return summary
