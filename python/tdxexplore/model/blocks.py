"""The `with` blocks of a recording, and what they hand out: a function, a loop, a pass over CPUs, a free choice.

A block that is made and not entered records nothing: ``k.cpus_read_lock()`` without ``with`` takes no lock. So `block`,
which stands where ``contextlib.contextmanager`` would, notes each block that is made until it is entered, and the
procedure is refused while one is left.
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

# Values of program counters that no step has, as no title begins like that: outside a loop over CPUs, and behind the
# last step.
IDLE = "(idle)"
DONE = "(done)"
RESERVED = "("


class Unentered:
    """The blocks of a recording that were made and not entered yet."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[AbstractContextManager[object], str]] = {}

    def made(self, block: AbstractContextManager[object], what: str) -> None:
        """A block is made; ``what`` says where, and by which call."""
        self._made[id(block)] = (block, what)

    def entered(self, block: AbstractContextManager[object]) -> None:
        """It is entered.

        Raises:
            BadModel: It was entered before.
        """
        if id(block) not in self._made:
            raise BadModel("a block of a recording is entered a second time; make a new one")
        del self._made[id(block)]

    def check(self) -> None:
        """Check that none is left.

        Raises:
            BadModel: One is, which records nothing; the message says where it was made.
        """
        for _, what in self._made.values():
            raise BadModel(f"{what} is not entered, so it records nothing; write `with` before it")


class _Block(AbstractContextManager[T]):
    """A block that says when it is entered."""

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
    """A context manager, as by ``contextlib.contextmanager``, that is an error when it is made and not entered.

    One of its arguments is the procedure that is recorded, or something of its.
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
    """What blocks need of the procedure that is recorded.

    Attributes:
        actor: Who acts.
        held: Releases of what is held here, in the order of taking it.
        region: The loop over CPUs or packages that is being recorded.
        unentered: Blocks that were made and not entered yet.
    """

    actor: str
    held: list[Callable[[], None]]
    region: Region | None
    unentered: Unentered

    @property
    def position(self) -> int:
        """Where the next instruction goes."""

    def emit(self, instruction: Recorded) -> Recorded:
        """Append an instruction."""

    def set(self, target: Variable, value: Value | Variable) -> None:
        """Assign."""

    def nested(self) -> AbstractContextManager[None]:
        """A deeper level of control."""


class WayOut:
    """Something that is being recorded and can be left from inside: what was taken since it began is released."""

    def __init__(self, procedure: Recording, what: str) -> None:
        self._procedure = procedure
        self._what = what
        self._outside = len(procedure.held)
        self._region = procedure.region
        self._over = False
        self.exits: list[Jump] = []

    def over(self) -> None:
        """What is recorded from here on is behind it."""
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
    """A function that is being recorded: its result and its way out."""

    def __init__(self, procedure: Recording, name: str, result: Variable | None) -> None:
        super().__init__(procedure, name)
        self._result = result

    @property
    def result(self) -> Variable:
        """What the function returned; readable until the next step."""
        if self._result is None:
            raise BadModel(f"`{self._what}` returns nothing; name its values: `k.function(..., returns=(...))`")
        return self._result

    def returns(self, value: Value | Variable | None = None) -> None:
        """``return value``, releasing what was taken inside the function."""
        if value is not None:
            self._procedure.set(self.result, value)
        self._leave()


class Loop(WayOut):
    """A loop that is being recorded."""

    def __init__(self, procedure: Recording) -> None:
        super().__init__(procedure, "loop")

    def leave(self) -> None:
        """``break``, releasing what was taken inside the loop."""
        self._leave()


class Region(WayOut):
    """An IPI pass or a loop over CPUs or packages that is being recorded.

    Attributes:
        scope: Whom the loop is over.
        implied: Program counters that are known inside, with their labels' names.
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
        """Leave the loop, releasing what was taken inside: members that have not begun never will."""
        self._check_inside()
        self._release()
        if self._serial:  # nobody else is at work
            self._procedure.emit(SetEach(self._group, Const(value=True), ((self._pc, IDLE),)))
            self.exits.append(self._procedure.emit(Jump()))
        else:
            waiting = In(self._pc, frozenset([self._first]))
            self._procedure.emit(SetEach(self._group, waiting, ((self._pc, IDLE),)))
            self._ends.append(self._procedure.emit(Jump()))

    def done(self) -> None:
        """What is recorded from here on is the end of a member."""
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
        """One of the alternatives."""
        self._check_between()
        self._instruction.targets.append(self._procedure.position)
        with self._procedure.nested():
            yield
        self._exits.append(self._procedure.emit(Jump()))
        self._ends = self._procedure.position

    def over(self) -> None:
        """What is recorded from here on is behind it."""
        self._check_between()
        self._ends = -1
        for jump in self._exits:
            jump.target = self._procedure.position

    def _check_between(self) -> None:
        if self._ends != self._procedure.position:
            raise BadModel(
                f"a free choice of `{self._procedure.actor}` has something besides its branches; put it into one"
            )
