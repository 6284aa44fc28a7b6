"""One question to the engine: a policy on a module kind, a topology and a scenario, ready to run.

Recording and lowering do not depend on the topology, so questions that differ in it share a Program.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import operator
import shlex
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tdxexplore.errors import BadModel, shown, suggest
from tdxexplore.explore.engine import Engine
from tdxexplore.explore.source import source_of
from tdxexplore.explore.time_limit import limited
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.build import build, initial_state
from tdxexplore.tdx.catalogue import find_policy, find_scenario
from tdxexplore.tdx.fields import MODULE_KINDS, UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.policy import Knob, Policy
from tdxexplore.tdx.policy_file import running
from tdxexplore.visible import one_line, said, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.model import Model, Program
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.scenarios import Scenario

T = TypeVar("T")

_PLACE = 50  # characters of a file and a class in a table; with the name, they are also the name of a folder

# Importing and recording a policy is for one thread at a time; exploring is not.
_ALONE = threading.RLock()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A model in all its forms.

    Attributes:
        policy: The design, with its knobs set.
        scenario: What happens around it.
        model: As recorded; what the reference interpreter runs.
        program: As lowered.
        engine: As the engine holds it.
    """

    policy: Policy
    scenario: Scenario
    model: Model
    program: Program
    engine: Engine


@dataclass(frozen=True, slots=True)
class Question:
    """A point to explore; its digest names it for ever.

    Attributes:
        policy: Name of the policy, or the file and the name in it.
        module: TDX-module kind.
        scenario: Name of the scenario.
        topology: Packages and CPUs.
        knobs: Values that differ from the default, or all: the key shows all of them.
        budgets: Budgets that differ from the scenario's; ``UNBOUNDED`` for no limit.
    """

    policy: str | type[Policy]
    module: ModuleKind
    scenario: str
    topology: Topology
    knobs: tuple[tuple[str, str], ...] = ()
    budgets: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        policy: str | type[Policy],
        *,
        module: ModuleKind = "strict",
        cpus: int = 4,
        packages: int = 1,
        scenario: str = "all-online",
        knobs: Mapping[str, str] | None = None,
        budgets: Mapping[str, int] | None = None,
    ) -> Question:
        """A question from plain values.

        Raises:
            BadModel: A value is of another kind than is needed, the module kind or the scenario is not known, or the CPUs do
                not fit into the packages.
        """
        _refuse_other_than_policy(policy)
        if module not in MODULE_KINDS:
            raise BadModel(f"module kind {shown(module)} is not known; {suggest(str(module), MODULE_KINDS)}")
        find_scenario(_text("--scenario", scenario))
        topology = Topology.of(_whole("--cpus", cpus), _whole("--packages", packages))
        return cls(
            policy,
            module,
            scenario,
            topology,
            _sorted("knobs", knobs, _text),
            _sorted("budgets", budgets, _whole),
        )

    def policy_class(self) -> type[Policy]:
        """The policy itself; of a file, what the file says now.

        Raises:
            BadModel: There is no such policy, or its file does not import.
        """
        return policy_class(self.policy)

    def compile(self, timeout: float | None = None, memory: int | None = None) -> Compiled:
        """Record and lower the model; cached.

        Args:
            timeout: How many seconds it may take.
            memory: How many bytes it may take.

        Raises:
            BadModel: A name or value is not allowed, or the policy cannot be recorded.
            TimeUp: It takes longer, or more.
        """

        def record() -> Compiled:
            policy = self.policy_class()
            # mypy takes the class for an instance here, and then misses its hash.
            return _compile(policy, self.module, self.scenario, self.knobs, self.budgets)  # type: ignore[arg-type]

        with _ALONE:
            return limited(record, timeout, f"recording and lowering `{_name(self.policy)}`", memory)

    def initial(self) -> str:
        """The labelled initial state, packed.

        Raises:
            BadModel: The scenario does not fit the topology.
        """
        compiled = self.compile()
        return compiled.program.pack(initial_state(compiled.model, self.topology, compiled.scenario))

    def digest(self) -> str:
        """A stable hash of everything that decides the answer: 32 hex digits of BLAKE2b."""
        return _digest(replace(self, policy=self.policy_class()))  # a file may have changed

    def source(self) -> str:
        """A stable hash of the sources and values that the model is made from, without making it; empty where it has none.

        Questions of equal source have equal digests.
        """
        source = source_of(self.policy_class())
        if source is None:
            return ""
        text = repr((source, *self.asked().values(), self.topology.sizes, self.module, self.scenario))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def asked(self) -> dict[str, str | int]:
        """What is asked, as columns of a table. Nothing is recorded for this."""
        policy = self.policy_class()
        setting = made(policy, self.knobs).setting
        return {
            "policy": policy_name(policy),
            "knobs": " ".join(f"{k}={v}" for k, v in sorted(setting.items())),
            "module": self.module,
            "scenario": self.scenario,
            "budgets": " ".join(f"{k}={_number(v)}" for k, v in self.budgets),
            "packages": self.topology.packages,
            "cpus": self.topology.cpus,
        }

    def key(self) -> dict[str, str | int]:
        """The key columns of every table."""
        return {"digest": self.digest(), **self.asked()}

    def endless(self) -> bool:
        """Whether something may happen without end, so that no run needs to come to one."""
        return any(budget == UNBOUNDED for _, budget in self.budgets)

    def cannot_happen(self) -> str:
        """Why the scenario cannot happen to the design, or on this topology; empty if it can."""
        policy, scenario = self.policy_class(), find_scenario(self.scenario)
        try:
            scenario.offline_at_first(self.topology)
        except BadModel as error:
            return str(error)
        why = scenario.cannot_happen(made(policy, self.knobs))
        return f"`{policy_name(policy)}` {why}" if why else ""

    def command(self, verb: str, *more: str) -> str:
        """The command line that asks the same, as a shell takes it.

        Args:
            verb: ``check``, ``replay`` or another command.
            more: Further arguments.
        """
        words = ["tdxexplore", verb, _name(self.policy), "--module", self.module, "--cpus", str(self.topology.cpus)]
        if self.topology.packages > 1:
            words += ["--packages", str(self.topology.packages)]
        words += ["--scenario", self.scenario]
        words += [w for k, v in self.knobs for w in ("--set", f"{k}={v}")]
        words += [w for k, v in self.budgets for w in ("--budget", f"{k}={_number(v)}")]
        return shlex.join([*words, *more])


def policy_class(policy: str | type[Policy]) -> type[Policy]:
    """The policy of a name or file, or the class itself.

    Raises:
        BadModel: It is none of these, there is no such policy, or its file does not import.
    """
    _refuse_other_than_policy(policy)
    found = find_policy(policy) if isinstance(policy, str) else policy
    if not found.__module__.startswith("tdxexplore."):
        _check_words(found)
    return found


def _check_words(policy: type[Policy]) -> None:
    """Names stand in tables, commands and the names of folders; nothing else may stand there."""
    word("the name of a policy", getattr(policy, "name", None))
    for what in ("title", "source"):
        said(f"`{what}` of policy `{policy.name}`", getattr(policy, what, ""))
    for knob in policy.knobs:
        if not isinstance(knob, Knob):
            raise BadModel(f"policy `{policy.name}`: {one_line(repr(knob), 60)} is not a `Knob`")
        for text in (knob.name, *knob.values):
            word(f"knob `{one_line(str(knob.name), 60)}` of policy `{policy.name}`", text)
        said(f"the text of knob `{knob.name}` of policy `{policy.name}`", knob.text)


def _refuse_other_than_policy(policy: object) -> None:
    if not isinstance(policy, str) and not (isinstance(policy, type) and issubclass(policy, Policy)):
        kinds = "the name of a built-in one, path/to/file.py:NAME or a subclass of `tdxexplore.Policy`"
        raise BadModel(f"policy is {shown(policy)}; allowed: {kinds}")


def made(policy: type[Policy], knobs: tuple[tuple[str, str], ...] = ()) -> Policy:
    """A policy with its knobs set, to be asked what it is; one of its own is recorded."""
    return _made(policy, knobs)  # type: ignore[arg-type] # see Question.compile


def policy_name(policy: type[Policy]) -> str:
    """The name of a policy in tables; that of a user's policy which has the name of a built-in one goes with its place."""
    return policy.name if BUILT_IN.get(policy.name, policy) is policy else f"{policy.name} ({policy_place(policy)})"


def policy_place(policy: type[Policy]) -> str:
    """Where a policy is defined: file and class."""
    try:
        place = f"{Path(inspect.getfile(policy)).name}:{policy.__name__}"
    except (OSError, TypeError):  # typed in
        place = policy.__name__
    return one_line(place.encode("ascii", "backslashreplace").decode(), _PLACE)


def _name(policy: str | type[Policy]) -> str:
    """A policy as the command line names it."""
    if isinstance(policy, str):
        return policy
    if BUILT_IN.get(policy.name) is policy:
        return policy.name
    try:
        return f"{inspect.getfile(policy)}:{policy.__name__}"
    except (OSError, TypeError):
        return policy.__name__


def _number(budget: int) -> str:
    return "unbounded" if budget == UNBOUNDED else str(budget)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadModel(f"{what} is {shown(value)}; a name is needed")
    return value


def _whole(what: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise BadModel(f"{what} is {shown(value)}; a whole number is needed")
    return operator.index(value)


def _sorted(what: str, values: Mapping[str, T] | None, check: Callable[[str, object], T]) -> tuple[tuple[str, T], ...]:
    if values is None:
        return ()
    if not isinstance(values, Mapping):
        raise BadModel(f"{what} is {shown(values)}; a mapping of names to values is needed")
    return tuple(sorted((_text(what, name), check(f"{what}: `{name}`", value)) for name, value in values.items()))


@lru_cache(maxsize=1 << 17)
def _digest(question: Question) -> str:
    text = f"{question.compile().program.digest} {question.initial()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def _made(policy: type[Policy], knobs: tuple[tuple[str, str], ...]) -> Policy:
    with running(policy):
        return policy(dict(knobs))


@lru_cache(maxsize=256)
def _compile(
    policy_class: type[Policy],
    module: ModuleKind,
    scenario_name: str,
    knobs: tuple[tuple[str, str], ...],
    budgets: tuple[tuple[str, int], ...],
) -> Compiled:
    scenario = find_scenario(scenario_name)
    with _no_collection():
        with running(policy_class):
            policy = policy_class(dict(knobs))
            model = build(policy, module, scenario, dict(budgets))
        program = lower(model)
        return Compiled(policy, scenario, model, program, Engine(program.text))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Suspend Python's cyclic collector: a model is many objects that stay, and walking them takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
