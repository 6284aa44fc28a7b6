"""Which chart fits a frame: the one whose columns it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tdxexplore.charts import heat, lines, pareto
from tdxexplore.errors import BadModel

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chart.

    Attributes:
        of: The table that it is made of.
        columns: What tells that table from others.
        draw: Makes it.
    """

    of: str
    columns: frozenset[str]
    draw: Callable[[pl.DataFrame], Any]


KINDS = (
    Kind(
        "worst outcomes",
        frozenset({"policy", "scenario", "cpus", "verdict", "outcome", "schedule", "lost"}),
        heat.worst,
    ),
    Kind("a ranking", frozenset({"place", "policy", "S0", "ok"}), heat.ranking),
    Kind("prices", frozenset({"place", "policy", "price", "mean"}), pareto.prices),
    Kind("growth", frozenset({"cpus", "explored", "growth", "r_squared"}), lines.growth),
    Kind("levels", frozenset({"depth", "explored", "generated", "cpus"}), lines.levels),
    Kind("shares", frozenset({"cpus", "outcome", "severity", "interleaving_share"}), lines.shares),
)
"""Tried in this order: worst outcomes have all columns of shares, too."""


def plot(frame: pl.DataFrame) -> Any:  # noqa: ANN401 -- a chart of altair, which is loaded late
    """The chart of a table.

    Args:
        frame: A table of a result, or one that a function of `tdxexplore.data.analysis` gives.

    Returns:
        An ``altair`` chart: a notebook shows it, and ``save`` of this wing writes it.

    Raises:
        BadModel: No chart fits its columns, it has no rows, or more parts than can be read.
        MissingExtra: Altair is not installed.
    """
    for kind in KINDS:
        if kind.columns <= set(frame.columns):
            if frame.is_empty():
                raise BadModel(f"the table of {kind.of} is empty: there is nothing to draw")
            return kind.draw(frame)
    made_of = ", ".join(kind.of for kind in KINDS)
    raise BadModel(f"no chart fits a table of these columns: {', '.join(frame.columns)}; charts are made of {made_of}")


class Plots:
    """The methods of ``frame.tdx``.

    Args:
        frame: The table.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def plot(self) -> Any:  # noqa: ANN401 -- a chart of altair
        """The chart of the table; see `tdxexplore.charts.plot`."""
        return plot(self._frame)
