"""The page of causes, docs/causes.md; `pages` writes it with the others, from what `why_cells` found."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import why_cells
from tdxexplore.render.markdown import table
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from why_cells import Row

OUTCOMES = Path(__file__).resolve().parents[1] / "docs" / "outcomes.md"

_HEAD = """# Causes

Why the cells of [outcomes](outcomes.md) whose worst outcome is S0 to S3 have it, as `tdxexplore why POLICY --cpus 4 --packages 2
--scenario SCENARIO --module KIND` explains them. A run has the outcome if and only if it meets all conditions of a cause; where
there are several causes, one of them. Each was re-checked on every run: with the conditions met every run ends so, else none
does. CPU c is some CPU, the same one in all conditions of a cause, and CPU d is another. [Why](asking.md#why) says what the words
mean. That each party of a deadlock has come to hold what it holds before any of them goes on counts as one condition.

`python tools/why_cells.py` explains the cells anew, and `make docs` writes this page from `tools/why_cells.jsonl`; a test
explains some of them again.

"""


def page() -> str:
    """The page."""
    rows = why_cells.load(why_cells.KEPT)
    parts = [_HEAD, figures(rows)]
    for policy, own in groupby(rows, key=lambda row: str(row["policy"])):
        parts.append(f"\n## {policy}\n\n{section(list(own))}")
    return "".join(parts)


def figures(rows: Sequence[Row]) -> str:
    """How many cells have which kind of answer, by policy."""
    lines = []
    for policy, own in groupby(rows, key=lambda row: str(row["policy"])):
        lines.append([policy, *_counts(list(own))])
    lines.append(["all", *_counts(rows)])
    head = [
        "policy",
        "bad cells",
        "every run ends so",
        "if and only if",
        f"of at most {why_cells.MOST} conditions",
        "s",
    ]
    short, every = sum(why_cells.few(row) for row in rows), len(bad())
    share = f"{short / len(rows):.1%}" if rows else "none"
    number = f"All {every}" if len(rows) == every else f"{len(rows)} of the {every}"
    said = f"{number} bad cells were explained. Of these {short}, {share}, have a full answer of at most "
    said += f"{why_cells.MOST} conditions."
    return "\n".join([f"{said} The last column is CPU time.", "", *table(head, lines)])


def bad() -> set[tuple[str, str, str]]:
    """Policy, scenario and module kind of the bad cells, as the table of worst outcomes has them."""
    found, policy = set(), ""
    for line in OUTCOMES.read_text().splitlines():
        policy = line.removeprefix("## ") if line.startswith("## ") else policy
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if policy in BUILT_IN and cells[0] in SCENARIOS:
            kinds = zip(MODULE_KINDS, cells[1:], strict=True)
            found |= {(policy, cells[0], str(kind)) for kind, cell in kinds if cell[:2] in why_cells.BAD}
    return found


def _counts(rows: Sequence[Row]) -> list[str]:
    exact = sum(row["exact"] for row in rows)
    always, short = sum(row["always"] for row in rows), sum(why_cells.few(row) for row in rows)
    return [str(len(rows)), str(always), str(exact), str(short), f"{sum(row['seconds'] for row in rows):.0f}"]


def section(rows: Sequence[Row]) -> str:
    """The causes of each scenario of a policy; module kinds of which the same is said are told together."""
    lines = []
    for scenario, own in groupby(rows, key=lambda row: str(row["scenario"])):
        said: dict[tuple[str, str], list[str]] = {}
        for row in own:
            outcome = f"{row['severity']} {row['outcome']}"
            said.setdefault((outcome, " ".join(_causes(row))), []).append(str(row["module"]))
        lines += [[scenario, ", ".join(kinds), outcome, causes] for (outcome, causes), kinds in said.items()]
    return "\n".join(table(["scenario", "module", "outcome", "if and only if"], lines))


def _causes(row: Row) -> Iterator[str]:
    if row["always"]:
        yield "always"
        return
    causes = row["causes"]
    if not row["exact"]:
        yield f"no full answer; of these runs, {row.get('covered', 0):.2%} are explained{':' if causes else '.'}"
    for number, cause in enumerate(causes, start=1):
        which = f"({number}) " if len(causes) > 1 else ""
        yield f"{which}{'; and '.join(cause)}."
