"""tdxexplore: which TDX bring-up policy survives CPU hotplug?

Example:
    >>> import tdxexplore
    >>> answer = tdxexplore.check("linux-6.16", module="strict", cpus=3, scenario="late-online")
    >>> answer.worst
    'sticky-error'
"""

from __future__ import annotations

from importlib import import_module

from tdxexplore.system import other_system as _other_system

TYPE_CHECKING = False  # `tdxexplore.__main__` says why `typing` is not imported
if TYPE_CHECKING:
    from tdxexplore._version import __version__
    from tdxexplore.data.reading import Dataset
    from tdxexplore.errors import BadModel, BadSchedule, BadSetting, InternalError, TdxExploreError, TooLarge, Trap
    from tdxexplore.explore.check import check
    from tdxexplore.explore.difference import Difference, diff
    from tdxexplore.explore.exploration import Exploration
    from tdxexplore.explore.listing import policies, scenarios
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.reasons import Why
    from tdxexplore.explore.sample import Sample, sample
    from tdxexplore.explore.settings import Settings
    from tdxexplore.explore.steps import TraceStep
    from tdxexplore.explore.trace import Trace, replay
    from tdxexplore.explore.why import why
    from tdxexplore.export import export
    from tdxexplore.report import run as report
    from tdxexplore.sweep import Comparison, compare, sweep
    from tdxexplore.tdx.kvm import KvmPolicy, VirtAtLoad
    from tdxexplore.tdx.policy import Knob, Policy

__all__ = [
    "BadModel",
    "BadSchedule",
    "BadSetting",
    "Comparison",
    "Dataset",
    "Difference",
    "Exploration",
    "InternalError",
    "Knob",
    "KvmPolicy",
    "Policy",
    "Question",
    "Sample",
    "Settings",
    "TdxExploreError",
    "TooLarge",
    "Trace",
    "TraceStep",
    "Trap",
    "VirtAtLoad",
    "Why",
    "__version__",
    "check",
    "compare",
    "diff",
    "export",
    "policies",
    "replay",
    "report",
    "sample",
    "scenarios",
    "sweep",
    "why",
]

_HOMES = {
    "_version": ("__version__",),
    "sweep.comparison": ("Comparison", "compare"),
    "errors": ("BadModel", "BadSchedule", "BadSetting", "InternalError", "TdxExploreError", "TooLarge", "Trap"),
    "data.reading": ("Dataset",),
    "explore.check": ("check",),
    "explore.difference": ("Difference", "diff"),
    "explore.exploration": ("Exploration",),
    "explore.listing": ("policies", "scenarios"),
    "explore.question": ("Question",),
    "explore.sample": ("Sample", "sample"),
    "explore.settings": ("Settings",),
    "tdx.kvm": ("KvmPolicy", "VirtAtLoad"),
    "tdx.policy": ("Knob", "Policy"),
    "explore.steps": ("TraceStep",),
    "explore.trace": ("Trace", "replay"),
    "explore.reasons": ("Why",),
    "explore.why": ("why",),
}
_WINGS = ("export", "report", "sweep")
"""Modules that can be called: the functions of these names are in them."""


def __getattr__(name: str) -> object:
    # PEP 562: polars and the engine are loaded when first used, so that the import itself is quick.
    if name in __all__ and (other := _other_system()):
        raise ImportError(other)
    for module, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"tdxexplore.{module}"), name)
            globals()[name] = value
            return value
    if name in _WINGS:
        return import_module(f"tdxexplore.{name}")
    raise AttributeError(f"module `tdxexplore` has no attribute `{name}`")


def __dir__() -> list[str]:
    return sorted(__all__)
