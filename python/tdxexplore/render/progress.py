"""Progress on stderr: counters, twice a second, while someone watches."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from tdxexplore.render.terminal import Screen
from tdxexplore.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.sweep.run import Progress


@contextmanager
def shown(what: str, *, quiet: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Yield a callback that shows counters, or None when nobody watches.

    Args:
        what: The command.
        quiet: Show nothing.
    """
    if quiet:
        yield None
        return
    with Screen(stderr=True).status(f"{what} ...", spinner="line") as status:

        def show(counters: dict[str, Any]) -> None:
            status.update(Text(visible(_line(what, counters))))

        yield show


def _line(what: str, c: dict[str, Any]) -> str:
    if "total" in c:
        last = f", last: {c['last']}" if "last" in c else ""
        return f"{what}: {c['done']} of {c['total']} {c.get('unit', 'explorations')} done{last}"
    rate = c["explored"] / max(c["seconds"], 1e-9)
    expected = "" if c["expected_states"] is None else f" of {c['expected_states']:,}"
    now = f"frontier {c['frontier']:,}" if c["figure"] is None else f"computes {c['figure']}"
    return (
        f"{what}: {c['state_bits']} bits and {c['bytes_per_state']} bytes a state; depth {c['depth']}, "
        f"{c['explored']:,}{expected} states stored, {c['generated']:,} generated, {rate:,.0f} states/s, "
        f"{now}, {c['memory_bytes'] / 2**20:,.0f} MiB, {c['seconds']:.0f} s"
    )


@contextmanager
def sweeping(*, quiet: bool, verbose: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Yield a callback that shows how far a sweep is: a bar while someone watches, and on request a line for each point."""
    if quiet and not verbose:
        yield None
        return
    console = Screen(stderr=True, highlight=False, soft_wrap=True)
    columns = ("sweep", BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, disable=quiet) as bar:
        task = bar.add_task("", total=None)

        def show(progress: Progress) -> None:
            rate = progress.explored / max(progress.seconds, 1e-9)
            left = "" if progress.eta is None else f", {timedelta(seconds=round(progress.eta))} left"
            planning = progress.planned < progress.total
            text = f"planning: {progress.planned:,} looked at" if planning else f"{rate:,.0f} states/s{left}"
            bar.update(task, completed=progress.done, total=progress.total, description=text)
            if verbose and progress.last is not None:
                console.print(Text(visible(_point(progress))))

        yield show


def _point(progress: Progress) -> str:
    assert progress.last is not None
    assert progress.result is not None
    return f"[{progress.done}/{progress.total}] {progress.last.question.command('check')}: {progress.result}"
