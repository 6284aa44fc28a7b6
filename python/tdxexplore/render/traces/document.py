"""A trace as data: the initial state, and every field after each step, so that it can be rebuilt without this tool."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdxexplore.explore.steps import Held, TraceStep
    from tdxexplore.explore.trace import Trace
    from tdxexplore.model import State

FORMAT = 1


def document(trace: Trace) -> str:
    """One JSON document; steps are a line each."""
    head = {
        "format": FORMAT,
        "question": trace.question.key(),
        "replay": trace.command,
        "schedule": trace.schedule,
        "outcome": trace.outcome,
        "ending": trace.ending,
        "waiting": [{"actor": actor, "step": step, "cpu": cpu} for actor, step, cpu in trace.waiting],
        "initial": _state(trace.states[0]),
    }
    steps = ",\n  ".join(json.dumps(_step(s, after)) for s, after in zip(trace, trace.states[1:], strict=True))
    return f'{json.dumps(head, indent=1)[:-2]},\n "steps": [\n  {steps}\n ]\n}}'


def _step(step: TraceStep, after: State) -> dict[str, object]:
    return {
        "number": step.number,
        "token": step.token,
        "actor": step.actor,
        "package": step.package,
        "cpu": step.cpu,
        "functions": list(step.functions),
        "step": step.title,
        "notes": list(step.notes),
        "source": step.source,
        "picked": step.picked,
        "takes": None if step.takes is None else step.takes.name,
        "released": [_held(held) for held in step.released],
        "held": [_held(held) for held in step.held],
        "changes": [{"field": name, "old": old, "new": new} for name, old, new in step.changes],
        "state": _state(after),
    }


def _held(held: Held) -> dict[str, object]:
    return {"lock": held.lock.name, "shared": held.lock.shared, "actor": held.actor, "cpu": held.cpu}


def _state(state: State) -> dict[str, object]:
    return {
        "global": state.globals,
        "packages": state.packages,
        "cpus": [{"package": package, **values} for package, values in zip(state.package_of, state.cpus, strict=True)],
    }
