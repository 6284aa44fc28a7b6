"""This module executes one step symbolically: a condition is decided on a path or forks it, an assignment changes it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.expr import (
    And,
    Any,
    Compare,
    Const,
    Field,
    Group,
    In,
    Late,
    Not,
    Or,
    Scope,
    Temp,
    Variable,
    never,
)
from tdxexplore.model.lowering.matches import Matches
from tdxexplore.model.lowering.members import alike, before, conjoin, negate
from tdxexplore.model.lowering.path import BulkStep, Members, Path
from tdxexplore.model.scopes import check_scopes, has, variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tdxexplore.model.expr import Expr, Value
    from tdxexplore.model.model import Model
    from tdxexplore.model.program import Atom, Guard, Slot

# The largest number of ways through one step or one property, blocked ones included, and of rules of a step: a way takes
# several rules where a set of values is no single match. The built-in models stay below 300 ways and 1,000 rules.
MOST_WAYS = 1 << 14
# The largest number of reads of one condition. A part that is written once counts as often as it is used.
MOST_PARTS = 4_096
_NAMED = 3


class Symbolic:
    """Decides conditions and applies assignments for one acting scope.

    Args:
        model: The model.
        slots: Its layout.
        scope: The acting scope: a CPU, a package, or global if neither acts.
        where: The step or property that is lowered, for messages.
        idle: The program counters of loops over CPUs or packages that are known to be idle in every member.

    Attributes:
        forks: The number of ways that each field or atom has added, by its description for messages.
    """

    def __init__(
        self, model: Model, slots: dict[str, Slot], scope: Scope, where: str, idle: Iterable[Field] = ()
    ) -> None:
        self.model = model
        self.matches = Matches(slots, where)
        self.scope = scope
        self.where = where
        self.forks: Counter[str] = Counter()
        self._ways = 1
        self._checked: dict[int, Expr] = {}
        self._none: list[Atom] = []
        for pc in idle:
            over = Members.PACKAGES if pc.scope is Scope.PACKAGE else Members.FAR
            self._none += self.matches.atoms(over, Not(In(pc, frozenset(pc.values[:1]))), apart=False)

    # -- conditions ---------------------------------------------------------------------------------------------------

    def decide(self, expr: Expr, path: Path) -> list[tuple[bool, Path]]:
        """Evaluate an expression on a path, and fork the path where it does not decide the expression.

        Raises:
            BadModel: The expression reads a field or a group that means nothing here.
        """
        self._check(expr)
        return self._decide(expr, path)

    def truth(self, expr: Expr, path: Path) -> bool | None:
        """Return the truth of an expression as far as the path decides it, without a fork.

        `decide` evaluates from left to right and forks at the first undecided part. This method finds a conjunction to be
        false although an earlier part is undecided, which spares rules that could never fire.
        """
        match expr:
            case Const(value):
                return value
            case In(variable, values):
                found = {truth for truth, _ in self._split(variable, values, path)}
                return found.pop() if len(found) == 1 else None
            case Not(operand):
                known = self.truth(operand, path)
                return None if known is None else not known
            case And(left, right) | Or(left, right):
                settles = isinstance(expr, Or)
                sides = (self.truth(left, path), self.truth(right, path))
                return settles if settles in sides else None if None in sides else not settles
            case _:
                return None

    def guards(self, expr: Expr) -> tuple[Guard, ...]:
        """Write the states in which an expression is true as disjoint guards."""
        return tuple(g for value, path in self.decide(expr, Path()) if value for g in self.matches.guards_of(path))

    def _decide(self, expr: Expr, path: Path) -> list[tuple[bool, Path]]:
        match expr:
            case Const(value):
                return [(value, path)]
            case In(variable, values):
                return self._decide_value(variable, values, path)
            case Compare(left, _, right):
                return [r for v, p in self._values(left, path) for r in self._decide_value(right, expr.right_for(v), p)]
            case Not(operand):
                return [(not value, p) for value, p in self._decide(operand, path)]
            case And(left, right):
                return [r for v, p in self._decide(left, path) for r in (self._decide(right, p) if v else [(v, p)])]
            case Or(left, right):
                return [r for v, p in self._decide(left, path) for r in ([(v, p)] if v else self._decide(right, p))]
            case Any(group, body):
                own = body if self._includes_own(group) else never
                return [
                    r
                    for v, p in self._decide(own, path)
                    for r in ([(v, p)] if v else self._decide_others(group, body, p))
                ]
            case Late(make):
                return self._decide(make(), path)
        raise self._unsupported(f"expression {expr!r}")

    def _decide_value(self, variable: Variable, values: frozenset[Value], path: Path) -> list[tuple[bool, Path]]:
        found = self._split(variable, values, path)
        if len(found) > 1:
            self._fork(_described(self._own(variable)))
        return found

    def _split(self, variable: Variable, values: frozenset[Value], path: Path) -> list[tuple[bool, Path]]:
        """Fork a path into one on which a variable has one of ``values`` and one on which it has not, if these are possible."""
        if (known := self._known(variable, path)) is not None:
            return [(known in values, path)]
        f = self._own(variable)
        delta = path.added.get(f, 0)
        wanted = frozenset(v - delta for v in values) if delta else values  # type: ignore[operator]
        possible = path.possible(f)
        yes, no = possible & wanted, possible - wanted
        return [(truth, path.require(f, part)) for truth, part in ((True, yes), (False, no)) if part]

    def _known(self, variable: Variable, path: Path) -> Value | None:
        """Return the value that a variable has now, if it does not depend on the state before the step."""
        if isinstance(variable, Temp):
            if variable not in path.temps:
                raise self._unsupported(f"`{variable.name}` is read, but was not set in this step")
            return path.temps[variable]
        if isinstance(variable, Field) and variable.constant:
            return variable.initial
        return path.assigned.get(self._own(variable))

    def _values(self, variable: Variable, path: Path) -> list[tuple[Value, Path]]:
        """Fork a path into one for each value that a variable may have now."""
        if (known := self._known(variable, path)) is not None:
            return [(known, path)]
        f = self._own(variable)
        delta, possible = path.added.get(f, 0), path.possible(f)
        self._fork(_described(f), len(possible) - 1)
        found = []
        for old in (v for v in f.values if v in possible):
            now = old + delta if delta else old  # type: ignore[operator]
            found.append((now, path.require(f, frozenset([old]))))
        return found

    # -- conditions on others -----------------------------------------------------------------------------------------

    def _decide_others(self, group: Group, body: Expr, path: Path) -> list[tuple[bool, Path]]:
        """Decide whether some member of a group, other than whoever acts, satisfies ``body``."""
        classes = self._classes(group)
        if len(classes) == 1 or alike(body, path):
            return self._decide_members(classes[0], body, path, apart=False)
        found = [(False, path)]
        for members in classes:
            found = [
                r
                for some, p in found
                for r in ([(some, p)] if some else self._decide_members(members, body, p, apart=True))
            ]
        return found

    def _decide_members(self, members: Members, body: Expr, path: Path, *, apart: bool) -> list[tuple[bool, Path]]:
        decided = []
        for special, p in self._specialise(body, path, members):
            forks = [(False, p)]
            for atom in self.matches.atoms(members, before(special, p.bulk, members), apart=apart):
                forks = [r for some, q in forks for r in ([(some, q)] if some else self._decide_atom(atom, q))]
            decided += forks
        return decided

    def _decide_atom(self, atom: Atom, path: Path) -> list[tuple[bool, Path]]:
        known = False if any(atom.within(a) for a in self._none) else path.recall(atom)
        if known is not None:
            return [(known, path)]
        self._fork(self.matches.described(atom))
        return [(some, path._replace(facts={**path.facts, atom: some})) for some in (True, False)]

    def _specialise(self, expr: Expr, path: Path, members: Members) -> list[tuple[Expr, Path]]:
        """Replace parts that do not depend on the member (globals, temporaries) by their truth on the path."""
        match expr:
            case In(variable, _):
                fixed = self._fixed(variable, members)
                return [(Const(v), p) for v, p in self._decide(expr, path)] if fixed else [(expr, path)]
            case Compare(left, _, right):
                if self._fixed(left, members):
                    options = [(In(right, expr.right_for(v)), p) for v, p in self._values(left, path)]
                elif self._fixed(right, members):
                    options = [(In(left, expr.left_for(v)), p) for v, p in self._values(right, path)]
                else:
                    return [(expr, path)]
                return [r for e, p in options for r in self._specialise(e, p, members)]
            case Not(operand):
                return [(negate(e), p) for e, p in self._specialise(operand, path, members)]
            case And(left, right):
                pairs = [
                    (a, b, q)
                    for a, p in self._specialise(left, path, members)
                    for b, q in self._then(a, right, p, members)
                ]
                return [(conjoin(a, b), q) for a, b, q in pairs]
            case Or(left, right):
                return self._specialise(Not(And(Not(left), Not(right))), path, members)
            case Any(group, body):
                # A body that is false settles any group. One that is true settles `package_cpus` only: every package has a
                # CPU, but another group may be empty.
                settled = (False, True) if group is Group.PACKAGE_CPUS else (False,)
                return [
                    (e if isinstance(e, Const) and e.value in settled else Any(group, e), p)
                    for e, p in self._specialise(body, path, members)
                ]
            case Late(make):
                return self._specialise(make(), path, members)
            case _:
                return [(expr, path)]

    def _then(self, left: Expr, right: Expr, path: Path, members: Members) -> list[tuple[Expr, Path]]:
        if isinstance(left, Const) and not left.value:
            return [(never, path)]
        return self._specialise(right, path, members)

    # -- assignments --------------------------------------------------------------------------------------------------

    def assign(self, target: Variable, value: Value | Variable, path: Path) -> list[Path]:
        """Return the paths after an assignment; the copy of a variable forks on its value."""
        options = self._values(value, path) if isinstance(value, Variable) else [(value, path)]
        if isinstance(target, Temp):
            return [p._replace(temps={**p.temps, target: v}) for v, p in options]
        f = self._own(target)
        return [p.assign(f, v) for v, p in options]

    def add(self, target: Field, delta: int, path: Path) -> list[tuple[Path, str | None]]:
        """Return the paths after an addition: one on which it stays in the domain, and one with a trap on which it does not."""
        f = self._own(target)
        least, largest = f.values[0], f.values[-1]
        assert isinstance(least, int)
        assert isinstance(largest, int)
        trap = f"{self.where}: `{f.name}` {delta:+d} leaves its domain, {least} to {largest}"
        if f in path.assigned:
            value = path.assigned[f] + delta  # type: ignore[operator]
            return [(path.assign(f, value), None)] if least <= value <= largest else [(path, trap)]
        total, possible = path.added.get(f, 0) + delta, path.possible(f)
        good = frozenset(v for v in possible if least <= v + total <= largest)  # type: ignore[operator]
        found: list[tuple[Path, str | None]] = []
        if good:
            found.append((path.require(f, good)._replace(added={**path.added, f: total}), None))
        if possible - good:
            found.append((path.require(f, possible - good), trap))
        return found

    def assign_each(
        self, group: Group, where: Expr, assignments: tuple[tuple[Field, Value], ...], path: Path
    ) -> list[Path]:
        """Return the paths after a bulk assignment: the acting member is assigned at once, the others by a bulk step."""
        self._check(Any(group, where))
        found = []
        for hit, p in self._decide(where if self._includes_own(group) else never, path):
            classes, together = self._classes(group), alike(where, p)
            options: list[tuple[dict[Members, Expr], Path]] = [({}, p)]
            for members in classes:
                options = [
                    ({**known, members: before(special, r.bulk, members)}, r)
                    for known, q in options
                    for special, r in self._specialise(where, q, members)
                ]
            for conditions, q in options:
                after = q
                if hit:
                    for f, value in assignments:
                        after = after.assign(self._own(f), value)
                step = BulkStep(conditions, assignments, together and Members.FAR in classes)
                found.append(after._replace(bulk=(*after.bulk, step)))
        return found

    # -- who is meant -------------------------------------------------------------------------------------------------

    def _check(self, expr: Expr) -> None:
        """Check an expression once: its size, and that its fields belong to the model and mean something here."""
        if id(expr) in self._checked:
            return
        for number, variable in enumerate(variables(expr)):
            if number >= MOST_PARTS:
                raise self._unsupported(f"a condition reads more than {MOST_PARTS} times; keep part of it in a field")
            if isinstance(variable, Field):
                self._in_model(variable)
        try:
            check_scopes(expr, self.scope)
        except BadModel as error:
            raise self._unsupported(str(error)) from None
        self._checked[id(expr)] = expr  # kept, so that no other expression gets its id

    def _in_model(self, variable: Variable) -> Field:
        if not isinstance(variable, Field) or self.model.fields.get(variable.name) is not variable:
            raise self._unsupported(f"field `{variable.name}` is not defined in this model")
        return variable

    def _own(self, variable: Variable) -> Field:
        """Return the variable as an own field: one of the acting CPU or package, or a global one."""
        f = self._in_model(variable)
        if not has(self.scope, f.scope):
            raise self._unsupported(f"field `{f.name}` of a {f.scope.value} is used where none acts")
        return f

    def _fixed(self, variable: Variable, members: Members) -> bool:
        """Return whether a variable has the same value for every member of a class."""
        if not isinstance(variable, Field) or variable.constant:
            return True
        return variable.scope is Scope.GLOBAL or (variable.scope is Scope.PACKAGE and members is Members.NEAR)

    def _includes_own(self, group: Group) -> bool:
        if group in (Group.CPUS, Group.PACKAGE_CPUS):
            return self.scope is Scope.CPU
        return group is Group.PACKAGES and self.scope is not Scope.GLOBAL

    def _classes(self, group: Group) -> tuple[Members, ...]:
        """Return the classes of members of a group, without whoever acts."""
        if group.scope is Scope.PACKAGE:
            return (Members.PACKAGES,)
        if group in (Group.PACKAGE_CPUS, Group.OTHER_PACKAGE_CPUS):
            return (Members.NEAR,)
        return (Members.FAR,) if self.scope is Scope.GLOBAL else (Members.FAR, Members.NEAR)

    def too_many(self, what: str) -> BadModel:
        """Make an error that names the fields and atoms that multiply."""
        most = ", ".join(name for name, _ in self.forks.most_common(_NAMED))
        return self._unsupported(f"it takes more than {what}, as these multiply: {most}; read or copy less at once")

    def _fork(self, what: str, times: int = 1) -> None:
        self.forks[what] += times
        self._ways += times
        if self._ways > MOST_WAYS:
            raise self.too_many(f"{MOST_WAYS} ways")

    def _unsupported(self, what: str) -> BadModel:
        return BadModel(f"{self.where}: {what}")


def _described(f: Field) -> str:
    return f"`{f.name}` ({len(f.values)} values)"
