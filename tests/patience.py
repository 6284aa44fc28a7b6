"""A limit on time that suits the machine as it is at the moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST, TIMES = 1.0, 20
"""Seconds of a limit; and how often what is to stay within it could be done one after another."""


def time_limit(*calls: Callable[[], object]) -> float:
    """A limit that work like the last call keeps, also beside threads that hold the interpreter; the calls before it warm up.

    A fixed one would be too short when other processes take the machine, or would let what hangs take long.
    """
    for call in calls:
        began = time.monotonic()
        call()
    return max(LEAST, TIMES * (time.monotonic() - began))
