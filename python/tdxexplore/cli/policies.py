"""``tdxexplore policies``: what can be asked about."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.render.policies import print_policies, print_policy
from tdxexplore.tdx.catalogue import find_policy


def policies(policy: str = "", /) -> int:
    """List the designs with their sources and knobs, scenarios and budgets; or what was read for one design.

    Args:
        policy: A built-in name, or path/to/file.py:NAME: what was read for it, and what is our reading.
    """
    if policy:
        print_policy(find_policy(policy))
    else:
        print_policies()
    return exits.HOLDS
