"""Where an outcome can no longer be avoided: the decisive step of a run, which later steps only carry out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.unfolding import NONE, Unfolding, unfold
from tdxexplore.model.schedule import decode

if TYPE_CHECKING:
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.unfolding import Flags, Numbers

MOST_STATES = 20_000
"""The most concrete states of a question whose traces are marked; the graph of a larger one is not made for a mark."""


@dataclass(frozen=True, eq=False)
class Fate:
    """Where an outcome is still possible, and where it can no longer be avoided.

    Attributes:
        possible: The states from which some run has the outcome.
        certain: The states from which every run has it.
        decisive: The transitions after which it is certain, and before which it is not.
        escapes: The transitions after which it is impossible, and before which it is not.
    """

    possible: Flags
    certain: Flags
    decisive: Numbers
    escapes: Numbers

    @staticmethod
    def of(graph: Unfolding, outcome: int) -> Fate:
        """That of an outcome, by its index, in a graph without cycles."""
        ends = graph.outcome != NONE
        possible = graph.leads_to(graph.outcome == outcome)
        certain = ~graph.leads_to(ends & (graph.outcome != outcome))
        decisive = np.flatnonzero(~certain[graph.source] & certain[graph.target])
        escapes = np.flatnonzero(possible[graph.source] & ~possible[graph.target])
        return Fate(possible, certain, decisive, escapes)


def decisive_step(question: Question, schedule: str, outcome: str) -> int | None:
    """The number of the step after which the outcome of a run can no longer be avoided.

    Args:
        question: What is explored.
        schedule: The run.
        outcome: What it ends in.

    Returns:
        The number, from 1; 0 if it could never be avoided; None if that is not known, because the graph has more states than
        `MOST_STATES`, a run need not end, or the run does not end so.
    """
    graph = _graph(question, question.compile().program.digest)
    names = [p.name for p, _ in question.compile().program.outcomes]
    if graph is None or outcome not in names:
        return None
    state, passed = 0, [0]
    for token in decode(schedule):
        state = int(graph.target[graph.indptr[state] + token])
        passed.append(state)
    fate = Fate.of(graph, names.index(outcome))
    return next((number for number, at in enumerate(passed) if fate.certain[at]), None) if fate.certain[state] else None


@lru_cache(maxsize=4)
def _graph(question: Question, digest: str) -> Unfolding | None:
    """The graph of a question; the digest tells what the file of a policy says now."""
    del digest
    graph = unfold(question, MOST_STATES)
    return None if isinstance(graph, str) or graph.layers is None else graph
