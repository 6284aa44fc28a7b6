"""The state graph of a small question, as arrays: concrete states, each transition with its probability.

The engine stores orbits, and hands out no states; so each concrete state is expanded here on its own, through replays of no
and of one step. That is for thousands of states, not for millions, and a larger graph is refused before it is begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from tdxexplore.errors import BadModel
from tdxexplore.explore.settings import Settings
from tdxexplore.model import Scope
from tdxexplore.model.schedule import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tdxexplore.explore.engine import Words
    from tdxexplore.explore.question import Compiled, Question
    from tdxexplore.model import Program

LIMIT = 10_000
"""The most states of a graph."""

_Key: TypeAlias = "tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...]]"


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
    compiled = question.compile()
    found = compiled.engine.explore(question.initial(), Settings(measures=False, max_states=LIMIT))
    # Many concrete states may stand behind one that is stored.
    if not found.complete or int(found.states) > LIMIT:
        count = f"{int(found.states):,}" if found.complete else f"more than {int(found.states):,}"
        raise BadModel(
            f"the graph has {count} concrete states; at most {LIMIT:,} are listed, so ask for fewer CPUs or budgets"
        )
    return _expand(question, compiled)


def _expand(question: Question, compiled: Compiled) -> StateGraph:
    program, engine = compiled.program, compiled.engine
    start = engine.replay(question.initial(), "").states[0]
    numbers: dict[_Key, int] = {_key(start): 0}
    states, depths, outcomes = [start], [0], []
    rows: list[tuple[object, ...]] = []
    indptr, indices = [0], []
    for source, words in enumerate(states):  # which grows
        run = engine.replay_from(words)
        outcomes.append(None if run.outcome is None else program.outcomes[run.outcome][0].name)
        for index, (rule, _, cpu) in enumerate(run.enabled):
            token = encode([index])
            after = engine.replay_from(words, token).states[1]
            target = numbers.setdefault(_key(after), len(states))
            if target == len(states):
                states.append(after)
                depths.append(depths[source] + 1)
            taken = program.rules[rule]
            notes = "; ".join(taken.notes)
            actor, title = program.actors[taken.actor], taken.label.title
            rows.append((source, target, 1 / len(run.enabled), actor, title, None if cpu < 0 else cpu, notes, token))
            indices.append(target)
        indptr.append(len(indices))
    columns = {
        "source": pl.Int64,
        "target": pl.Int64,
        "probability": pl.Float64,
        "actor": pl.String,
        "step": pl.String,
        "cpu": pl.Int64,
        "notes": pl.String,
        "token": pl.String,
    }
    transitions = pl.DataFrame(rows, schema=columns, orient="row")
    return StateGraph(
        np.array(indptr, dtype=np.int64),
        np.array(indices, dtype=np.int64),
        transitions["probability"].to_numpy(),
        _frame(program, states, depths, outcomes),
        transitions,
    )


def _frame(program: Program, states: list[Words], depths: list[int], outcomes: list[str | None]) -> pl.DataFrame:
    fields: dict[str, list[object]] = {}
    for words in states:
        for scope, members in _members(words):
            for number, word in enumerate(members):
                for name, value in program.unpack(scope, word).items():
                    fields.setdefault(name if scope is Scope.GLOBAL else f"{name}[{number}]", []).append(value)
    labels = [
        pl.Series("state", range(len(states)), dtype=pl.Int64),
        pl.Series("depth", depths, dtype=pl.Int64),
        pl.Series("outcome", outcomes, dtype=pl.String),
    ]
    return pl.DataFrame([*labels, *(pl.Series(name, values) for name, values in fields.items())])


def _members(words: Words) -> list[tuple[Scope, list[int]]]:
    cpus = [word for package in words[2] for word in package]
    return [(Scope.GLOBAL, [words[0]]), (Scope.PACKAGE, words[1]), (Scope.CPU, cpus)]


def _key(words: Words) -> _Key:
    return words[0], tuple(words[1]), tuple(map(tuple, words[2]))
