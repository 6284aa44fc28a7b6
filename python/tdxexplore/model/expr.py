"""Fields and expressions of the modelling language.

A *field* is a finite-domain variable of one scope: global, per package (socket) or per CPU. An *expression* is a
boolean formula over fields, built with operators in the manner of polars expressions::

    online & ~vmx_on            sys_state == "READY"            budget > 0            cpus.any(online & ~lp_init)

Inside a step a CPU field means the field of the *acting* CPU and a package field that of its package; inside a
quantifier they mean the CPU or package that is quantified over. There is deliberately no way to compare the fields of
two CPUs: every expression is symmetric in the CPUs that do not act, which is what makes the orbit space exact.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Value: TypeAlias = "bool | int | str"


class Scope(enum.Enum):
    """Where a field lives, or who takes a step: once, once a package, once a CPU."""

    GLOBAL = "global"
    PACKAGE = "package"
    CPU = "cpu"

    __hash__ = object.__hash__  # that of an enum hashes its name each time, which lowering notices


class Operand:
    """What the boolean operators work on: expressions, and flags."""

    __slots__ = ()

    def __and__(self, other: Operand | bool) -> Expr:
        return And(as_expr(self), as_expr(other))

    def __or__(self, other: Operand | bool) -> Expr:
        return Or(as_expr(self), as_expr(other))

    def __rand__(self, other: bool) -> Expr:
        return And(as_expr(other), as_expr(self))

    def __ror__(self, other: bool) -> Expr:
        return Or(as_expr(other), as_expr(self))

    def __invert__(self) -> Expr:
        return Not(as_expr(self))

    def __bool__(self) -> bool:
        # `a and b`, `not a` and chained comparisons would silently drop a condition.
        raise BadModel("an expression has no truth value while a model is recorded; use &, | and ~ and `k.if_(...)`")


class Expr(Operand):
    """A boolean formula over fields."""

    __slots__ = ()


class Variable(Operand):
    """Something with a finite domain that comparisons turn into expressions: a field or a temporary."""

    __slots__ = ()

    name: str
    values: tuple[Value, ...]

    def isin(self, values: Iterable[Value]) -> Expr:
        """True when the variable has one of ``values``, each of which must be in its domain."""
        chosen = tuple(values)
        for value in chosen:
            self.check(value)
        return In(self, frozenset(chosen))

    def check(self, value: Value) -> Value:
        """Return ``value`` when it is in the domain.

        Raises:
            BadModel: It is not; the message gives the domain.
        """
        # `True == 1` in Python: a flag must not take 1, nor a counter True.
        if not any(value == known and type(value) is type(known) for known in self.values):
            allowed = ", ".join(map(repr, self.values))
            raise BadModel(f"field `{self.name}` cannot be {value!r}; it is one of {allowed}")
        return value

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        if not isinstance(other, (bool, int, str)):
            raise BadModel(f"field `{self.name}` can be compared with a constant only, not with {other!r}")
        return self.isin([other])

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return ~(self == other)

    def __hash__(self) -> int:
        return id(self)

    def __lt__(self, other: int) -> Expr:
        return self._ordered(other, lambda value: value < other)

    def __le__(self, other: int) -> Expr:
        return self._ordered(other, lambda value: value <= other)

    def __gt__(self, other: int) -> Expr:
        return self._ordered(other, lambda value: value > other)

    def __ge__(self, other: int) -> Expr:
        return self._ordered(other, lambda value: value >= other)

    def _ordered(self, other: int, keep: object) -> Expr:
        if any(type(value) is not int for value in self.values):
            raise BadModel(f"field `{self.name}` is not a counter, so it has no order")
        return In(self, frozenset(v for v in self.values if keep(v)))  # type: ignore[operator]


@dataclass(eq=False, slots=True)
class Field(Variable):
    """A finite-domain variable of one scope.

    A program counter gets its values when its procedure is complete; every other field is never changed.

    Attributes:
        name: Unique in its model.
        scope: Global, package or CPU.
        values: The domain; value i is encoded as the integer i.
        initial: Its value in the initial state, unless a scenario says otherwise.
        constant: It has that value in every state, so that it is no part of a Program (`Model.settle`).
    """

    name: str
    scope: Scope
    values: tuple[Value, ...]
    initial: Value
    constant: bool = False

    @property
    def width(self) -> int:
        """Bits of its encoding."""
        return (len(self.values) - 1).bit_length()


@dataclass(frozen=True, eq=False, slots=True)
class Temp(Variable):
    """A value that lives within one step: what a function returned. It is not part of the state."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Const(Expr):
    """True or false."""

    value: bool


@dataclass(frozen=True, eq=False, slots=True)
class In(Expr):
    """``variable`` has one of ``values``."""

    variable: Variable
    values: frozenset[Value]


@dataclass(frozen=True, eq=False, slots=True)
class Not(Expr):
    """Negation."""

    operand: Expr


@dataclass(frozen=True, eq=False, slots=True)
class And(Expr):
    """Conjunction; the right side is looked at only when the left is true."""

    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Or(Expr):
    """Disjunction; the right side is looked at only when the left is false."""

    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Any(Expr):
    """Some member of ``group`` satisfies ``body``, whose fields are then those of that member."""

    group: Group
    body: Expr


class Group(enum.Enum):
    """Sets of CPUs or packages to quantify over, and to assign in bulk.

    The *other* and *package* groups are relative to the acting CPU or package; inside a quantifier over packages,
    ``package_cpus`` are those of the quantified package.
    """

    CPUS = "cpus"
    OTHER_CPUS = "other_cpus"
    PACKAGE_CPUS = "package_cpus"
    OTHER_PACKAGE_CPUS = "other_package_cpus"
    PACKAGES = "packages"
    OTHER_PACKAGES = "other_packages"

    @property
    def scope(self) -> Scope:
        """What the members are."""
        return Scope.PACKAGE if self in (Group.PACKAGES, Group.OTHER_PACKAGES) else Scope.CPU

    def any(self, body: Operand | bool) -> Expr:
        """Some member satisfies ``body``."""
        return Any(self, as_expr(body))

    def all(self, body: Operand | bool) -> Expr:
        """Every member satisfies ``body``; true for an empty group."""
        return Not(Any(self, Not(as_expr(body))))

    def none(self, body: Operand | bool) -> Expr:
        """No member satisfies ``body``."""
        return Not(Any(self, as_expr(body)))


cpus = Group.CPUS
other_cpus = Group.OTHER_CPUS
package_cpus = Group.PACKAGE_CPUS
other_package_cpus = Group.OTHER_PACKAGE_CPUS
packages = Group.PACKAGES
other_packages = Group.OTHER_PACKAGES


def variables(expr: Expr) -> Iterator[Variable]:
    """The fields and temporaries that an expression looks at."""
    match expr:
        case Const():
            pass
        case In(variable, _):
            yield variable
        case Not(body) | Any(_, body):
            yield from variables(body)
        case And(left, right) | Or(left, right):
            yield from variables(left)
            yield from variables(right)
        case _:
            raise BadModel(f"{expr!r} is not an expression")


def as_expr(value: Operand | bool) -> Expr:
    """A flag, an expression or a Python bool as an expression."""
    if isinstance(value, bool):
        return Const(value)
    if isinstance(value, Expr):
        return value
    if isinstance(value, Variable):
        if value.values != (False, True):
            raise BadModel(f"field `{value.name}` is not a flag; compare it with one of {value.values}")
        return In(value, frozenset([True]))
    raise BadModel(f"{value!r} is not an expression")
