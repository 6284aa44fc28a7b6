"""This module turns the assignments of a path into updates of words: of whoever acts, and in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model.expr import Scope
from tdxexplore.model.lowering.path import Members
from tdxexplore.model.program import Atom, Bulk, Cube, Update

if TYPE_CHECKING:
    from tdxexplore.model.expr import Field, Value
    from tdxexplore.model.lowering.matches import Matches
    from tdxexplore.model.lowering.path import BulkStep, Path
    from tdxexplore.model.program import Slot


def own_updates(path: Path, slots: dict[str, Slot]) -> dict[Scope, Update]:
    """Return the effect on the global word and on the words of the acting package and CPU."""
    clear, new = dict.fromkeys(Scope, 0), dict.fromkeys(Scope, 0)
    added: dict[Scope, tuple[tuple[int, int, int], ...]] = dict.fromkeys(Scope, ())
    for f, value in path.assigned.items():
        slot = slots[f.name]
        clear[f.scope] |= slot.mask
        new[f.scope] |= slot.encode(value)
    for f, delta in path.added.items():
        slot = slots[f.name]
        added[f.scope] = (*added[f.scope], (slot.offset, slot.width, delta))
    return {s: Update(clear[s], new[s], added[s]) for s in Scope if clear[s] or added[s]}


def bulk_updates(path: Path, slots: dict[str, Slot], matches: Matches) -> tuple[Bulk, ...]:
    """Return the effect on others. All conditions read the state before the step; the last update of a member counts."""
    if any(Members.NEAR in b.where and Members.FAR in b.where and not b.together for b in path.bulk):
        return (*_packages(path, slots, matches), *_far_then_near(path, slots, matches))
    found: list[Bulk] = []
    for step in path.bulk:
        over = next(m for m in (Members.PACKAGES, Members.FAR, Members.NEAR) if m in step.where)
        found += _updates(step, over, slots, matches)
    return tuple(found)


def _packages(path: Path, slots: dict[str, Slot], matches: Matches) -> list[Bulk]:
    steps = [step for step in path.bulk if Members.PACKAGES in step.where]
    return [update for step in steps for update in _updates(step, Members.PACKAGES, slots, matches)]


def _far_then_near(path: Path, slots: dict[str, Slot], matches: Matches) -> list[Bulk]:
    """Update far CPUs and then near ones.

    A Program cannot update the CPUs of other packages only. So it updates all CPUs by the condition for the far ones, gives
    the near ones their old values back, and then updates those by the condition for near ones.
    """
    far = [step for step in path.bulk if Members.FAR in step.where]
    near = [step for step in path.bulk if Members.NEAR in step.where]
    found = [update for step in far for update in _updates(step, Members.FAR, slots, matches)]
    for f in dict.fromkeys(f for step in far for f, _ in step.values):
        slot = slots[f.name]
        codes = [slot.encode(value) for value in slot.values]
        found += [Bulk(Atom("package-cpus", Cube(slot.mask, code)), slot.mask, code) for code in codes]
    return found + [update for step in near for update in _updates(step, Members.NEAR, slots, matches)]


def _updates(step: BulkStep, over: Members, slots: dict[str, Slot], matches: Matches) -> list[Bulk]:
    assigned: list[tuple[Field, Value]] = list(step.values)
    mask = sum(slots[f.name].mask for f, _ in assigned)
    new = sum(slots[f.name].encode(value) for f, value in assigned)
    return [Bulk(atom, mask, new) for atom in matches.targets(over, step.where[over])]
