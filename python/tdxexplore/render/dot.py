"""A state graph for Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.graph import StateGraph

_COLOURS = {"S0": "red", "S1": "red", "S2": "magenta", "S3": "orange", "S4": "cyan", "ok": "green"}


def dot(graph: StateGraph, severities: dict[str, str]) -> str:
    """The graph as DOT text.

    Args:
        graph: The graph.
        severities: The severity of each outcome, for its colour.
    """
    return "\n".join(_lines(graph, severities))


def _lines(graph: StateGraph, severities: dict[str, str]) -> Iterator[str]:
    yield "digraph states {"
    yield "  node [shape=point];"
    yield "  0 [shape=circle, label=start];"
    for state, outcome in graph.states.select("state", "outcome").drop_nulls().iter_rows():
        colour = _COLOURS[severities[outcome]]
        yield f"  {state} [shape=box, label={quoted(outcome)}, color={colour}];"
    for source, target, actor, step, cpu in graph.transitions.select(
        "source", "target", "actor", "step", "cpu"
    ).iter_rows():
        where = "" if cpu is None else f" (CPU {cpu})"
        yield f"  {source} -> {target} [label={quoted(f'{actor}: {step}{where}')}];"
    yield "}"


def quoted(text: str) -> str:
    """A string of DOT."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
