"""The options that the commands of ``tdxexplore kernel`` share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

Series: TypeAlias = Annotated[str, Parameter(name="--series")]
"""The series of the kernel: 6.12 or 7.3."""

Cache: TypeAlias = Annotated[Path | None, Parameter(name="--cache")]
"""The folder that keeps kernels; default: tdxexplore/kernels in the user's cache."""


def tell(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- progress
