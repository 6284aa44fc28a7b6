"""Policies × module kinds × scenarios × CPU counts: the worst outcome in each cell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.data.analysis import KEY, WORST
from tdxexplore.explore.exploration import check
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tdxexplore.explore.exploration import Exploration, Space
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy


@dataclass(frozen=True, slots=True)
class Comparison:
    """Many explorations.

    Attributes:
        explorations: In the order of policies, module kinds, scenarios, CPU counts.
        asked: How many there should be; more than there are after an interrupt.
    """

    explorations: tuple[Exploration, ...]
    asked: int

    @property
    def complete(self) -> bool:
        """Whether every cell was explored to the end."""
        return len(self.explorations) == self.asked and all(e.complete for e in self.explorations)

    def _concat(self, frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
        return pl.concat(frames, how="vertical") if self.explorations else pl.DataFrame()

    @property
    def outcomes(self) -> pl.DataFrame:
        """The outcome rows of all cells."""
        return self._concat(e.outcomes for e in self.explorations)

    @property
    def runs(self) -> pl.DataFrame:
        """The run rows of all cells."""
        return self._concat(e.runs for e in self.explorations)

    @property
    def matrix(self) -> pl.DataFrame:
        """One row a policy, module kind, scenario and CPU count: its worst outcome, with that outcome's figures.

        Columns: `tdxexplore.data.analysis.KEY`, verdict, and `tdxexplore.data.analysis.WORST`.
        """
        if not self.explorations:
            return pl.DataFrame()
        worst = self.outcomes.unique("digest", keep="first", maintain_order=True)
        runs = self.runs.select(
            "digest",
            "verdict",
            all_interleavings="interleavings",
            log10_all_interleavings="log10_interleavings",
        )
        return worst.join(runs, on="digest", maintain_order="left").select(*KEY, "verdict", *WORST)

    @property
    def worst(self) -> Exploration | None:
        """The exploration whose worst outcome is most severe; among equals the one with the shortest trace."""
        ranked = [(e.outcomes.row(0, named=True), e) for e in self.explorations if len(e.outcomes)]
        return min(ranked, key=lambda r: (r[0]["severity"], r[0]["shortest_steps"]), default=(None, None))[1]


def compare(  # noqa: PLR0913 -- the axes and the limits, all by name
    policies: Sequence[str | type[Policy]] = (),
    *,
    modules: Sequence[ModuleKind] = MODULE_KINDS,
    scenarios: Sequence[str] = tuple(SCENARIOS),
    cpus: Sequence[int] = (4,),
    packages: int = 1,
    threads: int | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    timeout: float | None = None,
    space: Space = "orbit",
    fail_on: str = "S3",
    measures: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Explore every combination.

    Args:
        policies: Names, files or classes; default: all built-in ones.
        modules: TDX-module kinds.
        scenarios: Scenarios by name.
        cpus: CPU counts.
        packages: Packages that the CPUs are spread over.
        threads: Worker threads of each exploration; default: all.
        max_states: Limit on the stored states of each exploration.
        max_memory: Limit on the memory of each exploration, in bytes.
        timeout: Limit on the time of each exploration, in seconds.
        space: ``orbit``, ``unnamed`` or ``concrete``.
        fail_on: The least severe severity that counts as a violation.
        measures: Count interleavings and probabilities.
        progress: Called after each exploration with how many are done, of how many, and the name of the last.

    Returns:
        All explorations; fewer than asked for after Ctrl-C.

    Raises:
        BadModel: Something in a question is not allowed.
    """
    cells = list(product(policies or tuple(BUILT_IN), modules, scenarios, cpus))
    done: list[Exploration] = []
    for policy, module, scenario, count in cells:
        answer = check(
            policy,
            module=module,
            scenario=scenario,
            cpus=count,
            packages=packages,
            threads=threads,
            max_states=max_states,
            max_memory=max_memory,
            timeout=timeout,
            space=space,
            fail_on=fail_on,
            measures=measures,
        )
        done.append(answer)
        if progress is not None:
            progress(len(done), len(cells), answer.question.command("check"))
        if answer.interrupted:
            break
    return Comparison(tuple(done), len(cells))
