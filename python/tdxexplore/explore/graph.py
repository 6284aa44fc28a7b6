"""The state graph of a small question, as arrays: concrete states, each transition with its probability.

Fields are written out for each state, which is for thousands of states, not for millions; a larger graph is refused before it is
begun. `tdxexplore.explore.unfolding` has the same graph in numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.errors import BadModel
from tdxexplore.explore.unfolding import NONE, unfold
from tdxexplore.model import Scope
from tdxexplore.model.schedule import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tdxexplore.explore.engine import Words
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.unfolding import Unfolding

LIMIT = 10_000
"""The most states of a graph."""


@dataclass(frozen=True, eq=False)
class StateGraph:
    """All concrete states and transitions. State 0 is the initial one; numbers follow a breadth-first search.

    ``indptr``, ``indices`` and ``probability`` are a matrix in the compressed form (CSR) that scipy, networkx through scipy,
    and PRISM or Storm through a list of transitions take: ``scipy.sparse.csr_array((probability, indices, indptr))``. Two
    transitions between the same states have an entry each; scipy adds them up.

    Attributes:
        indptr: The transitions of state s are those from ``indptr[s]`` up to ``indptr[s + 1]``.
        indices: The state that each transition leads to.
        probability: That of each transition, each enabled one of a state being equally likely; the rows of terminal states
            are empty.
        states: A row for each state: ``state``, ``depth``, ``outcome`` (null unless it is terminal), then every field, those of
            CPUs and packages with their number, as ``vmx_on[2]``.
        transitions: A row for each transition, in the order of ``indices``: ``source``, ``target``, ``probability``, ``actor``,
            ``step``, ``cpu``, ``notes``, ``token`` (its part of a schedule).
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    probability: NDArray[np.float64]
    states: pl.DataFrame
    transitions: pl.DataFrame


def state_graph(question: Question) -> StateGraph:
    """Expand every concrete state.

    Raises:
        BadModel: There are more than `LIMIT` states.
    """
    graph = unfold(question, LIMIT)
    if isinstance(graph, str):
        raise BadModel(
            f"the graph has {graph} concrete states; at most {LIMIT:,} are listed, so ask for fewer CPUs or budgets"
        )
    return _in_words(graph)


def _in_words(graph: Unfolding) -> StateGraph:
    program = graph.compiled.program
    degree = np.diff(graph.indptr)
    taken = [program.rules[rule] for rule in graph.rule.tolist()]
    probability = np.repeat(1 / np.maximum(degree, 1), degree)
    columns = {
        "source": graph.source,
        "target": graph.target,
        "probability": probability,
        "actor": [program.actors[rule.actor] for rule in taken],
        "step": [rule.label.title for rule in taken],
        "cpu": [None if cpu == NONE else cpu for cpu in graph.cpu.tolist()],
        "notes": ["; ".join(rule.notes) for rule in taken],
        "token": [encode([edge]) for edge in (np.arange(len(taken)) - graph.indptr[graph.source]).tolist()],
    }
    schema = {"cpu": pl.Int64, "actor": pl.String, "step": pl.String, "notes": pl.String, "token": pl.String}
    return StateGraph(
        graph.indptr,
        graph.target,
        probability,
        _frame(graph),
        pl.DataFrame(columns, schema_overrides=schema),
    )


def _frame(graph: Unfolding) -> pl.DataFrame:
    program = graph.compiled.program
    depths = np.zeros(graph.states, dtype=np.int64)
    _, first = np.unique(graph.target, return_index=True)  # by source, and so the first one is a shortest way
    for edge in first.tolist():
        if graph.target[edge]:
            depths[graph.target[edge]] = depths[graph.source[edge]] + 1
    names = [None if outcome == NONE else program.outcomes[outcome][0].name for outcome in graph.outcome.tolist()]
    fields: dict[str, list[object]] = {}
    for state in range(graph.states):
        for scope, members in _members(graph.words(state)):
            for number, word in enumerate(members):
                for name, value in program.unpack(scope, word).items():
                    fields.setdefault(name if scope is Scope.GLOBAL else f"{name}[{number}]", []).append(value)
    labels = [
        pl.Series("state", range(graph.states), dtype=pl.Int64),
        pl.Series("depth", depths, dtype=pl.Int64),
        pl.Series("outcome", names, dtype=pl.String),
    ]
    return pl.DataFrame([*labels, *(pl.Series(name, values) for name, values in fields.items())])


def _members(words: Words) -> list[tuple[Scope, list[int]]]:
    cpus = [word for package in words[2] for word in package]
    return [(Scope.GLOBAL, [words[0]]), (Scope.PACKAGE, words[1]), (Scope.CPU, cpus)]
