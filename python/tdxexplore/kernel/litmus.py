"""A model in a real kernel: its schedules are run, and what is observed is held against what the model predicts."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tdxexplore.errors import TdxExploreError
from tdxexplore.kernel.c_text import MASKS
from tdxexplore.kernel.generate import generate
from tdxexplore.kernel.guest import boot
from tdxexplore.kernel.machine import GUEST, GuestFailed
from tdxexplore.kernel.plan import Planner
from tdxexplore.linux.state import CPUHP_BUG
from tdxexplore.model.execution import normalise, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tdxexplore.explore.question import Question
    from tdxexplore.kernel.machine import Machine
    from tdxexplore.kernel.packages import Kernel
    from tdxexplore.kernel.plan import Plan
    from tdxexplore.kernel.toolchain import Toolchain
    from tdxexplore.model.topology import State

# A boot is tried so often.
BOOTS = 3
STACKS = re.compile(r"^#(.*)$", re.MULTILINE)
FAILS = re.compile(r"WARNING: .*|kernel BUG at .*|BUG: .*")


class NoGuest(TdxExploreError, OSError):
    """The kernel did not boot, which says nothing of a schedule."""


@dataclass(frozen=True, slots=True)
class Row:
    """One schedule in the kernel.

    Attributes:
        plan: The schedule, with what the model predicts.
        observed: The outcome in the kernel.
        differences: What is not as predicted; empty if they agree.
        trace: What the module logged.
        reports: WARN and BUG lines of the kernel.
        blocks: How often an actor was seen to block.
    """

    plan: Plan
    observed: str
    differences: tuple[str, ...]
    trace: str
    reports: tuple[str, ...]
    blocks: int

    def document(self) -> dict[str, object]:
        """For a table of results."""
        return {
            "schedule": self.plan.schedule,
            "predicted": self.plan.outcome,
            "observed": self.observed,
            "differences": list(self.differences),
            "reports": list(self.reports),
        }

    @property
    def said(self) -> list[str]:
        """What the kernel says by itself: its reports, and the stack of each actor that blocked, innermost first."""
        return [*self.reports, *(" < ".join(stack.split()[1:]) for stack in STACKS.findall(self.trace))]

    @property
    def agrees(self) -> bool:
        """Whether the kernel did what the model says."""
        return not self.differences

    @property
    def passed(self) -> list[str]:
        """For each step of the schedule: ``passed``, ``inside the kernel`` for one without a gate, or empty if not reached."""
        head = re.search(r"^head (\d+) ", self.trace, re.MULTILINE)
        done, words = int(head[1]) if head else 0, self.plan.text.split()
        marks = ["inside the kernel" if words[at][0] in "HT" else "passed" for at in self.plan.entries]
        return [mark if at < done else "" for at, mark in zip(self.plan.entries, marks, strict=True)]


class Litmus:
    """A question as a module of a kernel.

    Attributes:
        cpus: CPUs of the guest: those of the question; one for each sender of IPIs, which cannot be preempted; one for each
            actor that cannot sleep at a gate; and one for the threads of the module and the processes of the guest, as all others
            may spin.
    """

    def __init__(self, question: Question) -> None:
        compiled = question.compile()
        self.question = question
        self.initial = compiled.model.initial(question.topology)
        self.generator = generate(compiled.model, self.initial)
        self.source = self.generator.text()
        self.planner = Planner(question, self.generator)
        spots = self.generator.primitives.all_spots(question.topology.cpus)
        self.cpus = question.topology.cpus + len(self.generator.senders) + spots + 1

    def compare(self, plan: Plan, result: str, reports: Iterable[str]) -> Row:
        """Hold a result against the prediction."""
        found = tuple(reports)
        differences = []
        wrong = re.search(r"^wrong (.*)$", result, re.MULTILINE)
        if wrong is None or wrong[1] != "-":
            differences.append(wrong[1] if wrong else "no result")
        values = dict(re.findall(r"^=(\S+) (-?\d+)$", result, re.MULTILINE))
        state = self._state(plan, values, differences)
        for who, place in sorted(plan.places.items()):
            at = re.search(rf"^@{who} (-?\d+)$", result, re.MULTILINE)
            if at is None or int(at[1]) != place:
                differences.append(f"who {who} is at {at[1] if at else 'no place'}, predicted {place}")
        stacks = STACKS.findall(result)
        for stack, wait in zip(stacks, plan.waits, strict=False):
            if wait not in stack:
                differences.append(f"who {stack.strip()}, predicted {wait}")
        oops = any("BUG at" in line for line in found)
        if oops and "oops" in state.globals:
            state.globals["oops"] = CPUHP_BUG
        if oops != (plan.outcome == "cpuhp-bug"):
            differences.append(f"the kernel reports {'; '.join(found) or 'nothing'}")
        model = self.planner.model
        observed = state
        normalise(model, observed)
        before = plan.before.globals if plan.before is not None else {}
        predicted = plan.last.copy()
        normalise(model, predicted)
        for one, two, where in _pairs(observed, predicted):
            differences += [
                f"{name}{where} is {one[name]}, predicted {two[name]}"
                for name in two
                if one[name] not in (two[name], before.get(name, two[name]))
            ]
        outcome = outcome_of(model, observed) if not differences else "differs"
        return Row(plan, outcome, tuple(differences), result, found, len(stacks))

    def _state(self, plan: Plan, values: dict[str, str], differences: list[str]) -> State:
        """The state that the module and the kernel were seen in; the kernel's own fields as predicted."""
        state, g = plan.last.copy(), self.generator
        words = {number: word for word, number in g.names.words.items()}
        places = {c: name for name, (c, _) in g.names.fields.items()}
        places |= {mask: mask for mask in MASKS if mask in self.planner.model.fields}
        places |= {place: field.name for place, field, _ in g.primitives.shown(g.names)}
        for place, number in values.items():
            c, _, index = place.rstrip("]").partition("[")
            if c not in places:  # the CPUs of a model that knows none
                continue
            name = places[c]
            field = self.planner.model.fields[name]
            kind = type(field.initial)
            value = words[int(number)] if kind is str else kind(int(number))
            home = state.globals
            if index:
                home = state.cpus[int(index)] if name in state.cpus[0] else state.packages[int(index)]
            home[name] = value
        if not values:
            differences.append("the module showed no state")
        return state


def _pairs(one: State, two: State) -> Iterator[tuple[dict, dict, str]]:  # type: ignore[type-arg]
    yield one.globals, two.globals, ""
    yield from ((a, b, f"[package {i}]") for i, (a, b) in enumerate(zip(one.packages, two.packages, strict=True)))
    yield from ((a, b, f"[CPU {i}]") for i, (a, b) in enumerate(zip(one.cpus, two.cpus, strict=True)))


class Session:
    """Runs schedules of several questions in one kernel, with a fresh boot after a hang. Use it as a context manager."""

    def __init__(self, kernel: Kernel, tools: Toolchain, litmuses: list[Litmus]) -> None:
        self.kernel, self.litmuses = kernel, litmuses
        self.cpus = max(i.cpus for i in litmuses)
        modules = tools.build(one.source for one in litmuses)
        self.files = {f"{name}.ko": module for name, module in modules.items()}
        self.names = [tools.name(one.source) for one in litmuses]
        self.boots = 0
        self._machine: Machine | None = None
        self._loaded = -1
        self._stack = ExitStack()
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, number: int, plan: Plan) -> Row:
        """Run one schedule of the question with that number."""
        one = self.litmuses[number]
        try:
            machine = self._with(number)
            wanted = enumerate((int(bool(cpu.get("online", True))) for cpu in one.initial.cpus[1:]), start=1)
            set_up = "".join(f"set_cpu {cpu} {online}; " for cpu, online in wanted)
            run = f"{set_up}printf '%s' '{plan.text}' > /proc/litmus/run; cat /proc/litmus/result"
            result = machine.run(run, timeout=60).text
        except GuestFailed as error:
            result = f"wrong {error}"
        row = one.compare(plan, result.replace("\r", ""), self._reports())
        if not re.search(r"^hung 0$", row.trace, re.MULTILINE) or row.reports:
            self._end()
        return row

    def _with(self, number: int) -> Machine:
        """The machine, with that module loaded."""
        if self._machine is None:
            # cpu_down() runs as a work item on the first housekeeping CPU, which must not spin at a gate.
            isolated = f"isolcpus=domain,0-{self.cpus - 2}"
            self._machine = self._booted(isolated)
            self.boots, self._loaded, self._read = self.boots + 1, -1, 0
            text = (GUEST / "litmus.sh").read_text().replace("\n", " ")
            self._machine.run(text)
        machine = self._machine
        if self._loaded != number:
            if self._loaded >= 0:
                machine.run(f"litmus_unload {self.names[self._loaded]}")
            spare = self.cpus - 1
            answer = machine.run(f"litmus_load {self.names[number]} {spare}")
            if answer.code:
                raise GuestFailed(f"the module does not load: {answer.text}")
            self._loaded = number
        return machine

    def _booted(self, parameters: str) -> Machine:
        """A machine. One of some dozen boots of a first campaign panicked, on a busy host, where the timer comes too late."""
        for left in reversed(range(BOOTS)):
            try:
                return self._stack.enter_context(
                    boot(self.kernel, cpus=self.cpus, files=self.files, parameters=parameters)
                )
            except GuestFailed as error:
                if not left:
                    raise NoGuest(str(error)) from None
        raise AssertionError("there is a last one")

    def _reports(self) -> list[str]:
        if self._machine is None:
            return []
        text = self._machine.console()
        new, self._read = text[self._read :], len(text)
        return FAILS.findall(new)

    def _end(self) -> None:
        self._stack.close()
        self._machine = None
