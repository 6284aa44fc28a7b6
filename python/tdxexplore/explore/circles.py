"""Deadlocks as circles: who holds what the next one waits for.

In a circle each party has taken what it holds before any of them has gone on: has got what it waits for, or has left the way to
where it waits. That is one condition, on all parties. It is read off the ends of some runs, and is a guess as any other: it is
checked on all runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tdxexplore.explore.orders import ANYWHERE, STEPS, Condition
from tdxexplore.explore.steps import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.orders import Cause, Vocabulary
    from tdxexplore.explore.steps import Wait
    from tdxexplore.explore.trace import Trace
    from tdxexplore.explore.unfolding import Flags

    Circle = tuple[tuple[int, int], ...]
    """Of each party, the event by which it has come to hold what the one before waits for, and the one at which it waits."""


def circle(words: Vocabulary, trace: Trace, path: Sequence[int]) -> Circle | None:
    """The circle in which a run ends, if it ends in one.

    Args:
        words: The events.
        trace: The run.
        path: Its transitions.
    """
    for links in _circles(trace.waits):
        waiting = [next(_events_of(words, wait), None) for wait, _ in links]
        # A link has the step of the next party.
        taken = [int(words.marks[0, path[number - 1]]) for _, number in (links[-1], *links[:-1])]
        parties = [(mine, at) for mine, at in zip(taken, waiting, strict=True) if at is not None]
        if len(parties) == len(links):
            first = parties.index(min(parties))
            return (*parties[first:], *parties[:first])
    return None


def causes(words: Vocabulary, circles: Sequence[Circle]) -> tuple[Vocabulary, tuple[Cause, ...]]:
    """Each circle as a cause; the vocabulary then has the events by which anybody in a circle goes on."""
    found, every = [], words
    for parties in circles:
        leaves = (event for taken, waiting in parties for event in _leaving(every, taken, waiting))
        words, anybody = words.with_any(leaves)
        found.append(tuple(Condition(taken, ANYWHERE, anybody) for taken, _ in parties))
    return words, tuple(found)


def _leaving(words: Vocabulary, taken: int, waiting: int) -> set[int]:
    """The steps by which a party goes on: where it waits, and those that lead from the way there to elsewhere."""
    follows = _follows(words, words.events[taken].actor)

    def reached(start: int, end: int, steps: Flags) -> Flags:
        """The steps that can come after one, before another."""
        found = np.zeros(len(steps), dtype=bool)
        now = steps[start]
        while (now & ~found).any():
            found |= now
            going = found.copy()
            going[[start, end]] = False
            now = steps[going].any(axis=0)
        return found

    way = reached(taken, waiting, follows) & reached(waiting, taken, follows.T)
    way[taken], way[waiting] = True, False
    after = follows[way].any(axis=0) & ~way
    return {waiting, *np.flatnonzero(after).tolist()}


def _follows(words: Vocabulary, actor: str) -> Flags:
    """Which step of an actor can be its next one after which other: by number, the earlier one first."""
    graph, step = words.graph, words.marks[0]
    mine = np.array([event.actor == actor for event in words.events])[step]
    known = np.unique(step[mine])
    number = np.zeros(len(words.events), dtype=np.int64)
    number[known] = np.arange(len(known))
    last = np.zeros((graph.states, len(known)), dtype=bool)  # by state: the last step of the actor on some way there
    for layer in graph.layers or ():
        out = graph.out_of(layer)
        own, others = out[mine[out]], out[~mine[out]]
        last[graph.target[own], number[step[own]]] = True
        np.logical_or.at(last, graph.target[others], last[graph.source[others]])
    found = np.zeros((len(words.events), len(words.events)), dtype=bool)
    edges = np.flatnonzero(mine)
    for event in known:
        before = last[graph.source[edges[step[edges] == event]]].any(axis=0)
        found[known[before], event] = True
    return found


def _circles(waits: Sequence[Wait]) -> Iterator[list[tuple[Wait, int]]]:
    """Circles of those who wait, each with the step by which the next one has come to hold what it waits for."""
    for begin in waits:
        links: list[tuple[Wait, int]] = []
        known: list[Wait] = []
        now: Wait | None = begin
        while now is not None and now not in known:
            known.append(now)
            link = next(_links(waits, now), None)
            if link is None:
                break
            now, number = link
            links.append((known[-1], number))
        if now is begin and len(links) == len(known) > 1:
            yield links


def _links(waits: Sequence[Wait], wait: Wait) -> Iterator[tuple[Wait, int]]:
    """Others that somebody waits for and that wait themselves, with the step by which that came to be."""
    for blocker in wait.blockers:
        for other in waits:
            same = other.actor == blocker.actor and (None in (blocker.cpu, other.cpu) or blocker.cpu == other.cpu)
            if same and other is not wait and blocker.number is not None:
                yield other, blocker.number


def _events_of(words: Vocabulary, wait: Wait) -> Iterator[int]:
    for number, event in enumerate(words.events):
        step = event.actor == wait.actor and event.kind == STEPS and not event.way
        if step and place(event.functions, event.title.split(" -> ")[0]) == wait.step:
            yield number
