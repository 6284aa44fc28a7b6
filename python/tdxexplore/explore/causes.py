"""The cause of a lost response, in words: which field values rule its goal out."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.explore.steps import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.explore.question import Compiled


def cause_in_words(compiled: Compiled, facts: str) -> str:
    """The cause of a lost response.

    Args:
        compiled: What was explored.
        facts: Fields and the values that they keep in the end, as ``field=value`` by index
            (`tdxexplore._core.Exploration.responses`).

    Returns:
        Where actors stay and which values fields keep, such as ``tdx_status = ERROR``; of several values those that are kept,
        or those that are lost if these are fewer. Empty if no small set of fields is a cause.
    """
    pairs = (fact.split("=") for fact in facts.split())
    kept = groupby(((int(field), int(value)) for field, value in pairs), key=lambda pair: pair[0])
    return "; ".join(_stays(compiled, field, {value for _, value in values}) for field, values in kept)


def _stays(compiled: Compiled, field: int, kept: set[int]) -> str:
    slot = list(compiled.program.slots.values())[field]
    steps = {
        label.name: (code.actor, place(label.frames, label.title))
        for code in compiled.model.codes
        for _, label in code.labels
        if label.pc == slot.name
    }
    if steps:
        name = next(actor for actor, _ in steps.values())
        values, stays, never = (
            [steps[str(value)][1] if value in steps else str(value) for value in slot.values],
            "in",
            "never in",
        )
    else:
        name, values, stays, never = slot.name, [str(value) for value in slot.values], "=", "never"
    gone = set(range(len(values))) - kept
    if len(kept) == 1 or len(kept) <= len(gone):
        return f"{name} {stays} {_any(values, kept)}"
    return f"{name} {never} {_any(values, gone)}"


def _any(values: Sequence[str], which: set[int]) -> str:
    return " or ".join(dict.fromkeys(values[value] for value in sorted(which)))
