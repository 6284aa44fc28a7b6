"""The part of docs/outcomes.md that explains outcomes and invariants; `pages` writes it with the others."""

from __future__ import annotations

from tdxexplore.render.examples import EXAMPLES, declared
from tdxexplore.tdx.outcomes import MEANINGS

_HEAD = """## Outcomes and invariants

Severities go from S0 (catastrophic) to S4 (a nuisance) and ok; [what is asked](reference/questions.md#severities) has what each
means. A run has the most severe outcome that applies to its end; an invariant is looked at in every state. No deadlock (I6) is
the outcome `deadlock`; that enabling stays possible (I8) is on the page of [liveness](liveness.md).
"""


def rows() -> list[tuple[str, str, str, str]]:
    """Every outcome and invariant: severity, what it means, and a command that shows it."""
    found = []
    for p in declared():
        example = f"`tdxexplore check {EXAMPLES[p.name]}`" if p.name in EXAMPLES else "none"
        found.append((f"`{p.name}`", p.severity, MEANINGS[p.name], example))
    return found


def head() -> list[str]:
    """What stands above the table."""
    return _HEAD.split("\n")
