"""``tdxexplore new``: a file to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from tdxexplore.cli import exits
from tdxexplore.cli.output import say
from tdxexplore.errors import BadModel

# What is defined in each file.
NAMES = {"model": "ticket_lock", "policy": "Mine"}


def new(kind: Literal["model", "policy"], file: Path) -> int:
    """Write a commented file to start from: a model of any protocol, or a TDX policy; `check` explores it as it is.

    Args:
        kind: model: a function that returns a model in the public language; policy: a TDX bring-up policy.
        file: Where to; it must not exist, and its name ends in .py.
    """
    if file.suffix != ".py":
        raise BadModel(f"file `{file}` is not a Python file; its name must end in `.py`")
    start = files("tdxexplore.cli").joinpath("starts", f"{kind}.txt").read_text()
    try:
        with file.open("x") as out:
            out.write(start.replace("FILE", str(file)))
    except FileExistsError:
        raise BadModel(f"file `{file}` exists; name another one") from None
    say(f"{file} is written; explore it with: tdxexplore check {file}:{NAMES[kind]}")
    return exits.HOLDS
