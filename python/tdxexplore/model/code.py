"""A procedure as recorded: a flat list of instructions, the form that both readers of a model share.

The reference interpreter executes it on plain dictionaries; lowering executes it symbolically. It is PlusCal's notion
of a procedure: a `Label` starts an atomic step, and everything up to the next label that control reaches belongs to
that step. Other actors run only between steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr, Field, Group, Scope, Value, Variable


# How the names of program counters begin, and no others.
PROGRAM_COUNTER = "pc."


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in a step and is counted: prices name its kind.

    Attributes:
        kind: What it counts as, such as ``seamcall``.
        name: Which of its kind it is, such as ``TDH.SYS.INIT``.
    """

    kind: str
    name: str = ""


@dataclass(eq=False, slots=True)
class Label:
    """Start of a step.

    Attributes:
        name: Unique in its procedure; the value of the program counter.
        title: What the step does, in kernel words.
        frames: The functions it is in, outermost first.
        source: What the step stands for: file, function and version, or mail and date.
        scope: Who takes the step: the actor itself, or any CPU or package that stands at the label.
        pc: The program counter that holds the label.
        rest: An actor that waits here is not stuck.
        passive: No rule of its own: the actor waits while its CPUs or packages work.
        implied: Further program counters that are known here, with their labels' names.
        events: They happen whenever the step is taken.
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


@dataclass(eq=False, slots=True)
class Set:
    """Assign a constant, or a copy of another variable with the same values."""

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
    """A word for the trace: a call and what it returned. Events of this way through the step come with it."""

    text: str
    events: tuple[Event, ...] = ()


@dataclass(eq=False, slots=True)
class Stop:
    """End of the step; program counters stay as they were set."""


Instruction: TypeAlias = "Label | Set | Add | SetEach | Branch | Jump | Await | Either | Note | Stop"


@dataclass(eq=False)
class Code:
    """One actor's procedure.

    Attributes:
        actor: Who runs it.
        scope: Global, or CPU for an actor with an instance on each CPU.
        instructions: Its instructions.
        counters: Its program counters by name, with their scope.
    """

    actor: str
    scope: Scope
    instructions: list[Instruction]
    counters: dict[str, Scope]

    @cached_property
    def labels(self) -> list[tuple[int, Label]]:
        """Its labels with their positions, in order; kept, for the reference looks them up in every state."""
        return [(at, i) for at, i in enumerate(self.instructions) if isinstance(i, Label)]


def targets_of(instruction: Instruction) -> list[int]:
    """Where control may go on besides the next instruction."""
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
    """Positions that control can reach, whatever the conditions."""
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
