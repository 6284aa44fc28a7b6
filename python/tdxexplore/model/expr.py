"""Fields and expressions of the modelling language.

A *field* is a finite-domain variable of one scope: global, per package (socket) or per CPU. An *expression* is a
boolean formula over fields, built with operators in the manner of polars expressions::

    online & ~vmx_on            sys_state == "READY"            budget > 0            cpus.any(online & ~lp_init)

Inside a step a CPU field means the field of the *acting* CPU and a package field that of its package; inside a
quantifier they mean the CPU or package that is quantified over. Two fields of the same CPU, package or state can be
compared with each other. There is deliberately no way to compare the fields of two CPUs: every expression is symmetric
in the CPUs that do not act, which is what makes the orbit space exact.
"""

from __future__ import annotations

import enum
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeGuard
from typing import Any as Anything

from tdxexplore.errors import BadModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Value: TypeAlias = "bool | int | str"
Relation: TypeAlias = Literal["==", "<", "<="]

RELATIONS: dict[Relation, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
}
_SHOWN = 8


class Scope(enum.Enum):
    """A field exists, and a step can be taken, once, once for each package or once for each CPU."""

    GLOBAL = "global"
    PACKAGE = "package"
    CPU = "cpu"

    __hash__ = object.__hash__  # `Enum.__hash__` hashes the name at each call, which slows lowering down


class Operand:
    """The boolean operators take an operand on each side: an expression, or a flag."""

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
    """A variable is a field or a temporary. It has a finite domain, and comparing it gives an expression."""

    __slots__ = ()

    name: str
    values: tuple[Value, ...]

    def isin(self, values: Iterable[Value]) -> Expr:
        """Return the condition that the variable has one of ``values``, each of which must be in its domain."""
        chosen = tuple(values)
        for value in chosen:
            self.check(value)
        return In(self, frozenset(chosen))

    def check(self, value: Value) -> Value:
        """Return ``value`` when it is in the domain.

        Raises:
            BadModel: The value is not in the domain, which the message gives.
        """
        # `True == 1` in Python: a flag must not take 1, nor a counter True.
        if value not in self.values or type(self.values[self.values.index(value)]) is not type(value):
            raise BadModel(f"`{self.name}` cannot be {value!r}; it is one of {_shown(self.values)}")
        return value

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        if isinstance(other, Variable):
            if not {(type(v), v) for v in self.values} & {(type(v), v) for v in other.values}:
                raise BadModel(
                    f"fields `{self.name}` and `{other.name}` have no value in common, so they are never equal"
                )
            return Compare(self, "==", other)
        if not isinstance(other, (bool, int, str)):
            raise BadModel(f"field `{self.name}` can be compared with a constant or a field, not with {other!r}")
        return self.isin([other])

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return ~(self == other)

    def __hash__(self) -> int:
        return id(self)

    def __lt__(self, other: int | Variable) -> Expr:
        return Compare(self, "<", other) if self._counts_like(other) else self._ordered(other, operator.lt)

    def __le__(self, other: int | Variable) -> Expr:
        return Compare(self, "<=", other) if self._counts_like(other) else self._ordered(other, operator.le)

    def __gt__(self, other: int | Variable) -> Expr:
        return Compare(other, "<", self) if self._counts_like(other) else self._ordered(other, operator.gt)

    def __ge__(self, other: int | Variable) -> Expr:
        return Compare(other, "<=", self) if self._counts_like(other) else self._ordered(other, operator.ge)

    def _counts_like(self, other: object) -> TypeGuard[Variable]:
        """Return whether ``other`` is a counter, and not a number.

        Raises:
            BadModel: This variable is not a counter, or ``other`` is neither a counter nor a number: there is no order.
        """
        for variable in (self, other):
            if isinstance(variable, Variable) and not is_counter(variable):
                raise BadModel(f"field `{variable.name}` is not a counter, so it has no order")
        if not isinstance(other, Variable) and type(other) is not int:
            raise BadModel(f"counter `{self.name}` can be compared with a number or a counter, not with {other!r}")
        return isinstance(other, Variable)

    def _ordered(self, other: object, holds: Callable[[Anything, Anything], bool]) -> Expr:
        return In(self, frozenset(v for v in self.values if holds(v, other)))


def is_counter(variable: Variable) -> bool:
    """Return whether the values are numbers."""
    return bool(variable.values) and type(variable.values[0]) is int


def _shown(values: tuple[Value, ...]) -> str:
    """Write the values for a message; of many numbers only the first two and the last."""
    if len(values) > _SHOWN and type(values[0]) is int:
        return f"{values[0]!r}, {values[1]!r}, ..., {values[-1]!r}"
    return ", ".join(map(repr, values))


@dataclass(eq=False, slots=True)
class Field(Variable):
    """A finite-domain variable of one scope.

    `Procedure.finish` gives a program counter its values, and `Model.settle` sets ``constant``; nothing else changes.

    Attributes:
        name: Its name, unique in its model.
        scope: Global, package or CPU.
        values: The domain; value i is encoded as the integer i.
        initial: Its value in the initial state, unless a scenario gives another.
        constant: Whether it has its initial value in every state; a Program leaves it out then.
    """

    name: str
    scope: Scope
    values: tuple[Value, ...]
    initial: Value
    constant: bool = False

    @property
    def width(self) -> int:
        """The number of bits of its encoding."""
        return (len(self.values) - 1).bit_length()


@dataclass(frozen=True, eq=False, slots=True)
class Temp(Variable):
    """A variable for the result of a function. It lives within one step and is not part of the state."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Const(Expr):
    """True or false."""

    value: bool


# These serve conditions that Python decides, as in `due = always if every_call else ~done`.
always, never = Const(value=True), Const(value=False)


@dataclass(frozen=True, eq=False, slots=True)
class In(Expr):
    """``variable`` has one of ``values``."""

    variable: Variable
    values: frozenset[Value]


@dataclass(frozen=True, eq=False, slots=True)
class Compare(Expr):
    """``left`` and ``right`` are in this relation.

    Each is a global field, one of the CPU or package that the expression is about, or one of the package of that CPU.
    """

    left: Variable
    relation: Relation
    right: Variable

    def right_for(self, left: Value) -> frozenset[Value]:
        """Return the values of the right side for which the relation holds if the left side is ``left``."""
        holds = RELATIONS[self.relation]
        return frozenset(right for right in self.right.values if holds(left, right))

    def left_for(self, right: Value) -> frozenset[Value]:
        """Return the values of the left side for which the relation holds if the right side is ``right``."""
        holds = RELATIONS[self.relation]
        return frozenset(left for left in self.left.values if holds(left, right))

    def by_value(self) -> Expr:
        """Return the comparison as a disjunction over the values of the left side."""
        cases = [And(In(self.left, frozenset([v])), In(self.right, self.right_for(v))) for v in self.left.values]
        return any_of(cases)


@dataclass(frozen=True, eq=False, slots=True)
class Late(Expr):
    """An expression that can be made only when all procedures are recorded."""

    make: Callable[[], Expr]


@dataclass(frozen=True, eq=False, slots=True)
class Not(Expr):
    """Negation."""

    operand: Expr


@dataclass(frozen=True, eq=False, slots=True)
class And(Expr):
    """Conjunction; the right side is evaluated only if the left is true."""

    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Or(Expr):
    """Disjunction; the right side is evaluated only if the left is false."""

    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Any(Expr):
    """Some member of ``group`` satisfies ``body``; a field in ``body`` is the field of that member."""

    group: Group
    body: Expr


class Group(enum.Enum):
    """A set of CPUs or packages, over which a condition quantifies or which a step assigns in bulk.

    The *other* and *package* groups are relative to the acting CPU or package. Inside a quantifier over packages,
    ``package_cpus`` are the CPUs of the quantified package.
    """

    CPUS = "cpus"
    OTHER_CPUS = "other_cpus"
    PACKAGE_CPUS = "package_cpus"
    OTHER_PACKAGE_CPUS = "other_package_cpus"
    PACKAGES = "packages"
    OTHER_PACKAGES = "other_packages"

    @property
    def scope(self) -> Scope:
        """Package if the members are packages, else CPU."""
        return Scope.PACKAGE if self in (Group.PACKAGES, Group.OTHER_PACKAGES) else Scope.CPU

    @property
    def relative_to(self) -> Scope:
        """The group means something only where one of this scope acts or is quantified over."""
        match self:
            case Group.CPUS | Group.PACKAGES:
                return Scope.GLOBAL
            case Group.PACKAGE_CPUS | Group.OTHER_PACKAGES:
                return Scope.PACKAGE
        return Scope.CPU

    def any(self, body: Operand | bool) -> Expr:
        """Return the condition that some member satisfies ``body``."""
        return Any(self, as_expr(body))

    def all(self, body: Operand | bool) -> Expr:
        """Return the condition that every member satisfies ``body``; it is true for an empty group."""
        return Not(Any(self, Not(as_expr(body))))

    def none(self, body: Operand | bool) -> Expr:
        """Return the condition that no member satisfies ``body``."""
        return Not(Any(self, as_expr(body)))


cpus = Group.CPUS
other_cpus = Group.OTHER_CPUS
package_cpus = Group.PACKAGE_CPUS
other_package_cpus = Group.OTHER_PACKAGE_CPUS
packages = Group.PACKAGES
other_packages = Group.OTHER_PACKAGES


def as_expr(value: Operand | bool) -> Expr:
    """Turn a flag, an expression or a Python bool into an expression."""
    if isinstance(value, bool):
        return Const(value)
    if isinstance(value, Expr):
        return value
    if isinstance(value, Variable):
        if value.values != (False, True) or is_counter(value):  # to Python, 0 == False
            raise BadModel(f"field `{value.name}` is not a flag; compare it with one of {_shown(value.values)}")
        return In(value, frozenset([True]))
    raise BadModel(f"{value!r} is not an expression")


def any_of(parts: Sequence[Expr]) -> Expr:
    """Build a balanced disjunction: its depth grows with the logarithm of its length, as readers recurse into it."""
    if len(parts) <= 1:
        return parts[0] if parts else never
    middle = len(parts) // 2
    return Or(any_of(parts[:middle]), any_of(parts[middle:]))
