"""The run to an outcome that changes from one actor to another as seldom as possible: the easiest one to follow, or to force."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.unfolding import NONE
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.explore.unfolding import Flags, Numbers, Unfolding

_FAR = np.iinfo(np.int64).max // 4
_SWITCH = 1 << 32  # more than all steps of a run: a switch costs more than any way round it


def threads(graph: Unfolding) -> Numbers:
    """Who takes each transition: an actor, whatever CPU it runs on; of an actor with an instance on each CPU, the instance."""
    program = graph.compiled.program
    each = {code.actor for code in graph.compiled.model.codes if code.scope is Scope.CPU}
    on_each = np.array([program.actors[rule.actor] in each for rule in program.rules])[graph.rule]
    actor = np.array([rule.actor for rule in program.rules], dtype=np.int64)[graph.rule]
    cpus = graph.cpus
    return np.where(on_each, len(program.actors) + actor * cpus + graph.cpu, actor)


def count(graph: Unfolding, path: Sequence[int]) -> int:
    """How often a run changes from one thread to another."""
    who = threads(graph)
    return sum(int(who[a] != who[b]) for a, b in pairwise(path))


def fewest(graph: Unfolding, ends: Flags) -> list[int]:
    """A run to one of some states with the fewest switches, and of these with the fewest steps: its transitions.

    Args:
        graph: A graph without cycles.
        ends: The states; one of them can be reached.
    """
    names, who = np.unique(threads(graph), return_inverse=True)
    who = who.reshape(-1)
    # By state and the thread that came there: switches and steps of the cheapest way, and its last transition.
    cost = np.full((graph.states, len(names)), _FAR, dtype=np.int64)
    best = np.full(graph.states, _FAR, dtype=np.int64)
    best[0] = -_SWITCH  # the first step is no switch
    for layer in graph.layers or ():
        reached = layer[layer != 0]
        best[reached] = cost[reached].min(axis=1)
        out = graph.out_of(layer)
        came = np.minimum(best[graph.source[out]] + _SWITCH, cost[graph.source[out], who[out]]) + 1
        np.minimum.at(cost, (graph.target[out], who[out]), came)
    state = int(np.flatnonzero(ends)[np.argmin(best[ends])])
    into = np.argsort(graph.target, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(graph.target, minlength=graph.states))])
    path: list[int] = []
    wanted, thread = int(best[state]), NONE
    while state:
        for edge in into[starts[state] : starts[state + 1]].tolist():
            source, mine = int(graph.source[edge]), int(who[edge])
            if thread not in (NONE, mine):
                continue
            same, other = int(cost[source, mine]) + 1, int(best[source]) + _SWITCH + 1
            if wanted in (same, other):
                path.append(edge)
                state = source
                wanted, thread = (int(cost[source, mine]), mine) if wanted == same else (int(best[source]), NONE)
                break
    return path[::-1]
