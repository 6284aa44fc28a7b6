"""Where fields lie in the words of a state, and which bit-mask matches tell some of their values from the rest."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tdxexplore.model.expr import Scope
from tdxexplore.model.program import Cube, Slot

if TYPE_CHECKING:
    from tdxexplore.model.expr import Value
    from tdxexplore.model.model import Model


def layout(model: Model) -> dict[str, Slot]:
    """Fields side by side in the word of their scope, in order of declaration."""
    ends = dict.fromkeys(Scope, 0)
    slots = {}
    for f in (f for f in model.fields.values() if not f.constant):
        slots[f.name] = Slot(f.name, f.scope, ends[f.scope], f.values)
        ends[f.scope] += f.width
    return slots


def cubes(slot: Slot, values: frozenset[Value]) -> list[Cube]:
    """Disjoint bit-mask matches that tell ``values`` from the rest of the domain; unused codes may fall either way."""
    codes = frozenset(map(slot.codes.__getitem__, values))
    return [
        Cube(care << slot.offset, value << slot.offset) for care, value in _cover(codes, len(slot.values), slot.width)
    ]


@cache
def _cover(
    codes: frozenset[int], domain: int, width: int, care: int = 0, value: int = 0
) -> tuple[tuple[int, int], ...]:
    here = [c for c in range(domain) if c & care == value]
    inside = [c for c in here if c in codes]
    if not inside:
        return ()
    if len(inside) == len(here):
        return ((care, value),)
    best: tuple[tuple[int, int], ...] | None = None
    for bit in (1 << b for b in range(width)):
        if not care & bit:
            halves = [_cover(codes, domain, width, care | bit, value | side) for side in (0, bit)]
            found = halves[0] + halves[1]
            if best is None or len(found) < len(best):
                best = found
        if best is not None and width > 5:  # noqa: PLR2004 -- trying every order of bits is exponential in the width
            break
    assert best is not None
    return best
