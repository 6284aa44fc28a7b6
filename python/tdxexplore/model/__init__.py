"""The modelling language: fields, expressions, procedures; lowering to a Program; the reference interpreter."""

from tdxexplore.model.blocks import Frame, block
from tdxexplore.model.code import Event, Lock
from tdxexplore.model.expr import (
    Expr,
    Field,
    Group,
    Scope,
    Variable,
    always,
    cpus,
    never,
    other_cpus,
    other_package_cpus,
    other_packages,
    package_cpus,
    packages,
)
from tdxexplore.model.lowering import lower
from tdxexplore.model.model import Model
from tdxexplore.model.pointer import Pointer
from tdxexplore.model.procedure import Procedure
from tdxexplore.model.program import Program
from tdxexplore.model.properties import SEVERITIES
from tdxexplore.model.topology import State, Topology

__all__ = [
    "SEVERITIES",
    "Event",
    "Expr",
    "Field",
    "Frame",
    "Group",
    "Lock",
    "Model",
    "Pointer",
    "Procedure",
    "Program",
    "Scope",
    "State",
    "Topology",
    "Variable",
    "always",
    "block",
    "cpus",
    "lower",
    "never",
    "other_cpus",
    "other_package_cpus",
    "other_packages",
    "package_cpus",
    "packages",
]
