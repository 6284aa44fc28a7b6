"""Schedules of the explorer as the entries of a plan, which the gates of a generated module enforce.

Two freedoms of the model a kernel does not give: steps inside a function of the kernel have no gate and follow as soon as
they can (*hidden*), and the kernel's loops over CPUs go by number. The gates take some more away. A CPU that has been sent an
IPI is in its handler at once, and spins at the gate there: until its step no task runs on it, and no CPU begins to come or go.
Nobody waits inside the TDX module on such a CPU, as who waits at a gate is not there.
Senders stand on CPUs of their own, so that each CPU has the handlers in the order of sending. Only interleavings of that kind
are run.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.explore.sampling import Runs, without_forgetting
from tdxexplore.kernel.body import inside
from tdxexplore.kernel.generate import writers_labels
from tdxexplore.kernel.primitives import CALLS, INNER, outermost
from tdxexplore.linux.state import CPUHP_BUG
from tdxexplore.model import reference
from tdxexplore.model.code import Jump, Label
from tdxexplore.model.execution import is_over, normalise, outcome_of
from tdxexplore.model.expr import Scope
from tdxexplore.model.schedule import decode, encode

if TYPE_CHECKING:
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.sampling import Choice
    from tdxexplore.kernel.generate import Generator
    from tdxexplore.model.code import Code, Native
    from tdxexplore.model.execution import Transition
    from tdxexplore.model.model import Model
    from tdxexplore.model.topology import State

ALONE, INSIDE = 15, -1
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


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule, and what the model says of it.

    Attributes:
        schedule: As `tdxexplore replay` takes it.
        text: The entries, for the module.
        last: The state in which it ends.
        places: Where actors stand at the end: the number of a label, or `INSIDE` a function of the kernel.
        outcome: Of the run.
        steps: In words.
        before: For a run that ends in a BUG_ON: the state before its last step, which the kernel does not take to the end.
        waits: For each actor that is let into a lock that is not free, in order: the kernel's function that it waits in.
        entries: The entry of each step.
    """

    schedule: str
    text: str
    last: State
    places: dict[int, int]
    outcome: str
    steps: tuple[str, ...]
    waits: tuple[str, ...]
    entries: tuple[int, ...]
    before: State | None = None


class Planner:
    """Plans for one question.

    Attributes:
        runs: The interleavings that can be run.
    """

    def __init__(self, question: Question, generator: Generator) -> None:
        compiled = question.compile()
        self.generator = generator
        self.model = without_lockdep(compiled.model)
        self.plain = without_forgetting(self.model)
        self.initial = compiled.model.initial(question.topology)
        self.gates = [Gates.of(code) for code in self.model.codes]
        self._wait_of = {
            generator.labels[code.actor, name]: text
            for code, gates in zip(self.model.codes, self.gates, strict=True)
            for name, text in gates.waits.items()
        }
        hotplug = ("_cpu_up", "_cpu_down")
        self.hotplug = [i for i, c in enumerate(self.model.codes) if any(n.function in hotplug for n in c.natives)]
        self._passes = [
            (i, label)
            for i, c in enumerate(self.model.codes)
            for _, label in c.labels
            if label.name in self.gates[i].passes
        ]
        self.runs = Runs(self.plain, self.initial, self.allowed)

    def allowed(self, state: State, choices: list[Choice]) -> list[Choice]:
        """The steps that the kernel or the gates can take next."""
        hidden = [c for c in choices if c[1].label.name in self.gates[c[1].actor].hidden]
        if hidden:
            return hidden[:1]
        interrupted = self.interrupted(state)
        choices = [c for c in choices if self._reaches(c[1], interrupted)]
        if interrupted:
            choices = [c for c in choices if self._goes_on(c[1], interrupted)]
        kept: list[Choice] = []
        begun: set[tuple[int, str]] = set()
        for index, step in choices:
            place = (step.actor, step.label.name)
            if step.label.name in self.gates[step.actor].in_order:
                if place in begun and step.cpu not in (c.cpu for _, c in kept if (c.actor, c.label.name) == place):
                    continue
                begun.add(place)
            kept.append((index, step))
        return [c for c in kept if not self._before_its_turn(state, c[1])] or kept

    def _before_its_turn(self, state: State, step: Transition) -> bool:
        """Whether the step queues for a primitive behind an actor that comes later in the model.

        Who has queued first gets it first, which a state does not say.
        """
        gates, name = self.gates[step.actor], step.label.name
        if name not in gates.alone[0]:
            return False
        for actor, code in enumerate(self.model.codes):
            for _, label in code.labels:
                if (
                    label.name in self.gates[actor].alone[1]
                    and self.gates[actor].objects[label.name] is gates.objects[name]
                ):
                    for cpu, values in enumerate(state.cpus) if label.scope is Scope.CPU else [(-1, state.globals)]:
                        if values[label.pc] == label.name and (actor, cpu) > (step.actor, step.cpu):
                            return True
        return False

    def interrupted(self, state: State) -> list[tuple[int, int, Label]]:
        """The senders of IPIs, and the CPUs that are in a handler or have it before them, with its next step."""
        return [
            (actor, cpu, label)
            for actor, label in self._passes
            for cpu, values in enumerate(state.cpus)
            if values[label.pc] == label.name
        ]

    def _goes_on(self, step: Transition, interrupted: list[tuple[int, int, Label]]) -> bool:
        """Whether a step can be taken while CPUs are in handlers."""
        if step.actor in self.hotplug:
            return step.label.rest
        senders = [actor for actor, cpu, _ in interrupted if cpu == step.cpu]
        if step.label.name in self.gates[step.actor].passes:
            return step.actor == min(senders)
        return not senders or step.label.scope is not Scope.CPU

    def _reaches(self, step: Transition, interrupted: list[tuple[int, int, Label]]) -> bool:
        """Whether an IPI, if the step sends one, is handled in an order that states tell, and at once.

        A state does not say who sent first: an actor sends only while those before it in the model have handlers left. Any
        other CPU must be able to run the handler now.
        """
        if step.label.name in self.gates[step.actor].passes:
            return True
        sent = [(cpu, label) for actor, cpu, label in self.interrupted(step.target) if actor == step.actor]
        busy = [cpu for _, cpu, _ in interrupted]
        before = all(actor < step.actor for actor, _, _ in interrupted)
        return not sent or (before and all(cpu in busy or self._can(step.target, label, cpu) for cpu, label in sent))

    def who(self, step: Transition) -> int:
        """The number of whoever waits at the gate."""
        code = self.model.codes[step.actor]
        own = code.scope is Scope.CPU or step.label.name in self.gates[step.actor].passes
        return step.actor * 16 + (step.cpu if own else ALONE)

    def plan(self, schedule: str) -> Plan:
        """The plan of a schedule that is one of `runs`, or the beginning of one."""
        states, steps = [self.initial], []
        for index in decode(schedule):
            step = reference.transitions(self.plain, states[-1])[index]
            steps.append(step)
            states.append(step.target)
        entries = [self._entry(self._kind(steps, j), s) for j, s in enumerate(steps)]
        by = {j: self._enabling(states, steps, j) for j, entry in enumerate(entries) if entry[0] == "T"}
        early: dict[int, list[str]] = {}
        for j, step in enumerate(steps):
            if step.label.name in self.gates[step.actor].locks:
                i = self._early(states, steps, j)
                if i < j:
                    early.setdefault(i, []).append(self._entry("E", step))
                    passes = step.label.name in self.gates[step.actor].through
                    entries[j] = self._entry("T" if passes else "H", step)
                    if passes:
                        by[j] = j - 1
            if step.label.name in self.gates[step.actor].writers:
                early.setdefault(self._free(states, steps, j), []).insert(0, self._entry("A", step))
        words: list[str] = []
        place: list[int] = []
        for j, entry in enumerate(entries):
            words += early.get(j, ())
            if j in by:  # the entry whose end lets it through, behind the label
                let = next((place[i] for i in range(by[j], -1, -1) if entries[i][0] != "H"), 0)
                kind, who, cpu, rest = entry.split(":")
                label, comma, choices = rest.partition(",")
                entry = f"{kind}:{who}:{cpu}:{label}:{let}{comma}{choices}"  # noqa: PLW2901 -- completed here
            place.append(len(words))
            words.append(entry)
        last = states[-1]
        fatal = is_over(self.plain, last)
        bug = last.globals.get("oops") == CPUHP_BUG
        if bug:
            words[-1] = "F" + words[-1][1:]
        places, late = self._places(last, fatal=fatal)
        if bug:
            places.pop(self.who(steps[-1]), None)
        ended = last.copy()
        normalise(self.model, ended)
        said = tuple(map(self._words, steps))
        words += late
        waits = tuple(self._wait_of[int(word.split(":")[3].partition(",")[0])] for word in words if word[0] == "E")
        outcome, before = outcome_of(self.model, ended), states[-2] if bug else None
        return Plan(schedule, " ".join(words), last, places, outcome, said, waits, tuple(place), before)

    def first(self, outcome: str, step: str = "") -> str:
        """A shortest schedule that can be run, that ends so, and in which some step has this in its words.

        Raises:
            BadModel: There is none.
        """
        todo: list[tuple[State, bool, tuple[int, ...]]] = [(self.initial, not step, ())]
        known = {(self.initial.key(), not step)}
        for state, seen, taken in todo:
            choices = self.allowed(state, list(enumerate(reference.transitions(self.plain, state))))
            ended = state.copy()
            normalise(self.model, ended)
            if not choices and seen and outcome_of(self.model, ended) in (outcome or outcome_of(self.model, ended)):
                return encode(taken)
            for index, after in choices:
                now = seen or step in self._words(after)
                if (key := (after.target.key(), now)) not in known:
                    known.add(key)
                    todo.append((after.target, now, (*taken, index)))
        raise BadModel(f"no schedule that can be run has `{step}` and ends in {outcome}")

    def _words(self, step: Transition) -> str:
        who = f"{self.model.codes[step.actor].actor}{f' CPU {step.cpu}' if step.cpu >= 0 else ''}: {step.label.title}"
        return who + (f" -> {'; '.join(step.notes)}" if step.notes else "")

    def _entry(self, kind: str, step: Transition) -> str:
        label = self.generator.labels[self.model.codes[step.actor].actor, step.label.name]
        cpu = step.cpu if step.label.scope is Scope.CPU else -1
        return f"{kind}:{self.who(step)}:{cpu}:{label}" + "".join(f",{c}" for c in step.choices)

    def _kind(self, steps: list[Transition], j: int) -> str:
        """H is a step inside the kernel, and T one behind a function that blocks. S has a gate; E has one and then blocks."""
        step, gates = steps[j], self.gates[steps[j].actor]
        who = self.who(step)
        name = step.label.name
        if name in gates.hidden:
            if name not in gates.through:
                return "H"
            before = next(i for i in range(j - 1, -1, -1) if self.who(steps[i]) == who)
            return "H" if self._at_once(steps, before, j) else "T"
        after = self._stands(step)
        if name in gates.through and after in gates.hidden and after in gates.through:
            later = next((i for i in range(j + 1, len(steps)) if self.who(steps[i]) == who), len(steps))
            if later == len(steps) or not self._at_once(steps, j, later):
                return "E"
        return "S"

    def _at_once(self, steps: list[Transition], first: int, last: int) -> bool:
        """Whether all steps between the two are inside the kernel, so that the second follows at once."""
        return all(s.label.name in self.gates[s.actor].hidden for s in steps[first + 1 : last])

    def _stands(self, step: Transition) -> str:
        """Where the actor stands after its step."""
        state, pc = step.target, step.label.pc
        return str(state.globals[pc] if pc in state.globals else state.cpus[step.cpu][pc])

    def _enabling(self, states: list[State], steps: list[Transition], j: int) -> int:
        """The step after which step ``j`` could be taken, and before which not."""
        return next((i for i in range(j - 1, -1, -1) if not self._enabled(steps[j], states[i])), 0)

    def _early(self, states: list[State], steps: list[Transition], j: int) -> int:
        """The first position from which on the lock is not free, up to step ``j``; the actor enters it there."""
        step, i = steps[j], j
        while i > 0 and self.who(steps[i - 1]) != self.who(step) and steps[i - 1].actor != step.actor:
            stopped = states[i - 1].globals.get("stop_machine", False) or states[i].globals.get("stop_machine", False)
            if stopped or self._enabled(step, states[i - 1]) or self._queues(steps[i - 1], step):
                break
            i -= 1
        return i

    def _queues(self, step: Transition, other: Transition) -> bool:
        """Whether the step joins the queue that the other waits in: who comes earlier is served earlier."""
        one, two = (self.gates[s.actor].objects.get(s.label.name) for s in (step, other))
        return one is two and one is not None

    def _free(self, states: list[State], steps: list[Transition], j: int) -> int:
        """The first position from which on the writer can have the lock, up to step ``j``; it must arrive there."""
        step, i = steps[j], j
        while i > 0 and self._enabled(step, states[i - 1]):
            i -= 1
        return i

    def _can(self, state: State, label: Label, cpu: int) -> bool:
        return any(t.label is label and t.cpu == cpu for t in reference.transitions(self.plain, state))

    def _enabled(self, step: Transition, state: State) -> bool:
        return self._can(state, step.label, step.cpu)

    def _places(self, last: State, *, fatal: bool) -> tuple[dict[int, int], list[str]]:
        places, late = {}, []
        for number, code in enumerate(self.model.codes):
            main = code.labels[0][1].pc
            for cpu, values in enumerate(last.cpus) if code.scope is Scope.CPU else [(ALONE, last.globals)]:
                label = next(i for _, i in code.labels if i.name == values[main])
                if label.passive:
                    continue
                who, at = number * 16 + cpu, self.generator.labels[code.actor, label.name]
                gates = self.gates[number]
                places[who] = INSIDE if label.name in gates.hidden else at
                if label.name in gates.writers and not self._can(last, label, cpu):
                    places[who] = INSIDE
                if label.name in gates.locks and not fatal:
                    places[who] = INSIDE
                    late.append(f"E:{who}:{-1 if cpu == ALONE else cpu}:{at}")
        return places, late
