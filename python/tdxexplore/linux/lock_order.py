"""The order of locks: lockdep reports when a run has taken two locks in both orders, or several in a circle.

Which orders a run has had is a matter of its past. So a recording is checked first, and only where locks nest in a circle
somewhere does the state remember which of these nestings a run has had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model import Field, Model
    from tdxexplore.model.expr import Operand

# One lock is taken while another is held: (outer, inner).
Nesting = tuple[str, str]


class LockOrder:
    """Which locks are taken inside which.

    Args:
        model: Where fields are declared.
        inverted: Nestings that are known to be part of a cycle, from a recording before: a field remembers each.

    Attributes:
        nested: Every nesting that has been recorded.
    """

    def __init__(self, model: Model, inverted: frozenset[Nesting] = frozenset()) -> None:
        self.nested: set[Nesting] = set()
        self._seen = {pair: model.flag(f"lockdep: {pair[0]} -> {pair[1]}") for pair in sorted(inverted)}

    def inverted(self) -> frozenset[Nesting]:
        """The nestings that are part of a cycle: somebody can take the inner lock first and come to the outer one."""
        return frozenset(pair for pair in self.nested if any(self._ways(pair[1], pair[0], self.nested)))

    def seen(self, pair: Nesting) -> Field | None:
        """The field that remembers a nesting, if it is part of a cycle."""
        return self._seen.get(pair)

    def reports(self, pair: Nesting) -> Iterator[tuple[str, Operand]]:
        """What lockdep says when a nesting closes a cycle, and when it does."""
        for way in self._ways(pair[1], pair[0], set(self._seen)):
            text = " -> ".join((pair[0], *(inner for _, inner in [pair, *way])))
            condition: Operand = self._seen[way[0]]
            for more in way[1:]:
                condition &= self._seen[more]
            yield f"lockdep: possible circular locking dependency, {text}", condition

    def _ways(
        self, start: str, end: str, pairs: set[Nesting], been: frozenset[str] = frozenset()
    ) -> Iterator[list[Nesting]]:
        """Every way from a lock to another that comes to no lock twice."""
        for pair in sorted(pairs):
            if pair[0] == start and pair[1] not in been and pair[0] != pair[1]:
                if pair[1] == end:
                    yield [pair]
                else:
                    yield from ([pair, *way] for way in self._ways(pair[1], end, pairs, been | {start}))
