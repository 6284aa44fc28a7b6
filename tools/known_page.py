"""The page of known bugs, docs/known.md; `pages` writes it with the others.

``known.toml`` is a table of bugs that were reported in this field or found with this tool. Two commands belong to each: one that
shows it, and one that shows that the fix has removed it. The page says what they find, so that a test which compares the page has
run both; another asks that the first finds all that the table names, and the second nothing of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tdxexplore.cli import run

TABLE = Path(__file__).resolve().parent / "known.toml"

_HEAD = """# Known and found

Bugs of TDX bring-up that were reported, or that this tool found, with the command that shows each and the command that shows
that its fix removes it. *Found* after a command names what is there of the bug: outcomes by severity, and invariants that fail;
*gone* says that all of it is absent, and what is left as the worst outcome. A bug without a source was found here, and we know of
no report.

`make docs` writes this page from `tools/known.toml`; a test runs the commands. Each prints the shortest trace to the worst
outcome.

"""


class BadTable(Exception):
    """The table of known bugs is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A row of the table.

    Attributes:
        name: Unique.
        what: What goes wrong.
        fixed: By what.
        source: Mails and commits; none if it was found here.
        shows: The outcomes and invariants that it is seen by.
        before: Arguments of ``tdxexplore check`` that show it.
        after: Those that show that it is gone.
        waits_for: The part of the models without which a command is missing.
        cannot: Why it cannot be shown.
    """

    name: str
    what: str
    fixed: str
    source: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    waits_for: str = ""
    cannot: str = ""

    def __post_init__(self) -> None:
        whole = bool(self.before and self.after)
        if [whole, bool(self.waits_for), bool(self.cannot)].count(True) != 1:
            raise BadTable(f"bug `{self.name}` needs both commands, or waits_for, or cannot, and one of these only")
        if (self.before or self.after) and not self.shows:
            raise BadTable(f"bug `{self.name}` has a command, and does not say in `shows` what it is seen by")


@dataclass(frozen=True, slots=True)
class Found:
    """What a check finds.

    Attributes:
        severities: Of the outcomes that are reached, the most severe first.
        broken: The invariants that fail.
    """

    severities: dict[str, str]
    broken: tuple[str, ...]

    def of(self, names: tuple[str, ...]) -> list[str]:
        """Those of these outcomes and invariants that are found."""
        return [name for name in names if name in self.severities or name in self.broken]


def bugs() -> tuple[Bug, ...]:
    """The table.

    Raises:
        BadTable: A row is not complete, or two have the same name.
    """
    rows: list[dict[str, Any]] = tomllib.loads(TABLE.read_text())["bug"]
    found = tuple(
        Bug(**{**row, "source": tuple(row.get("source", ())), "shows": tuple(row.get("shows", ()))}) for row in rows
    )
    if len({bug.name for bug in found}) < len(found):
        raise BadTable("two bugs have the same name")
    return found


@cache
def find(arguments: str) -> Found:
    """Run a check, without measures."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run(["check", *shlex.split(arguments), "--no-measures", "--json"])
    if code not in (0, 1):
        raise BadTable(f"`tdxexplore check {arguments}` ends with exit code {code}")
    document = json.loads(out.getvalue())
    return Found(
        {row["outcome"]: row["severity"] for row in document["outcomes"]},
        tuple(row["invariant"] for row in document["invariants"] if row["shortest_steps"] is not None),
    )


def page() -> str:
    """The table, with what each command finds."""
    lines = ["| bug | source | before | after |", "|---|---|---|---|"]
    for bug in bugs():
        about = f"**{bug.name}.** {bug.what} *Fix:* {bug.fixed}"
        lines.append(f"| {about} | {'; '.join(bug.source) or 'found here'} | {_before(bug)} | {_after(bug)} |")
    return _HEAD + "\n".join([*lines, ""])


def _before(bug: Bug) -> str:
    if not bug.before:
        return _missing(bug)
    found = find(bug.before)
    seen = [f"{found.severities.get(name, '')} {name}".strip() for name in found.of(bug.shows)]
    return f"`tdxexplore check {bug.before}` found: {', '.join(seen)}"


def _after(bug: Bug) -> str:
    if not bug.after:
        return _missing(bug)
    left = find(bug.after)
    worst, severity = next(iter(left.severities.items()))
    return (
        f"`tdxexplore check {bug.after}` {'still there' if left.of(bug.shows) else 'gone'}; worst: {severity} {worst}"
    )


def _missing(bug: Bug) -> str:
    return f"cannot be shown: {bug.cannot}" if bug.cannot else f"not yet: waits for {bug.waits_for}"
