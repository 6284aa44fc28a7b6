"""``tdxexplore policies``: what can be asked about."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.render.policies import print_policies


def policies() -> int:
    """List the designs, with their sources and knobs, the scenarios and the budgets."""
    print_policies()
    return exits.HOLDS
