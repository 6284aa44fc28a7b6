"""``tdxexplore sample``: runs drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked, How, say_if_capped
from tdxexplore.cli.output import Flag, Json, print_json, progress
from tdxexplore.errors import BadModel, suggest
from tdxexplore.explore.confidence import CONFIDENCE
from tdxexplore.explore.drawing import Draws, draw
from tdxexplore.explore.sample import Sample
from tdxexplore.explore.settings import Settings
from tdxexplore.render.sample import print_sample

if TYPE_CHECKING:
    from collections.abc import Mapping

Which: TypeAlias = Annotated[Draws, Parameter(name="*")]
"""Which runs are drawn: an option for each field of `Draws`, with its doc and default."""


def sample(
    policy: str,
    *,
    asked: Asked = Asked(),
    draws: Which = Draws(),
    settings: How = Settings(),
    trace: Annotated[Sequence[str], Parameter(negative="")] = (),
    changes: Flag = False,
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Draw runs at random: uniformly by exact counts, or by random steps or priorities where there are too many states.

    No sample says that a design holds: the verdict is `violated` if a run met something bad, and otherwise `incomplete`.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        trace: Show the shortest run that was drawn to this outcome, or `all`; may be repeated; default: the worst outcome.
        changes: Show what each step of a trace changed.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    question = asked.question(policy)
    say_if_capped(settings.threads, quiet=quiet or as_json)
    with progress("sample", quiet=quiet or as_json) as show:

        def shown(counters: Mapping[str, object]) -> None:
            if show is not None:
                show({"done": counters["explored"], "total": draws.runs, "unit": "runs"})

        drawn = Sample(question, draws, settings, draw(question, draws, settings, None if show is None else shown))
    chosen = _chosen(drawn, trace)
    if as_json:
        print_json(document(drawn))
    else:
        print_sample(drawn, chosen if trace else None, changes=changes)
    return exits.of([drawn.verdict], interrupted=drawn.interrupted)


def _chosen(drawn: Sample, names: Sequence[str]) -> list[str]:
    """The traces that are asked for.

    Raises:
        BadModel: No run that was drawn comes there.
    """
    known = list(drawn.traces) if names else []
    for name in names:
        if name != "all" and name not in known:
            raise BadModel(
                f"--trace is `{name}`, and no run that was drawn comes there; {suggest(name, ['all', *known])}"
            )
    return known if "all" in names else list(dict.fromkeys(names))


def document(drawn: Sample) -> dict[str, object]:
    """The ``--json`` document of a sample."""
    found = drawn.drawn
    return {
        "verdict": drawn.verdict,
        "reason": drawn.reason,
        "scheduler": drawn.draws.scheduler,
        "seed": drawn.seed,
        "runs": drawn.runs,
        "cut": found.cut,
        "steps": found.steps,
        "longest": found.longest,
        "interleavings": None if drawn.interleavings is None else str(drawn.interleavings),
        "confidence": CONFIDENCE,
        "unseen": drawn.unseen,
        "bug_depth": drawn.draws.depth,
        "actors": found.actors,
        "bounded": found.bounded,
        "found": drawn.found,
        "missed": drawn.missed,
        "outcomes": drawn.outcomes.to_dicts(),
        "invariants": drawn.invariants.to_dicts(),
        "expectations": drawn.expectations.to_dicts(),
        "schedules": drawn.schedules.select("schedule", "outcome").to_dicts(),
    }
