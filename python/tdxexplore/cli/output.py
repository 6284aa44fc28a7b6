"""Results and messages: text and JSON on stdout, tables as files, warnings and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from tdxexplore.cli.streams import tell
from tdxexplore.errors import BadModel
from tdxexplore.render.progress import shown
from tdxexplore.replacing import replacing
from tdxexplore.visible import one_line, visible

if TYPE_CHECKING:
    import polars as pl

SCHEMA_VERSION = 1
_LONGEST = 4000  # characters of a warning
DOCUMENTS = {
    "check": {
        "run": "the row of the table `runs`",
        "outcomes": "the rows of the table `outcomes`, the most severe first",
        "invariants": "a row for each: `invariant`, `violating_states`, `shortest_steps`, `schedule`, `text`; without a "
        "schedule it holds",
        "expectations": "a row for each: `expectation`, `states` that meet it, `shortest_steps`, `schedule`, `text`",
        "responses": "a row for each that is asked for: `response`, `severity`, `lost_states`, `shortest_steps`, `schedule`, "
        "`cause`, `text`; without a schedule it cannot be lost",
        "prices": "the rows of the table `prices`, with `--prices`",
    },
    "compare": {
        "complete": "whether everything was explored",
        "matrix": "a row for each cell: the question, its `verdict` and the worst outcome with its figures",
    },
    "diff": {
        "complete": "whether both were explored to the end",
        "verdict": "*violated* if B adds a violation",
        "moved": "the share of the interleavings that end otherwise, at least; null unless both were counted",
        "worse": "the first violation that B adds, or null",
        "outcomes": "a row for each outcome of either: `change` (added, removed or kept), `moved`, and the figures of A and "
        "of B",
        "properties": "a row for each invariant that fails, response that can be lost and expectation that is never met, in "
        "either",
        "prices": "what runs cost on each side, with `--prices`: a row for each outcome of either and each price",
    },
    "why": {
        "key": "the question",
        "outcome": "what is explained",
        "severity": "its severity",
        "text": "what it says, in a sentence",
        "interleavings": "those that end so, as decimal digits",
        "interleaving_share": "their share of all",
        "probability": "the chance of ending so",
        "all_interleavings": "how many there are, as decimal digits",
        "states": "concrete states that were looked at",
        "always": "whether every run ends so",
        "if_and_only_if": "whether the causes together are met by these runs and no others, which was checked on every run",
        "covered_share": "the share of these runs that some cause covers; at least so much, if `cut`",
        "causes": "a row for each: `sufficient`, the runs that meet it, a `schedule`, and its `orders` of steps",
        "necessary": "`orders` that all these runs meet, where the causes do not cover them all",
        "cut": "whether the time was up before everything was tried",
        "deciding": "the steps after which it cannot be avoided, each with the `share` of the runs in which it is that step",
        "shortest": "the shortest run: `steps`, `switches` between actors, `schedule`",
        "fewest_switches": "the run with the fewest switches, likewise",
    },
    "replay": {
        "outcome": "the outcome of the run; null where the schedule does not lead to an end",
        "steps": "the steps: `number`, `actor`, `package`, `cpu`, `functions`, `step`, `notes`, `source`, `changes`",
    },
    "sample": {
        "verdict": "*violated* or *incomplete*; a sample never *holds*",
        "reason": "of how many runs it is a sample, and why of no more",
        "scheduler": "who chose the steps: exact, random or pct",
        "seed": "the seed",
        "runs": "how many were drawn",
        "cut": "those that were cut by `--max-depth`, which have no outcome",
        "steps": "steps of all of them",
        "longest": "steps of the longest",
        "interleavings": "of how many they were drawn, as decimal digits; null unless the scheduler is exact",
        "confidence": "that of `unseen`, `share_least` and `share_most`",
        "unseen": "the most that the chance of an outcome may be that no run came to",
        "bug_depth": "the depth that pct was asked for, or null",
        "actors": "the n of its bound: instances of actors that were ever enabled",
        "bounded": "the runs for which the bound holds",
        "found": "the least chance that one of them meets a bug of that depth d: 1/(n k^(d-1)), with k = `longest`; or null",
        "missed": "the most that the chance may be that all of them missed it, or null",
        "outcomes": "a row for each that a run came to: `outcome`, `severity`, `runs`, `share`, `share_least`, `share_most`, "
        "`shortest_steps`, `schedule`, `text`",
        "invariants": "a row for each: `invariant`, `severity`, `runs` in which it fails, `shortest_steps`, `schedule`, `text`",
        "expectations": "a row for each: `expectation`, `severity`, `runs` that meet it, `shortest_steps`, `schedule`, `text`",
        "schedules": "`schedule` and `outcome` of each run by exact counts; otherwise of the shortest to each outcome",
    },
    "sweep": {
        "total": "points of the sweep",
        "before": "points that were done already",
        "finished": "points that this run added",
        "incomplete": "points that are done and were cut short by a limit",
        "verdicts": "how many of these have each verdict",
        "explored": "states that this run stored",
        "seconds": "duration of this run, in seconds",
        "interrupted": "whether Ctrl-C or SIGTERM ended it",
        "failed": "points that could not be explored: `command` and `error` of each",
    },
    "sweep --dry-run": {
        "total": "points of the sweep",
        "done": "points that are done already",
        "pending": "points that are not",
        "excluded": "how many cells of the grid each `[[exclude]]` cuts out",
        "not_applicable": "cells of the grid without a point: the scenario cannot happen to the design, or needs more CPUs",
        "largest": "the point with the most expected states that is pending: `command` and `expected_states`; null if there "
        "is none, or without `--largest`",
    },
    "analyze": {"rows": "the rows of the answer, under the names of their columns"},
    "kernel conform": {
        "holds": "whether the model allows what the kernel did",
        "kernel": "the version of the kernel",
        "policy": "the policy",
        "accepted": "how many observations the model allows, from the first on",
        "observations": "how many there are",
        "event": "the event that it does not allow, or null",
        "allowed": "what it would have allowed there",
        "note": "what such a recording does not say",
    },
}
"""The keys of each command's document, besides ``schema_version``, and what they hold."""

Flag: TypeAlias = Annotated[bool, Parameter(negative="")]
"""An option that is given or not; there is no ``--no-...``."""

Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative="")]
"""Whether the result is one JSON document."""


def say(line: str, end: str = "\n") -> None:
    """A line of the result."""
    print(visible(line), end=end)  # noqa: T201 -- the result


def print_json(document: dict[str, Any]) -> None:
    """One JSON document with its version."""
    say(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2))


def warn(message: str) -> None:
    """A line that is not part of the result."""
    tell(f"tdxexplore: {one_line(message, _LONGEST)}")


def progress(what: str, *, quiet: bool) -> Any:  # noqa: ANN401 -- a context manager of an optional callable
    """A callback that shows counters, or None when nobody watches."""
    return shown(what, quiet=quiet or not watched())


def watched() -> bool:
    """Whether somebody sees stderr while it is written."""
    return sys.stderr.isatty()


def writable(folder: Path) -> None:
    """Create the output folder before anything runs; a folder that cannot be written is an error now."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "the output folder cannot be written", str(folder))


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """A table in the form that the file's name says. No reader sees a part of it."""
    if path.suffix not in (".csv", ".parquet"):
        raise BadModel(f"--table is `{path}`; its name must end in .parquet or .csv")
    content = BytesIO()  # Polars would say in words of its own that a disk is full
    if path.suffix == ".csv":
        frame.write_csv(content)
    else:
        frame.write_parquet(content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())
