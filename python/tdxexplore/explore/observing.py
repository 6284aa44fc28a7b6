"""An observer that says of every run at once whether it meets conditions on the order of its steps.

It is a finite automaton that reads the steps of a run and remembers of each condition, for each choice of CPUs, whether it is
met, broken or open. The engine explores the product of the graph with it: what it finds is true of every run, for it looks at
all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tdxexplore.errors import TooLarge
from tdxexplore.explore.unfolding import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tdxexplore.explore.engine import Ways
    from tdxexplore.explore.orders import Cause, Vocabulary
    from tdxexplore.explore.unfolding import Flags, Numbers

    Objects = NDArray[np.object_]
    Reals = NDArray[np.float64]

MOST_NODES = 4_000_000
"""The most pairs of a state and what was observed on the way to it."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Every way through the graph, as far as an observer tells ways apart: where they end.

    Attributes:
        state: The state of each end.
        met: The causes that are met there, as bits.
        outcome: The outcome there, by its index.
        runs: How many runs end so, exactly (Python integers); all 0 unless they were asked for.
        probability: How likely it is that a run ends so, each enabled transition being equally likely; all 0 likewise.
        ways: The same as the engine holds it.
    """

    state: Numbers
    met: Numbers
    outcome: Numbers
    runs: Objects
    probability: Reals
    ways: Ways
    _node: Numbers

    def path(self, end: int) -> list[int]:
        """The transitions of a run to an end."""
        return self.ways.path(int(self._node[end]))

    def arriving(self, states: int) -> Objects:
        """How many runs come to each of so many states, if nothing was observed on the way."""
        frame, found = pl.DataFrame(self.ways.ways()), np.zeros(states, dtype=object)
        found[frame["state"].to_numpy()] = [int(runs) for runs in frame["runs"]]
        return found


def observe(
    words: Vocabulary,
    causes: Sequence[Cause],
    *,
    count: bool = False,
    any_of: bool = False,
    within: Flags | None = None,
) -> Observed:
    """Explore the product of a graph with the observer of some causes.

    Args:
        words: The events of a graph without cycles.
        causes: What is looked for.
        count: Whether runs and probabilities are wanted.
        any_of: Whether it is enough to know that some cause is met: bit 0 of ``met`` then stands for all of them.
        within: The states that are looked at; default: all. Runs that leave them are not followed.

    Raises:
        TooLarge: There are more than `MOST_NODES` nodes.
    """
    packed = [[condition.packed() for condition in cause] for cause in causes]
    flags = None if within is None else within.tobytes()
    ways = words.ordered.observe(packed, MOST_NODES, any_of=any_of, count=count, within=flags)
    if ways is None:
        raise TooLarge(f"the orders of steps tell more than {MOST_NODES:,} pasts of states apart, too many to look at")
    ends = pl.DataFrame(ways.ends())
    return Observed(
        state=ends["state"].cast(pl.Int64).to_numpy(),
        met=ends["met"].cast(pl.Int64).to_numpy(),
        outcome=ends["outcome"].cast(pl.Int64).fill_null(NONE).to_numpy(),
        runs=np.array([int(runs or 0) for runs in ends["runs"]], dtype=object),
        probability=ends["probability"].fill_null(0).to_numpy(),
        ways=ways,
        _node=ends["node"].cast(pl.Int64).to_numpy(),
    )
