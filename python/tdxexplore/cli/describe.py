"""``tdxexplore describe``: a policy as a page."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.render.markdown import print_page
from tdxexplore.render.policy_page import policy_page
from tdxexplore.tdx.catalogue import find_policy


def describe(policy: str, /) -> int:
    """Print a policy as a page: what was read for it, its knobs and callbacks, its steps beside what they stand for.

    A terminal shows it laid out; a pipe or a file gets Markdown, as in docs/policies.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
    """
    print_page(policy_page(find_policy(policy), "the page *abstractions* of the manual"))
    return exits.HOLDS
