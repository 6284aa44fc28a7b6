"""Figures as text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.explore.subject import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONG, SHORT = 15, 9
"""So many digits are written out: where a line has room for them, and where many counts stand side by side."""


def integer(decimal: str | None, log10: float | None = None, digits: int = LONG) -> str:
    """An exact count, or its power of ten when it has too many digits to read; ``-`` when it was not measured."""
    if decimal is None:
        return "-" if log10 is None else f"10^{log10:.2f}"
    if len(decimal) <= digits:
        return f"{int(decimal):,}"
    return f"{decimal[0]}.{decimal[1:4]}e{len(decimal) - 1}"


def fraction(value: float | None) -> str:
    """A share or a probability; ``-`` when it was not measured."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 1e-4 or value == 0 else f"{value:.2e}"  # noqa: PLR2004 -- the digits shown


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
