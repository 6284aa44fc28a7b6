"""A trace as a Mermaid sequence diagram: a life line for each actor and for each CPU that acts, locks as notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.explore.lanes import happened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.steps import TraceStep
    from tdxexplore.explore.trace import Trace

# Mermaid reads these as syntax; it takes them as entities.
_ESCAPED = str.maketrans(
    {"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;", "&": "#amp;", '"': "#quot;", "%": "#37;", "\n": " "}
)


def mermaid(trace: Trace) -> str:
    """A message for each step: from the actor to itself, or to the CPU or package where it acts."""
    return "\n".join(_lines(trace))


def _lines(trace: Trace) -> Iterator[str]:
    yield "sequenceDiagram"
    yield f"    %% {trace.command}"
    actors = list(dict.fromkeys(step.actor for step in trace))
    places = sorted(
        {(step.package or 0, -1 if step.cpu is None else step.cpu, step.where) for step in trace if step.where}
    )
    for number, actor in enumerate(actors):
        yield f"    participant a{number} as {escaped(actor)}"
    for _, _, where in places:
        yield f"    participant {_id(where)} as {where}"
    yield "    autonumber"
    for step in trace:
        actor = f"a{actors.index(step.actor)}"
        yield f"    {actor}->>{_id(step.where) or actor}: {escaped(_said(step))}"
        if step.takes is not None and any(held.lock == step.takes for held in step.held):
            yield f"    Note over {actor}: holds {escaped(step.takes.name)}"
    if trace.ending and actors:
        yield f"    Note over a0{f',a{len(actors) - 1}' if len(actors) > 1 else ''}: {escaped(trace.ending)}"


def escaped(text: str) -> str:
    """A text in which Mermaid finds no syntax."""
    return text.translate(_ESCAPED)


def _said(step: TraceStep) -> str:
    picked = f"{step.picked} puts {step.actor} on CPU {step.cpu}: " if step.picked else ""
    inner = step.functions[-1] if step.functions else ""
    return f"{picked}{f'{inner}: ' if inner and inner != step.title else ''}{happened(step)}"


def _id(where: str) -> str:
    return where.replace("CPU ", "cpu").replace("package ", "package")
