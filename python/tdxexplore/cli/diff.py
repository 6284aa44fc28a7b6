"""``tdxexplore diff``: what one design changes against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked, How, say_if_capped
from tdxexplore.cli.output import Flag, Json, print_json, progress
from tdxexplore.explore.check import explore
from tdxexplore.explore.difference import Difference
from tdxexplore.explore.settings import Settings
from tdxexplore.render.difference import print_difference


def diff(
    a: str,
    b: str,
    *,
    asked: Asked = Asked(),
    set_a: Annotated[Sequence[str], Parameter(negative="")] = (),
    set_b: Annotated[Sequence[str], Parameter(negative="")] = (),
    settings: How = Settings(),
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Show which outcomes B adds and removes against A, and the shortest schedule that only A survives.

    Args:
        a: The design or model before: a built-in name, or path/to/file.py:NAME.
        b: The design or model after.
        set_a: A knob of A alone, as KNOB=VALUE; may be repeated.
        set_b: A knob of B alone.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    answers = []
    say_if_capped(settings.threads, quiet=quiet or as_json)
    for policy, knobs in ((a, set_a), (b, set_b)):
        question = replace(asked, set=(*asked.set, *knobs)).question(policy)
        with progress(f"diff: {policy}", quiet=quiet or as_json) as show:
            answers.append(explore(question, settings, show))
        if answers[-1].interrupted:
            return exits.INTERRUPTED
    difference = Difference(*answers)
    if as_json:
        found = {
            "complete": difference.complete,
            "verdict": difference.verdict,
            "moved": difference.moved,
            "worse": difference.worse,
            "outcomes": difference.outcomes.to_dicts(),
            "properties": difference.properties.to_dicts(),
            "prices": difference.prices.to_dicts(),
        }
        print_json(found)
    else:
        print_difference(difference)
    return exits.OF_VERDICT[difference.verdict]
