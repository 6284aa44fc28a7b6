"""Figures as text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.explore.subject import NONE
from tdxexplore.quantities import LONG, SHORT, fraction, integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LONG", "SHORT", "fraction", "integer", "packages", "ranges"]


def price_range(mean: float, least: int, most: int) -> str:
    """What runs cost: the mean, and the least and the most of any."""
    return f"{mean:.2f} ({least} to {most})"


def packages(count: int) -> str:
    """``1 package``, ``2 packages``."""
    return f"{count} package{'s' * (count != 1)}"


def circumstances(asked: Mapping[str, object]) -> str:
    """What a policy is asked with, or the CPUs of a model, from the columns of a table: ``4 CPUs in 1 package``."""
    parts = {
        "module": f"module kind {asked['module']}",
        "": f"{asked['cpus']} CPUs in {packages(int(str(asked['packages'])))}",
        "scenario": f"scenario {asked['scenario']}",
    }
    return ", ".join(text for axis, text in parts.items() if asked.get(axis) != NONE)


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as people write them: ``2-6,8``."""
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(run) for _, run in runs)]
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)
