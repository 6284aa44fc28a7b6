"""``tdxexplore check``: one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.cli import exits
from tdxexplore.cli.options import Limits, Point
from tdxexplore.cli.output import Flag, Json, print_json, progress
from tdxexplore.explore.exploration import check as explore
from tdxexplore.render.exploration import print_exploration

if TYPE_CHECKING:
    from tdxexplore.explore.exploration import Exploration


def check(
    policy: str,
    *,
    point: Point = Point(),
    limits: Limits = Limits(),
    max_depth: int | None = None,
    prices: Flag = False,
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Explore every interleaving of one policy.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        max_depth: Stop at this depth: incomplete.
        prices: Print what runs cost: SEAMCALLs, VMXON, IPIs, steps under locks.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    asked = {**point.values(), **limits.values(), "max_depth": max_depth, "prices": prices}
    with progress("check", quiet=quiet or as_json) as show:
        answer = explore(policy, **asked, progress=show)
    if as_json:
        print_json(document(answer))
    else:
        print_exploration(answer)
    return exits.of([answer])


def document(answer: Exploration) -> dict[str, object]:
    """The ``--json`` document of a check."""
    return {
        "run": answer.runs.row(0, named=True),
        "outcomes": answer.outcomes.to_dicts(),
        "invariants": answer.invariants.drop("digest").to_dicts(),
        "responses": answer.responses.drop("digest").to_dicts(),
        "prices": answer.prices.drop("digest").to_dicts(),
    }
