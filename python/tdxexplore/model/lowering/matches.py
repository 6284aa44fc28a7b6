"""Conditions as matches: which CPUs or packages an expression means, and the guards of a path."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import And, Any, Const, Expr, Field, Group, In, Not, Or, Scope
from tdxexplore.model.lowering.layout import cubes
from tdxexplore.model.program import ANY, Atom, Guard

if TYPE_CHECKING:
    from tdxexplore.model.lowering.path import Path
    from tdxexplore.model.program import Slot


class Matches:
    """Turns expressions over the fields of one quantified member into matches on its words.

    Args:
        slots: The layout.
        where: What is being lowered, for messages.
    """

    def __init__(self, slots: dict[str, Slot], where: str) -> None:
        self._slots = slots
        self._where = where

    def guards_of(self, path: Path) -> list[Guard]:
        """What a path knows of the state before the step, as disjoint guards."""
        always = dict.fromkeys(Scope, ANY)
        choices = []
        for f, values in path.allowed.items():
            if len(values) < len(f.values):
                options = cubes(self._slots[f.name], values)
                if len(options) == 1:
                    always[f.scope] = always[f.scope].joined(options[0])
                else:
                    choices.append([(f.scope, cube) for cube in options])
        quantified = tuple(sorted(path.facts.items(), key=repr) if len(path.facts) > 1 else path.facts.items())
        found = []
        for combination in product(*choices):
            own = dict(always)
            for scope, cube in combination:
                own[scope] = own[scope].joined(cube)
            found.append(Guard(own, quantified))
        return found

    def targets(self, kind: str, where: Expr) -> list[Atom]:
        """The members that a bulk assignment changes."""
        atoms = self.atoms(kind, where)
        if any(atom.nested for atom in atoms):
            raise self._unsupported("a bulk assignment to packages cannot depend on their CPUs")
        return atoms

    def atoms(self, kind: str, body: Expr) -> list[Atom]:
        """Matches, of which some member of a group satisfies one exactly if some member satisfies ``body``."""
        atoms = []
        for conjunction in self._disjuncts(body, truth=True):
            if kind == "packages":
                if conjunction.cpu.care:
                    raise self._unsupported("a CPU field is used where packages are quantified")
                atoms.append(Atom(kind, ANY, conjunction.package, tuple(sorted(conjunction.nested, key=repr))))
            else:
                if conjunction.nested:
                    raise self._unsupported("a quantifier inside a quantifier over CPUs")
                atoms.append(Atom(kind, conjunction.cpu, conjunction.package))
        return atoms

    def _disjuncts(self, expr: Expr, *, truth: bool) -> list[Atom]:
        """``expr == truth`` as a disjunction of matches; the `over` of these is empty."""
        match expr:
            case Const(value):
                return [Atom("")] if value is truth else []
            case In(variable, values) if isinstance(variable, Field):
                slot = self._slots[variable.name]
                wanted = values if truth else frozenset(slot.values) - values
                found = cubes(slot, frozenset(wanted) & frozenset(slot.values))
                return [Atom("", c) if variable.scope is Scope.CPU else Atom("", ANY, c) for c in found]
            case Not(operand):
                return self._disjuncts(operand, truth=not truth)
            case And(left, right) | Or(left, right):
                sides = self._disjuncts(left, truth=truth), self._disjuncts(right, truth=truth)
                if isinstance(expr, And) is truth:
                    return [m for a, b in product(*sides) if (m := _meet(a, b)) is not None]
                return [*sides[0], *sides[1]]
            case Any(group, body):
                return self._nested(group, body, truth=truth)
        raise self._unsupported(f"expression {expr!r}")

    def _nested(self, group: Group, body: Expr, *, truth: bool) -> list[Atom]:
        if group is not Group.PACKAGE_CPUS:
            raise self._unsupported(f"`{group.value}` inside a quantifier; only `package_cpus` can stand there")
        inner = self._disjuncts(body, truth=True)
        if any(a.nested or a.package.care for a in inner):
            raise self._unsupported("`package_cpus` inside a quantifier over packages may read CPU fields only")
        if truth:
            return [Atom("", ANY, ANY, ((True, a.cpu),)) for a in inner]
        return [Atom("", ANY, ANY, tuple((False, a.cpu) for a in inner))]

    def _unsupported(self, what: str) -> BadModel:
        return BadModel(f"{self._where}: {what}")


def _meet(a: Atom, b: Atom) -> Atom | None:
    """Both matches of one member; None when they contradict each other."""
    cpu, package = a.cpu.meet(b.cpu), a.package.meet(b.package)
    if cpu is None or package is None:
        return None
    return Atom("", cpu, package, tuple(dict.fromkeys((*a.nested, *b.nested))))
