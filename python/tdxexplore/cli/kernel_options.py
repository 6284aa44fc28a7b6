"""The options that the commands of ``tdxexplore kernel`` share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from tdxexplore.kernel.machine import guest_file

Series: TypeAlias = Annotated[str, Parameter(name="--series")]
"""The series of the kernel: 6.12 or 7.3."""

Cache: TypeAlias = Annotated[Path | None, Parameter(name="--cache")]
"""The folder that keeps kernels; default: tdxexplore/kernels in the user's cache."""


def tell(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- progress


def lines_of(script: str) -> list[str]:
    """The lines of a script: of a file where it has a ``/``, else of one in ``kernel/scripts``; without comments."""
    text = Path(script).read_text() if "/" in script else guest_file(f"scripts/{script}.sh").decode()
    return [line for line in text.splitlines() if line and not line.startswith("#")]
