"""What tests ask of the TDX models, as built or changed. Shared by the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

import tdxexplore
from tdxexplore import _core
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.build import build
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.model import Model
    from tdxexplore.tdx.fields import ModuleKind


def explore(model: Model, sizes: tuple[int, ...], *, measures: bool = True, prices: bool = False) -> _core.Exploration:
    """All of a model, which may have been changed since it was built, on packages of these sizes."""
    program = lower(model)
    packed = program.pack(model.initial(Topology(sizes)))
    found = _core.Program(program.text).explore(packed, measures=measures, prices=prices)
    assert found.complete
    return found


def outcomes(model: Model, found: _core.Exploration) -> set[str]:
    """The outcomes that are reached."""
    return {model.outcomes[i].name for i in pl.DataFrame(found.outcomes())["outcome"]}


def broken(model: Model, found: _core.Exploration) -> set[str]:
    """The invariants that fail."""
    return {model.invariants[i].name for i in pl.DataFrame(found.invariants()).drop_nulls("schedule")["invariant"]}


@dataclass(frozen=True)
class Asked:
    """A point of the matrix; three CPUs in one package unless said otherwise."""

    policy: str
    module: ModuleKind
    scenario: str
    sizes: tuple[int, ...] = (3,)
    knobs: dict[str, str] = field(default_factory=dict)
    budgets: dict[str, int] = field(default_factory=dict)

    def check(self) -> tdxexplore.Exploration:
        """The answer of the product."""
        answer = tdxexplore.check(
            self.policy,
            module=self.module,
            scenario=self.scenario,
            cpus=sum(self.sizes),
            packages=len(self.sizes),
            knobs=self.knobs,
            budgets=self.budgets,
        )
        assert answer.complete
        return answer

    def model(self) -> Model:
        """A model of one's own, to change."""
        return build(BUILT_IN[self.policy](self.knobs), self.module, SCENARIOS[self.scenario], self.budgets)

    def outcomes(self, model: Model) -> set[str]:
        """The outcomes that a changed model reaches here."""
        return outcomes(model, explore(model, self.sizes))

    def broken(self, model: Model) -> set[str]:
        """The invariants that fail in a changed model here."""
        return broken(model, explore(model, self.sizes))


def warnings(answer: tdxexplore.Exploration) -> set[tuple[str, str]]:
    """Which actor meets which WARN, in any run."""
    met = answer.rules.filter((pl.col("fired") > 0) & pl.col("notes").str.contains("WARN", literal=True))
    return {
        (actor, note)
        for actor, notes in met.select("actor", "notes").iter_rows()
        for note in notes.split("; ")
        if note.startswith("WARN")
    }
