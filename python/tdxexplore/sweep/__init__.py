"""Many questions: a grid, its points, and exploring them into a data set or into memory.

The flow: `spec` reads and checks a sweep file, `points` expands its grid, `plan` compares it with what the data set holds,
`run` explores the rest into it, and `batch` does so on threads or any executor. `comparison` explores a grid into memory.
"""

from tdxexplore.callable_module import make_callable
from tdxexplore.sweep.comparison import Comparison, compare
from tdxexplore.sweep.points import Point, expand
from tdxexplore.sweep.run import Progress, Summary, sweep
from tdxexplore.sweep.spec import Spec, load

__all__ = ["Comparison", "Point", "Progress", "Spec", "Summary", "compare", "expand", "load", "sweep"]


make_callable(__name__, sweep)
