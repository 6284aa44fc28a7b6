"""What one design changes against another: outcomes gained and lost, interleavings that move, the shortest way to see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore.explore import notebook
from tdxexplore.explore.check import check
from tdxexplore.explore.verdict import violates
from tdxexplore.markup import page, paragraph
from tdxexplore.markup import verdict as verdict_badge
from tdxexplore.model import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.explore.exploration import Exploration
    from tdxexplore.explore.finding import About
    from tdxexplore.explore.trace import Trace
    from tdxexplore.explore.verdict import Finding, Verdict

_FIGURES = ("interleavings", "log10_interleavings", "interleaving_share", "probability", "shortest_steps", "schedule")


@dataclass(frozen=True)
class Difference:
    """Two explorations of the same question but for the design.

    Attributes:
        before: A.
        after: B.
    """

    before: Exploration
    after: Exploration

    @property
    def policies(self) -> tuple[str, str]:
        """The names of the designs; two designs of one name are told apart by their places."""
        a, b = (side.question.subject() for side in (self.before, self.after))
        if a != b and a.name == b.name:
            return f"{a.name} ({a.place})", f"{b.name} ({b.place})"
        return a.name, b.name

    @property
    def complete(self) -> bool:
        """Whether both were explored to the end; if not, an outcome may be missing on either side."""
        return self.before.complete and self.after.complete

    @cached_property
    def outcomes(self) -> pl.DataFrame:
        """A row for each outcome of either, most severe first.

        Columns: ``outcome``, ``severity``, ``change`` (``added``, ``removed``, ``kept``), ``moved`` (share of the
        interleavings in B less that in A; null unless both were counted), then for A (``_a``) and B (``_b``):
        interleavings (decimal string), log10_interleavings, interleaving_share, probability, shortest_steps, schedule; null
        where it is not reached.
        """
        sides = [e.outcomes.select("outcome", "severity", *_FIGURES) for e in (self.before, self.after)]
        a, b = (
            side.rename({name: f"{name}_{letter}" for name in _FIGURES})
            for side, letter in zip(sides, "ab", strict=True)
        )
        both = a.join(b, on=["outcome", "severity"], how="full", coalesce=True)
        counted = all(e.outcomes["interleaving_share"].null_count() == 0 for e in (self.before, self.after))
        order = {p.name: n for n, (p, _) in enumerate(self.after.question.compile().program.outcomes)}
        in_a, in_b = (pl.col(f"shortest_steps_{letter}").is_not_null() for letter in "ab")
        share_a, share_b = (pl.col(f"interleaving_share_{letter}").fill_null(0.0) for letter in "ab")
        return (
            both.with_columns(
                change=pl.when(in_a & in_b)
                .then(pl.lit("kept"))
                .when(in_b)
                .then(pl.lit("added"))
                .otherwise(pl.lit("removed")),
                moved=share_b - share_a if counted else pl.lit(None, dtype=pl.Float64),
                order=pl.col("severity").replace_strict(
                    {s: n for n, s in enumerate(SEVERITIES)}, return_dtype=pl.Int64
                ),
                place=pl.col("outcome").replace_strict(order, default=len(order), return_dtype=pl.Int64),
            )
            .sort("order", "place", "outcome")
            .select("outcome", "severity", "change", "moved", *(f"{name}_{side}" for side in "ab" for name in _FIGURES))
        )

    @property
    def moved(self) -> float | None:
        """The share of the interleavings that end otherwise, at least: half the sum of all changes (total variation)."""
        column = self.outcomes["moved"]
        return None if column.null_count() else float(column.abs().sum()) / 2

    @cached_property
    def properties(self) -> pl.DataFrame:
        """A row for each invariant that fails, response that can be lost and expectation that is never met, in either.

        Columns: ``kind``, ``property``, ``severity``, ``change`` as in `outcomes`, ``text``, then for A (``_a``) and B
        (``_b``): ``states`` (concrete, decimal string), shortest_steps, schedule; null where it does not fail.
        """
        figures, key = ("states", "shortest_steps", "schedule"), ["kind", "property", "severity"]
        a, b = (
            side.properties.filter("fails")
            .select(*key, pl.lit(value=True).alias(letter), "text", *figures)
            .rename({name: f"{name}_{letter}" for name in ("text", *figures)})
            for side, letter in ((self.before, "a"), (self.after, "b"))
        )
        both = a.join(b, on=key, how="full", coalesce=True, maintain_order="left_right")
        added, removed = pl.lit("added"), pl.lit("removed")
        change = pl.when(pl.col("a").is_null()).then(added).when(pl.col("b").is_null()).then(removed)
        return both.select(
            *key,
            change.otherwise(pl.lit("kept")).alias("change"),
            pl.coalesce("text_b", "text_a").alias("text"),
            *(f"{name}_{side}" for side in "ab" for name in figures),
        )

    @cached_property
    def prices(self) -> pl.DataFrame:
        """What runs cost on each side, if both were asked for prices: a row for each outcome of either and each price.

        Columns: ``outcome``, ``severity``, ``price``, ``moved`` (mean of B less that of A; null where one does not reach the
        outcome), then for A (``_a``) and B (``_b``): ``mean`` over all interleavings that end so, ``least`` and ``most`` of any;
        null where it is not reached. Outcomes are in the order of `outcomes`.
        """
        key, figures = ["outcome", "severity", "price"], ("mean", "least", "most")
        a, b = (
            side.prices.select(*key, *figures).rename({name: f"{name}_{letter}" for name in figures})
            for side, letter in ((self.before, "a"), (self.after, "b"))
        )
        both = a.join(b, on=key, how="full", coalesce=True, maintain_order="left_right")
        ranks = {outcome: rank for rank, outcome in enumerate(self.outcomes["outcome"])}
        return (
            both.with_columns(rank=pl.col("outcome").replace_strict(ranks, return_dtype=pl.Int64))
            .sort("rank", maintain_order=True)
            .select(
                *key, (pl.col("mean_b") - pl.col("mean_a")).alias("moved"), *(f"{n}_{s}" for s in "ab" for n in figures)
            )
        )

    @cached_property
    def added(self) -> tuple[Finding, ...]:
        """What B adds that is a violation: outcomes first, most severe first; then invariants, then responses."""
        fail_on = self.after.settings.fail_on
        known = {(finding.kind, finding.name) for finding in self.before.findings if violates(finding, fail_on)}
        bad = (finding for finding in self.after.findings if violates(finding, fail_on))
        return tuple(finding for finding in bad if (finding.kind, finding.name) not in known)

    @property
    def worse(self) -> str | None:
        """The name of the first of `added`.

        None does not mean that B is better: only that it adds no violation.
        """
        return self.added[0].name if self.added else None

    @property
    def trace(self) -> Trace | None:
        """The shortest schedule of B into `worse`: A survives whatever its environment does there, in any interleaving."""
        return None if self.worse is None else self.after.traces[self.worse]

    @property
    def verdict(self) -> Verdict:
        """``violated`` if B adds a violation, ``incomplete`` if a limit may have hidden one, ``vacuous`` if B is, else ``holds``.

        What a search that was cut short saw of A does not say what A cannot do, so that then nothing counts as added.
        """
        if self.added and self.before.complete:
            return "violated"
        if not self.complete:
            return "incomplete"
        return "vacuous" if self.after.verdict == "vacuous" else "holds"

    def _repr_html_(self) -> str:
        a, b = self.policies
        return page(
            paragraph(verdict_badge(self.verdict), f" {b} against {a}"),
            notebook.changed(self.outcomes, a, b),
            notebook.failing(self.properties),
            None if self.trace is None else self.trace.folded(f"to {self.worse}"),
        )


def diff(
    a: About,
    b: About,
    *,
    knobs_a: Mapping[str, str | bool | int] | None = None,
    knobs_b: Mapping[str, str | bool | int] | None = None,
    **asked: Any,  # noqa: ANN401 -- of the types of the arguments of `check`
) -> Difference:
    """Explore two designs, and compare the answers.

    Args:
        a: The design before, as for `tdxexplore.check`.
        b: The design after.
        knobs_a: Knobs of A.
        knobs_b: Knobs of B.
        asked: What both are asked, and how, as for `tdxexplore.check`.

    Raises:
        BadModel: Something in the questions or the settings is not allowed.

    Example:
        >>> import tdxexplore
        >>> tdxexplore.diff("linux-6.16", "v19", module="subset", cpus=2, scenario="late-online").worse
        'td-error'
    """
    return Difference(check(a, knobs=knobs_a, **asked), check(b, knobs=knobs_b, **asked))
