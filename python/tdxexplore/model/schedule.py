"""This module writes one interleaving as a short string, its schedule, and reads it back.

Each step is the index of the transition taken among those enabled, in canonical order (actor, package, CPU, choice):
a base-36 digit, or a decimal number in parentheses from 36 on. A schedule is short because it contains no names. It means
nothing without the model, so it is always printed with the command that replays it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tdxexplore.errors import BadSchedule

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"([0-9a-z])|\(([0-9]{1,9})\)")


def encode(indices: Iterable[int]) -> str:
    """Write a list of indices as a schedule."""
    return "".join(_DIGITS[i] if i < len(_DIGITS) else f"({i})" for i in indices)


def decode(schedule: str) -> list[int]:
    """Read the indices of a schedule.

    Raises:
        BadSchedule: Something in it is not a token.
    """
    indices, at = [], 0
    while at < len(schedule):
        match = _TOKEN.match(schedule, at)
        if match is None:
            raise BadSchedule(f"schedule has {schedule[at]!r} at position {at + 1}; allowed are 0-9, a-z and (number)")
        indices.append(_DIGITS.index(match[1]) if match[1] else int(match[2]))
        at = match.end()
    return indices
