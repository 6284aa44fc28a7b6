"""Recording a procedure: what one actor does, step by step.

A procedure's body is an ordinary Python function that runs once and records its steps, so that it reads beside the
source that it stands for. Python's own ``if`` and ``for`` decide what is recorded (knobs, module kinds);
``with k.if_(...)`` records a decision that is taken in each state.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tdxexplore.errors import BadModel
from tdxexplore.model.blocks import DONE, IDLE, Choice, Frame, Loop, Region
from tdxexplore.model.code import (
    Add,
    Await,
    Branch,
    Code,
    Either,
    Jump,
    Label,
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

Recorded = TypeVar("Recorded", bound="Instruction")


class Procedure:
    """Records what one actor does.

    Args:
        actor: Who acts; unique in the model.
        scope: Global, or CPU for an actor with an instance on each CPU.
    """

    def __init__(self, actor: str, scope: Scope = Scope.GLOBAL) -> None:
        self.actor = actor
        self.scope = scope
        self.counters: dict[str, Field] = {}
        self.held: list[Callable[[], None]] = []
        self._code: list[Instruction] = []
        self._names: dict[str, int] = {}
        self._frames: list[tuple[str, str]] = []
        self._open_ifs: dict[int, Branch] = {}
        self._depth = 0
        self._region: Scope | None = None
        self._region_implied: dict[str, str] = {}
        self._main = self._counter(scope)

    # -- one instruction each -----------------------------------------------------------------------------------------

    def step(self, title: str, source: str = "", *, rest: bool = False) -> None:
        """Start a step: what follows, up to the next step that control reaches, is one atomic action.

        Args:
            title: What it does, in kernel words.
            source: What it stands for; default: the source of the function it is in.
            rest: An actor that waits here is not stuck.
        """
        scope = self._region or self.scope
        self.emit(self._label(title, source, scope, self._counter(scope) if self._region else self._main, rest=rest))

    def set(self, target: Variable, value: Value | Variable) -> None:
        """Assign a constant, or a copy of a variable with the same domain."""
        if isinstance(value, Variable):
            for each in value.values:
                target.check(each)
        else:
            target.check(value)
        self.emit(Set(target, value))

    def add(self, target: Field, delta: int) -> None:
        """Add to a counter."""
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
        """The step cannot be taken before ``condition`` holds."""
        self.emit(Await(as_expr(condition)))

    def note(self, text: str) -> None:
        """A word for the trace: a call and what it returned."""
        self.emit(Note(text))

    # -- control ------------------------------------------------------------------------------------------------------

    @contextmanager
    def if_(self, condition: Operand | bool) -> Iterator[None]:
        """A decision, taken in the state that the step has made so far."""
        branch = self.emit(Branch(as_expr(condition)))
        with self.nested():
            yield
        branch.otherwise = self.position
        self._open_ifs[self._depth] = branch

    @contextmanager
    def else_(self) -> Iterator[None]:
        """The other side of the `if_` just before."""
        branch = self._open_ifs.pop(self._depth, None)
        if branch is None or branch.otherwise != self.position:
            raise BadModel(f"`else_` without `if_` in the procedure of `{self.actor}`")
        jump = self.emit(Jump())
        branch.otherwise = self.position
        with self.nested():
            yield
        jump.target = self.position

    @contextmanager
    def loop(self) -> Iterator[Loop]:
        """Repeat until left; budgets, not the loop, bound how often."""
        start, loop = self.position, Loop(self)
        with self.nested():
            yield loop
        self.emit(Jump(start))
        self._land(loop.exits)

    @contextmanager
    def either(self) -> Iterator[Choice]:
        """A free choice among the branches recorded inside."""
        instruction = self.emit(Either())
        choice = Choice(self, instruction)
        with self.nested():
            yield choice
        self._land(choice.exits)

    @contextmanager
    def function(self, name: str, source: str = "", returns: Sequence[Value] = ()) -> Iterator[Frame]:
        """A function of the source: names the steps in it, and gives them its source.

        Args:
            name: As a kernel developer would search for it, such as ``tdx_enable()``.
            source: File, function and version, or mail and date.
            returns: The values it may return, when the caller looks at them.
        """
        frame = Frame(self, self.result(f"{name}.return", tuple(returns)) if returns else None)
        self._frames.append((name, source))
        with self.nested():
            yield frame
        self._frames.pop()
        self._land(frame.exits)

    @contextmanager
    def holding(self, release: Callable[[], None]) -> Iterator[None]:
        """What is recorded inside holds something; ``release`` records its release, on every way out."""
        self.held.append(release)
        with self.nested():
            yield
        self.held.pop()
        if self._falls_through:
            release()

    @contextmanager
    def on_any_cpu(self, where: Operand | bool, title: str, source: str = "") -> Iterator[None]:
        """One step on one CPU where ``where`` holds, whichever the scheduler picks."""
        self._only_global("on_any_cpu")
        self.emit(self._label(title, source, Scope.CPU, self._main))
        self.await_(where)
        with self._in_region(None):
            yield

    @contextmanager
    def on_each_cpu(
        self, where: Operand | bool, title: str, source: str = "", *, serial: bool = False
    ) -> Iterator[Region]:
        """Every CPU where ``where`` holds runs the body, and the caller waits for all.

        The body starts as one step; `step` inside it splits it. In any order, interleaved like IPIs, or with
        ``serial`` one CPU after the other, again in any order: the kernel goes by number, but which CPU has which
        number is a matter of naming.
        """
        with self._on_each(Scope.CPU, cpus, as_expr(where), title, source, serial=serial) as region:
            yield region

    @contextmanager
    def on_each_package(self, where: Operand | bool, title: str, source: str = "") -> Iterator[Region]:
        """Every package where ``where`` holds runs the body, one after the other, in any order."""
        with self._on_each(Scope.PACKAGE, packages, as_expr(where), title, source, serial=True) as region:
            yield region

    @contextmanager
    def _on_each(
        self, scope: Scope, group: Group, where: Expr, title: str, source: str, *, serial: bool
    ) -> Iterator[Region]:
        self._only_global(f"on_each_{scope.value}")
        pc = self._counter(scope)
        wait = self._label(f"wait for {title}", source, Scope.GLOBAL, self._main, passive=True)
        first = self._label(title, source, scope, pc)
        first.implied = {self._main.name: wait.name}
        spawn = self.emit(SetEach(group, where, ()))
        empty = self.emit(Branch(Const(value=True)))
        self.emit(wait)
        self.emit(first)
        begin_alone = self.emit(Await(Const(value=True)))
        start = self.position
        region = Region(self, pc, group)
        with self._in_region(scope, first.implied):
            yield region
        spawn.values = ((pc, first.name),)
        later = {i.name for i in self._code[start:] if isinstance(i, Label)}
        more = Any(group, In(pc, frozenset({first.name, *later})))
        empty.condition = more
        if serial and later:
            begin_alone.condition = group.none(In(pc, frozenset(later)))
        self.emit(Set(pc, IDLE))
        last = self.emit(Branch(more))
        self.emit(Stop())
        empty.otherwise = last.otherwise = self.position
        self._land(region.exits)

    # -- inside -------------------------------------------------------------------------------------------------------

    def result(self, name: str, values: tuple[Value, ...]) -> Variable:
        """Where a function's result is kept: it lives within one step."""
        return Temp(name, values)

    @property
    def position(self) -> int:
        """Where the next instruction goes."""
        return len(self._code)

    def emit(self, instruction: Recorded) -> Recorded:
        """Append an instruction."""
        self._code.append(instruction)
        return instruction

    @contextmanager
    def nested(self) -> Iterator[None]:
        """A deeper level of control, for matching `else_` with its `if_`."""
        self._open_ifs.pop(self._depth, None)
        self._depth += 1
        yield
        self._open_ifs.pop(self._depth, None)
        self._depth -= 1

    def finish(self) -> Code:
        """Close the procedure; its program counters know their labels from here on."""
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
        return Code(self.actor, self.scope, self._code, scopes)

    def _label(
        self, title: str, source: str, scope: Scope, pc: Field, *, rest: bool = False, passive: bool = False
    ) -> Label:
        seen = self._names[title] = self._names.get(title, 0) + 1
        name = title if seen == 1 else f"{title} #{seen}"
        cited = source or next((s for _, s in reversed(self._frames) if s), "")
        frames = tuple(name for name, _ in self._frames)
        implied = self._region_implied if scope is not Scope.GLOBAL and pc is not self._main else {}
        return Label(name, title, frames, cited, scope, pc.name, rest, passive, dict(implied))

    def _counter(self, scope: Scope) -> Field:
        name = f"pc.{self.actor}" if scope is self.scope else f"pc.{self.actor}.{scope.value}"
        if name not in self.counters:
            self.counters[name] = Field(name, scope, (), IDLE)
        return self.counters[name]

    def _only_global(self, what: str) -> None:
        if self.scope is not Scope.GLOBAL or self._region is not None or self._region_implied:
            raise BadModel(f"`{what}` in the procedure of `{self.actor}` is inside another loop over CPUs or packages")

    @contextmanager
    def _in_region(self, scope: Scope | None, implied: dict[str, str] | None = None) -> Iterator[None]:
        # Inside `on_any_cpu` (no scope) the body is one step: its next step is the actor's own again.
        self._region, self._region_implied = scope, implied or {}
        with self.nested():
            yield
        self._region, self._region_implied = None, {}

    @property
    def _falls_through(self) -> bool:
        """Whether control can reach what is recorded next."""
        ends = bool(self._code) and isinstance(self._code[-1], (Jump, Stop))
        return not ends or any(self.position in targets_of(i) for i in self._code)

    def _land(self, exits: list[Jump]) -> None:
        for jump in exits:
            jump.target = self.position
