"""What a `with` block of a recording hands out: the function, loop, pass over CPUs or free choice that is being recorded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.code import Jump, SetEach
from tdxexplore.model.expr import Const

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Either
    from tdxexplore.model.expr import Field, Group, Value, Variable
    from tdxexplore.model.procedure import Procedure

# Values of program counters that no step has: outside a loop over CPUs, and behind the last step.
IDLE = "idle"
DONE = "done"


class Frame:
    """A function that is being recorded: its result and its way out."""

    def __init__(self, procedure: Procedure, result: Variable | None) -> None:
        self._procedure = procedure
        self._result = result
        self._outside = len(procedure.held)
        self.exits: list[Jump] = []

    @property
    def result(self) -> Variable:
        """What the function returned; readable until the next step."""
        if self._result is None:
            raise BadModel("this function returns nothing")
        return self._result

    def returns(self, value: Value | Variable | None = None) -> None:
        """``return value``, releasing what was taken inside the function."""
        if value is not None:
            self._procedure.set(self.result, value)
        for release in reversed(self._procedure.held[self._outside :]):
            release()
        self.exits.append(self._procedure.emit(Jump()))


class Loop:
    """A loop that is being recorded."""

    def __init__(self, procedure: Procedure) -> None:
        self._procedure = procedure
        self.exits: list[Jump] = []

    def leave(self) -> None:
        """``break``."""
        self.exits.append(self._procedure.emit(Jump()))


class Region:
    """An IPI pass or a loop over CPUs that is being recorded."""

    def __init__(self, procedure: Procedure, pc: Field, group: Group) -> None:
        self._procedure = procedure
        self._pc = pc
        self._group = group
        self.exits: list[Jump] = []

    def stop(self) -> None:
        """Leave the loop: members that have not begun never will."""
        self._procedure.emit(SetEach(self._group, Const(value=True), ((self._pc, IDLE),)))
        self.exits.append(self._procedure.emit(Jump()))


class Choice:
    """A free choice that is being recorded."""

    def __init__(self, procedure: Procedure, instruction: Either) -> None:
        self._procedure = procedure
        self._instruction = instruction
        self.exits: list[Jump] = []

    @contextmanager
    def branch(self) -> Iterator[None]:
        """One of the alternatives."""
        self._instruction.targets.append(self._procedure.position)
        with self._procedure.nested():
            yield
        self.exits.append(self._procedure.emit(Jump()))
