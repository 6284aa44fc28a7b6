"""``tdxexplore replay``: one interleaving, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import Flag, Json, print_json, say
from tdxexplore.explore.trace import replay as run
from tdxexplore.render.traces import Form, render

if TYPE_CHECKING:
    from tdxexplore.explore.trace import Trace


def replay(
    policy: str,
    schedule: str,
    *,
    asked: Asked = Asked(),
    changes: Flag = False,
    sources: Flag = False,
    mail: Flag = False,
    to: Form | None = None,
    as_json: Json = False,
) -> int:
    """Run one interleaving, step by step.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        schedule: As printed under a trace, or its beginning.
        changes: Show what each step changed.
        sources: Show what each step stands for.
        mail: Write it for mail: 72 columns of ASCII, only the steps that bear on the outcome; the same as --to mail.
        to: Write it as mail, a mermaid diagram, perfetto (also chrome://tracing), or json with every field after each step.
        as_json: Print one JSON document.
    """
    trace = run(asked.question(policy), schedule)
    form: Form | None = "mail" if mail else to
    if as_json:
        print_json(document(trace))
    elif form is not None:
        say(render(trace, form))
    else:
        if len(trace):
            say(trace.to_text(changes=changes, sources=sources))
        if trace.outcome is None:
            options = "; ".join(
                f"{i}: {a} {t}{'' if c is None else f' (CPU {c})'}" for i, (a, t, c) in enumerate(trace.enabled)
            )
            say(f"next: {options}")
    return exits.HOLDS


def document(trace: Trace) -> dict[str, object]:
    """The ``--json`` document of a replay."""
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
    return {"outcome": trace.outcome, "steps": steps}
