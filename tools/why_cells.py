"""How far `why` goes: ``python tools/why_cells.py FOUND.jsonl [SECONDS [NTH]]`` explains the bad cells of docs/outcomes.md.

They are asked at 2+2 CPUs. A cell is bad if its worst outcome is S0 to S3. Each has at most so many seconds, 10 unless said
otherwise, and with NTH only every so many cells are looked at. A line a cell is added to the file: the conditions of each cause,
and whether a run has the outcome if and only if it meets one, which is re-checked on all runs. Cells that the file has are not
explained again, so that nothing is lost when this is interrupted. The last lines are the figures.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdxexplore.errors import TimeUp, TooLarge
from tdxexplore.explore.check import check
from tdxexplore.explore.why import explain
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.question import Question

BAD = ("S0", "S1", "S2", "S3")
MOST = 4


def asked() -> Iterator[tuple[str, str, str]]:
    """Policy, scenario and module kind of each cell."""
    for name, policy in BUILT_IN.items():
        for scenario in SCENARIOS.values():
            if not scenario.cannot_happen(policy()):
                yield from ((name, scenario.name, module) for module in MODULE_KINDS)


def row(name: str, scenario: str, module: str, seconds: float) -> dict[str, Any]:
    """What is found of a cell."""
    key = {"policy": name, "scenario": scenario, "module": module}
    answer = check(name, module=module, cpus=4, packages=2, scenario=scenario, measures=False)
    if answer.outcomes["severity"][0] not in BAD:
        return {**key, "outcome": None}
    outcome = answer.outcomes["outcome"][0]
    began = time.process_time()
    found = explained(answer.question, outcome, seconds)
    return {**key, "outcome": outcome, **found, "seconds": round(time.process_time() - began, 2)}


def explained(question: Question, outcome: str, seconds: float) -> dict[str, Any]:
    """The explanation of a cell in figures."""
    try:
        why = explain(question, outcome, timeout=seconds)
    except (TooLarge, TimeUp) as error:
        return {
            "states": None,
            "exact": False,
            "cut": True,
            "always": False,
            "causes": [],
            "all": 0,
            "said": str(error),
        }
    every = {order for reason in why.causes for order in reason.orders}
    causes = [len(reason.orders) for reason in why.causes]
    figures = {"states": why.states, "exact": why.if_and_only_if, "cut": why.cut, "always": why.always}
    return {**figures, "covered": why.covered, "causes": causes, "all": len(every), "necessary": len(why.necessary)}


def figures(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the rows say together."""
    bad = [row for row in rows if row["outcome"] is not None]
    exact = [row for row in bad if row["exact"]]
    few = [row for row in exact if row["all"] <= MOST]
    open_ = [row for row in bad if not row["always"]]
    yield f"{len(bad)} bad cells; {len(bad) - len(open_)} of them have the outcome in every run"
    yield f"if and only if, re-checked: {len(exact)}, {len(exact) / len(bad):.1%}"
    yield f"of at most {MOST} conditions in all: {len(few)}, {len(few) / len(bad):.1%}"
    some = sum(row["exact"] and row["all"] <= MOST for row in open_)
    yield f"of the {len(open_)} with a choice: {some}, {some / len(open_):.1%}"
    left = Counter(row["outcome"] for row in bad if not (row["exact"] and row["all"] <= MOST))
    yield f"others: {', '.join(f'{name} {count}' for name, count in sorted(left.items()))}"
    yield f"cut by the time: {sum(row['cut'] for row in bad)}; CPU time {sum(row['seconds'] for row in bad):.0f} s"


def main(path: Path, seconds: float = 10, nth: float = 1) -> None:
    """Explain the cells that the file does not have."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {(row["policy"], row["scenario"], row["module"]) for row in rows}
    for cell in list(asked())[:: int(nth)]:
        if cell not in known:
            rows.append(row(*cell, seconds))
            with path.open("a") as out:
                out.write(json.dumps(rows[-1]) + "\n")
    print("\n".join(figures(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
