"""One question to the engine: a policy on a module kind, a topology and a scenario, ready to run.

Recording and lowering do not depend on the topology, so questions that differ in it share a Program.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tdxexplore.explore.engine import Engine
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.catalogue import find_policy, find_scenario
from tdxexplore.tdx.fields import UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.policy_file import running
from tdxexplore.tdx.scenarios import build, initial_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model import Model, Program
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy
    from tdxexplore.tdx.scenarios import Scenario


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
            BadModel: The CPUs do not fit into the packages.
        """
        sorted_knobs, sorted_budgets = tuple(sorted((knobs or {}).items())), tuple(sorted((budgets or {}).items()))
        return cls(policy, module, scenario, Topology.of(cpus, packages), sorted_knobs, sorted_budgets)

    def policy_class(self) -> type[Policy]:
        """The policy itself; of a file, what the file says now.

        Raises:
            BadModel: There is no such policy, or its file does not import.
        """
        return find_policy(self.policy) if isinstance(self.policy, str) else self.policy

    def compile(self) -> Compiled:
        """Record and lower the model; cached.

        Raises:
            BadModel: A name or value is not allowed, or the policy cannot be recorded.
        """
        policy = self.policy_class()
        # mypy takes the class for an instance here, and then misses its hash.
        return _compile(policy, self.module, self.scenario, self.knobs, self.budgets)  # type: ignore[arg-type]

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

    def key(self) -> dict[str, str | int]:
        """The key columns of every table."""
        policy = self.compile().policy
        return {
            "digest": self.digest(),
            "policy": policy.name,
            "knobs": " ".join(f"{k}={v}" for k, v in sorted(policy.setting.items())),
            "module": self.module,
            "scenario": self.scenario,
            "budgets": " ".join(f"{k}={_number(v)}" for k, v in self.budgets),
            "packages": self.topology.packages,
            "cpus": self.topology.cpus,
        }

    def command(self, verb: str) -> str:
        """The command line that asks the same, for ``replay`` hints."""
        name = self.policy if isinstance(self.policy, str) else self.policy.name
        if not isinstance(self.policy, str) and BUILT_IN.get(name) is not self.policy:
            name = f"{inspect.getfile(self.policy)}:{self.policy.__name__}"
        words = ["tdxexplore", verb, name, "--module", self.module, "--cpus", str(self.topology.cpus)]
        if self.topology.packages > 1:
            words += ["--packages", str(self.topology.packages)]
        words += ["--scenario", self.scenario]
        words += [w for k, v in self.knobs for w in ("--set", f"{k}={v}")]
        words += [w for k, v in self.budgets for w in ("--budget", f"{k}={_number(v)}")]
        return " ".join(words)


def _number(budget: int) -> str:
    return "unbounded" if budget == UNBOUNDED else str(budget)


@lru_cache(maxsize=1 << 17)
def _digest(question: Question) -> str:
    text = f"{question.compile().program.digest} {question.initial()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _compile(
    policy_class: type[Policy],
    module: ModuleKind,
    scenario_name: str,
    knobs: tuple[tuple[str, str], ...],
    budgets: tuple[tuple[str, int], ...],
) -> Compiled:
    scenario = find_scenario(scenario_name)
    with running(policy_class):
        policy = policy_class(dict(knobs))
        model = build(policy, module, scenario, dict(budgets))
    program = lower(model)
    return Compiled(policy, scenario, model, program, Engine(program.text))
