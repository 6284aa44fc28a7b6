"""Figures as text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.quantities import LONG, SHORT, fraction, integer

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONG", "SHORT", "fraction", "integer", "packages", "ranges"]


def packages(count: int) -> str:
    """``1 package``, ``2 packages``."""
    return f"{count} package{'s' * (count != 1)}"


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as people write them: ``2-6,8``."""
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(run) for _, run in runs)]
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)
