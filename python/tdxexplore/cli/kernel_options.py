"""The options that the commands of ``tdxexplore kernel`` share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from tdxexplore.bounded import at_most
from tdxexplore.errors import BadModel
from tdxexplore.kernel.machine import guest_file

Series: TypeAlias = Annotated[str, Parameter(name="--series")]
"""The series of the kernel: 6.12 or 7.3."""

Cache: TypeAlias = Annotated[Path | None, Parameter(name="--cache")]
"""The folder that keeps kernels; default: tdxexplore/kernels in the user's cache."""


def tell(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- progress


def lines_of(script: str) -> list[str]:
    """The lines of a script: of a file where it has a ``/``, else of one in ``kernel/scripts``; without comments.

    Raises:
        BadModel: It is no text, or too long.
    """
    try:
        content = at_most(Path(script), 1 << 20, "a script") if "/" in script else guest_file(f"scripts/{script}.sh")
        text = content.decode()
    except ValueError as error:
        raise BadModel(f"--script is `{script}`: {error}") from None
    return [line for line in text.splitlines() if line and not line.startswith("#")]
