"""The primitives of `tdxexplore.linux` in C: the kernel's objects behind them, and the calls that a recording stands for.

A recording marks what stands for a function of the kernel (`Procedure.stands_for`), with the object that it is called with. Here
is what each function is in C. One that may block has a gate before it and `through()` behind it (``kernel/litmus.h``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.kernel.c_text import Unsupported
from tdxexplore.linux.sync import Completion, NotifierChain, Readers, RwSemaphore, Work
from tdxexplore.linux.wait import ByActor, RcuWait, WaitQueue
from tdxexplore.model.expr import Field, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tdxexplore.kernel.c_text import Names
    from tdxexplore.model.code import Code, Native

# Stretches inside a function of the kernel in which recorded steps run: they have gates.
INNER = ("callback", "notifier_call", "process_one_work", "stopped")


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the kernel.

    Attributes:
        text: The C: ``{o}`` is the object, ``{i}`` the number of a wait queue, ``{n}`` the notifier.
        gate: It begins with a step, and a gate stands before it.
        waits: It may block.
        spins: From there on its actor spins at gates.
        alone: Who waits for it gets it alone, in the order of coming.
        stack: A function of the kernel in the stack of who waits in it; a stack trace leaves out scheduler code.
    """

    text: str
    gate: bool = False
    waits: bool = False
    spins: bool = False
    alone: bool = False
    stack: str = ""


_GRACE = "patience[x->who] = GRACE; {call} patience[x->who] = 0;"
CALLS = {
    "down_read": Call("down_read(&{o}); holds(x, let_up_read, &{o}, 0);", gate=True, waits=True),
    "down_write": Call("down_write(&{o}); holds(x, let_up_write, &{o}, 0);", gate=True, waits=True, alone=True),
    "spin_lock": Call(
        "spins_for[x->who] = &{o}; spin_lock(&{o}); spins_for[x->who] = NULL; x->pinned++; holds(x, let_spin, &{o}, 0);",
        gate=True,
        waits=True,
        spins=True,
    ),
    "complete": Call("complete(&{o});"),
    "complete_all": Call("complete_all(&{o});"),
    "reinit_completion": Call("reinit_completion(&{o});"),
    "wait_for_completion": Call("wait_for_completion(&{o});", gate=True, waits=True),
    "queue_work": Call("queue_item(&{o});"),
    "cancel_work": Call("cancel_work(&{o}.work);"),
    "cancel_work_sync": Call("cancel_work_sync(&{o}.work);", gate=True, waits=True, stack="__flush_work"),
    "flush_work": Call("flush_work(&{o}.work);", gate=True, waits=True, stack="__flush_work"),
    "work begins": Call(""),
    "work ends": Call(""),
    "stop ends": Call(""),
    "srcu_read_lock": Call("holds(x, let_srcu, &{o}, srcu_read_lock(&{o}));", gate=True),
    "rcu_read_lock": Call("rcu_read_lock(); x->pinned++; holds(x, let_rcu, NULL, 0);", gate=True, spins=True),
    "synchronize_srcu": Call(
        _GRACE.format(call="synchronize_srcu(&{o});"), gate=True, waits=True, stack="synchronize_srcu"
    ),
    "synchronize_rcu": Call(_GRACE.format(call="synchronize_rcu();"), gate=True, waits=True, stack="synchronize_rcu"),
    "prepare_to_wait": Call("queue_up(x, &{o}, &x->entries[{i}]);", gate=True, spins=True),
    "finish_wait": Call("finish_wait(&{o}, &x->entries[{i}]); x->queued = false;"),
    "schedule": Call("sleep(x);", gate=True, waits=True),
    "wake_up_all": Call("wake_up_all(&{o});"),
    "prepare_to_rcuwait": Call("prepare_to_rcuwait(&{o});", gate=True),
    "set_current_state": Call("set_current_state(TASK_UNINTERRUPTIBLE); x->queued = true;", gate=True, spins=True),
    "finish_rcuwait": Call("finish_rcuwait(&{o}); x->queued = false;"),
    "rcuwait_wake_up": Call("rcuwait_wake_up(&{o});"),
    "blocking_notifier_chain_register": Call(
        "listen(&{n}, &{o});", gate=True, waits=True, alone=True, stack="blocking_notifier_chain_register"
    ),
    "blocking_notifier_chain_unregister": Call(
        "forget(&{n});", gate=True, waits=True, alone=True, stack="blocking_notifier_chain_unregister"
    ),
    **dict.fromkeys(
        ("up_read", "up_write", "spin_unlock", "srcu_read_unlock", "rcu_read_unlock"),
        Call("drop(x);"),
    ),
}


class Primitives:
    """The objects of a model.

    Args:
        codes: Its procedures.

    Attributes:
        fields: The fields that belong to the kernel, which are read from its objects.
        works: The work item of each actor that is a worker, by the actor's number.
    """

    def __init__(self, codes: list[Code]) -> None:
        self._codes = codes
        self._objects: list[object] = []
        self._notifiers: dict[str, NotifierChain] = {}
        self.works: dict[int, Work] = {}
        self._spinning: list[int] = []
        self._stops = False
        for number, code in enumerate(codes):
            for native in code.natives:
                self._inside(number, code, native)
            for native in outermost(code):
                self._meet(number, code, native)
        self.fields = frozenset(field.name for o in self._objects for field in fields_of(o))

    def __bool__(self) -> bool:
        return bool(self._objects) or self._stops

    def _inside(self, number: int, code: Code, native: Native) -> None:
        """What the kernel calls back: a worker's function, a notifier."""
        match native.function, native.arguments:
            case "process_one_work", (Work() as work,):
                if code.scope is Scope.CPU:
                    raise Unsupported(f"{code.actor}: a worker on each CPU is not generated")
                self.works[number] = work
            case "notifier_call", (NotifierChain() as chain, Field(name=name)):
                self._notifiers.setdefault(name, chain)

    def _meet(self, number: int, code: Code, native: Native) -> None:
        call = CALLS.get(native.function)
        self._stops |= native.function.startswith("stop_machine")
        if call is None and native.function != "blocking_notifier_call_chain":
            return
        for given in native.arguments[:1]:
            if isinstance(given, RwSemaphore) and not given.fair:
                raise Unsupported(f"`{given.name}` is not generated: no semaphore of the kernel is unfair to writers")
            if not any(o is given for o in self._objects):
                self._objects.append(given)
        if call is not None and call.spins:
            bound = [n for n in code.natives if n.function in ("process_one_work", "_cpu_up", "_cpu_down")]
            bound += [n for n in code.natives if n.function == "callback" and n.start <= native.start < n.end]
            if bound:
                raise Unsupported(f"{code.actor}: {native.function} is not generated in a thread that the kernel binds")
            self._spinning += [number] * (number not in self._spinning)

    # -- in C -----------------------------------------------------------------------------------------------------------

    def name(self, given: object) -> str:
        """The object."""
        return f"o{self._index(given)}"

    def _index(self, given: object) -> int:
        return next(i for i, o in enumerate(self._objects) if o is given)

    def text(self, call: Call, native: Native) -> str:
        """A call."""
        given, *more = native.arguments
        notifier = ""
        if more:
            (registered,) = more
            assert isinstance(registered, Field)
            if registered.name not in self._notifiers:
                raise Unsupported(f"`{registered.name}` is registered and never called")
            notifier = f"n{list(self._notifiers).index(registered.name)}"
        queue = next((i for i, o in enumerate(self._queues()) if o is given), -1)
        return call.text.format(o=self.name(given), i=queue, n=notifier)

    def _queues(self) -> list[object]:
        return [o for o in self._objects if isinstance(o, WaitQueue)]

    def spot(self, number: int, cpus: int) -> int:
        """The first CPU of an actor that spins, counted from the first of them."""
        before = self._spinning[: self._spinning.index(number)]
        return sum(self.instances(i, cpus) for i in before)

    def all_spots(self, cpus: int) -> int:
        """How many CPUs they need."""
        return sum(self.instances(i, cpus) for i in self._spinning)

    def instances(self, number: int, cpus: int) -> int:
        """How often an actor is there."""
        return cpus if self._codes[number].scope is Scope.CPU else 1

    def head(self, cpus: int) -> list[str]:
        """What ``litmus.h`` needs to know of them."""
        if not self:
            return []
        return ["#define PRIMITIVES", f"#define SPOTS {self.all_spots(cpus)}", f"#define QUEUES {len(self._queues())}"]

    def declarations(self) -> list[str]:
        """The objects."""
        if not self:
            return []
        lines = ['#include "primitives.h"']
        for i, o in enumerate(self._objects):
            lines.append(f"{self._declaration(o).format(o=f'o{i}')} // {o.name}")  # type: ignore[attr-defined]
        return [*lines, *(f"static struct notified n{i}; // {name}" for i, name in enumerate(self._notifiers))]

    def _declaration(self, given: object) -> str:
        match given:
            case RwSemaphore():
                return "static DECLARE_RWSEM({o});"
            case Completion():
                return "static DECLARE_COMPLETION({o});"
            case Work():
                return "static struct item {o}; static void run_{o}(struct work_struct *work);"
            case Readers():
                used = {n.function for c in self._codes for n in c.natives if _is_of(n, given)}
                return "DEFINE_STATIC_SRCU({o});" if any("srcu" in f for f in used) else "// {o} is RCU itself:"
            case WaitQueue():
                return "static DECLARE_WAIT_QUEUE_HEAD({o});"
            case RcuWait():
                return "static struct rcuwait {o};"
            case NotifierChain():
                return "static BLOCKING_NOTIFIER_HEAD({o});"
            case Field():
                return "static DEFINE_SPINLOCK({o});"
        raise Unsupported(f"{given!r} is not generated")

    def frame(
        self, labels: Mapping[int, int], calls: Iterable[tuple[str, int, str]], initial: Mapping[str, object]
    ) -> list[str]:
        """The functions that ``litmus.h`` calls.

        Args:
            labels: The label at which each worker waits, by the number of its actor.
            calls: What notifiers are called: the name of the flag, the number of the call of the chain, and the function.
            initial: The initial values of global fields.
        """
        if not self:
            return []
        items, done, queues, waits = (
            [self.name(o) for o in self._objects if isinstance(o, kind)]
            for kind in (Work, Completion, WaitQueue, RcuWait)
        )
        lines: list[str] = []
        calls = list(calls)
        for i, (name, chain) in enumerate(self._notifiers.items()):
            lines += [f"static int notified{i}(struct notifier_block *block, unsigned long site, void *x)\n{{"]
            lines += [f"\tif (site == {site})\n\t\t{function}(x);" for of_, site, function in calls if of_ == name]
            lines += ["\treturn NOTIFY_OK;\n}"]
            block = f"{{ .notifier_call = notified{i}, .priority = -{i} }}"
            lines.append(f"static struct notified n{i} = {{ .block = {block} }};")
            there = f" listen(&n{i}, &{self.name(chain)});" if initial[name] else ""
            lines.append(f"static void reset_n{i}(void)\n{{\n\tforget(&n{i});{there}\n}}")
        resets = [f"\treset_item(&{self.name(w)}, WHO({a}, ALONE), {labels[a]});" for a, w in self.works.items()]
        resets += [f"\treinit_completion(&{o});" for o in done]
        resets += [f"\treset_n{i}();" for i in range(len(self._notifiers))]
        if any(n.function == "synchronize_rcu" for c in self._codes for n in c.natives):
            # A grace period of somebody else that runs when ours is asked for has to end before ours begins.
            resets += ["\tsynchronize_rcu();", "\trcu_barrier();"]
        leaves = [
            f"\tif (x->entries[{i}].func)\n\t\tfinish_wait(&{o}, &x->entries[{i}]);" for i, o in enumerate(queues)
        ]
        releases = [f"\tcomplete_all(&{o});" for o in done] + [f"\twake_up_all(&{o});" for o in queues]
        ends = [f"\tdestroy_workqueue({o}.queue);" for o in items]
        for function, argument, body in (
            ("prepare_all", "void", [f"\tprepare_item(&{o}, run_{o});" for o in items]),
            ("reset_all", "void", resets),
            ("abandon", "struct ctx *x", [*leaves, *(f"\tforget_wait(&{o});" for o in waits)]),
            ("release_all", "void", [*releases, *(f"\trcuwait_wake_up(&{o});" for o in waits)]),
            ("settle_all", "void", [f"\tflush_workqueue({o}.queue);" for o in items]),
            ("destroy_all", "void", [*ends, *(f"\tforget(&n{i});" for i in range(len(self._notifiers)))]),
        ):
            lines += [f"static void {function}({argument})\n{{", *body, "}"]
        return lines

    def shown(self, names: Names) -> Iterator[tuple[str, Field, str]]:
        """What of the kernel's objects is held against the model at the end: a place, the field, and the C."""
        number = 0
        for o in self._objects:
            for field, text in self._shown(o, self.name(o), names):
                yield f"k{number}", field, text
                number += 1

    def _shown(self, given: object, o: str, names: Names) -> Iterable[tuple[Field, str]]:
        match given:
            case RwSemaphore():
                on_cpus = any(c.scope is Scope.CPU for c in self._codes for n in c.natives if _is_of(n, given))
                readers = [] if on_cpus else [(given.readers, f"readers_of(&{o})")]
                return [(given.writer, f"writer_of(&{o})"), *readers]
            case Completion():
                return [(given.done, f"(int)min({o}.done, {given.all}U)")]
            case Work():
                running = f"!!(work_busy(&{o}.work) & WORK_BUSY_RUNNING)"
                return [(given.pending, f"work_pending(&{o}.work)"), (given.running, running)]
            case RcuWait():
                none, runs, sleeps = (names.value(v) for v in given.task.values)
                asleep = f"({o}.task->__state == TASK_UNINTERRUPTIBLE ? {sleeps} : {runs})"
                return [(given.task, f"!{o}.task ? {none} : {asleep}")]
            case Field():
                return [(given, f"spin_is_locked(&{o})")]
        return []


def fields_of(given: object) -> Iterator[Field]:
    """The fields that a primitive has declared."""
    if isinstance(given, Field):
        yield given
    elif isinstance(given, ByActor):
        yield from given.fields.values()
    else:
        for value in vars(given).values():
            if isinstance(value, Field):
                yield value
            elif isinstance(value, RwSemaphore):
                yield from fields_of(value)


def outermost(code: Code) -> list[Native]:
    """The natives of a procedure that are generated as calls: those in no other one, or in what another one calls back."""
    found = []
    for at, native in enumerate(code.natives):
        around = [n for n in code.natives[:at] if n.start <= native.start and native.end <= n.end]
        if native.function not in INNER and (not around or around[-1].function in INNER):
            found.append(native)
    return found


def _is_of(native: Native, given: object) -> bool:
    return any(argument is given for argument in native.arguments)
