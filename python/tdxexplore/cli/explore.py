"""The commands that explore one question or a few: policies, check, compare, diff, replay, export."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 -- cyclopts reads the annotations
from dataclasses import replace
from pathlib import Path  # noqa: TC003 -- cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked, Axes, How, say_if_capped
from tdxexplore.cli.output import print_json, progress, writable
from tdxexplore.errors import BadModel
from tdxexplore.explore.exploration import explore
from tdxexplore.explore.settings import Settings

if TYPE_CHECKING:
    from tdxexplore.explore.exploration import Exploration


def policies() -> int:
    """List the designs, with their sources and knobs, and the scenarios."""
    from tdxexplore.render.text import print_policies  # noqa: PLC0415 -- keeps the other commands quick

    print_policies()
    return exits.HOLDS


def check(
    policy: str,
    *,
    asked: Asked = Asked(),
    settings: How = Settings(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Explore every interleaving of one policy.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    say_if_capped(settings.threads, quiet=quiet or as_json)
    with progress("check", quiet=quiet or as_json) as show:
        answer = explore(asked.question(policy), settings, show)
    if as_json:
        print_json(document(answer))
    else:
        from tdxexplore.render.text import print_exploration  # noqa: PLC0415 -- keeps --json quick

        print_exploration(answer)
    return exits.of([answer.verdict], interrupted=answer.interrupted)


def document(answer: Exploration) -> dict[str, object]:
    """The ``--json`` document of a check."""
    return {
        "run": answer.runs.row(0, named=True),
        "outcomes": answer.outcomes.to_dicts(),
        "invariants": answer.invariants.drop("digest").to_dicts(),
        "responses": answer.responses.drop("digest").to_dicts(),
        "prices": answer.prices.drop("digest").to_dicts(),
    }


def compare(
    *names: str,
    axes: Axes = Axes(),
    settings: How = Settings(),
    out: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compare policies: the worst outcome in each cell of policies × module kinds × scenarios × CPU counts.

    Args:
        names: Built-in names, or path/to/file.py:NAME; default: all built-in ones.
        out: Write the tables there as Parquet: outcomes, runs, prices and matrix.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    from tdxexplore.data.single import write_table  # noqa: PLC0415 -- keeps check quick
    from tdxexplore.sweep.comparison import explore_grid  # noqa: PLC0415

    grid = axes.grid(names)
    if out is not None:
        writable(out)
    say_if_capped(settings.threads, quiet=quiet or as_json)
    with progress("compare", quiet=quiet or as_json) as show:
        told = None if show is None else lambda done, total, last: show({"done": done, "total": total, "last": last})
        comparison = explore_grid(grid, settings, progress=told)
    if out is not None:
        for name, table in comparison.tables().items():
            write_table(out / f"{name}.parquet", name, table)
    if as_json:
        print_json({"complete": comparison.complete, "matrix": comparison.matrix.to_dicts()})
    else:
        from tdxexplore.render.text import print_matrix, print_trace  # noqa: PLC0415

        print_matrix(comparison.matrix)
        if (worst := comparison.worst) is not None:
            point, trace = worst
            print_trace(trace, point.question, f"the worst cell: shortest trace to {trace.outcome}")
    return exits.of(comparison.runs["verdict"], interrupted=comparison.interrupted)


def diff(
    a: str,
    b: str,
    *,
    asked: Asked = Asked(),
    set_a: Annotated[Sequence[str], Parameter(negative="")] = (),
    set_b: Annotated[Sequence[str], Parameter(negative="")] = (),
    settings: How = Settings(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """What B adds or removes against A: outcomes, the interleavings that move, the shortest schedule that only A survives.

    Args:
        a: The design before: a built-in name, or path/to/file.py:NAME.
        b: The design after.
        set_a: A knob of A alone, as KNOB=VALUE; may be repeated.
        set_b: A knob of B alone.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    from tdxexplore.explore.difference import Difference  # noqa: PLC0415 -- keeps check quick

    answers = []
    say_if_capped(settings.threads, quiet=quiet or as_json)
    for policy, knobs in ((a, set_a), (b, set_b)):
        question = replace(asked, set=(*asked.set, *knobs)).question(policy)
        with progress(f"diff: {policy}", quiet=quiet or as_json) as show:
            answers.append(explore(question, settings, show))
        if answers[-1].interrupted:
            return exits.INTERRUPTED
    difference = Difference(*answers)
    if as_json:
        found = {
            "complete": difference.complete,
            "verdict": difference.verdict,
            "moved": difference.moved,
            "worse": difference.worse,
            "outcomes": difference.outcomes.to_dicts(),
        }
        print_json(found)
    else:
        from tdxexplore.render.text import print_difference  # noqa: PLC0415

        print_difference(difference)
    return exits.OF_VERDICT[difference.verdict]


def replay(
    policy: str,
    schedule: str,
    *,
    asked: Asked = Asked(),
    changes: Annotated[bool, Parameter(negative="")] = False,
    sources: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Run one interleaving, step by step.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        schedule: As printed under a trace, or its beginning.
        changes: Show what each step changed.
        sources: Show what each step stands for.
        as_json: Print one JSON document.
    """
    from tdxexplore.explore.trace import replay as run  # noqa: PLC0415 -- keeps the others quick

    trace = run(asked.question(policy), schedule)
    if as_json:
        steps = [
            {
                "number": s.number,
                "actor": s.actor,
                "package": s.package,
                "cpu": s.cpu,
                "functions": list(s.functions),
                "step": s.title,
                "notes": list(s.notes),
                "source": s.source,
                "changes": [{"field": n, "old": a, "new": b} for n, a, b in s.changes],
            }
            for s in trace
        ]
        print_json({"outcome": trace.outcome, "steps": steps})
        return exits.HOLDS
    print(trace.to_text(changes=changes, sources=sources))  # noqa: T201 -- the result
    if trace.outcome is not None:
        print(f"outcome: {trace.outcome}")  # noqa: T201
    else:
        options = "; ".join(
            f"{i}: {a} {t}{'' if c is None else f' (CPU {c})'}" for i, (a, t, c) in enumerate(trace.enabled)
        )
        print(f"next: {options}")  # noqa: T201
    return exits.HOLDS


def export(
    policy: str,
    *,
    to: Literal["promela", "murphi", "tla"],
    asked: Asked = Asked(),
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
) -> int:
    """Write the same model for another checker, which must find the same states and transitions.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        to: promela (for Spin), murphi (for Rumur) or tla (for TLC).
        out: Write it there instead of stdout; a TLA+ module is named after its file and gets a .cfg beside it.
    """
    from tdxexplore.export import CONFIGURATION  # noqa: PLC0415 -- keeps the others quick
    from tdxexplore.export import export as emit  # noqa: PLC0415

    if out is not None and to == "tla" and out.suffix != ".tla":
        raise BadModel(f"--out is `{out}`; the file of a TLA+ module ends in .tla")
    text = emit(asked.question(policy), to, module="" if out is None else out.stem)
    if out is None:
        print(text, end="")  # noqa: T201 -- the result
        return exits.HOLDS
    out.write_text(text)
    if to == "tla":
        out.with_suffix(".cfg").write_text(CONFIGURATION)
    return exits.HOLDS
