"""Which steps of a generated module have a gate, and where an actor may block in the kernel."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.kernel.body import inside
from tdxexplore.kernel.generate import writers_labels
from tdxexplore.kernel.primitives import CALLS, INNER, outermost
from tdxexplore.model.code import Jump, Label

if TYPE_CHECKING:
    from tdxexplore.model.code import Code, Native
    from tdxexplore.model.model import Model

# Where a task sleeps that waits for a mutex, or for a writer of cpu_hotplug_lock. A stack trace leaves out scheduler code,
# mutex_lock() included, so that of a mutex only the sleep is seen.
MUTEX, RWSEM = "", "percpu_rwsem_wait"
STACKS = {"mutex_lock": MUTEX, "blocking_notifier_call_chain": "blocking_notifier_call_chain"}
LOCKS = (
    "cpus_read_lock",
    "mutex_lock",
    "cpuhp_setup_state",
    "cpuhp_remove_state",
    "stop_machine",
    "blocking_notifier_call_chain",
)


@dataclass(frozen=True, slots=True)
class Gates:
    """Which labels of an actor have a gate.

    Attributes:
        hidden: Labels inside a function of the kernel, which have none.
        in_order: Labels at which the kernel begins with one CPU after the other, by number.
        passes: Labels that CPUs take in an IPI.
        locks: Labels at which an actor may block in a lock of the kernel.
        writers: Labels at which the writer of cpu_hotplug_lock waits at a gate once it has the lock.
        through: Labels of a primitive's function, behind which who was let in early waits for its step.
        objects: For a label with which an actor comes to wait: the primitive, whose queue it joins.
        alone: Of these, labels with which it waits to have the primitive alone; and the labels at which it then stands.
        waits: For labels at which an actor may block: the kernel's function that is in its stack.
    """

    hidden: frozenset[str]
    in_order: frozenset[str]
    passes: frozenset[str]
    locks: frozenset[str]
    writers: frozenset[str]
    through: frozenset[str]
    objects: dict[str, object]
    alone: tuple[frozenset[str], frozenset[str]]
    waits: dict[str, str]

    @classmethod
    def of(cls, code: Code) -> Gates:
        """Those of a procedure."""
        in_order: set[str] = set()
        passes: set[str] = set()
        locks: set[str] = set()
        gated = {label.name for _, label in writers_labels(code)}
        through: set[str] = set()
        joins: set[str] = set()
        stands: set[str] = set()
        objects: dict[str, object] = {}
        waits: dict[str, str] = {}
        for native in outermost(code):
            call = CALLS.get(native.function)
            if not _may_block(native):
                continue
            first, *rest = [label.name for at, label in code.labels if native.start <= at < native.end]
            for name in (first, *rest):
                objects[name] = native.arguments[0] if native.arguments else None
                waits[name] = call.stack if call else STACKS.get(native.function, RWSEM)
            if call:
                through |= {first, *rest}
            if call and call.alone:
                joins.add(first)
                stands |= set(rest)
        for native in code.natives:
            inside = [(at, label) for at, label in code.labels if native.start <= at < native.end and not label.passive]
            names = {label.name for _, label in inside}
            if native.function == "callback":
                first = next(label.name for at, label in reversed(code.labels) if at < native.start)
                gated.add(first)
                outer = [n.function for n in code.natives if n.start < native.start and native.end <= n.end]
                if any(f.startswith(("cpuhp_setup_state", "cpuhp_remove_state")) for f in outer):
                    in_order.add(first)
                if "on_each_cpu" in outer:
                    passes |= {first, *names}
            elif native.function in INNER:
                continue
            elif native.function != "lockdep":
                starts = isinstance(code.instructions[native.start], Label)
                begin = {label.name for at, label in inside if at == native.start} if starts else set()
                if _may_block(native) and (native.function not in CALLS or names == begin):
                    locks |= begin
        writers = frozenset(label.name for first, label in writers_labels(code) if first)
        hidden = _hidden(code) - gated
        alone = (frozenset(joins), frozenset(stands))
        return cls(
            frozenset(hidden),
            frozenset(in_order),
            frozenset(passes),
            frozenset(locks - hidden),
            writers,
            frozenset(through),
            objects,
            alone,
            waits,
        )


def _may_block(native: Native) -> bool:
    call = CALLS.get(native.function)
    return call.waits if call is not None else native.function.startswith(LOCKS)


def _hidden(code: Code) -> set[str]:
    """The labels inside a function of the kernel, but not in what it calls back."""
    found = set()
    for at, label in code.labels:
        functions = inside(code, at)
        if functions and not label.passive and at != functions[0].start:
            found.add(label.name)
    return found


def without_lockdep(model: Model) -> Model:
    """The same model on a kernel that is built without lockdep, as Debian's are."""
    plain = copy(model)
    plain.codes = []
    for code in model.codes:
        other = copy(code)
        other.instructions = list(code.instructions)
        for native in code.natives:
            if native.function == "lockdep":
                for at in range(native.start, native.end):
                    other.instructions[at] = Jump(at + 1)
        plain.codes.append(other)
    return plain
