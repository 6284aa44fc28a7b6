"""This module places the fields in the words of a state, and finds bit-mask matches that tell some of their values apart."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import Scope
from tdxexplore.model.program import Cube, Slot

if TYPE_CHECKING:
    from tdxexplore.model.expr import Value
    from tdxexplore.model.model import Model

# The engine's limits on the bits of each word (rust/core/src/program/validate.rs).
WIDEST = {Scope.GLOBAL: 128, Scope.PACKAGE: 64, Scope.CPU: 48}
_NAMED = 6
# In a domain of more bits only two orders of bits are tried, as the number of orders is exponential in the width.
_TRY_EVERY_ORDER = 5


def layout(model: Model) -> dict[str, Slot]:
    """Place the fields side by side in the word of their scope, in order of declaration.

    Raises:
        BadModel: The fields do not fit; the message names the widest.
    """
    ends = dict.fromkeys(Scope, 0)
    slots = {}
    for f in (f for f in model.fields.values() if not f.constant):
        slots[f.name] = Slot(f.name, f.scope, ends[f.scope], f.values)
        ends[f.scope] += f.width
    for scope, limit in WIDEST.items():
        if ends[scope] > limit:
            widest = sorted((s for s in slots.values() if s.scope is scope), key=lambda s: -s.width)
            named = ", ".join(f"`{s.name}` {s.width}" for s in widest[:_NAMED])
            rest = f" and {len(widest) - _NAMED} more" if len(widest) > _NAMED else ""
            raise BadModel(
                f"the {scope.value} fields of model `{model.name}` take {ends[scope]} bits; {limit} fit: {named}{rest}"
            )
    return slots


def cubes(slot: Slot, values: frozenset[Value]) -> list[Cube]:
    """Find disjoint bit-mask matches that tell ``values`` from the rest of the domain; codes of no value may match or not."""
    codes = frozenset(map(slot.codes.__getitem__, values))
    return [
        Cube(care << slot.offset, value << slot.offset) for care, value in _cover(codes, len(slot.values), slot.width)
    ]


Cover = tuple[tuple[int, int], ...]


@cache
def _cover(codes: frozenset[int], domain: int, width: int) -> Cover:
    """Find disjoint (care, value) pairs that cover ``codes`` and no other code below ``domain``."""
    if width <= _TRY_EVERY_ORDER:
        return _smallest(codes, domain, width)
    # A range needs few halves if the highest bit is halved first; numbers that step by a power of two, if the lowest is.
    everything = (tuple(sorted(codes)), tuple(c for c in range(domain) if c not in codes))
    up, down = (_halved(*everything, order) for order in (range(width), range(width - 1, -1, -1)))
    return up if len(up) <= len(down) else down


@cache
def _smallest(codes: frozenset[int], domain: int, width: int, care: int = 0, value: int = 0) -> Cover:
    """Find the fewest pairs that any order of halving gives."""
    here = [c for c in range(domain) if c & care == value]
    inside = [c for c in here if c in codes]
    if not inside:
        return ()
    if len(inside) == len(here):
        return ((care, value),)
    best: Cover | None = None
    for bit in (1 << b for b in range(width)):
        if not care & bit:
            halves = [_smallest(codes, domain, width, care | bit, value | side) for side in (0, bit)]
            found = halves[0] + halves[1]
            if best is None or len(found) < len(best):
                best = found
    assert best is not None
    return best


def _halved(inside: tuple[int, ...], outside: tuple[int, ...], order: range, care: int = 0, value: int = 0) -> Cover:
    """Find the pairs that halving by one order of bits gives, in time linear in the domain for each bit."""
    if not inside:
        return ()
    if not outside:
        return ((care, value),)
    bit = 1 << order[0]
    found: Cover = ()
    for side in (0, bit):
        halves = [tuple(c for c in part if c & bit == side) for part in (inside, outside)]
        found += _halved(halves[0], halves[1], order[1:], care | bit, value | side)
    return found
