"""``tdxexplore kernel run``: the schedules of a policy, or of any model, in a real kernel."""

from __future__ import annotations

import json
import time
from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.kernel_options import Cache, Series, tell
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import Flag, say
from tdxexplore.errors import BadModel
from tdxexplore.kernel import NO_TDX
from tdxexplore.kernel.campaign import campaign as ran
from tdxexplore.kernel.campaign import models as of_models
from tdxexplore.kernel.campaign import read
from tdxexplore.kernel.litmus import Litmus, Row, Session
from tdxexplore.kernel.packages import DEFAULT, find
from tdxexplore.kernel.toolchain import toolchain


def run(  # noqa: PLR0913 -- each is an option
    policy: str,
    *,
    asked: Asked = Asked(),
    schedule: Annotated[list[str] | None, Parameter(negative="")] = None,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    sample: int = 10,
    seed: int = 0,
    most: int = 10_000,
    series: Series = DEFAULT,
    cache: Cache = None,
    headers: Path | None = None,
    out: Path | None = None,
    source: Flag = False,
) -> int:
    """Run schedules of a policy or a model in a real kernel, and compare what it does with what the model predicts.

    Args:
        policy: A built-in name, or path/to/file.py:NAME, of a policy or a function that returns a model.
        schedule: A schedule; may be repeated.
        every: Run every interleaving that can be run.
        sample: How many are drawn, if neither is given.
        seed: For the draws.
        most: Of all interleavings, run at most so many.
        headers: The folder of the kernel's headers; default: /usr/src/linux-headers-VERSION.
        out: Append a JSON line for each schedule to this file.
        source: Print the C of the module, and run nothing.
    """
    if sample < 1:
        raise BadModel(f"--sample is {sample}; allowed are whole numbers from 1")
    litmus = Litmus(asked.question(policy))
    if source:
        say(litmus.source.expandtabs(8))
        return exits.HOLDS
    runs = litmus.planner.runs
    chosen = schedule or (islice(runs, most) if every else dict.fromkeys(runs.draw(sample, seed)))
    found = find(series, cache, tell)
    tools = toolchain(found, cache, headers, tell)
    say(f"Linux {found.version}, {runs.total} interleavings that can be run ({NO_TDX})")
    rows, begun = [], time.monotonic()
    with Session(found, tools, [litmus]) as session:
        for each in chosen:
            row = session.run(0, litmus.planner.plan(each))
            rows.append(row)
            say(
                f"{each}  predicted {row.plan.outcome}  observed {row.observed}  {'agree' if row.agrees else 'DISAGREE'}"
            )
            if not row.agrees:
                say(both(row))
            if out is not None:
                with out.open("a") as file:
                    file.write(
                        json.dumps({**litmus.question.asked(), "version": found.version, **row.document()}) + "\n"
                    )
    agreed = sum(row.agrees for row in rows)
    say(f"{len(rows)} schedules, {agreed} agree; {session.boots} boots, {time.monotonic() - begun:.0f} s")
    return exits.HOLDS if agreed == len(rows) else exits.VIOLATED


def campaign(
    out: Path,
    *,
    models: Annotated[Path | None, Parameter(negative="")] = None,
    most: int = 200,
    series: Series = DEFAULT,
    cache: Cache = None,
    headers: Path | None = None,
) -> int:
    """Run the schedules of docs/kernel.md: many designs and scenarios. A question that the file has already is not run.

    Args:
        out: The file of results; python/tdxexplore/kernel/campaign.py has its format.
        models: Run the models of this Python file instead: each function that returns one.
        most: Of a model with no more interleavings run all; of any other draw so many.
        headers: The folder of the kernel's headers; default: /usr/src/linux-headers-VERSION.
    """
    if most < 1:
        raise BadModel(f"--most is {most}; allowed are whole numbers from 1")
    asked = None if models is None else list(of_models(models, most))
    found = find(series, cache, tell)
    ran(found, toolchain(found, cache, headers, tell), out, tell, asked)
    lines = read(out)
    agreed = sum(len(schedules) for line in lines for schedules in line["agree"].values())
    disagreed = sum(len(line["disagree"]) for line in lines)
    say(f"{agreed + disagreed} schedules, {agreed} agree ({NO_TDX})")
    return exits.VIOLATED if disagreed else exits.HOLDS


def both(row: Row) -> str:
    """Both traces side by side, then what differs."""
    went = row.passed
    width = max(map(len, row.plan.steps), default=0)
    lines = [f"{'model':<{width}}  kernel"]
    lines += [f"{step:<{width}}  {mark}" for step, mark in zip(row.plan.steps, went, strict=True)]
    return "\n".join([*lines, *row.differences, *row.reports])
