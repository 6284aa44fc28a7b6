"""A trace for the Perfetto viewer and chrome://tracing: a track for each CPU and each actor, locks as slices.

A step lasts a millisecond, as a model has no time: order is all that the tracks show.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tdxexplore.explore.lanes import happened, someone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.steps import Held
    from tdxexplore.explore.trace import Trace

_STEP = 1000  # microseconds
_CPUS, _ACTORS, _LOCKS = 1, 2, 3  # a group of tracks each


def perfetto(trace: Trace) -> str:
    """Trace events in the JSON form of Chrome."""
    other = {"replay": trace.command, "outcome": trace.outcome}
    return json.dumps({"traceEvents": [*_tracks(trace), *_steps(trace), *_locks(trace)], "otherData": other}, indent=1)


def _tracks(trace: Trace) -> Iterator[dict[str, object]]:
    for group, name in ((_CPUS, "CPUs"), (_ACTORS, "actors"), (_LOCKS, "locks")):
        yield {"ph": "M", "name": "process_name", "pid": group, "args": {"name": name}}
    for cpu in sorted({step.cpu for step in trace if step.cpu is not None}):
        yield {"ph": "M", "name": "thread_name", "pid": _CPUS, "tid": cpu, "args": {"name": f"CPU {cpu}"}}
    for number, actor in enumerate(_actors(trace)):
        yield {"ph": "M", "name": "thread_name", "pid": _ACTORS, "tid": number, "args": {"name": actor}}
    for number, held in enumerate(_held(trace)):
        name = f"{held.lock.name}: {someone(held.actor, held.cpu)}"
        yield {"ph": "M", "name": "thread_name", "pid": _LOCKS, "tid": number, "args": {"name": name}}


def _steps(trace: Trace) -> Iterator[dict[str, object]]:
    """Each step on the track of its CPU, else on that of its actor."""
    actors = _actors(trace)
    for step in trace:
        group, track = (_ACTORS, actors.index(step.actor)) if step.cpu is None else (_CPUS, step.cpu)
        yield {
            "ph": "X",
            "name": happened(step),
            "cat": step.actor,
            "ts": (step.number - 1) * _STEP,
            "dur": _STEP,
            "pid": group,
            "tid": track,
            "args": {
                "step": step.number,
                "token": step.token,
                "actor": step.actor,
                "package": step.package,
                "functions": list(step.functions),
                "source": step.source,
                "changes": {name: [old, new] for name, old, new in step.changes},
            },
        }


def _locks(trace: Trace) -> Iterator[dict[str, object]]:
    """A slice from the step that takes a lock to the step that releases it."""
    for number, held in enumerate(_held(trace)):
        begin: int | None = None
        for step in trace:
            if begin is None and (held in step.held or held in step.released):
                begin = step.number - 1
            if begin is not None and held not in step.held:
                yield _slice(held, number, begin, step.number)
                begin = None
        if begin is not None:
            yield _slice(held, number, begin, len(trace))


def _slice(held: Held, track: int, begin: int, end: int) -> dict[str, object]:
    name = f"{held.lock.name} ({'shared' if held.lock.shared else 'exclusive'})"
    length = (end - begin) * _STEP
    return {"ph": "X", "name": name, "cat": "lock", "ts": begin * _STEP, "dur": length, "pid": _LOCKS, "tid": track}


def _actors(trace: Trace) -> list[str]:
    return list(dict.fromkeys(step.actor for step in trace))


def _held(trace: Trace) -> list[Held]:
    return list(dict.fromkeys(held for step in trace for held in (*step.held, *step.released)))
