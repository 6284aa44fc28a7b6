"""The instructions of a recorded actor, or of a callback, as C."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol

from tdxexplore.kernel.c_text import MASKS, Unsupported, each_member
from tdxexplore.kernel.primitives import CALLS, INNER, outermost
from tdxexplore.linux.cpuhp import Hook
from tdxexplore.model.blocks import IDLE
from tdxexplore.model.code import Add, Await, Branch, Either, Jump, Label, Note, Set, SetEach, Stop
from tdxexplore.model.expr import Any as Some
from tdxexplore.model.expr import Field, Scope, as_expr
from tdxexplore.model.expr import In as Is
from tdxexplore.model.scopes import variables

if TYPE_CHECKING:
    from tdxexplore.kernel.c_text import Names
    from tdxexplore.kernel.primitives import Call, Primitives
    from tdxexplore.model.code import Code, Instruction, Native

REFUSED = "online_refused"
CPUHP = "cpuhp_setup_state", "cpuhp_remove_state"
GOTO = re.compile(r"goto (L\d+);")


class Module(Protocol):
    """Of the module around them, what instructions refer to (`tdxexplore.kernel.generate.Generator`)."""

    names: Names
    primitives: Primitives
    labels: dict[tuple[str, str], int]
    senders: list[int]
    mutexes: list[str]
    natives: dict[int, int]

    def callback(self, number: int, code: Code, native: Native) -> tuple[str, int]:
        """Generate what the kernel calls; return its name and the label of its first step."""

    def hook(self, hook: object) -> int:
        """Return the number of a cpuhp state."""

    def state(self, hook: Hook[Any]) -> str:
        """Return the C of a cpuhp state."""

    def add_function(self, text: str) -> None:
        """Add a function to the module."""

    def notified(self, name: str, site: int, function: str) -> None:
        """Add what a notifier is called in a call of its chain."""

    def spot(self, number: int) -> str:
        """Return the C of the CPU where an actor may spin."""


@dataclass(frozen=True, slots=True)
class CpuLoop:
    """A loop over CPUs that an actor goes through by itself, one CPU after the other.

    A recording keeps which CPUs are left in program counters, one a CPU. In C their number is enough: the gate of the first step
    says which CPU is next, in the order of the schedule.

    Attributes:
        first: The position of its first step.
        last: The position of its last instruction, which ends the step of a CPU that is not the last one.
        counter: The name of the program counters.
    """

    first: int
    last: int
    counter: str


def loops(code: Code) -> list[CpuLoop]:
    """The loops of an actor. IPIs, and what else a function of the kernel does on several CPUs, are none.

    Raises:
        Unsupported: One goes over packages, or CPUs take several steps each that interleave.
    """
    found = []
    for at, label in code.labels:
        before = code.instructions[at - 1]
        starts = at > 0 and isinstance(before, Label) and before.passive and label.implied == {before.pc: before.name}
        if not starts or inside(code, at):
            continue
        last = next(
            i
            for i in range(at, len(code.instructions))
            if isinstance(code.instructions[i], Stop) and _is_idle(code.instructions[i - 2], label.pc)
        )
        several = any(at < i < last and other.pc == label.pc for i, other in code.labels)
        # With one after the other, the first step waits until no other CPU is in the middle.
        waits = takewhile(lambda i: isinstance(i, Await), code.instructions[at + 1 :])
        alone = any(v.name == label.pc for i in waits for v in variables(i.condition))  # type: ignore[union-attr]
        if label.scope is not Scope.CPU or (several and not alone):
            raise Unsupported(f"{code.actor}: the loop over {label.scope.value}s of `{label.title}` is not generated")
        found.append(CpuLoop(at, last, label.pc))
    return found


def _is_idle(i: Instruction, counter: str) -> bool:
    return isinstance(i, Set) and i.target.name == counter and isinstance(i.value, str) and i.value == IDLE


def inside(code: Code, at: int) -> list[Native]:
    """The functions of the kernel around a position, but for those that call back what the position is in."""
    around = [n for n in code.natives if n.start <= at < n.end]
    inner = max((i for i, n in enumerate(around) if n.function in INNER), default=-1)
    called = outermost(code)
    return [n for n in around[inner + 1 :] if n in called and n.function != "lockdep"]


class Body:
    """The instructions of an actor or a callback."""

    def __init__(self, g: Module, number: int, code: Code, start: int, end: int, leave: str) -> None:
        self.g, self.names, self.number, self.code, self.start, self.end = g, g.names, number, code, start, end
        self.leave = leave
        own = loops(code)
        self.next_cpu = {loop.last: loop.first for loop in own}
        self.counters = {loop.counter for loop in own}

    def lines(self) -> list[str]:
        """In C. A stretch that stands for a function of the kernel is a call of it."""
        starts: dict[int, Native] = {}
        for native in self.code.natives:
            if self.start <= native.start and native.end <= self.end and native.end > native.start:
                known = starts.get(native.start)
                if native.function not in INNER and (known is None or native.end > known.end):
                    starts[native.start] = native
        lines, at = [], self.start
        while at < self.end:
            lines.append(f"L{at}: __maybe_unused;")
            if at in starts:
                lines += self._native(starts[at])
                at = starts[at].end
            elif at in self.next_cpu:
                lines.append(f"\tgoto L{self.next_cpu[at]};")
                at += 1
            else:
                lines += self.one(self.code.instructions[at])
                at += 1
        return [*self._temps(lines), *lines]

    def _temps(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        used = [t for t in self.names.temps.values() if f"{t} " in text or f"{t})" in text or f"{t};" in text]
        return [f"\tint {t} __maybe_unused = 0;" for t in used]

    def one(self, i: Instruction) -> list[str]:
        names = self.names
        match i:
            case Label():
                return [] if i.passive else self._gate(i)
            case Set(Field(name=name)) if name in self.counters:
                return ["\tx->left--;"]
            case SetEach(values=((Field(name=name), value),)) if name in self.counters:
                return ["\tx->left = 0;", *(self._counted(i) if value != IDLE else ())]
            case Branch(Some(body=Is(Field(name=name))), otherwise) if name in self.counters:
                return [f"\tif (!x->left)\n\t\tgoto L{otherwise};"]
            case Set(target) | Add(target) if names.is_kernels(target):
                raise Unsupported(f"{self.code.actor}: `{target.name}` is the kernel's own, which a module cannot set")
            case Set(target, value):
                source = value if isinstance(value, (bool, int, str)) else None
                new = names.value(source) if source is not None else names.variable(value, "cpu", "package_of[cpu]")  # type: ignore[arg-type]
                return [f"\t{names.variable(target, 'cpu', 'package_of[cpu]')} = {new};"]
            case Add(target, delta):
                return [f"\t{names.variable(target, 'cpu', 'package_of[cpu]')} += {delta};"]
            case SetEach(group, where, values):
                each, inner = each_member(group, "i", "cpu", "package_of[cpu]"), group.scope is Scope.CPU
                member = ("i", "package_of[i]") if inner else ("-1", "i")
                sets = " ".join(f"{names.variable(f, *member)} = {names.value(v)};" for f, v in values)
                return [f"\t{{ int i; {each} if ({names.expr(where, *member)}) {{ {sets} }} }}"]
            case Branch(condition, otherwise):
                return [f"\tif (!{names.expr(condition)})", f"\t\tgoto L{otherwise};"]
            case Jump(target):
                return [f"\tgoto L{target};"]
            case Await(condition):
                try:
                    return [
                        f'\tif (!{names.expr(condition)})\n\t\tdisagree("a step of who %d is not enabled", x->who);'
                    ]
                except Unsupported:  # the kernel's own locks decide that
                    return []
            case Either(targets):
                cases = " ".join(f"case {n}: goto L{t};" for n, t in enumerate(targets))
                return [f"\tswitch (choice(x)) {{ {cases} }}"]
            case Note():
                return []
            case Stop():
                return [f"\t{self.leave}"]
        raise Unsupported(f"{self.code.actor}: {type(i).__name__} is not generated here")

    def _counted(self, i: SetEach) -> list[str]:
        each = each_member(i.group, "i", "cpu", "package_of[cpu]")
        return [f"\t{{ int i; {each} if ({self.names.expr(i.where, 'i', 'package_of[i]')}) x->left++; }}"]

    def _gate(self, label: Label) -> list[str]:
        number = self.g.labels[self.code.actor, label.name]
        lines = [f"\tif (gate(x, {number})) // {label.title}", f"\t\t{self.leave}"]
        return [*lines, "\tcpu = x->now.cpu < 0 ? cpu : x->now.cpu;"]

    def _first_gate(self, native: Native) -> list[str]:
        first = self.code.instructions[native.start]
        if not isinstance(first, Label):
            raise Unsupported(f"{native.function} does not begin with a step")
        return self._gate(first)

    def _native(self, native: Native) -> list[str]:
        f, number = native.function, self.g.natives[id(native)]
        match f:
            case "lockdep":
                return []
            case "cpus_read_lock":
                return [*self._first_gate(native), "\tcpus_read_lock();", "\ttook(x, NULL);"]
            case "mutex_lock":
                lock = f"m{self.g.mutexes.index(native.arguments[0].name)}"  # type: ignore[attr-defined]
                return [*self._first_gate(native), f"\tmutex_lock(&{lock});", f"\ttook(x, &{lock});"]
            case "cpus_read_unlock" | "mutex_unlock":
                return ["\tdrop(x);"]
            case "_cpu_up" | "_cpu_down":
                self._callbacks_of(native)
                up = f == "_cpu_up"
                return [f"\tlast_errno[{number}] = hotplug(x, cpu, {int(up)});", *self._after_hotplug(native, up=up)]
            case "on_each_cpu":
                return self._pass(native, number)
            case "blocking_notifier_call_chain":
                return self._call_chain(native, number)
            case "stop_machine" | "stop_machine_cpuslocked":
                return self._stop(native, number)
        if f in CALLS:
            return self._call(CALLS[f], native)
        if f.startswith(CPUHP) and native.arguments:
            return self._cpuhp(native, number)
        if f == "cpuhp_remove_state_nocalls(0)":
            return [*self._first_gate(native), "\tcpuhp_remove_state_nocalls(0);"]
        raise Unsupported(f"{f} is not generated")

    def _call(self, call: Call, native: Native) -> list[str]:
        """A primitive. Who was let in early waits behind it for its step."""
        lines = self._first_gate(native) if call.gate else []
        if call.spins:
            lines.append(f"\tpin(x, {self.g.spot(self.number)});")
        if call.text:
            lines.append(f"\t{self.g.primitives.text(call, native)}")
        if call.waits:
            lines += ["\tif (through(x))", f"\t\t{self.leave}"]
        if native.function.startswith("blocking_notifier_chain"):  # the flag that says so is the model's own
            registered, there = native.arguments[1], int(native.function.endswith("_register"))
            assert isinstance(registered, Field)
            lines.append(f"\t{self.names.variable(registered, 'cpu', 'package_of[cpu]')} = {there};")
        return lines

    def _inner(self, name: str, start: int, end: int) -> str:
        """A function of what the kernel calls, which is left at its end only."""
        body = Body(self.g, self.number, self.code, start, end, "return 0;").lines()
        own = {f"L{at}" for at in range(start, end + 1)}
        if not own.issuperset(GOTO.findall("\n".join(body))):
            raise Unsupported(f"{self.code.actor}: {name} is left from inside")
        head = f"static int {name}(struct ctx *x)\n{{\n\tint cpu __maybe_unused = x->cpu < 0 ? 0 : x->cpu, r __maybe_unused;"
        return "\n".join([head, *body, f"L{end}: __maybe_unused;\n\treturn 0;\n}}"])

    def _call_chain(self, native: Native, number: int) -> list[str]:
        for inner in self.code.natives:
            if inner.function == "notifier_call" and native.start <= inner.start and inner.end <= native.end:
                name, registered = f"notifier{self.g.natives[id(inner)]}", inner.arguments[1]
                assert isinstance(registered, Field)
                self.g.add_function(self._inner(name, inner.start, inner.end))
                self.g.notified(registered.name, number, name)
        chain = self.g.primitives.name(native.arguments[0])
        return [
            *self._first_gate(native),
            f"\tblocking_notifier_call_chain(&{chain}, {number}, x);",
            "\tif (over)",
            f"\t\t{self.leave}",
        ]

    def _stop(self, native: Native, number: int) -> list[str]:
        """stop_machine(): its function runs on one CPU, whose gates wait for nobody. It takes the steps of all CPUs."""
        (inner,) = (
            n for n in self.code.natives if n.function == "stopped" and native.start <= n.start <= native.end >= n.end
        )
        self.g.add_function(self._inner(f"alone{number}", inner.start, inner.end))
        self.g.add_function(
            f"static int stop{number}(void *argument)\n{{\n\tstruct ctx *x = argument;\n\n\tx->alone = true;\n"
            f"\talone{number}(x);\n\tx->alone = false;\n\treturn 0;\n}}"
        )
        stop = "stop_machine" if native.function == "stop_machine" else "stop_locked"
        return [*self._first_gate(native), f"\t{stop}(stop{number}, x, NULL);", "\tif (over)", f"\t\t{self.leave}"]

    def _callbacks_of(self, native: Native) -> list[tuple[str, int]]:
        inner = [
            n for n in self.code.natives if native.start <= n.start and n.end <= native.end and n.function == "callback"
        ]
        return [self.g.callback(self.number, self.code, n) for n in inner]

    def _after_hotplug(self, native: Native, *, up: bool) -> list[str]:
        """What the model sets when a CPU is offline or was refused, which the kernel shows by its mask."""
        inner = [n for n in self.code.natives if native.start < n.start and n.end <= native.end]
        own = [
            i.target
            for at, i in enumerate(self.code.instructions[native.start : native.end], start=native.start)
            if isinstance(i, Set) and not any(n.start <= at < n.end for n in inner)
        ]
        lost = {f for f in own if isinstance(f, Field) and f.scope is Scope.CPU and f.name not in MASKS}
        sets = [(self.names.variable(f, "cpu", ""), f.initial) for f in lost if not self.names.is_kernels(f)]
        refused = [self.names.variable(f, "cpu", "") for f in own if f.name == REFUSED and up]
        lines = [f"\t\t{where} = {self.names.value(value)};" for where, value in sorted(sets)]
        lines += [f"\t\t{where} = 1;" for where in refused[:1]]
        return ["\tif (!over && !cpu_online(cpu)) {", *lines, "\t}"]

    def _pass(self, native: Native, number: int) -> list[str]:
        ((name, _),) = self._callbacks_of(native)
        self.g.add_function(
            f"static void pass{number}(void *sender)\n{{\n\tint cpu = smp_processor_id();\n"
            f"\tstruct ctx y = {{ .who = WHO({self.number}, cpu), .cpu = cpu, .atomic = true }};\n"
            f"\tif (cpu < N_CPUS)\n\t\t{name}(&y);\n\thandled(sender, &y);\n}}"
        )
        where = self.names.expr(as_expr(native.arguments[0]), "i", "package_of[i]")  # type: ignore[arg-type]
        return [
            "\t{ int i; struct cpumask mask; cpumask_clear(&mask);",
            f"\tfor (i = 0; i < N_CPUS; i++) if ({where}) cpumask_set_cpu(i, &mask);",
            f"\tif (sends(x, &mask, {self.g.senders.index(self.number)})) on_each_cpu_mask(&mask, pass{number}, x, true);",
            f"\tif (over) {self.leave} }}",
        ]

    def _cpuhp(self, native: Native, number: int) -> list[str]:
        f, hook = native.function, native.arguments[0]
        if not isinstance(hook, Hook):
            raise Unsupported(f"{f} without a hook")
        h, names = self.g.hook(hook), self.names
        self._callbacks_of(native)
        first = self.code.instructions[native.start]
        lines = self._gate(first) if isinstance(first, Label) else []
        lines.append("\tregistering = x->who;")
        if f.startswith("cpuhp_setup_state"):
            state = self.g.state(hook)
            lines += [
                f'\tr = {f}({state}, "litmus:{h}", up{h}, down{h});',
                f"\tlast_errno[{number}] = r < 0 ? r : 0;",
                f"\tif (r >= 0)\n\t\tslot[{h}] = r ? r : {state};",
                f"\t{names.variable(hook.registered, 'cpu', 'package_of[cpu]')} = r >= 0;",
            ]
            if native.result is not None:
                where, (good, bad, *_) = names.variable(native.result, "cpu", "package_of[cpu]"), native.result.values
                lines.append(f"\t{where} = r < 0 ? {names.value(bad)} : {names.value(good)};")
            return lines
        return [
            *lines,
            f"\t{f}(slot[{h}]);",
            f"\tslot[{h}] = 0;",
            f"\t{names.variable(hook.registered, 'cpu', 'package_of[cpu]')} = 0;",
        ]
