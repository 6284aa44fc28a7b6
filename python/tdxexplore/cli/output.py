"""Results: JSON on stdout, tables as files, progress on stderr while someone watches."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tdxexplore.errors import BadModel

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1


def print_json(document: dict[str, Any]) -> None:
    """One JSON document with its version."""
    print(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2))  # noqa: T201 -- the result


def progress(what: str, *, quiet: bool) -> Any:  # noqa: ANN401 -- a context manager of an optional callable
    """A callback that shows counters, or None when nobody watches."""
    from tdxexplore.render.progress import shown  # noqa: PLC0415 -- rich is loaded only when someone watches

    return shown(what, quiet=quiet or not sys.stderr.isatty())


def writable(folder: Path) -> None:
    """Create the output folder before anything runs; a folder that cannot be written is an error now."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "the output folder cannot be written", str(folder))


def write(frame: Any, path: Path) -> None:  # noqa: ANN401 -- a Polars frame, not imported for a name
    """A table as Parquet, never seen in part."""
    temporary = path.with_suffix(".tmp")
    try:
        frame.write_parquet(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def export(frame: Any, path: Path) -> None:  # noqa: ANN401 -- as above
    """A table in the form that its name says."""
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        write(frame, path)
    else:
        raise BadModel(f"--table is `{path}`; its name must end in .parquet or .csv")
