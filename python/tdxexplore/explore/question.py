"""One question to the engine: a model on a topology, ready to run; a policy also on a module kind and in a scenario.

Recording and lowering do not depend on the topology, so questions that differ in it share a Program.
"""

from __future__ import annotations

import gc
import hashlib
import operator
import shlex
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from tdxexplore.errors import BadModel, shown, suggest
from tdxexplore.explore.engine import Engine
from tdxexplore.explore.finding import find, refuse_others
from tdxexplore.explore.own_model import text_of
from tdxexplore.explore.subject import NONE
from tdxexplore.explore.time_limit import limited
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.catalogue import find_scenario
from tdxexplore.tdx.fields import MODULE_KINDS, UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.explore.finding import About
    from tdxexplore.explore.subject import Given, Subject
    from tdxexplore.model import Model, Program
    from tdxexplore.tdx.policy import Policy

T = TypeVar("T")


RECORDING = threading.RLock()
"""Held while a policy is imported and recorded, which is for one thread at a time; exploring is not."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A model in all its forms.

    Attributes:
        policy: The TDX policy that recorded it, with its knobs set; None of another model.
        model: As recorded; what the reference interpreter runs.
        program: As lowered.
        engine: As the engine holds it.
    """

    policy: Policy | None
    model: Model
    program: Program
    engine: Engine


@dataclass(frozen=True, slots=True)
class Question:
    """A point to explore; its digest names it for ever.

    Attributes:
        policy: What is asked about, as the user names it: a built-in policy by its name, a file and a name in it, a policy, a
            model, or a function that returns one.
        module: TDX-module kind; None for the default of what is asked about, which a model has not.
        scenario: Name of the scenario; None likewise.
        topology: Packages and CPUs.
        knobs: Values that differ from the default, or all: the key shows all of them.
        budgets: Budgets that differ from the scenario's; ``UNBOUNDED`` for no limit.
    """

    policy: About
    module: str | None
    scenario: str | None
    topology: Topology
    knobs: Given = ()
    budgets: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        policy: About,
        *,
        module: str | None = None,
        cpus: int = 4,
        packages: int = 1,
        scenario: str | None = None,
        knobs: Mapping[str, str | bool | int] | None = None,
        budgets: Mapping[str, int] | None = None,
    ) -> Question:
        """A question from plain values. Nothing is imported for this.

        Raises:
            BadModel: A value is of another kind than is needed, the module kind or the scenario is not known, or the CPUs do
                not fit into the packages.
        """
        refuse_others(policy)
        if module not in (None, NONE, *MODULE_KINDS):
            raise BadModel(f"module kind {shown(module)} is not known; {suggest(str(module), MODULE_KINDS)}")
        if scenario not in (None, NONE):
            find_scenario(_text("--scenario", scenario))
        topology = Topology.of(_whole("--cpus", cpus), _whole("--packages", packages))
        asked = cls(
            policy, module, scenario, topology, _sorted("knobs", knobs, _value), _sorted("budgets", budgets, _whole)
        )
        # A file may take for ever to be imported, which is a matter of the timeout.
        return asked if isinstance(policy, str) and ":" in policy else asked.resolved()

    def subject(self) -> Subject:
        """What is asked about; of a file, what the file says now.

        Raises:
            BadModel: There is none of that name, or its file does not import.
        """
        return find(self.policy)

    def resolved(self) -> Question:
        """The same question with the module kind and the scenario named.

        Raises:
            BadModel: What is asked about has no such module kind or scenario.
        """
        subject = self.subject()
        return replace(
            self,
            module=subject.asked("--module", self.module, subject.modules),
            scenario=subject.asked("--scenario", self.scenario, subject.scenarios),
        )

    def compile(self, timeout: float | None = None, memory: int | None = None) -> Compiled:
        """Record and lower the model; cached.

        Args:
            timeout: How many seconds it may take.
            memory: How many bytes it may take.

        Raises:
            BadModel: A name or value is not allowed, or the model cannot be recorded.
            TimeUp: It takes longer, or more.
        """

        def record() -> Compiled:
            asked = self.resolved()
            return _compile(self.subject(), *asked.axes(), self.knobs, self.budgets)

        with RECORDING:
            return limited(record, timeout, f"recording and lowering `{_name(self.policy)}`", memory)

    def axes(self) -> tuple[str, str]:
        """The module kind and the scenario, by name."""
        asked = self if self.module is not None and self.scenario is not None else self.resolved()
        return cast("tuple[str, str]", (asked.module, asked.scenario))

    def initial(self) -> str:
        """The labelled initial state, packed.

        Raises:
            BadModel: The scenario does not fit the topology.
        """
        compiled = self.compile()
        with self.subject().running():
            start = compiled.model.initial(self.topology)
        return compiled.program.pack(start)

    def digest(self) -> str:
        """A stable hash of everything that decides the answer: 32 hex digits of BLAKE2b."""
        return _digest(self.subject(), self)  # a file may have changed

    def source(self) -> str:
        """A stable hash of the sources and values that the model is made from, without making it; empty where it has none.

        Questions of equal source have equal digests.
        """
        source = self.subject().source()
        if source is None:
            return ""
        text = repr((source, *self.asked().values(), self.topology.sizes, *self.axes()))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def asked(self) -> dict[str, str | int]:
        """What is asked, as columns of a table. Nothing is recorded for this."""
        subject = self.subject()
        module, scenario = self.axes()
        return {
            "policy": subject.name,
            "knobs": " ".join(f"{k}={v}" for k, v in sorted(subject.setting(self.knobs).items())),
            "module": module,
            "scenario": scenario,
            "budgets": " ".join(f"{k}={_number(v)}" for k, v in self.budgets),
            "packages": self.topology.packages,
            "cpus": self.topology.cpus,
        }

    def key(self) -> dict[str, str | int]:
        """The key columns of every table."""
        return {"digest": self.digest(), **self.asked()}

    def endless(self) -> bool:
        """Whether no run needs to come to an end: something may happen without end, or the model names no good one."""
        return any(budget == UNBOUNDED for _, budget in self.budgets) or not any(
            outcome.severity == "ok" for outcome in self.compile().model.outcomes
        )

    def cannot_happen(self) -> str:
        """Why the scenario cannot happen to what is asked about, or on this topology; empty if it can."""
        return self.subject().cannot_happen(self.axes()[1], self.knobs, self.topology)

    def command(self, verb: str, *more: str) -> str:
        """The command line that asks the same, as a shell takes it.

        Args:
            verb: ``check``, ``replay`` or another command.
            more: Further arguments.
        """
        module, scenario = self.axes()
        words = ["tdxexplore", verb, _name(self.policy)]
        words += ["--module", module] * (module != NONE)
        words += ["--cpus", str(self.topology.cpus)]
        words += ["--packages", str(self.topology.packages)] * (self.topology.packages > 1)
        words += ["--scenario", scenario] * (scenario != NONE)
        words += [w for k, v in self.knobs for w in ("--set", f"{k}={v}")]
        words += [w for k, v in self.budgets for w in ("--budget", f"{k}={_number(v)}")]
        return shlex.join([*words, *more])


def _name(policy: About) -> str:
    """What is asked about, as the command line names it. Nothing is imported for this."""
    return policy if isinstance(policy, str) else find(policy).word


def _number(budget: int) -> str:
    return "unbounded" if budget == UNBOUNDED else str(budget)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadModel(f"{what} is {shown(value)}; a name is needed")
    return value


def _value(what: str, value: object) -> str:
    """A value of a knob; a parameter of a function may be given as Python has it."""
    if isinstance(value, bool | int):
        return text_of(value)
    return _text(what, value)


def _whole(what: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise BadModel(f"{what} is {shown(value)}; a whole number is needed")
    return operator.index(value)


def _sorted(
    what: str, values: Mapping[str, object] | None, check: Callable[[str, object], T]
) -> tuple[tuple[str, T], ...]:
    if values is None:
        return ()
    if not isinstance(values, Mapping):
        raise BadModel(f"{what} is {shown(values)}; a mapping of names to values is needed")
    return tuple(sorted((_text(what, name), check(f"{what}: `{name}`", value)) for name, value in values.items()))


@lru_cache(maxsize=1 << 17)
def _digest(_: Subject, question: Question) -> str:
    text = f"{question.compile().program.digest} {question.initial()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _compile(
    subject: Subject, module: str, scenario: str, knobs: Given, budgets: tuple[tuple[str, int], ...]
) -> Compiled:
    with no_collection():
        model, policy = subject.record(module, scenario, knobs, dict(budgets))
        program = lower(model)
        return Compiled(policy, model, program, Engine(program.text))


@contextmanager
def no_collection() -> Iterator[None]:
    """Suspend Python's cyclic collector: the objects of a model or a report are many and stay, and walking them takes long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
