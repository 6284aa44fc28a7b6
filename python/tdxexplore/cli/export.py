"""``tdxexplore export``: the same Program for another checker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import say
from tdxexplore.errors import BadModel
from tdxexplore.export import configuration
from tdxexplore.export import export as emit


def export(
    policy: str,
    *,
    to: Literal["promela", "murphi", "tla"],
    asked: Asked = Asked(),
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
) -> int:
    """Write the same model for another checker, which must find the same states and transitions.

    Murphi and TLA+ name CPUs and packages in the checker's symmetric type, so that it can also find the same orbits.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        to: promela (for Spin), murphi (for Rumur) or tla (for TLC).
        out: Write it there instead of stdout; a TLA+ module is named after its file and gets a .cfg beside it.
    """
    if out is not None and to == "tla" and out.suffix != ".tla":
        raise BadModel(f"--out is `{out}`; the file of a TLA+ module ends in .tla")
    question = asked.question(policy)
    text = emit(question, to, module="" if out is None else out.stem)
    if out is None:
        say(text, end="")
        return exits.HOLDS
    out.write_text(text)
    if to == "tla":
        out.with_suffix(".cfg").write_text(configuration(asked.cpus, asked.packages, symmetry=False))
    return exits.HOLDS
