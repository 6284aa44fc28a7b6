"""``tdxexplore describe``: a policy or a model as a page."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.explore.design import Design
from tdxexplore.explore.finding import find
from tdxexplore.render.markdown import print_page
from tdxexplore.render.subject_page import model_page, policy_page


def describe(policy: str, /) -> int:
    """Print a policy or a model as a page: its knobs, and its steps beside what they stand for.

    A terminal shows it laid out; a pipe or a file gets Markdown, as in docs/policies.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
    """
    subject = find(policy)
    if isinstance(subject, Design):
        print_page(policy_page(subject.policy, "the page *abstractions* of the manual"))
    else:
        print_page(model_page(subject))
    return exits.HOLDS
