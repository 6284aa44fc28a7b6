"""Many checks: a sweep file, its points, and running them into a data set that a killed sweep continues.

The flow: `spec` reads and checks the file, `points` expands it, `run` explores what the data set
(`tdxexplore.data`) does not hold yet.
"""

from tdxexplore.sweep.points import Point, expand
from tdxexplore.sweep.run import Progress, Summary, sweep
from tdxexplore.sweep.spec import Spec, load

__all__ = ["Point", "Progress", "Spec", "Summary", "expand", "load", "sweep"]
