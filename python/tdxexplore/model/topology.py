"""This module holds the topology, which is the number of CPUs in each package, and the labelled states on a topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model.expr import Field, Value

MAX_PACKAGES = 8
MAX_CPUS_OF_PACKAGE = 256
MAX_CPUS = MAX_PACKAGES * MAX_CPUS_OF_PACKAGE

Values: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True, slots=True)
class Topology:
    """Packages (sockets) and the CPUs (logical processors) of each; CPUs are numbered through.

    Attributes:
        sizes: The number of CPUs in each package.
    """

    sizes: tuple[int, ...]

    @classmethod
    def of(cls, cpus: int, packages: int = 1) -> Topology:
        """Spread ``cpus`` CPUs over ``packages`` packages as evenly as possible, larger packages first.

        Raises:
            BadModel: The numbers do not fit.
        """
        if not 1 <= cpus <= MAX_CPUS:
            raise BadModel(f"--cpus is {cpus}; allowed are 1 to {MAX_CPUS} CPUs in all")
        if not 1 <= packages <= MAX_PACKAGES:
            raise BadModel(f"--packages is {packages}; allowed are 1 to {MAX_PACKAGES}")
        if packages > cpus:
            raise BadModel(f"--packages is {packages} with --cpus {cpus}; every package needs at least one CPU")
        if cpus > packages * MAX_CPUS_OF_PACKAGE:
            raise BadModel(
                f"--cpus is {cpus} with --packages {packages}; allowed are {MAX_CPUS_OF_PACKAGE} CPUs in a package"
            )
        return cls(tuple(cpus // packages + (i < cpus % packages) for i in range(packages)))

    @property
    def cpus(self) -> int:
        """The number of all CPUs."""
        return sum(self.sizes)

    @property
    def packages(self) -> int:
        """The number of packages."""
        return len(self.sizes)

    @property
    def package_of(self) -> tuple[int, ...]:
        """The package of each CPU."""
        return tuple(p for p, size in enumerate(self.sizes) for _ in range(size))

    def __str__(self) -> str:
        return "+".join(map(str, self.sizes))


class Declared(Protocol):
    """The part of a model that its states need; a protocol, as the model itself imports this module."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in order of declaration."""


@dataclass(slots=True)
class State:
    """One labelled state: the values of all fields, CPU by CPU.

    Attributes:
        package_of: The package of each CPU.
        globals: Values of the global fields.
        packages: Values of the package fields, one dictionary for each package.
        cpus: Values of the CPU fields, one dictionary for each CPU.
    """

    package_of: tuple[int, ...]
    globals: Values
    packages: list[Values]
    cpus: list[Values]

    @classmethod
    def initial(cls, model: Declared, topology: Topology) -> State:
        """Make the state in which every field has its initial value."""

        def values(scope: Scope) -> Values:
            return {f.name: f.initial for f in model.fields.values() if f.scope is scope}

        return cls(
            topology.package_of,
            values(Scope.GLOBAL),
            [values(Scope.PACKAGE) for _ in range(topology.packages)],
            [values(Scope.CPU) for _ in range(topology.cpus)],
        )

    @property
    def topology(self) -> Topology:
        """The topology that it is a state of."""
        return Topology(tuple(self.package_of.count(p) for p in range(len(self.packages))))

    def copy(self) -> State:
        """Return an independent state with the same values."""
        return State(self.package_of, dict(self.globals), list(map(dict, self.packages)), list(map(dict, self.cpus)))

    def key(self) -> tuple[object, ...]:
        """Return a hashable key, which is equal for equal states."""
        return (
            tuple(self.globals.values()),
            tuple(tuple(p.values()) for p in self.packages),
            tuple(tuple(c.values()) for c in self.cpus),
        )
