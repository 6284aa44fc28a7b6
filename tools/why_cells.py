"""How far `why` goes: ``python tools/why_cells.py [FOUND.jsonl [SECONDS [NTH]]]`` explains the bad cells of docs/outcomes.md.

They are asked at 2+2 CPUs. A cell is bad if its worst outcome is S0 to S3. Each has at most so many seconds, 600 unless said
otherwise. Every NTH cell comes first, then those after these, and so on, so that what was done until an interruption is a sample.
A line a bad cell is added to the file, or to ``tools/why_cells.jsonl``: the conditions of each cause, and whether a run has the
outcome if and only if it meets one, which is re-checked on all runs. Cells that the file has are not explained again, unless the
time cut them, so that nothing is lost. The last lines are the figures. `why_page` writes docs/causes.md from the file, and the
tests explain some of its cells again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdxexplore.errors import TimeUp, TooLarge
from tdxexplore.explore.check import check
from tdxexplore.explore.reasons import sentence
from tdxexplore.explore.why import Clock, Explainer
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.question import Question
    from tdxexplore.explore.reasons import Why
    from tdxexplore.tdx.fields import ModuleKind

    Cell = tuple[str, str, ModuleKind]
    Row = dict[str, Any]

KEPT = Path(__file__).with_name("why_cells.jsonl")
BAD = ("S0", "S1", "S2", "S3")
MOST = 4
SECONDS = 600.0


def cells() -> Iterator[Cell]:
    """Policy, scenario and module kind of each cell."""
    for name, policy in BUILT_IN.items():
        for scenario in SCENARIOS.values():
            if not scenario.cannot_happen(policy()):
                yield from ((name, scenario.name, module) for module in MODULE_KINDS)


def row(cell: Cell, seconds: float = SECONDS) -> Row | None:
    """What is found of a cell; None if it is not bad."""
    name, scenario, module = cell
    answer = check(name, module=module, cpus=4, packages=2, scenario=scenario, measures=False)
    outcome, severity = answer.outcomes["outcome"][0], answer.outcomes["severity"][0]
    if severity not in BAD:
        return None
    began = time.process_time()
    found = explained(answer.question, outcome, seconds)
    key = {"policy": name, "scenario": scenario, "module": module, "outcome": outcome, "severity": severity}
    return {**key, **found, "seconds": round(time.process_time() - began, 2)}


_KNOWN: dict[str, Row] = {}  # what was found of a graph, for other module kinds on which nothing differs


def explained(question: Question, outcome: str, seconds: float) -> Row:
    """The explanation of a cell. The same graph with the same events is explained once."""
    clock = Clock(seconds)
    try:
        explainer = Explainer(question, clock=clock)
        words = explainer.words
        key = hashlib.sha256(repr((words.events, outcome, seconds)).encode())
        for array in (words.graph.indptr, words.graph.target, words.graph.cpu, words.graph.outcome, words.marks):
            key.update(array.tobytes())
        if key.hexdigest() not in _KNOWN:
            _KNOWN[key.hexdigest()] = _figures(explainer.why(outcome, clock))
    except (TooLarge, TimeUp) as error:
        return {"states": None, "always": False, "exact": False, "cut": True, "causes": [], "said": str(error)}
    return _KNOWN[key.hexdigest()]


def _figures(why: Why) -> Row:
    causes = [[sentence(order) for order in reason.orders] for reason in why.causes]
    figures = {"states": why.states, "always": why.always, "exact": why.if_and_only_if, "cut": why.cut}
    return figures if why.always else {**figures, "covered": round(why.covered, 4), "causes": causes}


def conditions(row: Row) -> int:
    """How many conditions the causes of a cell have together. That all of a circle come before any goes on is one."""
    return len({order for cause in row.get("causes", []) for order in cause})


def few(row: Row) -> bool:
    """Whether a cell has a full answer of at most `MOST` conditions."""
    return bool(row["exact"]) and conditions(row) <= MOST


def figures(rows: Sequence[Row]) -> Iterator[str]:
    """What the rows say together."""
    exact, short = [row for row in rows if row["exact"]], [row for row in rows if few(row)]
    always = [row for row in rows if row["always"]]
    yield f"{len(rows)} bad cells; {len(always)} of them have the outcome in every run"
    yield f"if and only if, re-checked on all runs: {len(exact)}, {len(exact) / len(rows):.1%}"
    yield f"of these with at most {MOST} conditions in all: {len(short)}, {len(short) / len(rows):.1%}"
    free = len(rows) - len(always)
    some = len(short) - len(always)
    yield f"of the {free} in which only some runs have it: {some}, {some / max(free, 1):.1%}"
    yield f"cut by the time: {sum(row['cut'] for row in rows)}; {sum(row['seconds'] for row in rows):.0f} s of CPU time"


def load(path: Path) -> list[Row]:
    """The rows of a file, in the order of the cells; the last one of each."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    last = {(row["policy"], row["scenario"], row["module"]): row for row in rows}
    return [last[cell] for cell in cells() if cell in last]


def main(path: Path = KEPT, seconds: float = SECONDS, nth: float = 7) -> None:
    """Explain the cells that the file does not have, or not whole."""
    known = {(row["policy"], row["scenario"], row["module"]) for row in load(path) if not row["cut"]}
    every = list(cells())
    for cell in (cell for first in range(int(nth)) for cell in every[first :: int(nth)]):
        found = None if cell in known else row(cell, seconds)
        if found is not None:
            with path.open("a") as out:
                out.write(json.dumps(found) + "\n")
    rows = load(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))  # in the order of the cells
    print("\n".join(figures(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else KEPT, *map(float, sys.argv[2:]))
