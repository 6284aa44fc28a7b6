"""``tdxexplore check``: one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked, How, say_if_capped
from tdxexplore.cli.output import Flag, Json, print_json, progress
from tdxexplore.explore.check import explore
from tdxexplore.explore.settings import Settings
from tdxexplore.render.exploration import print_exploration

if TYPE_CHECKING:
    from tdxexplore.explore.exploration import Exploration


def check(
    policy: str,
    *,
    asked: Asked = Asked(),
    settings: How = Settings(),
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Explore every interleaving of one policy.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    question = asked.question(policy)
    say_if_capped(settings.threads, quiet=quiet or as_json)
    with progress("check", quiet=quiet or as_json) as show:
        answer = explore(question, settings, show)
    if as_json:
        print_json(document(answer))
    else:
        print_exploration(answer)
    return exits.of([answer.verdict], interrupted=answer.interrupted)


def document(answer: Exploration) -> dict[str, object]:
    """The ``--json`` document of a check."""
    return {
        "run": answer.runs.row(0, named=True),
        "outcomes": answer.outcomes.to_dicts(),
        "invariants": answer.invariants.drop("digest").to_dicts(),
        "expectations": answer.expectations.drop("digest").to_dicts(),
        "responses": answer.responses.drop("digest").to_dicts(),
        "prices": answer.prices.drop("digest").to_dicts(),
    }
