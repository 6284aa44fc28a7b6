"""This module holds a path, which is one way through a step: facts of the state before it, and assignments so far."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model.code import Event
    from tdxexplore.model.expr import Expr, Field, Temp, Value, Variable
    from tdxexplore.model.program import Atom


class Members(enum.Enum):
    """A class of CPUs or packages, as seen from whoever acts. A step may change each class differently.

    If the acting scope is global, all CPUs are ``FAR`` and all packages are ``PACKAGES``.
    """

    NEAR = "the other CPUs of the acting package"
    FAR = "the CPUs of other packages"
    PACKAGES = "the other packages"

    __hash__ = object.__hash__  # `Enum.__hash__` hashes the name at each call


class BulkStep(NamedTuple):
    """A bulk assignment of a step, without the acting member's own part.

    Attributes:
        where: For each class that it may change, the condition under which it changes a member. The condition is on the
            state *before the step* and reads fields of the member only.
        values: The fields that it assigns, with their new values.
        together: Whether one condition serves near and far CPUs: that for the far ones, which may read package fields,
            means the same for near ones.
    """

    where: Mapping[Members, Expr]
    values: tuple[tuple[Field, Value], ...]
    together: bool

    def assigns(self, variable: Variable) -> Value | None:
        """Return the value that it assigns to a field; None if it assigns none."""
        return next((value for f, value in self.values if f is variable), None)


class Path(NamedTuple):
    """A path knows facts of the state before the step, and the assignments so far. It is never changed, only replaced.

    It is a named tuple, because a sweep replaces paths a million times, and data classes are slower at it, as is `_replace`.

    *Own* fields are those of the acting CPU, of its package or of the acting package, and the global ones.

    Attributes:
        allowed: The values that own fields may have had before the step; a field that is absent may have had any.
        assigned: The constants that own fields have got.
        added: The additions to own counters that have got no constant.
        temps: The values of temporaries.
        facts: The atoms that were decided, each with whether it holds.
        bulk: The bulk assignments, in order.
        notes: The notes so far.
        events: The events so far.
        choices: The branch taken of each free choice so far.
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
        """Return the values that an own field may have had before the step."""
        return self.allowed[f] if f in self.allowed else frozenset(f.values)

    def assign(self, f: Field, value: Value) -> Path:
        """Assign a constant to an own field."""
        added = {k: v for k, v in self.added.items() if k is not f} if self.added else self.added
        return Path(self.allowed, {**self.assigned, f: value}, added, *self[3:])

    def require(self, f: Field, values: frozenset[Value]) -> Path:
        """Add the fact that an own field had one of ``values`` before the step."""
        return Path({**self.allowed, f: values}, *self[1:])

    def changes_own(self, f: Field) -> bool:
        """Return whether the step changes an own field."""
        return f in self.assigned or f in self.added

    def changes(self, f: Field) -> bool:
        """Return whether the step changes a field, of whoever acts or of others."""
        return self.changes_own(f) or any(step.assigns(f) is not None for step in self.bulk)

    def recall(self, atom: Atom) -> bool | None:
        """Return whether an atom holds, as far as the facts decide it."""
        for known, some in self.facts.items():
            if some and known.within(atom):
                return True
            if not some and atom.within(known):
                return False
        return None
