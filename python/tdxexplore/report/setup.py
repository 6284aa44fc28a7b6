"""What was asked, and how: the head of a report."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.explore.subject import NONE
from tdxexplore.explore.verdict import VERDICTS
from tdxexplore.render.figures import ranges
from tdxexplore.render.knobs import values
from tdxexplore.report.questions import settings
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.report.source import Source


def setup(source: Source) -> list[list[str]]:
    """Rows of a head and a text."""
    runs, asked = source.runs, pl.concat([source.runs.select(source.unanswered.columns), source.unanswered])
    if asked.is_empty():
        return [["points", "none: nothing has been explored yet"]]
    counts = {verdict: runs.filter(verdict=verdict).height for verdict in VERDICTS}
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
    lacking = f"; {len(source.unanswered):,} cells not applicable or not explored" if len(source.unanswered) else ""
    said = [
        ["points", f"{len(runs):,} points: {verdicts}{lacking}" if len(runs) else f"none{lacking}"],
        ["policies", ", ".join(_names(asked, "policy", list(BUILT_IN)))],
        ["module kinds", ", ".join(_names(asked, "module", MODULE_KINDS))],
        ["scenarios", ", ".join(_names(asked, "scenario", list(SCENARIOS)))],
        ["topologies", _topologies(asked)],
        ["limits and settings", _how(runs)],
        ["search", f"{runs['explored'].sum():,} states stored, {runs['seconds'].sum():,.1f} s in all"],
        ["made by", ", ".join(f"tdxexplore {version}" for version in sorted(runs["version"].unique()))],
    ]
    if source.origin.get("spec"):
        origin = source.origin
        revision = f"; git {origin['spec_revision']}" if origin["spec_revision"] else ""
        said.append(["sweep file", f"{origin['spec']}: {origin['note']} (BLAKE2b {origin['spec_digest']}{revision})"])
        said.append(["command", "tdxexplore sweep FILE --out DIR"])
    else:
        said.append(["command", _compare(asked, runs)])
    return [[head, text] for head, text in said if text not in ("", NONE)]


def _names(asked: pl.DataFrame, column: str, known: Sequence[str]) -> list[str]:
    order = {name: n for n, name in enumerate(known)}
    return sorted(asked[column].unique(), key=lambda name: (order.get(name, len(order)), name))


def _topologies(asked: pl.DataFrame) -> str:
    of = asked.group_by("packages").agg(pl.col("cpus").unique().sort()).sort("packages")
    words = [f"{ranges(cpus)} CPUs in {n} package{'s' * (n != 1)}" for n, cpus in of.iter_rows()]
    return "; ".join(words)


def _how(runs: pl.DataFrame) -> str:
    """The settings that are not at their default; several if the points differ."""
    found = {" ".join(shlex.join(words) for words in settings(run)): None for run in runs.iter_rows(named=True)}
    return " or ".join(text or "as by default: no limits, S3 and worse count as violations" for text in sorted(found))


def _compare(asked: pl.DataFrame, runs: pl.DataFrame) -> str:
    """The command of a comparison that has these cells. The file of a user's policy is not known."""
    names = _names(asked, "policy", list(BUILT_IN))
    words = ["tdxexplore", "compare", *(name if name in BUILT_IN else f"FILE.py:{name}" for name in names)]
    for column, known in (("module", MODULE_KINDS), ("scenario", list(SCENARIOS))):
        words += [word for name in _names(asked, column, known) if name != NONE for word in (f"--{column}", name)]
    for column in ("cpus", "packages"):
        words += [f"--{column}", ranges(sorted(asked[column].unique()))]
    words += _varying(asked)
    first = next(runs.iter_rows(named=True), {})
    words += [word for setting in settings(first) for word in setting]
    return shlex.join(words)


def _varying(asked: pl.DataFrame) -> list[str]:
    """Knobs and budgets that take several values."""
    words: list[str] = []
    for option, column in (("--set", "knobs"), ("--budget", "budgets")):
        found: dict[str, dict[str, None]] = {}
        for text in sorted(asked[column].unique()):
            for name, value in values(text).items():
                found.setdefault(name, {})[value] = None
        several = {name: of for name, of in found.items() if len(of) > 1 or column == "budgets"}
        words += [word for name, of in several.items() for word in (option, f"{name}={','.join(of)}")]
    return words
