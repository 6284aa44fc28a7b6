"""What a sweep would do, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.render.terminal import console

if TYPE_CHECKING:
    from pathlib import Path

    from tdxexplore.sweep.plan import Plan
    from tdxexplore.sweep.run import Summary
    from tdxexplore.sweep.spec import Spec


def print_plan(spec: Spec, plan: Plan, out: Path, *, largest: bool) -> None:
    """How many points there are, how many are done, and, where it is asked for, the largest that is left."""
    print_ = console().print
    print_(f"sweep {spec.name}: {len(plan.points):,} points")
    for number, count in enumerate(plan.excluded, start=1):
        print_(f"cut out by exclude[{number}]: {count:,}")
    if plan.not_applicable:
        print_(
            f"not applicable, as the scenario cannot happen to the design or needs more CPUs: {plan.not_applicable:,}"
        )
    print_(f"done in {out}: {len(plan.points) - len(plan.pending):,}; to do: {len(plan.pending):,}")
    if largest and (found := plan.largest()) is not None:
        point, size = found
        print_(f"largest to do: about {size:,.0f} states: {point.question.command('check')}")


def print_summary(summary: Summary, out: Path) -> None:
    """How many points are in the data set, and what this run added."""
    s, rate = summary, summary.explored / max(summary.seconds, 1e-9)
    verdicts = ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(s.verdicts.items()))
    print_ = console().print
    print_(f"{s.before + s.finished:,} of {s.total:,} points in {out}; {s.before:,} were there")
    if s.finished:
        print_(
            f"explored {s.finished:,} ({verdicts}) in {s.seconds:.1f} s: {s.explored:,} states, {rate:,.0f} states/s, "
            f"{s.finished / max(s.seconds, 1e-9):,.1f} points/s"
        )
