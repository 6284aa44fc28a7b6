"""This module holds the pointer: a field of the whole state that holds a CPU, such as the owner of a lock, or none.

It is a flag of each CPU that at most one CPU has. So it is a field like others: CPUs stay interchangeable, and every part of the
engine and every export knows it. A pointer that belongs to a CPU would be a flag for each pair of CPUs, which there is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model.expr import Scope, as_expr, cpus

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr, Field, Operand
    from tdxexplore.model.model import Model
    from tdxexplore.model.procedure import Procedure


class Pointer:
    """A field of the whole state that holds a CPU, or none; at first none.

    Args:
        model: The model that it is declared in.
        name: Its name.

    Attributes:
        me: In a step of a CPU: the pointer holds this CPU. In a quantifier: it holds the CPU that is asked.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.me: Field = model.flag(name, Scope.CPU)

    @property
    def none(self) -> Expr:
        """The condition that it holds no CPU."""
        return cpus.none(self.me)

    def holds(self, where: Operand | bool) -> Expr:
        """Return the condition that it holds a CPU for which ``where`` is true."""
        return cpus.any(as_expr(where) & self.me)

    def set_me(self, procedure: Procedure) -> None:
        """Record that it now holds the CPU that acts."""
        self.clear(procedure)
        procedure.set(self.me, value=True)

    def clear(self, procedure: Procedure) -> None:
        """Record that it now holds none."""
        procedure.set_each(cpus, where=self.me, values={self.me: False})
