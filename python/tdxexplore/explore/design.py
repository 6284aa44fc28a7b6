"""A TDX policy as the subject of a question."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tdxexplore.errors import BadModel
from tdxexplore.explore.source import source_of
from tdxexplore.explore.subject import Recorded, Subject, in_tables
from tdxexplore.tdx.build import build
from tdxexplore.tdx.catalogue import find_scenario
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.policy_file import running
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tdxexplore.explore.subject import Given
    from tdxexplore.model import Topology
    from tdxexplore.model.knob import Knob
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy


@dataclass(frozen=True, eq=False)
class Design(Subject):
    """A policy.

    Attributes:
        policy: Its class.
    """

    policy: type[Policy]
    modules = MODULE_KINDS
    scenarios = tuple(SCENARIOS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Design) and self.policy is other.policy

    def __hash__(self) -> int:
        return hash(self.policy)

    @property
    def name(self) -> str:
        """Its name; that of a user's policy which has the name of a built-in one goes with its place."""
        name = self.policy.name
        return name if BUILT_IN.get(name, self.policy) is self.policy else f"{name} ({self.place})"

    @property
    def place(self) -> str:
        """The file and the class."""
        try:
            place = f"{Path(inspect.getfile(self.policy)).name}:{self.policy.__name__}"
        except (OSError, TypeError):  # typed in
            place = self.policy.__name__
        return in_tables(place)

    @property
    def word(self) -> str:
        """Its name, or its file and class."""
        if BUILT_IN.get(self.policy.name) is self.policy:
            return self.policy.name
        try:
            return f"{inspect.getfile(self.policy)}:{self.policy.__name__}"
        except (OSError, TypeError):
            return self.policy.__name__

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """Those of its class."""
        return self.policy.knobs

    def setting(self, given: Given) -> dict[str, str]:
        """The value of every knob."""
        return _made(self, given).setting

    def record(self, module: str, scenario: str, given: Given, budgets: Mapping[str, int]) -> Recorded:
        """Record the design and its environment."""
        with running(self.policy):
            policy = self.policy(dict(given))
            return Recorded(build(policy, cast("ModuleKind", module), find_scenario(scenario), budgets), policy)

    def source(self) -> str | None:
        """The sources of the package, and those of a user's policy."""
        return source_of(self.policy)

    def least_cpus(self, scenario: str, given: Given) -> int:
        """What the scenario needs."""
        return find_scenario(scenario).least_cpus

    def cannot_happen(self, scenario: str, given: Given, topology: Topology) -> str:
        """Why the scenario cannot happen. Nothing is recorded for this."""
        found = find_scenario(scenario)
        try:
            found.offline_at_first(topology)
        except BadModel as error:
            return str(error)
        why = found.cannot_happen(_made(self, given))
        return f"`{self.name}` {why}" if why else ""

    def running(self) -> AbstractContextManager[None]:
        """Code of the policy's file may run."""
        return running(self.policy)


@lru_cache(maxsize=4096)
def _made(design: Design, given: Given) -> Policy:
    """A policy with its knobs set, to be asked what it is; one of its own is recorded."""
    with running(design.policy):
        return design.policy(dict(given))
