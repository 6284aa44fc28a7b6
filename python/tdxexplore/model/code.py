"""This module holds the recorded form of a procedure: a flat list of instructions, which both readers of a model share.

The reference interpreter executes it on plain dictionaries; lowering executes it symbolically. Steps are those of
PlusCal: a `Label` starts an atomic step, and everything up to the next label that control reaches belongs to that step.
Other actors run only between steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr, Field, Group, Scope, Value, Variable


# The name of every program counter, and of no other field, begins with this.
PROGRAM_COUNTER = "pc."


@dataclass(frozen=True, slots=True)
class Event:
    """An event happens in a step, and a price counts the events of the kinds that it names.

    Attributes:
        kind: The word by which prices name it, such as ``seamcall``.
        name: Its name among the events of its kind, such as ``TDH.SYS.INIT``.
    """

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, for traces. It decides nothing: what a step waits for and assigns is recorded besides.

    Attributes:
        name: Its name, such as ``cpu_hotplug_lock``.
        released: The call that releases it, such as ``cpus_read_unlock()``. The release is part of the step before it.
        shared: Whether several may hold it so at the same time.
    """

    name: str
    released: str
    shared: bool = False


@dataclass(eq=False, slots=True)
class Label:
    """A label starts a step.

    Attributes:
        name: The value of the program counter at this step; unique in its procedure.
        title: The action of the step, in kernel words.
        frames: The functions around the step, outermost first.
        source: The text that the step stands for: file, function and version, or mail and date.
        scope: Global if the actor itself takes the step, else the scope of the CPUs or packages that stand at the label.
        pc: The name of the program counter that holds the label.
        rest: Whether the actor rests here: it is no deadlock if a run ends with the actor at this step.
        passive: Whether the step has no rule, because the actor waits while its CPUs or packages work.
        implied: The other program counters of the actor that are known here, each with the label that it holds.
        events: The events that happen whenever the step is taken.
        locks: The locks that are held by whoever stands here, in the order of taking.
        takes: The lock that the step takes.
        picked: Who picks the CPU that takes the step; empty if the actor is bound to a CPU, or if nothing is picked.
    """

    name: str
    title: str
    frames: tuple[str, ...]
    source: str
    scope: Scope
    pc: str
    rest: bool = False
    passive: bool = False
    implied: dict[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    locks: tuple[Lock, ...] = ()
    takes: Lock | None = None
    picked: str = ""


@dataclass(eq=False, slots=True)
class Set:
    """Assign a constant, or the value of another variable."""

    target: Variable
    value: Value | Variable


@dataclass(eq=False, slots=True)
class Add:
    """Add to a counter; leaving its domain is a trap."""

    target: Field
    delta: int


@dataclass(eq=False, slots=True)
class SetEach:
    """Assign constants in every member of a group where ``where`` holds."""

    group: Group
    where: Expr
    values: tuple[tuple[Field, Value], ...]


@dataclass(eq=False, slots=True)
class Branch:
    """Go on with the next instruction when ``condition`` holds, else at ``otherwise``."""

    condition: Expr
    otherwise: int = -1


@dataclass(eq=False, slots=True)
class Jump:
    """Go on at ``target``."""

    target: int = -1


@dataclass(eq=False, slots=True)
class Await:
    """The step cannot be taken unless ``condition`` holds here."""

    condition: Expr


@dataclass(eq=False, slots=True)
class Either:
    """A free choice among the instructions at ``targets``."""

    targets: list[int] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Note:
    """Add a note to the trace, such as a call and its status. The events happen on the ways through the step that pass here."""

    text: str
    events: tuple[Event, ...] = ()


@dataclass(eq=False, slots=True)
class Stop:
    """End the step. The program counters keep the values that the step gave them."""


@dataclass(eq=False, slots=True)
class Native:
    """A stretch of the recording that models one function of the kernel, or one callback that the kernel calls.

    No reader of a model needs it; whoever runs the procedure in a kernel calls the function in its place.

    Attributes:
        function: The function, such as ``cpus_read_lock``; ``callback`` for what the kernel calls.
        arguments: What it is called with.
        start: The position of its first instruction.
        end: The position after its last one.
        result: What it returns, if the caller reads that.
    """

    function: str
    arguments: tuple[object, ...]
    start: int
    end: int = -1
    result: Variable | None = None


Instruction: TypeAlias = "Label | Set | Add | SetEach | Branch | Jump | Await | Either | Note | Stop"


@dataclass(eq=False)
class Code:
    """The procedure of one actor.

    Attributes:
        actor: The actor's name.
        scope: Global, or CPU for an actor with an instance on each CPU.
        instructions: Its instructions.
        counters: Its program counters by name, with their scope.
        natives: What of it stands for functions of the kernel; one may lie inside another.
    """

    actor: str
    scope: Scope
    instructions: list[Instruction]
    counters: dict[str, Scope]
    natives: list[Native] = field(default_factory=list)

    @cached_property
    def labels(self) -> list[tuple[int, Label]]:
        """Its labels with their positions, in order. They are cached, as the reference looks them up in every state."""
        return [(at, i) for at, i in enumerate(self.instructions) if isinstance(i, Label)]


def targets_of(instruction: Instruction) -> list[int]:
    """List the positions, other than the next one, at which control may go on."""
    match instruction:
        case Branch(_, otherwise):
            return [otherwise]
        case Jump(target):
            return [target]
        case Either(targets):
            return targets
        case _:
            return []


def reachable(code: list[Instruction]) -> set[int]:
    """Find the positions that control can reach if every condition may be true or false."""
    reached: set[int] = set()
    waiting = [0]
    while waiting:
        at = waiting.pop()
        if at in reached or at >= len(code):
            continue
        reached.add(at)
        waiting += targets_of(code[at])
        if not isinstance(code[at], (Jump, Either, Stop)):
            waiting.append(at + 1)
    return reached
