"""Which traces a report shows, and their drawings: those that are kept beside the tables, and new ones.

Each outcome that a policy reaches, invariant that fails and response that can be lost is shown once for each module kind and
scenario: at the fewest packages and CPUs at which it occurs, as the shortest trace there is the easiest to read. Drawings for
each CPU count were rejected: they say the same, and a report of a large sweep would be a hundred times as large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from tdxexplore.errors import TdxExploreError
from tdxexplore.explore.trace import replay
from tdxexplore.report import kept
from tdxexplore.report.explained import Explaining

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.report.drawing import Drawing
    from tdxexplore.report.questions import Subjects
    from tdxexplore.report.source import Source

Place: TypeAlias = tuple[str, str, str]
"""A finding of a point: the point, the kind and the name."""

_MODEL = ("policy", "knobs", "module", "scenario", "budgets")
_WHAT = ("kind", "finding")


@dataclass(frozen=True, slots=True)
class Shown:
    """The traces of a report.

    Attributes:
        drawings: By digest and schedule, those that are shown and kept.
        of: The drawing that is shown for each finding of each point, and the point that it is of.
        unknown: Policies that are not built in and were not given, so that they have no new drawings.
        changed: Policies whose model is not that of the tables any more, likewise.
    """

    drawings: Mapping[kept.Key, Drawing]
    of: Mapping[Place, tuple[kept.Key, str]]
    unknown: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def found(source: Source) -> pl.DataFrame:
    """What the points of a source found: a row for each outcome, invariant that fails and response that can be lost.

    Columns: ``point``, ``kind``, ``finding``, ``severity``, ``states``, ``shortest_steps``, ``schedule``, ``text``,
    ``interleavings``, ``log10_interleavings``, ``interleaving_share``, ``probability``. Outcomes come before others, the most
    severe first.
    """
    outcomes = source.outcomes.rename({"outcome": "finding", "terminal_states": "states"})
    failing = source.properties.filter(pl.col("fails") & (pl.col("kind") != "expectation"))
    columns = ("point", "kind", "finding", "severity", "states", "shortest_steps", "schedule", "text")
    measured = ("interleavings", "log10_interleavings", "interleaving_share", "probability")
    reached = outcomes.with_columns(kind=pl.lit("outcome")).select(*columns, *measured)
    return pl.concat([reached, failing.rename({"property": "finding"}).select(columns)], how="diagonal")


def shown(
    source: Source,
    subjects: Subjects,
    *,
    new: bool,
    why: float | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Shown:
    """Choose traces, and draw those that are not kept yet.

    Args:
        source: The tables.
        subjects: What can be asked again.
        new: Whether new drawings are made, and kept.
        why: For how many seconds each trace is explained at most; None for no explanations but those that are kept.
        progress: Called with how many of how many are done.
    """
    rows = source.runs.select("point", "digest", *_MODEL, "packages", "cpus").join(found(source), on="point")
    rows = rows.drop_nulls("schedule").sort(*_MODEL, *_WHAT, "packages", "cpus")
    shortest = pl.struct("point", "digest", "schedule").first().over(*_MODEL, *_WHAT).alias("shortest")
    of: dict[Place, tuple[kept.Key, str]] = {}
    for point, kind, name, first in rows.select("point", *_WHAT, shortest).iter_rows():
        of[point, kind, name] = ((first["digest"], first["schedule"]), first["point"])
    drawings = kept.read(source.folder)
    # Those of one question follow each other: they share the list of its states.
    missing = {key: point for key, point in sorted(set(of.values())) if _misses(drawings.get(key), why)}
    if not new or not missing:
        return Shown(drawings, of)
    unknown, changed = dict[str, None](), dict[str, None]()
    explaining = None if why is None else Explaining(why)
    runs = {run["point"]: run for run in source.runs.iter_rows(named=True)}
    try:
        for done, (key, point) in enumerate(missing.items()):
            if progress is not None:
                progress(done, len(missing))
            _draw(key, runs[point], subjects, drawings, unknown, changed, explaining)
    finally:  # also what was drawn until Ctrl-C
        kept.write(source.folder, drawings)
    return Shown(drawings, of, tuple(unknown), tuple(changed))


def _misses(drawn: Drawing | None, why: float | None) -> bool:
    if drawn is None or why is None:
        return drawn is None
    return drawn["why"] is None or 0 < drawn["why"]["limit"] < why


def _draw(
    key: kept.Key,
    run: Mapping[str, Any],
    subjects: Subjects,
    drawings: dict[kept.Key, Drawing],
    unknown: dict[str, None],
    changed: dict[str, None],
    explaining: Explaining | None,
) -> None:
    """Add a drawing, or the name of its policy to those that have none."""
    digest, schedule = key
    question = subjects.question(run)
    if question is None:
        unknown[run["policy"]] = None
        return
    try:
        if question.digest() == digest:
            trace = replay(question, schedule)
            drawings[key] = kept.drawn(trace, run, None if explaining is None else explaining.why(trace, digest))
            return
    except TdxExploreError:
        pass  # the policy says something else now
    changed[run["policy"]] = None
