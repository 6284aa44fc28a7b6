"""This module holds the `with` blocks of a recording and the objects that they give to their bodies.

These objects are a `Frame` for a function, a `Loop`, a `Region` for a pass over CPUs or packages, and a `Choice`.

A block that is made and not entered would record nothing: ``k.cpus_read_lock()`` without ``with`` takes no lock. The
decorator `block` therefore replaces ``contextlib.contextmanager``: it lists each block from the moment that it is made
until it is entered, and `Procedure.finish` refuses a procedure while the list is not empty.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from tdxexplore.errors import BadModel
from tdxexplore.model.code import Jump, SetEach
from tdxexplore.model.expr import Const, In

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tdxexplore.model.code import Either, Instruction, Label
    from tdxexplore.model.expr import Field, Group, Value, Variable

P = ParamSpec("P")
T = TypeVar("T")
Recorded = TypeVar("Recorded", bound="Instruction")

# Two values of program counters that are no step: IDLE outside a loop over CPUs or packages, DONE after the last step. No
# title of a step begins with RESERVED, so no step has such a name.
IDLE = "(idle)"
DONE = "(done)"
RESERVED = "("


class Unentered:
    """The blocks of a recording that were made and not entered yet."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[AbstractContextManager[object], str]] = {}

    def made(self, block: AbstractContextManager[object], what: str) -> None:
        """Note that a block was made; ``what`` says where, and by which call."""
        self._made[id(block)] = (block, what)

    def entered(self, block: AbstractContextManager[object]) -> None:
        """Note that a block is entered.

        Raises:
            BadModel: The block was entered before.
        """
        if id(block) not in self._made:
            raise BadModel("a block of a recording is entered a second time; make a new one")
        del self._made[id(block)]

    def check(self) -> None:
        """Check that every block was entered.

        Raises:
            BadModel: A block was not, so it recorded nothing; the message says where it was made.
        """
        for _, what in self._made.values():
            raise BadModel(f"{what} is not entered, so it records nothing; write `with` before it")


class _Block(AbstractContextManager[T]):
    """A context manager that tells `Unentered` when it is made and when it is entered."""

    def __init__(self, inner: AbstractContextManager[T], unentered: Unentered, what: str) -> None:
        self._inner = inner
        self._unentered = unentered
        unentered.made(self, what)

    def __enter__(self) -> T:
        self._unentered.entered(self)
        return self._inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._inner.__exit__(kind, error, trace)


def block(function: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """Make a context manager as ``contextlib.contextmanager`` does; to make one and not to enter it is an error.

    One argument of ``function`` has the attribute ``unentered``: the procedure that is recorded, or an object that
    belongs to it.
    """
    managed = contextmanager(function)

    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        unentered = next(
            u for a in (*args, *kwargs.values()) if isinstance(u := getattr(a, "unentered", None), Unentered)
        )
        caller = sys._getframe(1)  # noqa: SLF001 -- the line that the user has to change
        place = f"{caller.f_code.co_filename}, line {caller.f_lineno}: "
        return _Block(managed(*args, **kwargs), unentered, f"{place}`{function.__name__}(...)`")

    return make


class Recording(Protocol):
    """The part of a procedure that its blocks use; a protocol, as `Procedure` itself imports this module.

    Attributes:
        actor: The actor's name.
        held: For each lock or other thing that is held here, the function that records its release, in the order of taking.
        region: The loop over CPUs or packages that is being recorded, if any.
        unentered: The blocks that were made and not entered yet.
        returning: The result of the function that is being left, while its releases are recorded.
    """

    actor: str
    held: list[Callable[[], None]]
    region: Region | None
    unentered: Unentered
    returning: Variable | None

    @property
    def position(self) -> int:
        """The index of the next instruction."""

    def emit(self, instruction: Recorded) -> Recorded:
        """Append an instruction."""

    def set(self, target: Variable, value: Value | Variable) -> None:
        """Assign."""

    def nested(self) -> AbstractContextManager[None]:
        """Open a deeper level of control."""


class WayOut:
    """A block that can be left from inside. Leaving it releases everything that was taken since it began."""

    def __init__(self, procedure: Recording, what: str) -> None:
        self._procedure = procedure
        self._what = what
        self._outside = len(procedure.held)
        self._region = procedure.region
        self._over = False
        self.exits: list[Jump] = []

    def over(self) -> None:
        """End the block: every exit leads to the next instruction."""
        for jump in self.exits:
            jump.target = self._procedure.position
        self._over = True

    def _leave(self) -> None:
        self._check_inside()
        if self._procedure.region is not self._region:
            raise BadModel(
                f"`{self._what}` of `{self._procedure.actor}` is left from inside a loop over CPUs or packages, "
                "by one of them; use the loop's `stop()`, and leave after it"
            )
        self._release()
        self.exits.append(self._procedure.emit(Jump()))

    def _check_inside(self) -> None:
        if self._over:
            raise BadModel(
                f"`{self._what}` of `{self._procedure.actor}` is left after its end; leave it inside its `with`"
            )

    def _release(self) -> None:
        for release in reversed(self._procedure.held[self._outside :]):
            release()


class Frame(WayOut):
    """A function that is being recorded; it has a result and can be returned from."""

    def __init__(self, procedure: Recording, name: str, result: Variable | None) -> None:
        super().__init__(procedure, name)
        self._result = result

    @property
    def result(self) -> Variable:
        """The value that the function returned. It can be read until the next step."""
        if self._result is None:
            raise BadModel(f"`{self._what}` returns nothing; name its values: `k.function(..., returns=(...))`")
        return self._result

    def returns(self, value: Value | Variable | None = None) -> None:
        """Record ``return value``, which releases what was taken inside the function."""
        if value is not None:
            self._procedure.set(self.result, value)
        self._procedure.returning = self._result
        self._leave()
        self._procedure.returning = None


class Loop(WayOut):
    """A loop that is being recorded."""

    def __init__(self, procedure: Recording) -> None:
        super().__init__(procedure, "loop")

    def leave(self) -> None:
        """Record ``break``, which releases what was taken inside the loop."""
        self._leave()


class Region(WayOut):
    """An IPI pass or a loop over CPUs or packages that is being recorded.

    Attributes:
        scope: Whether the loop is over CPUs or over packages.
        implied: The program counters of the actor that are known inside, each with the label that it holds.
    """

    def __init__(self, procedure: Recording, pc: Field, group: Group, first: Label, *, serial: bool) -> None:
        super().__init__(procedure, "pass")
        self.scope = first.scope
        self.implied = first.implied
        self._pc = pc
        self._group = group
        self._first = first.name
        self._serial = serial
        self._ends: list[Jump] = []

    def stop(self) -> None:
        """Leave the loop and release what was taken inside. Members that have not begun never will."""
        self._check_inside()
        self._release()
        if self._serial:  # no other member is between its first step and its last
            self._procedure.emit(SetEach(self._group, Const(value=True), ((self._pc, IDLE),)))
            self.exits.append(self._procedure.emit(Jump()))
        else:
            waiting = In(self._pc, frozenset([self._first]))
            self._procedure.emit(SetEach(self._group, waiting, ((self._pc, IDLE),)))
            self._ends.append(self._procedure.emit(Jump()))

    def done(self) -> None:
        """Let a member that stops go on at the next instruction, where every member ends."""
        for jump in self._ends:
            jump.target = self._procedure.position


class Choice:
    """A free choice that is being recorded."""

    def __init__(self, procedure: Recording, instruction: Either) -> None:
        self.unentered = procedure.unentered
        self._procedure = procedure
        self._instruction = instruction
        self._ends = procedure.position
        self._exits: list[Jump] = []

    @block
    def branch(self) -> Iterator[None]:
        """Record one of the alternatives."""
        self._check_between()
        self._instruction.targets.append(self._procedure.position)
        with self._procedure.nested():
            yield
        self._exits.append(self._procedure.emit(Jump()))
        self._ends = self._procedure.position

    def over(self) -> None:
        """End the choice: every branch leads to the next instruction."""
        self._check_between()
        self._ends = -1
        for jump in self._exits:
            jump.target = self._procedure.position

    def _check_between(self) -> None:
        if self._ends != self._procedure.position:
            raise BadModel(
                f"a free choice of `{self._procedure.actor}` has something besides its branches; put it into one"
            )
