"""``tdxexplore check``: one question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked, How, say_if_capped
from tdxexplore.cli.output import Flag, Json, print_json, progress, say
from tdxexplore.errors import BadModel, suggest
from tdxexplore.explore.check import explore
from tdxexplore.explore.settings import Settings
from tdxexplore.render.exploration import print_exploration
from tdxexplore.render.traces import Form, render

if TYPE_CHECKING:
    from tdxexplore.explore.exploration import Exploration


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Traces:
    """Which traces are shown, and how.

    Attributes:
        trace: Show the shortest trace to this outcome, good or bad, or `all`; may be repeated; default: the worst outcome.
        changes: Show what each step of a trace changed.
        mail: Write only the traces, for mail: 72 columns of ASCII, the steps that bear on the outcome; the same as --to mail.
        to: Write only the traces, as mail, a mermaid diagram, perfetto (also chrome://tracing) or json with every field.
    """

    trace: Annotated[Sequence[str], Parameter(negative="")] = ()
    changes: Flag = False
    mail: Flag = False
    to: Form | None = None

    @property
    def form(self) -> Form | None:
        """The form in which they are written, instead of the answer."""
        return "mail" if self.mail else self.to


def check(
    policy: str,
    *,
    asked: Asked = Asked(),
    settings: How = Settings(),
    traces: Traces = Traces(),
    as_json: Json = False,
    quiet: Flag = False,
) -> int:
    """Explore every interleaving of one policy or model.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    question = asked.question(policy)
    say_if_capped(settings.threads, quiet=quiet or as_json)
    with progress("check", quiet=quiet or as_json) as show:
        answer = explore(question, settings, show)
    form, chosen = traces.form, _chosen(answer, traces.trace)
    if form in ("json", "perfetto") and len(chosen) != 1:
        raise BadModel(f"--to {form} writes one trace, and {len(chosen)} are asked for; name one with --trace OUTCOME")
    if as_json:
        print_json(document(answer))
    elif form is not None:
        say("\n\n".join(render(answer.traces[name], form) for name in chosen))
    else:
        print_exploration(answer, chosen if traces.trace else None, changes=traces.changes)
    return exits.of([answer.verdict], interrupted=answer.interrupted)


def _chosen(answer: Exploration, names: Sequence[str]) -> list[str]:
    """The traces that are asked for, or that to the worst outcome.

    Raises:
        BadModel: Nothing of that name was reached.
    """
    known = list(answer.traces)
    for name in names:
        if name != "all" and name not in known:
            raise BadModel(f"--trace is `{name}`, and no run comes there; {suggest(name, ['all', *known])}")
    if "all" in names:
        return known
    return list(dict.fromkeys(names)) or [name for name in [answer.worst] if name in known]


def document(answer: Exploration) -> dict[str, object]:
    """The ``--json`` document of a check."""
    return {
        "run": answer.runs.row(0, named=True),
        "outcomes": answer.outcomes.to_dicts(),
        "invariants": answer.invariants.drop("digest").to_dicts(),
        "expectations": answer.expectations.drop("digest").to_dicts(),
        "responses": answer.responses.drop("digest").to_dicts(),
        "prices": answer.prices.drop("digest").to_dicts(),
    }
