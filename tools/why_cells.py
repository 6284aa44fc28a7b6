"""How far `why` goes: ``python tools/why_cells.py [NTH [FROM]]`` explains the bad cells of docs/outcomes.md, or every NTH.

A cell is bad if its worst outcome is S0 to S3. A line a cell: how many conditions and causes, and whether a run has the outcome
if and only if it meets one, which is re-checked on every run. The last lines are the figures.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from tdxexplore.errors import TooLarge
from tdxexplore.explore.check import check
from tdxexplore.explore.why import Why, explain
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.question import Question

BAD = ("S0", "S1", "S2", "S3")
MOST = 4


def bad_cells() -> Iterator[tuple[Question, str]]:
    """The question of each bad cell, and its worst outcome."""
    for name, policy in BUILT_IN.items():
        for scenario in SCENARIOS.values():
            if scenario.cannot_happen(policy()):
                continue
            for module in MODULE_KINDS:
                answer = check(name, module=module, cpus=4, packages=2, scenario=scenario.name, measures=False)
                if answer.outcomes["severity"][0] in BAD:
                    yield answer.question, answer.outcomes["outcome"][0]


def explained(question: Question, outcome: str) -> Why | None:
    """The explanation of a cell; None if it is too large."""
    try:
        return explain(question, outcome)
    except TooLarge:
        return None


def conditions(why: Why) -> int:
    """All conditions of an explanation, each counted once however many causes it is part of."""
    return len({order for reason in why.causes for order in reason.orders})


def main(nth: int, first: int) -> None:
    """Explain the cells."""
    cells = list(bad_cells())[first::nth]
    few = each = exact = always = 0
    for question, outcome in cells:
        began = time.process_time()
        why = explained(question, outcome)
        good = why is not None and why.if_and_only_if
        exact += good
        always += why is not None and why.always
        count = 0 if why is None else conditions(why)
        few += good and count <= MOST
        each += why is not None and good and all(len(reason.orders) <= MOST for reason in why.causes)
        causes = 0 if why is None else len(why.causes)
        said = "if and only if" if good else "not all runs explained"
        name = f"{question.policy} {question.scenario} {question.module} {outcome}"
        seconds = time.process_time() - began
        print(f"{name}: {count} conditions, {causes} causes, {said}, {seconds:.1f} s", flush=True)
    print(f"{len(cells)} bad cells, {always} of them with the outcome in every run")
    print(f"if and only if, re-checked: {exact}; of at most {MOST} conditions in all: {few}; in each cause: {each}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [1, 0][len(numbers) :]))
