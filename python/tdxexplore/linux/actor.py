"""An actor in the kernel: what every step of it waits for, what may fail, WARN()."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from tdxexplore.linux.state import UNBOUNDED
from tdxexplore.model import Field, Procedure, Scope, block
from tdxexplore.model.code import Await, Label
from tdxexplore.model.expr import as_expr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.linux.state import Linux
    from tdxexplore.model.expr import Operand, Value, Variable
    from tdxexplore.model.procedure import Recorded


class Returning(Protocol):
    """A function that is being recorded."""

    def returns(self, value: str, /) -> None:
        """It ends here."""


class Actor(Procedure):
    """A procedure of the kernel.

    Args:
        world: The fields.
        actor: Who acts.
        scope: Global, or CPU for an actor with an instance on each CPU.
        split_releases: Make the release of a lock a step of its own (to test that this changes no outcome).
    """

    w: Linux

    def __init__(self, world: Linux, actor: str, scope: Scope = Scope.GLOBAL, *, split_releases: bool = False) -> None:
        self.w = world
        self._split_releases = split_releases
        self._alone = False
        super().__init__(actor, scope)

    def emit(self, instruction: Recorded) -> Recorded:
        """Append an instruction; a step waits for what every step waits for, unless it runs alone."""
        super().emit(instruction)
        if isinstance(instruction, Label) and not instruction.passive and not self._alone:
            for condition in self.waits_for(instruction):
                super().emit(Await(as_expr(condition)))
        return instruction

    def waits_for(self, step: Label) -> Iterator[Operand]:
        """What a step waits for besides its own conditions: no CPU takes one while stop_machine() holds it."""
        if self.w.stoppable:
            yield ~self.w.stop_machine

    @block
    def undisturbed(self) -> Iterator[None]:
        """The steps recorded inside do not wait for that: their actor is the reason why others wait."""
        before, self._alone = self._alone, True
        yield
        self._alone = before

    def result(self, name: str, values: tuple[Value, ...]) -> Variable:
        """Where the result of a function is kept.

        With releases as steps of their own a result must outlive a step, so that it becomes a field. Those of a CPU live within
        a step as before, as a CPU has few bits; a release on the way out of the function keeps them, see `kept`.
        """
        result = super().result(name, values)
        return self.kept(result) if self._split_releases and self.acting is not Scope.CPU else result

    def kept(self, result: Variable) -> Field:
        """Return the field that holds a function's result from one step to the next."""
        known, name = self.w.model.fields, f"{self.actor}.{result.name}"
        if name not in known:
            known[name] = Field(name, self.acting, result.values, result.values[0])
        return known[name]

    # -- budgets and faults -------------------------------------------------------------------------------------------

    def spend(self, budget: str) -> None:
        """An action of that budget happens; one without limit is not counted."""
        if self.w.limit[budget] != UNBOUNDED:
            self.add(self.w.budget[budget], -1)

    @block
    def fault(self, budget: str) -> Iterator[None]:
        """What is recorded inside may happen here, as often as the budget of that name allows."""
        with self.either() as choice:
            with choice.branch():
                pass
            with choice.branch():
                self.await_(self.w.budget[budget] > 0)
                self.spend(budget)
                self.note(self.w.budget_text[budget])
                yield

    def may_fail(self, budget: str, function: Returning, error: str) -> None:
        """The function may return an error here, as often as the budget of that name allows."""
        if self.w.has(budget):
            with self.fault(budget):
                function.returns(error)

    # -- reports ------------------------------------------------------------------------------------------------------

    def blame(self, field: Field) -> None:
        """Something fails for a user without cause, which decides the outcome; that the system goes down is a cause."""
        with self.if_(~self.w.restarting) if self.w.restarts else nullcontext():
            self.set(field, value=True)

    def warn_on(self, condition: Operand | bool, text: str) -> None:
        """WARN_ON(condition)."""
        with self.if_(condition):
            self.warn(text)

    def warn(self, text: str) -> None:
        """WARN(), or a report of lockdep."""
        self.note(f"WARN: {text}")
        self.set(self.w.warned, value=True)
