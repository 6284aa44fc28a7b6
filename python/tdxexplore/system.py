"""On which systems the package runs. Loads nothing, so that it can be asked before anything else."""

from __future__ import annotations

import sys


def other_system() -> str:
    """Why nothing runs on this system; empty on Linux, whose ``/proc``, file locks and signals are used throughout."""
    return "" if sys.platform == "linux" else f"tdxexplore runs on Linux only, and this is `{sys.platform}`"
