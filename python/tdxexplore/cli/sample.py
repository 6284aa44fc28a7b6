"""``tdxexplore sample``: interleavings drawn uniformly from all."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import Json, print_json, say
from tdxexplore.explore.sample import draw


def sample(policy: str, *, asked: Asked = Asked(), count: int = 10, seed: int = 0, as_json: Json = False) -> int:
    """Draw interleavings uniformly from all maximal runs, by exact counts.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        count: How many are drawn; one may come twice.
        seed: The same seed draws the same schedules.
    """
    drawn = draw(asked.question(policy), count, seed)
    rows = drawn.schedules.select("schedule", "outcome")
    if as_json:
        print_json({"interleavings": str(drawn.interleavings), "seed": seed, "schedules": rows.to_dicts()})
        return exits.HOLDS
    say(f"{count} of {drawn.interleavings} interleavings, seed {seed}")
    for schedule, outcome in rows.iter_rows():
        say(f"{schedule}  {outcome}")
    return exits.HOLDS
