"""This module writes conditions as matches: those on other CPUs or packages as atoms, the facts of a path as guards."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import And, Any, Compare, Const, Expr, Field, Group, In, Not, Or, Scope
from tdxexplore.model.lowering.layout import cubes
from tdxexplore.model.lowering.path import Members
from tdxexplore.model.program import ANY, Atom, Cube, Guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdxexplore.model.expr import Value
    from tdxexplore.model.lowering.path import Path
    from tdxexplore.model.program import Slot

# The largest number of matches of one condition: a disjunction of more would make a Program that nobody waits for.
MOST_MATCHES = 4_096


class Matches:
    """Turns expressions over the fields of one quantified member into matches on its words.

    Args:
        slots: The layout.
        where: The step or property that is lowered, for messages.
    """

    def __init__(self, slots: dict[str, Slot], where: str) -> None:
        self._slots = slots
        self._where = where
        self._cubes: dict[tuple[str, frozenset[Value]], list[Cube]] = {}

    def guards_of(self, path: Path) -> list[Guard]:
        """Write the facts of a path, which are about the state before the step, as disjoint guards.

        Raises:
            BadModel: There are too many guards; the message names the fields.
        """
        always = dict.fromkeys(Scope, ANY)
        choices: dict[str, list[tuple[Scope, Cube]]] = {}
        for f, values in path.allowed.items():
            if len(values) < len(f.values):
                options = self._options(f, values)
                if len(options) == 1:
                    always[f.scope] = always[f.scope].joined(options[0])
                else:
                    choices[f.name] = [(f.scope, cube) for cube in options]
        if prod(map(len, choices.values())) > MOST_MATCHES:
            names = ", ".join(f"`{name}`" for name in choices)
            raise self._unsupported(
                f"one condition takes more than {MOST_MATCHES} matches on {names}; ask for less at once"
            )
        quantified = tuple(sorted(path.facts.items(), key=repr) if len(path.facts) > 1 else path.facts.items())
        found = []
        for combination in product(*choices.values()):
            own = dict(always)
            for scope, cube in combination:
                own[scope] = own[scope].joined(cube)
            found.append(Guard(own, quantified))
        return found

    def _options(self, f: Field, values: frozenset[Value]) -> list[Cube]:
        if (f.name, values) not in self._cubes:
            self._cubes[f.name, values] = cubes(self._slots[f.name], values)
        return self._cubes[f.name, values]

    def atoms(self, members: Members, body: Expr, *, apart: bool) -> list[Atom]:
        """Find atoms of which one holds exactly if some member satisfies ``body`` before the step.

        Args:
            members: The class of the members.
            body: The condition on a member; it reads fields of the member only.
            apart: Whether ``FAR`` means the CPUs of other packages only, and not all CPUs but the acting one. A Program has
                no quantifier over the CPUs of other packages, but some such CPU matches exactly if some other package has
                a CPU that matches.
        """
        atoms = []
        for found in self._disjuncts(body, truth=True):
            if members is Members.PACKAGES:
                atoms.append(Atom("packages", ANY, found.package, tuple(sorted(found.nested, key=repr))))
            elif found.nested:
                raise self._unsupported("a quantifier inside a quantifier over CPUs")
            elif members is Members.NEAR:
                assert not found.package.care, "the acting package is known on the path"
                atoms.append(Atom("package-cpus", found.cpu))
            elif apart:
                inside = ((True, found.cpu),) if found.cpu.care else ()
                atoms.append(Atom("packages", ANY, found.package, inside))
            else:
                atoms.append(Atom("cpus", found.cpu, found.package))
        return atoms

    def targets(self, members: Members, where: Expr) -> list[Atom]:
        """Find the members that a bulk assignment changes; those of ``FAR`` include the near CPUs that match."""
        atoms = self.atoms(members, where, apart=False)
        if any(atom.nested for atom in atoms):
            raise self._unsupported("a bulk assignment to packages cannot depend on their CPUs")
        return atoms

    def described(self, atom: Atom) -> str:
        """Describe an atom for messages by the group and the fields that it reads."""
        cubes_ = [(Scope.CPU, atom.cpu), (Scope.PACKAGE, atom.package), *((Scope.CPU, c) for _, c in atom.nested)]
        names = [s.name for s in self._slots.values() if any(s.scope is k and s.mask & c.care for k, c in cubes_)]
        return f"whether some of {atom.over} has certain {', '.join(f'`{n}`' for n in names)}"

    # -- inside -------------------------------------------------------------------------------------------------------

    def _disjuncts(self, expr: Expr, *, truth: bool) -> list[Atom]:
        """Write ``expr == truth`` as a disjunction of atoms, whose `over` is empty."""
        match expr:
            case Const(value):
                return [Atom("")] if value is truth else []
            case In(variable, values) if isinstance(variable, Field):
                slot = self._slots[variable.name]
                wanted = values if truth else frozenset(slot.values) - values
                return [_match(variable.scope, c) for c in cubes(slot, frozenset(wanted) & frozenset(slot.values))]
            case Compare():
                return self._disjuncts(expr.by_value(), truth=truth)
            case Not(operand):
                return self._disjuncts(operand, truth=not truth)
            case And(left, right) | Or(left, right):
                sides = self._disjuncts(left, truth=truth), self._disjuncts(right, truth=truth)
                if isinstance(expr, And) is truth:
                    return self._all_of(sides)
                return [*sides[0], *sides[1]]
            case Any(group, body):
                return self._nested(group, body, truth=truth)
        raise self._unsupported(f"expression {expr!r}")

    def _nested(self, group: Group, body: Expr, *, truth: bool) -> list[Atom]:
        """Write a quantifier over ``package_cpus`` inside one over packages: some CPU of that package matches, or none does."""
        if group is not Group.PACKAGE_CPUS:
            raise self._unsupported(f"`{group.value}` inside a quantifier; only `package_cpus` can stand there")
        inner = self._disjuncts(body, truth=True)
        if any(a.nested for a in inner):
            raise self._unsupported("a quantifier inside a quantifier over CPUs")
        if truth:
            return [Atom("", ANY, a.package, ((True, a.cpu),)) for a in inner]
        # No CPU satisfies any part: for each part the package does not match, or none of its CPUs does.
        return self._all_of([[Atom("", ANY, ANY, ((False, a.cpu),)), *_unlike(a.package)] for a in inner])

    def _all_of(self, sides: Iterable[list[Atom]]) -> list[Atom]:
        """Find the atoms that satisfy one atom of each side."""
        found = [Atom("")]
        for side in sides:
            found = [m for a, b in product(found, side) if (m := _meet(a, b)) is not None]
            if len(found) > MOST_MATCHES:
                raise self._unsupported(
                    f"a condition on others takes more than {MOST_MATCHES} matches; ask for less at once"
                )
        return found

    def _unsupported(self, what: str) -> BadModel:
        return BadModel(f"{self._where}: {what}")


def _match(scope: Scope, cube: Cube) -> Atom:
    return Atom("", cpu=cube) if scope is Scope.CPU else Atom("", package=cube)


def _unlike(cube: Cube) -> list[Atom]:
    """Find the packages that a cube does not match, as some bit differs."""
    bits = [1 << b for b in range(cube.care.bit_length()) if cube.care >> b & 1]
    return [Atom("", package=Cube(bit, ~cube.value & bit)) for bit in bits]


def _meet(a: Atom, b: Atom) -> Atom | None:
    """Return the atom of a member that satisfies both; None if no member can."""
    cpu, package = a.cpu.meet(b.cpu), a.package.meet(b.package)
    if cpu is None or package is None:
        return None
    return Atom("", cpu, package, tuple(dict.fromkeys((*a.nested, *b.nested))))
