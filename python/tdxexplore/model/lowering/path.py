"""One way through a step: what it knows of the state before, and what it has done so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model.expr import Expr, Field, Value
    from tdxexplore.model.program import Atom


class Path(NamedTuple):
    """What is known of the state before the step, and what the step has done so far. Never changed, only replaced.

    A named tuple, because lowering replaces paths a million times in a sweep, and data classes are slow at it.

    Attributes:
        allowed: Values that a field of the acting CPU, its package or the globals may have had; absent: all.
        assigned: New constants.
        added: Additions to counters that have no new constant.
        temps: Values of temporaries.
        facts: Quantified matches that were decided.
        bulk: Bulk assignments in order: (group kind, condition before the step, values).
        notes: Words for the trace.
        choice: Free choices so far.
    """

    allowed: Mapping[Field, frozenset[Value]] = {}
    assigned: Mapping[Field, Value] = {}
    added: Mapping[Field, int] = {}
    temps: Mapping[str, Value] = {}
    facts: Mapping[Atom, bool] = {}
    bulk: tuple[tuple[str, Expr, tuple[tuple[Field, Value], ...]], ...] = ()
    notes: tuple[str, ...] = ()
    choice: int = 0

    def possible(self, f: Field) -> frozenset[Value]:
        """The values that a field may have had before the step."""
        return self.allowed.get(f, frozenset(f.values))

    def assign(self, f: Field, value: Value) -> Path:
        """With a new constant in a field."""
        added = {k: v for k, v in self.added.items() if k is not f}
        return self._replace(assigned={**self.assigned, f: value}, added=added)

    def require(self, f: Field, values: frozenset[Value]) -> Path:
        """Knowing that a field had one of ``values`` before the step."""
        return self._replace(allowed={**self.allowed, f: values})

    def recall(self, atom: Atom) -> bool | None:
        """Whether some member matches, as far as the path knows."""
        for known, some in self.facts.items():
            if some and known.within(atom):
                return True
            if not some and atom.within(known):
                return False
        return None
