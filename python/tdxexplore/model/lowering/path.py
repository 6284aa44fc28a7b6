"""One way through a step: what it knows of the state before, and what it has done so far."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model.code import Event
    from tdxexplore.model.expr import Expr, Field, Temp, Value, Variable
    from tdxexplore.model.program import Atom


class Members(enum.Enum):
    """Who else there is, seen from whoever acts. A step may change each of these classes differently.

    Where nobody in particular acts, all CPUs are ``FAR`` and all packages are ``PACKAGES``.
    """

    NEAR = "the other CPUs of the acting package"
    FAR = "the CPUs of other packages"
    PACKAGES = "the other packages"

    __hash__ = object.__hash__  # that of an enum hashes its name each time


class BulkStep(NamedTuple):
    """A bulk assignment of a step, without the acting member's own part.

    Attributes:
        where: For each class that it may change, the members that it changes, as a condition on the state *before the
            step* that reads fields of the member only.
        values: What it assigns.
        together: Near and far CPUs are changed by one condition: that for the far ones, which may read package fields,
            holds of near ones as well.
    """

    where: Mapping[Members, Expr]
    values: tuple[tuple[Field, Value], ...]
    together: bool

    def assigns(self, variable: Variable) -> Value | None:
        """The value that it gives to a field; None if it leaves it alone."""
        return next((value for f, value in self.values if f is variable), None)


class Path(NamedTuple):
    """What is known of the state before the step, and what the step has done so far. Never changed, only replaced.

    A named tuple, because lowering replaces paths a million times in a sweep, and data classes are slow at it.

    Attributes:
        allowed: Values that a field of the acting CPU, its package or the globals may have had; absent: all.
        assigned: New constants.
        added: Additions to counters that have no new constant.
        temps: Values of temporaries.
        facts: Quantified matches that were decided.
        bulk: Bulk assignments in order.
        notes: Words for the trace.
        events: What has happened, for prices.
        choices: The free choices so far: which branch of each.
    """

    allowed: Mapping[Field, frozenset[Value]] = {}
    assigned: Mapping[Field, Value] = {}
    added: Mapping[Field, int] = {}
    temps: Mapping[Temp, Value] = {}
    facts: Mapping[Atom, bool] = {}
    bulk: tuple[BulkStep, ...] = ()
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    choices: tuple[int, ...] = ()

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

    def changes_own(self, f: Field) -> bool:
        """Whether the step changes a field of the acting CPU, its package or the globals."""
        return f in self.assigned or f in self.added

    def changes(self, f: Field) -> bool:
        """Whether the step changes a field, here or in others."""
        return self.changes_own(f) or any(step.assigns(f) is not None for step in self.bulk)

    def recall(self, atom: Atom) -> bool | None:
        """Whether some member matches, as far as the path knows."""
        for known, some in self.facts.items():
            if some and known.within(atom):
                return True
            if not some and atom.within(known):
                return False
        return None
