"""Many questions: a grid, its points, and exploring them into a data set or into memory.

The flow: `spec` reads and checks a sweep file, `points` expands its grid, `plan` compares it with what the data set holds,
`run` explores the rest into it, and `batch` does so on threads or any executor. `comparison` explores a grid into memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tdxexplore.callable_module import make_callable
from tdxexplore.sweep.comparison import Comparison, compare
from tdxexplore.sweep.points import Point, expand
from tdxexplore.sweep.run import Progress, Summary, sweep
from tdxexplore.sweep.spec import Spec, load

__all__ = ["Comparison", "Point", "Progress", "Spec", "Summary", "compare", "expand", "load", "sweep"]


def run(spec: Spec | Path | str, out: Path | str, **how: Any) -> Summary:  # noqa: ANN401 -- the arguments of `sweep`
    """Explore the points of a sweep that its data set does not hold: ``tdxexplore.sweep(spec, out)``.

    Args:
        spec: The sweep file, or what `load` made of it.
        out: The data set; created when it is not there.
        how: See `sweep`.

    Raises:
        BadSpec: In one line: the file, the key, the value, and what is allowed.
        TdxExploreError: See `sweep`.
    """
    return sweep(spec if isinstance(spec, Spec) else load(Path(spec)), Path(out), **how)


make_callable(__name__, run)
