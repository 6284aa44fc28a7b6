"""``tdxexplore sample``: interleavings drawn uniformly from all."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import Json, print_json, say
from tdxexplore.errors import BadModel
from tdxexplore.explore.sampling import runs_of
from tdxexplore.explore.trace import replay


def sample(policy: str, *, asked: Asked = Asked(), count: int = 10, seed: int = 0, as_json: Json = False) -> int:
    """Draw interleavings uniformly from all maximal runs, by exact counts.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        count: How many are drawn; one may come twice.
        seed: The same seed draws the same schedules.
    """
    if count < 1:
        raise BadModel(f"--count is {count}; allowed are whole numbers from 1")
    question = asked.question(policy)
    runs = runs_of(question)
    drawn = [(schedule, replay(question, schedule).outcome) for schedule in runs.draw(count, seed)]
    if as_json:
        schedules = [{"schedule": schedule, "outcome": outcome} for schedule, outcome in drawn]
        print_json({"interleavings": str(runs.total), "seed": seed, "schedules": schedules})
        return exits.HOLDS
    say(f"{count} of {runs.total} interleavings, seed {seed}")
    for schedule, outcome in drawn:
        say(f"{schedule}  {outcome}")
    return exits.HOLDS
