"""tdxexplore: which TDX bring-up policy survives CPU hotplug?

Example:
    >>> import tdxexplore
    >>> answer = tdxexplore.check("linux-6.16", module="strict", cpus=3, scenario="late-online")
    >>> answer.worst
    'sticky-error'
"""

from tdxexplore._version import __version__
from tdxexplore.compare import Comparison, compare
from tdxexplore.errors import BadModel, BadSchedule, InternalError, TdxExploreError, Trap
from tdxexplore.exploration import Exploration, check
from tdxexplore.question import Question
from tdxexplore.trace import Trace, TraceStep, replay

__all__ = [
    "BadModel",
    "BadSchedule",
    "Comparison",
    "Exploration",
    "InternalError",
    "Question",
    "TdxExploreError",
    "Trace",
    "TraceStep",
    "Trap",
    "__version__",
    "check",
    "compare",
    "replay",
]
