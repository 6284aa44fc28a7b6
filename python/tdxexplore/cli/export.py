"""``tdxexplore export``: the same Program for another checker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import say
from tdxexplore.errors import BadModel
from tdxexplore.export import configuration
from tdxexplore.export import export as emit
from tdxexplore.render.dot import dot
from tdxexplore.replacing import replacing

if TYPE_CHECKING:
    from tdxexplore.explore.question import Question


def export(
    policy: str,
    *,
    to: Literal["promela", "murphi", "tla", "dot"],
    asked: Asked = Asked(),
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
) -> int:
    """Write the same model for another checker, which must find the same states and transitions.

    Murphi and TLA+ name CPUs and packages in the checker's symmetric type, so that it can also find the same orbits.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        to: promela (for Spin), murphi (for Rumur), tla (for TLC), or dot: the graph of up to 10,000 states, for Graphviz.
        out: Write it there instead of stdout; a TLA+ module is named after its file and gets a .cfg beside it.
    """
    if out is not None and to == "tla" and out.suffix != ".tla":
        raise BadModel(f"--out is `{out}`; the file of a TLA+ module ends in .tla")
    question = asked.question(policy)
    text = _dot(question) if to == "dot" else emit(question, to, module="" if out is None else out.stem)
    if out is None:
        say(text, end="")
        return exits.HOLDS
    files = {out: text}
    if to == "tla":
        files[out.with_suffix(".cfg")] = configuration(asked.cpus, asked.packages, symmetry=False)
    for path, content in files.items():
        with replacing(path) as temporary:
            temporary.write_text(content)
    return exits.HOLDS


def _dot(question: Question) -> str:
    from tdxexplore.explore.graph import state_graph  # noqa: PLC0415 -- the other forms need no arrays

    severities = {outcome.name: outcome.severity for outcome in question.compile().model.outcomes}
    return f"{dot(state_graph(question), severities)}\n"
