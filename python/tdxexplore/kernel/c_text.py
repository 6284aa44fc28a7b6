"""Expressions and fields of a recording as C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import TdxExploreError
from tdxexplore.model.expr import And, Any, Compare, Const, Field, Group, In, Late, Not, Or, Scope, Temp

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr, Value, Variable

# The masks of the kernel itself, by the names of the fields that stand for them.
MASKS = {"online": "cpu_online", "active": "cpu_active"}


class Unsupported(TdxExploreError, ValueError):
    """A construct that is not generated."""


class Names:
    """What fields, temporaries and words are in C.

    Args:
        kernels: Names of the fields that belong to the kernel, which the module neither has nor reads.
    """

    def __init__(self, kernels: frozenset[str]) -> None:
        self.kernels = kernels
        self.words: dict[str, int] = {}
        self.fields: dict[str, tuple[str, Scope]] = {}
        self.temps: dict[Temp, str] = {}

    def value(self, value: Value) -> str:
        """A constant. Each word has a number of its own, whatever field has it."""
        if isinstance(value, str):
            return str(self.words.setdefault(value, len(self.words)))
        return str(int(value))

    def variable(self, variable: Variable, cpu: str, package: str) -> str:
        """Where a field or temporary is kept.

        Raises:
            Unsupported: It is the kernel's own.
        """
        if isinstance(variable, Temp):
            return self.temps.setdefault(variable, f"t{len(self.temps)}")
        if not isinstance(variable, Field) or self.is_kernels(variable):
            raise Unsupported(f"`{variable.name}` is the kernel's own, which a module cannot read")
        if variable.name in MASKS:
            return f"{MASKS[variable.name]}({cpu})"
        name, _ = self.fields.setdefault(variable.name, (f"f{len(self.fields)}", variable.scope))
        index = {Scope.GLOBAL: "", Scope.PACKAGE: f"[{package}]", Scope.CPU: f"[{cpu}]"}[variable.scope]
        return name + index

    def is_kernels(self, variable: Variable) -> bool:
        """Whether a field is the kernel's own, or a program counter."""
        return isinstance(variable, Field) and (variable.name in self.kernels or variable.name.startswith("pc."))

    def expr(self, expr: Expr, cpu: str = "cpu", package: str = "package_of[cpu]", depth: int = 0) -> str:
        """An expression, about a CPU and a package that are given as C."""
        match expr:
            case Const(value):
                return str(int(value))
            case In(variable, values):
                where = self.variable(variable, cpu, package)
                return "(" + (" || ".join(sorted(f"{where} == {self.value(v)}" for v in values)) or "0") + ")"
            case Compare(left, relation, right):
                return f"({self.variable(left, cpu, package)} {relation} {self.variable(right, cpu, package)})"
            case Not(operand):
                return f"!{self.expr(operand, cpu, package, depth)}"
            case And(left, right) | Or(left, right):
                sign = "&&" if isinstance(expr, And) else "||"
                return f"({self.expr(left, cpu, package, depth)} {sign} {self.expr(right, cpu, package, depth)})"
            case Any(group, body):
                inner = f"i{depth}"
                each = each_member(group, inner, cpu, package)
                if group.scope is Scope.CPU:
                    holds = self.expr(body, inner, f"package_of[{inner}]", depth + 1)
                else:
                    holds = self.expr(body, "-1", inner, depth + 1)
                return f"({{ int {inner}, r{depth} = 0; {each} if ({holds}) r{depth} = 1; r{depth}; }})"
            case Late(make):
                return self.expr(make(), cpu, package, depth)
        raise Unsupported(f"{expr!r} is not generated")


def each_member(group: Group, inner: str, cpu: str, package: str) -> str:
    """A loop over the members of a group."""
    if group.scope is Scope.PACKAGE:
        other = f" if ({inner} != {package})" if group is Group.OTHER_PACKAGES else ""
        return f"for ({inner} = 0; {inner} < N_PACKAGES; {inner}++){other}"
    tests = []
    if group in (Group.PACKAGE_CPUS, Group.OTHER_PACKAGE_CPUS):
        tests.append(f"package_of[{inner}] == {package}")
    if group in (Group.OTHER_CPUS, Group.OTHER_PACKAGE_CPUS):
        tests.append(f"{inner} != {cpu}")
    return f"for ({inner} = 0; {inner} < N_CPUS; {inner}++)" + (f" if ({' && '.join(tests)})" if tests else "")
