"""What a trace is made of: its steps, who holds which lock, and who waits for whom in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdxexplore.model import Lock
    from tdxexplore.model.expr import Value


@dataclass(frozen=True, slots=True)
class Held:
    """A lock and who holds it: an actor, or what it runs on one CPU."""

    lock: Lock
    actor: str
    cpu: int | None


@dataclass(frozen=True, slots=True)
class Blocker:
    """Whom or what somebody waits for.

    Attributes:
        actor: Who holds the lock, has queued for it, or last changed what is waited for; empty if nobody did.
        cpu: Where, or None.
        number: The step by which it was so; None for the initial state.
        why: ``holds``, ``has queued for`` or ``changed``.
        what: The lock, or the fields.
    """

    actor: str
    cpu: int | None
    number: int | None
    why: str
    what: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody who waits for ever.

    Attributes:
        actor: Who.
        step: In which step.
        cpu: Where, or None.
        since: The step after which it came there, or None if it stood there at first.
        blockers: For whom or what.
    """

    actor: str
    step: str
    cpu: int | None
    since: int | None
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One atomic action.

    Attributes:
        number: From 1.
        token: The part of the schedule that selects it.
        actor: Who acts.
        package: Where, or None.
        cpu: Where, or None when the step is not bound to a CPU.
        functions: The kernel functions it is in, outermost first.
        title: The step.
        notes: Instructions and SEAMCALLs, with what they returned.
        source: What the step stands for.
        changes: Fields that changed: ``(name, old, new)``; a CPU's or package's field has its number, ``vmx_on[2]``.
        takes: The lock that it takes.
        released: The locks that are released at its end, in this order.
        held: Who holds which lock after it.
        picked: Who picked the CPU, if there was a choice; empty otherwise.
    """

    number: int
    token: str
    actor: str
    package: int | None
    cpu: int | None
    functions: tuple[str, ...]
    title: str
    notes: tuple[str, ...]
    source: str
    changes: tuple[tuple[str, Value, Value], ...]
    takes: Lock | None = None
    released: tuple[Held, ...] = ()
    held: tuple[Held, ...] = ()
    picked: str = ""

    @property
    def where(self) -> str:
        """``CPU 2``, ``package 0`` or nothing."""
        if self.cpu is not None:
            return f"CPU {self.cpu}"
        return "" if self.package is None else f"package {self.package}"

    @property
    def what(self) -> str:
        """The innermost function and step, and what happened."""
        where = place(self.functions, self.title)
        return f"{where} -> {'; '.join(self.notes)}" if self.notes else where


def place(functions: tuple[str, ...], title: str) -> str:
    """Where a step is, in words: the innermost function and the step."""
    inner = functions[-1] if functions else ""
    return f"{inner}: {title}" if inner and inner != title else title
