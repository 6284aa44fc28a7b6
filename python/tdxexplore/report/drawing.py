"""A trace as rows and bars, for the browser to draw: what a row says is that of the text form (`tdxexplore.explore.lanes`).

A drawing is plain data, so that it can be kept in a table and read back without the model.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from tdxexplore.explore.choices import choices
from tdxexplore.explore.lanes import ALIKE, in_runs, sentences, slots, span, waits_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.choices import Choice
    from tdxexplore.explore.lanes import Run
    from tdxexplore.explore.steps import Held
    from tdxexplore.explore.trace import Trace

Drawing: TypeAlias = dict[str, Any]

FORMAT = 2
"""Of the data: a kept drawing of another format is made again."""

_FOLDED = 16  # so many changes of a row of many steps are shown


def drawing(trace: Trace, why: Drawing | None = None) -> Drawing:
    """Rows, bars and what is said at the end.

    Args:
        trace: The trace.
        why: Why it came to its outcome (`tdxexplore.report.explained`); None where nobody has worked that out.

    Returns:
        ``replay``: the command. ``ending``: the outcome in a sentence. ``waits``: who waits for ever, a sentence each. ``why``.
        ``actors``: their names, in the order in which they first act. ``rows``: see `_row`. ``bars``: see `_bars`.
    """
    runs = list(in_runs(trace.steps, ALIKE))
    actors = list(dict.fromkeys(step.actor for step in trace.steps))
    others = choices(trace)
    rows = [_row(run, said, actors, others) for run, said in zip(runs, sentences(runs), strict=True)]
    return {
        "replay": trace.command,
        "ending": trace.ending,
        "waits": [waits_for(wait) for wait in trace.waits],
        "why": why,
        "actors": actors,
        "rows": rows,
        "bars": list(_bars(runs, actors)),
    }


def _row(run: Run, said: str, actors: list[str], others: Sequence[Sequence[Choice]]) -> Drawing:
    """A line of the drawing: a step, or many in a row that only differ in the CPU.

    Returns:
        ``n``: the numbers of its steps, as text. ``actor``: an index. ``cpus``: where it acts. ``where``: the same in words.
        ``said``: the line of the text form. ``inside``: the functions, outermost first. ``title``, ``notes``, ``source``: of the
        step. ``changes``: field, old and new value. ``more``: how many changes are left out. ``held``: who holds which lock
        after it. ``others``: what else could have happened, as actor, where and what.
    """
    first, last = run[0], run[-1]
    changes = [
        [name, _word(old), _word(new)] for step in run for name, old, new in step.changes if not name.startswith("pc.")
    ]
    shown = changes if len(run) == 1 else changes[:_FOLDED]
    cpus = [step.cpu for step in run if step.cpu is not None]
    return {
        "n": span("", [step.number for step in run]),
        "actor": actors.index(first.actor),
        "cpus": cpus,
        "where": span("CPU ", cpus) if len(cpus) > 1 else first.where,
        "said": said,
        "inside": list(first.functions),
        "title": first.title,
        "notes": list(first.notes),
        "source": first.source,
        "picked": first.picked,
        "changes": shown,
        "more": len(changes) - len(shown),
        "held": [_held(held) for held in last.held],
        "others": [[other.actor, other.where, other.what] for other in others[first.number - 1]],
    }


def _bars(runs: Sequence[Run], actors: list[str]) -> Iterator[list[Any]]:
    """The time for which each lock is held.

    Yields:
        The index of the actor, the place among its bars, the lock, whether it is shared, where it is held or an empty text, the
        row after which it is held (-1: from the beginning), and the row that releases it (None: it is held in the end). Both
        are the same for a lock that is taken and released in one step. Sorted by the first row.
    """
    since: dict[Held, list[int]] = {}  # one who takes a lock twice holds it twice
    found: list[tuple[int, int | None, int, Held]] = []
    for row, run in enumerate(runs):
        for step in run:
            gone = Counter(step.released)
            for held, count in {**dict.fromkeys(since, 0), **Counter(step.held)}.items():
                starts = since.setdefault(held, [])
                taken = row > 0 or step.takes == held.lock
                starts += [row if taken else -1] * (count - len(starts))
                while len(starts) > count:
                    found.append((starts.pop(), row, len(starts), held))
                    gone[held] -= 1
            found += [(row, row, 0, held) for held in gone.elements()]  # taken by this step, too
    found += [(start, None, n, held) for held, starts in since.items() for n, start in enumerate(starts)]
    place_of = slots([step for run in runs for step in run])
    beside = Counter(held.actor for held in place_of)  # where the second bar of a lock stands
    for start, end, again, held in sorted(found, key=lambda bar: (bar[0], place_of[bar[3]], bar[2])):
        if held.actor not in actors:
            actors.append(held.actor)
        where = "" if held.cpu is None else f"CPU {held.cpu}"
        slot = beside[held.actor] + again - 1 if again else place_of[held]
        yield [actors.index(held.actor), slot, held.lock.name, held.lock.shared, where, start, end]


def _held(held: Held) -> list[Any]:
    where = "" if held.cpu is None else f"CPU {held.cpu}"
    return [held.lock.name, held.lock.shared, held.actor, where]


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
