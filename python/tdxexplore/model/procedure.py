"""This module records a procedure: the steps of one actor.

A procedure's body is an ordinary Python function that runs once and records its steps, so that it reads beside the
source that it stands for. Python's own ``if`` and ``for`` decide which steps are recorded (knobs, module kinds);
``with k.if_(...)`` records a decision that is taken in each state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tdxexplore.errors import BadModel
from tdxexplore.model.blocks import DONE, IDLE, RESERVED, Choice, Frame, Loop, Recorded, Region, Unentered, block
from tdxexplore.model.code import (
    PROGRAM_COUNTER,
    Add,
    Await,
    Branch,
    Code,
    Either,
    Event,
    Jump,
    Label,
    Lock,
    Native,
    Note,
    Set,
    SetEach,
    Stop,
    reachable,
    targets_of,
)
from tdxexplore.model.expr import (
    Any,
    Const,
    Expr,
    Field,
    Group,
    In,
    Operand,
    Scope,
    Temp,
    Value,
    Variable,
    as_expr,
    cpus,
    packages,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tdxexplore.model.code import Instruction

__all__ = ["Frame", "Procedure", "Recorded"]


class Procedure:
    """Records the steps of one actor.

    Args:
        actor: The actor's name, unique in the model.
        scope: Global, or CPU for an actor with an instance on each CPU.
    """

    def __init__(self, actor: str, scope: Scope = Scope.GLOBAL) -> None:
        self.actor = actor
        self.scope = scope
        self.counters: dict[str, Field] = {}
        self.held: list[Callable[[], None]] = []
        self.region: Region | None = None
        self.unentered = Unentered()
        self.returning: Variable | None = None
        self.locks: tuple[Lock, ...] = ()
        self._code: list[Instruction] = []
        self._natives: list[Native] = []
        self._names: set[str] = set()
        self._frames: list[tuple[str, str]] = []
        self._open_ifs: dict[int, Branch] = {}
        self._depth = 0
        self._main = self._counter(scope)

    # -- one instruction each -----------------------------------------------------------------------------------------

    def step(
        self,
        title: str,
        source: str = "",
        *,
        rest: bool = False,
        events: tuple[Event, ...] = (),
        takes: Lock | None = None,
    ) -> None:
        """Start a step: what follows, up to the next step that control reaches, is one atomic action.

        Args:
            title: The action of the step, in kernel words.
            source: The text that the step stands for; default: the source of the function around it.
            rest: Whether the actor rests here: it is no deadlock if a run ends with the actor at this step.
            events: The events that happen whenever the step is taken; prices count them.
            takes: The lock that the step takes, for traces; `locked` says how long it is held.
        """
        counter = self._counter(self.acting) if self.region else self._main
        label = self._label(title, source, self.acting, counter, rest=rest)
        label.events, label.takes = events, takes
        self.emit(label)

    def set(self, target: Variable, value: Value | Variable) -> None:
        """Assign a constant, or the value of a variable whose every value the target can have."""
        if isinstance(value, Variable):
            known = {(type(v), v) for v in target.values}
            for each in value.values:
                if (type(each), each) not in known:
                    target.check(each)
        else:
            target.check(value)
        self.emit(Set(target, value))

    def add(self, target: Field, delta: int) -> None:
        """Add to a counter; a step that leaves its domain is a trap."""
        if any(type(value) is not int for value in target.values):
            raise BadModel(f"field `{target.name}` is not a counter")
        self.emit(Add(target, delta))

    def set_each(self, group: Group, where: Operand | bool, values: dict[Field, Value]) -> None:
        """Assign constants in every member of ``group`` where ``where`` holds."""
        for field, value in values.items():
            if field.scope != group.scope:
                raise BadModel(f"field `{field.name}` is not one of a {group.scope.value}; group is `{group.value}`")
            field.check(value)
        self.emit(SetEach(group, as_expr(where), tuple(values.items())))

    def await_(self, condition: Operand | bool) -> None:
        """Bar the step in every state in which ``condition`` does not hold."""
        self.emit(Await(self._condition(condition)))

    def note(self, text: str, *events: Event) -> None:
        """Add a note to the trace, such as a call and its status. ``events`` happen with it; prices count them."""
        self.emit(Note(text, events))

    # -- control ------------------------------------------------------------------------------------------------------

    @block
    def if_(self, condition: Operand | bool) -> Iterator[None]:
        """Record the body for the case that ``condition`` holds, which sees what the step has assigned so far."""
        branch = self.emit(Branch(self._condition(condition)))
        with self.nested():
            yield
        branch.otherwise = self.position
        self._open_ifs[self._depth] = branch

    @block
    def else_(self) -> Iterator[None]:
        """Record the other side of the `if_` just before."""
        branch = self._open_ifs.pop(self._depth, None)
        if branch is None or branch.otherwise != self.position:
            raise BadModel(f"`else_` without `if_` in the procedure of `{self.actor}`")
        jump = self.emit(Jump())
        branch.otherwise = self.position
        with self.nested():
            yield
        jump.target = self.position

    @block
    def loop(self) -> Iterator[Loop]:
        """Repeat the body until the loop is left. Budgets bound how often; the loop itself does not."""
        start, loop = self.position, Loop(self)
        with self.nested():
            yield loop
        self.emit(Jump(start))
        loop.over()

    @block
    def either(self) -> Iterator[Choice]:
        """Record a free choice among the branches that are recorded inside."""
        instruction = self.emit(Either())
        choice = Choice(self, instruction)
        with self.nested():
            yield choice
        choice.over()

    @block
    def function(self, name: str, source: str = "", returns: Sequence[Value] = ()) -> Iterator[Frame]:
        """Record a function of the source. The steps inside carry its name and its source.

        Args:
            name: The name as a kernel developer would search for it, such as ``tdx_enable()``.
            source: File, function and version, or mail and date.
            returns: The values that it may return, if the caller reads the result.
        """
        frame = Frame(self, name, self.result(f"{name}.return", tuple(returns)) if returns else None)
        self._frames.append((name, source))
        with self.nested():
            yield frame
        self._frames.pop()
        frame.over()

    @block
    def stands_for(self, function: str, *arguments: object) -> Iterator[Native]:
        """Mark what is recorded inside as the model of one function of the kernel; it changes nothing in the model.

        Args:
            function: The function, or ``callback`` for what the kernel calls.
            arguments: What it is called with.
        """
        native = Native(function, arguments, self.position)
        self._natives.append(native)
        yield native
        native.end = self.position

    @block
    def holding(self, release: Callable[[], None]) -> Iterator[None]:
        """Hold a lock or another thing while the body runs; ``release`` records its release on every way out."""
        self.held.append(release)
        with self.nested():
            yield
        self.held.pop()
        if self._falls_through:
            release()

    @block
    def locked(self, lock: Lock) -> Iterator[None]:
        """Say for traces that the actor holds a lock wherever it stands inside; a step takes it, and the last one releases it."""
        before, self.locks = self.locks, (*self.locks, lock)
        yield
        self.locks = before

    @block
    def on_any_cpu(
        self, where: Operand | bool, title: str, source: str = "", *, rest: bool = False, picked: str = "the scheduler"
    ) -> Iterator[None]:
        """Record one step that runs on one CPU where ``where`` holds; the scheduler picks the CPU.

        Args:
            where: The condition under which a CPU can take the step.
            title: The action of the step, in kernel words.
            source: The text that the step stands for; default: the source of the function around it.
            rest: Whether the actor rests here: it is no deadlock if a run ends with the actor at this step.
            picked: Who picks the CPU, for traces; empty where all CPUs that can take the step are alike.
        """
        self._only_global("on_any_cpu")
        label = self._label(title, source, Scope.CPU, self._main, rest=rest)
        label.picked = picked
        self.emit(label)
        self.emit(Await(as_expr(where)))
        # The body belongs to this step; a step that begins inside it is again taken by the actor and by no CPU.
        with self.nested():
            yield

    @block
    def on_each_cpu(
        self,
        where: Operand | bool,
        title: str,
        source: str = "",
        *,
        serial: bool = False,
        rest: bool = False,
        events: tuple[Event, ...] = (),
    ) -> Iterator[Region]:
        """Let every CPU where ``where`` holds run the body, and let the actor wait for all of them.

        The body begins as one step; `step` inside it begins another. The CPUs act in any order and interleave, as after
        an IPI. With ``serial`` they run the body one after the other, also in any order: the kernel goes by number, but
        numbers are names, and each order stands for another numbering.

        Args:
            where: The condition under which a CPU runs the body.
            title: The action of the first step of the body, in kernel words.
            source: The text that this step stands for; default: the source of the function around it.
            serial: Whether one CPU runs the body after the other.
            rest: Whether a CPU rests before the first step, and the actor while it waits for the CPUs.
            events: The events that happen on every CPU that begins; prices count them.
        """
        with self._on_each(Scope.CPU, cpus, where, title, source, serial=serial, rest=rest, events=events) as region:
            yield region

    @block
    def on_each_package(
        self, where: Operand | bool, title: str, source: str = "", *, rest: bool = False
    ) -> Iterator[Region]:
        """Let every package where ``where`` holds run the body, one after the other, in any order."""
        with self._on_each(Scope.PACKAGE, packages, where, title, source, serial=True, rest=rest) as region:
            yield region

    @block
    def _on_each(
        self,
        scope: Scope,
        group: Group,
        where: Operand | bool,
        title: str,
        source: str,
        *,
        serial: bool,
        rest: bool,
        events: tuple[Event, ...] = (),
    ) -> Iterator[Region]:
        self._only_global(f"on_each_{scope.value}")
        pc = self._counter(scope)
        wait = self._label(f"wait for {title}", source, Scope.GLOBAL, self._main, rest=rest, passive=True)
        first = self._label(title, source, scope, pc, rest=rest)
        first.implied = {self._main.name: wait.name}
        first.events = events
        spawn = self.emit(SetEach(group, as_expr(where), ()))
        empty = self.emit(Branch(Const(value=True)))
        self.emit(wait)
        self.emit(first)
        begin_alone = self.emit(Await(Const(value=True)))
        start = self.position
        region = Region(self, pc, group, first, serial=serial)
        self.region = region
        with self.nested():
            yield region
        self.region = None
        spawn.values = ((pc, first.name),)
        later = {i.name for i in self._code[start:] if isinstance(i, Label)}
        more = Any(group, In(pc, frozenset({first.name, *later})))
        empty.condition = more
        if serial and later:
            begin_alone.condition = group.none(In(pc, frozenset(later)))
        region.done()
        self.emit(Set(pc, IDLE))
        last = self.emit(Branch(more))
        self.emit(Stop())
        empty.otherwise = last.otherwise = self.position
        region.over()

    # -- inside -------------------------------------------------------------------------------------------------------

    def result(self, name: str, values: tuple[Value, ...]) -> Variable:
        """Make the variable that holds a function's result; it lives within one step."""
        return Temp(name, values)

    def call(self, callback: Callable[[Self], Variable]) -> Variable:
        """Record the steps of a callback, and check that it returns a variable, which its caller can read.

        Raises:
            BadModel: It returns something else; the message names the callback.
        """
        result: object = callback(self)
        if isinstance(result, Variable):
            return result
        name = getattr(callback, "__qualname__", repr(callback))
        code = getattr(callback, "__code__", None)
        place = f"{code.co_filename}, line {code.co_firstlineno}: " if code else ""
        raise BadModel(f"{place}`{name}` returns {result!r}; it must return a result, such as `return f.result`")

    @property
    def acting(self) -> Scope:
        """The scope of a step that is recorded here: that of the loop over CPUs or packages around it, else the actor's."""
        return self.region.scope if self.region else self.scope

    @property
    def recorded(self) -> Sequence[Instruction]:
        """The instructions so far."""
        return self._code

    @property
    def position(self) -> int:
        """The index of the next instruction."""
        return len(self._code)

    def emit(self, instruction: Recorded) -> Recorded:
        """Append an instruction."""
        self._code.append(instruction)
        return instruction

    @block
    def nested(self) -> Iterator[None]:
        """Open a deeper level of control, by which an `else_` finds its `if_`."""
        self._open_ifs.pop(self._depth, None)
        self._depth += 1
        yield
        self._open_ifs.pop(self._depth, None)
        self._depth -= 1

    def finish(self) -> Code:
        """Close the procedure, and give its program counters their values.

        Raises:
            BadModel: A block was made and not entered, or a step cannot be reached.
        """
        self.unentered.check()
        ends = Label(DONE, "done", (), "", self.scope, self._main.name, rest=True, passive=True)
        if self._falls_through:
            self.emit(ends)
        if not self._code or not isinstance(self._code[0], Label):
            raise BadModel(f"the procedure of `{self.actor}` must begin with a step")
        reached = reachable(self._code)
        for at, instruction in enumerate(self._code):
            if isinstance(instruction, Label) and at not in reached:
                raise BadModel(f"step `{instruction.name}` of `{self.actor}` cannot be reached")
        for pc in self.counters.values():
            labels = tuple(i.name for i in self._code if isinstance(i, Label) and i.pc == pc.name)
            pc.values = labels if pc is self._main else (IDLE, *labels)
            pc.initial = pc.values[0]
        scopes = {name: pc.scope for name, pc in self.counters.items()}
        return Code(self.actor, self.scope, self._code, scopes, self._natives)

    def _condition(self, condition: Operand | bool) -> Expr:
        # `None != OK` is true in Python: a helper that forgets its `return` would decide the condition unnoticed.
        if isinstance(condition, bool):
            raise BadModel(
                f"a condition of `{self.actor}` is {condition}, which Python has decided: use Python's `if`, or `always` and "
                "`never`; a function that returns nothing decides so, too"
            )
        return as_expr(condition)

    def _label(
        self, title: str, source: str, scope: Scope, pc: Field, *, rest: bool = False, passive: bool = False
    ) -> Label:
        if not isinstance(title, str) or not title or title.startswith(RESERVED):
            raise BadModel(f"a step of `{self.actor}` is titled {title!r}; a title begins with something else than `(`")
        name, number = title, 1
        while name in self._names:
            number += 1
            name = f"{title} #{number}"
        self._names.add(name)
        cited = source or next((s for _, s in reversed(self._frames) if s), "")
        frames = tuple(name for name, _ in self._frames)
        implied = dict(self.region.implied) if self.region else {}
        return Label(name, title, frames, cited, scope, pc.name, rest, passive, implied, locks=self.locks)

    def _counter(self, scope: Scope) -> Field:
        name = f"{PROGRAM_COUNTER}{self.actor}{'' if scope is self.scope else f'.{scope.value}'}"
        if name not in self.counters:
            self.counters[name] = Field(name, scope, (), IDLE)
        return self.counters[name]

    def _only_global(self, what: str) -> None:
        if self.scope is not Scope.GLOBAL or self.region:
            raise BadModel(f"`{what}` in the procedure of `{self.actor}` is inside another loop over CPUs or packages")

    @property
    def _falls_through(self) -> bool:
        """Whether control can reach the next instruction."""
        ends = bool(self._code) and isinstance(self._code[-1], (Jump, Stop))
        return not ends or any(self.position in targets_of(i) for i in self._code)
