"""Results and messages: text and JSON on stdout, tables as files, warnings and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from tdxexplore.cli.streams import tell
from tdxexplore.data.replacing import replacing
from tdxexplore.errors import BadModel
from tdxexplore.render.progress import shown
from tdxexplore.visible import one_line, visible

if TYPE_CHECKING:
    import polars as pl

SCHEMA_VERSION = 1
_LONGEST = 4000  # characters of a warning

Flag: TypeAlias = Annotated[bool, Parameter(negative="")]
"""An option that is given or not; there is no ``--no-...``."""

Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative="")]
"""Whether the result is one JSON document."""


def say(line: str, end: str = "\n") -> None:
    """A line of the result."""
    print(visible(line), end=end)  # noqa: T201 -- the result


def print_json(document: dict[str, Any]) -> None:
    """One JSON document with its version."""
    say(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2))


def warn(message: str) -> None:
    """A line that is not part of the result."""
    tell(f"tdxexplore: {one_line(message, _LONGEST)}")


def progress(what: str, *, quiet: bool) -> Any:  # noqa: ANN401 -- a context manager of an optional callable
    """A callback that shows counters, or None when nobody watches."""
    return shown(what, quiet=quiet or not watched())


def watched() -> bool:
    """Whether somebody sees stderr while it is written."""
    return sys.stderr.isatty()


def writable(folder: Path) -> None:
    """Create the output folder before anything runs; a folder that cannot be written is an error now."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "the output folder cannot be written", str(folder))


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """A table in the form that the file's name says. No reader sees a part of it."""
    if path.suffix not in (".csv", ".parquet"):
        raise BadModel(f"--table is `{path}`; its name must end in .parquet or .csv")
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            frame.write_csv(temporary)
        else:
            frame.write_parquet(temporary)
