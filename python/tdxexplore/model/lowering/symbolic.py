"""Symbolic execution of one step: conditions are decided on a path, or fork it; assignments change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import (
    And,
    Any,
    Const,
    Expr,
    Field,
    Group,
    In,
    Not,
    Or,
    Scope,
    Temp,
    Value,
    Variable,
)
from tdxexplore.model.lowering.matches import Matches
from tdxexplore.model.lowering.path import Path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdxexplore.model.model import Model
    from tdxexplore.model.program import Atom, Guard, Slot

_TRUE, _FALSE = Const(value=True), Const(value=False)


class Symbolic:
    """Symbolic evaluation for one acting scope.

    Args:
        model: The model.
        slots: Its layout.
        scope: Who acts: nobody in particular, a package or a CPU.
        where: What is being lowered, for messages.
        idle: Program counters of loops over CPUs or packages that are known to be idle everywhere.
    """

    def __init__(
        self, model: Model, slots: dict[str, Slot], scope: Scope, where: str, idle: Iterable[Field] = ()
    ) -> None:
        self.model = model
        self.matches = Matches(slots, where)
        self.scope = scope
        self.where = where
        self._none: list[Atom] = []
        for pc in idle:
            kind = "packages" if pc.scope is Scope.PACKAGE else "cpus"
            self._none += self.matches.atoms(kind, Not(In(pc, frozenset(pc.values[:1]))))

    # -- conditions ---------------------------------------------------------------------------------------------------

    def decide(self, expr: Expr, path: Path) -> list[tuple[bool, Path]]:
        """The truth of an expression on a path, forking the path where it is not known."""
        match expr:
            case Const(value):
                return [(value, path)]
            case In(variable, values):
                return self._decide_value(variable, values, path)
            case Not(operand):
                return [(not value, p) for value, p in self.decide(operand, path)]
            case And(left, right):
                return [r for v, p in self.decide(left, path) for r in (self.decide(right, p) if v else [(v, p)])]
            case Or(left, right):
                return [r for v, p in self.decide(left, path) for r in ([(v, p)] if v else self.decide(right, p))]
            case Any(group, body):
                own = body if self._includes_own(group) else _FALSE
                return [
                    r
                    for v, p in self.decide(own, path)
                    for r in ([(v, p)] if v else self._decide_others(self._kind(group), body, p))
                ]
        raise self._unsupported(f"expression {expr!r}")

    def _decide_value(self, variable: Variable, values: frozenset[Value], path: Path) -> list[tuple[bool, Path]]:
        if isinstance(variable, Temp):
            if variable.name not in path.temps:
                raise self._unsupported(f"`{variable.name}` is read, but was not set in this step")
            return [(path.temps[variable.name] in values, path)]
        if isinstance(variable, Field) and variable.constant:
            return [(variable.initial in values, path)]
        f = self._own(variable)
        if f in path.assigned:
            return [(path.assigned[f] in values, path)]
        delta = path.added.get(f, 0)
        wanted = frozenset(v - delta for v in values) if delta else values  # type: ignore[operator]
        possible = path.possible(f)
        yes, no = possible & wanted, possible - wanted
        return [(truth, path.require(f, part)) for truth, part in ((True, yes), (False, no)) if part]

    def _decide_others(self, kind: str, body: Expr, path: Path) -> list[tuple[bool, Path]]:
        decided = []
        for special, p in self._specialise(body, path, kind):
            forks = [(False, p)]
            for atom in self.matches.atoms(kind, self._before(special, p, kind)):
                settled = [f for f in forks if f[0]]
                for _, q in [f for f in forks if not f[0]]:
                    known = False if any(atom.within(a) for a in self._none) else q.recall(atom)
                    values = (True, False) if known is None else (known,)
                    settled += [(v, q if known is not None else q._replace(facts={**q.facts, atom: v})) for v in values]
                forks = settled
            decided += forks
        return decided

    def _specialise(self, expr: Expr, path: Path, kind: str) -> list[tuple[Expr, Path]]:
        """Replace what does not depend on the quantified member (globals, temporaries) by its truth on the path."""
        match expr:
            case In(variable, _):
                fixed = isinstance(variable, Temp) or self._fixed(variable, kind)
                return [(Const(v), p) for v, p in self.decide(expr, path)] if fixed else [(expr, path)]
            case Not(operand):
                return [(_negate(e), p) for e, p in self._specialise(operand, path, kind)]
            case And(left, right):
                pairs = [
                    (a, b, q) for a, p in self._specialise(left, path, kind) for b, q in self._then(a, right, p, kind)
                ]
                return [(_conjoin(a, b), q) for a, b, q in pairs]
            case Or(left, right):
                return self._specialise(Not(And(Not(left), Not(right))), path, kind)
            case Any(group, body):
                # Every package has a CPU.
                settled = (False, True) if group is Group.PACKAGE_CPUS else (False,)
                return [
                    (e if isinstance(e, Const) and e.value in settled else Any(group, e), p)
                    for e, p in self._specialise(body, path, kind)
                ]
            case _:
                return [(expr, path)]

    def _then(self, left: Expr, right: Expr, path: Path, kind: str) -> list[tuple[Expr, Path]]:
        if isinstance(left, Const) and not left.value:
            return [(_FALSE, path)]
        return self._specialise(right, path, kind)

    def _before(self, expr: Expr, path: Path, kind: str) -> Expr:
        """The same condition on the state before the step: bulk assignments of this step are undone."""
        match expr:
            case In(variable, values) if isinstance(variable, Field):
                if variable.scope is Scope.PACKAGE and kind == "cpus" and variable in path.assigned:
                    raise self._unsupported(f"package field `{variable.name}` is read of all CPUs after it was changed")
                now: Expr = expr
                for over, where, assignments in path.bulk:
                    for target, value in assignments:
                        if target is variable:
                            if over == "package-cpus" != kind:
                                raise self._unsupported(
                                    f"`{variable.name}` is read after it was changed in one package"
                                )
                            hit = where if value in values else _FALSE
                            now = Or(_conjoin(where, hit), _conjoin(_negate(where), now))
                return now
            case Not(operand):
                return Not(self._before(operand, path, kind))
            case And(left, right):
                return And(self._before(left, path, kind), self._before(right, path, kind))
            case Or(left, right):
                return Or(self._before(left, path, kind), self._before(right, path, kind))
            case Any(group, body):
                return Any(group, self._before(body, path, kind))
            case _:
                return expr

    def guards(self, expr: Expr) -> tuple[Guard, ...]:
        """When an expression is true, as disjoint guards."""
        return tuple(g for value, path in self.decide(expr, Path()) if value for g in self.matches.guards_of(path))

    # -- assignments --------------------------------------------------------------------------------------------------

    def assign(self, target: Variable, value: Value | Variable, path: Path) -> list[Path]:
        """After an assignment; a copy forks on the value."""
        options: list[tuple[Value, Path]]
        if not isinstance(value, Variable):
            options = [(value, path)]
        else:
            options = [(v, p) for v in value.values for truth, p in self.decide(value.isin([v]), path) if truth]
        if isinstance(target, Temp):
            return [p._replace(temps={**p.temps, target.name: v}) for v, p in options]
        return [p.assign(self._own(target), v) for v, p in options]

    def add(self, target: Field, delta: int, path: Path) -> list[tuple[Path, str | None]]:
        """After an addition: on the values where it stays in the domain, and a trap on the others."""
        f = self._own(target)
        largest = len(f.values) - 1
        trap = f"{self.where}: `{f.name}` {delta:+d} leaves its domain, 0 to {largest}"
        if f in path.assigned:
            value = path.assigned[f] + delta  # type: ignore[operator]
            return [(path.assign(f, value), None)] if value in f.values else [(path, trap)]
        total = path.added.get(f, 0) + delta
        good = frozenset(v for v in f.values if v + total in f.values)  # type: ignore[operator]
        possible = path.possible(f)
        found: list[tuple[Path, str | None]] = []
        if possible & good:
            found.append((path.require(f, possible & good)._replace(added={**path.added, f: total}), None))
        if possible - good:
            found.append((path.require(f, possible - good), trap))
        return found

    def assign_each(
        self, group: Group, where: Expr, assignments: tuple[tuple[Field, Value], ...], path: Path
    ) -> list[Path]:
        """After a bulk assignment: the acting member's own part here, the others' as a bulk update."""
        kind, found = self._kind(group), []
        for hit, p in self.decide(where if self._includes_own(group) else _FALSE, path):
            for others, q in self._specialise(where, p, kind):
                condition = self._before(others, q, kind)
                after = q
                if hit:
                    for f, value in assignments:
                        after = after.assign(self._own(f), value)
                found.append(after._replace(bulk=(*after.bulk, (kind, condition, assignments))))
        return found

    # -- who is meant -------------------------------------------------------------------------------------------------

    def _own(self, variable: Variable) -> Field:
        """A field of the acting CPU or package, or a global one."""
        if not isinstance(variable, Field) or self.model.fields.get(variable.name) is not variable:
            raise self._unsupported(f"field `{variable.name}` is not defined in this model")
        if not _reaches(self.scope, variable.scope):
            raise self._unsupported(f"field `{variable.name}` of a {variable.scope.value} is used where none acts")
        return variable

    def _fixed(self, variable: Variable, kind: str) -> bool:
        if not isinstance(variable, Field) or variable.constant:
            return True
        return variable.scope is Scope.GLOBAL or (variable.scope is Scope.PACKAGE and kind == "package-cpus")

    def _includes_own(self, group: Group) -> bool:
        if group in (Group.CPUS, Group.PACKAGE_CPUS):
            return self.scope is Scope.CPU
        return group is Group.PACKAGES and self.scope is not Scope.GLOBAL

    def _kind(self, group: Group) -> str:
        if group.scope is Scope.PACKAGE:
            return "packages"
        if group in (Group.CPUS, Group.OTHER_CPUS):
            return "cpus"
        if self.scope is Scope.GLOBAL:
            raise self._unsupported(f"`{group.value}` is used where no package acts")
        return "package-cpus"

    def _unsupported(self, what: str) -> BadModel:
        return BadModel(f"{self.where}: {what}")


def _reaches(acting: Scope, wanted: Scope) -> bool:
    """Whether someone of scope ``acting`` has a field of scope ``wanted`` of its own."""
    order = (Scope.GLOBAL, Scope.PACKAGE, Scope.CPU)
    return order.index(wanted) <= order.index(acting)


def _negate(expr: Expr) -> Expr:
    return Const(not expr.value) if isinstance(expr, Const) else Not(expr)


def _conjoin(left: Expr, right: Expr) -> Expr:
    if isinstance(left, Const):
        return right if left.value else _FALSE
    if isinstance(right, Const):
        return left if right.value else _FALSE
    return And(left, right)
