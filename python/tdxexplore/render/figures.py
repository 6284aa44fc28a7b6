"""Figures as text."""

from __future__ import annotations

_LONGEST = 15  # digits that people still read


def integer(decimal: str | None, log10: float | None = None) -> str:
    """An exact count, or its power of ten when it is too long to read; ``-`` when it was not measured."""
    if decimal is None:
        return "-" if log10 is None else f"10^{log10:.2f}"
    if len(decimal) <= _LONGEST:
        return f"{int(decimal):,}"
    return f"{decimal[0]}.{decimal[1:4]}e{len(decimal) - 1}"


def fraction(value: float | None) -> str:
    """A share or a probability; ``-`` when it was not measured."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 1e-4 or value == 0 else f"{value:.2e}"  # noqa: PLR2004 -- the digits shown


def packages(count: int) -> str:
    """``1 package``, ``2 packages``."""
    return f"{count} package{'s' * (count != 1)}"
