"""Lowering: a recorded model becomes a Program.

Each step is executed symbolically from its label. A *path* is one way through it: what it has learnt of the state
before the step (the values each field may have had, which quantified matches hold) and what it has assigned. A
condition that the path does not decide forks it, so the paths of a step exclude each other, and each becomes one rule
(or a few, where a set of values is not a single bit-mask match): a state has exactly one transition for each actor,
instance and free choice, as in the reference interpreter.

Assignments are constants or small additions; a copy forks on the value. That keeps every condition a condition on the
state before the step. Rejected: lowering by truth tables over all fields, which needs no symbolic execution but is
exponential in the fields that a step reads.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from tdxexplore.errors import BadModel
from tdxexplore.model.code import Add, Await, Branch, Either, Jump, Label, Note, Set, SetEach, Stop
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
    variables,
)
from tdxexplore.model.program import ANY, Atom, Bulk, Cube, Guard, Program, Rule, Slot, Update

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tdxexplore.model.code import Code, Event
    from tdxexplore.model.model import Forgotten, Model

_LONGEST_STEP = 2_000
_TRUE, _FALSE = Const(value=True), Const(value=False)


def lower(model: Model) -> Program:
    """Turn a model into a Program.

    Raises:
        BadModel: A step never ends, or does what a Program cannot express; the message says where.
    """
    slots = layout(model)
    anyone = Lowering(model, slots, Scope.GLOBAL, f"a property of model `{model.name}`")
    for forgotten in model.forgotten:
        anyone.guards(forgotten.when)  # refused here if it asks for an acting CPU
    rules: list[Rule] = []
    for actor, code in enumerate(model.codes):
        rules += _Actor(model, slots, actor, code).rules()
    return Program(
        name=model.name,
        slots=slots,
        actors=tuple(code.actor for code in model.codes),
        index=tuple(
            name
            for code in model.codes
            for name, scope in code.counters.items()
            if scope is not Scope.PACKAGE and slots[name].width
        ),
        rules=tuple(rules),
        outcomes=tuple((p, anyone.guards(p.when)) for p in model.outcomes),
        invariants=tuple((p, anyone.guards(Not(p.when))) for p in model.invariants),
        expectations=tuple((p, anyone.guards(p.when)) for p in model.expectations),
        responses=tuple((r, anyone.guards(r.when), anyone.guards(r.reach)) for r in model.responses),
        prices=tuple((p, anyone.guards(p.during)) for p in model.prices),
    )


def layout(model: Model) -> dict[str, Slot]:
    """Fields side by side in the word of their scope, in order of declaration."""
    ends = dict.fromkeys(Scope, 0)
    slots = {}
    for f in (f for f in model.fields.values() if not f.constant):
        slots[f.name] = Slot(f.name, f.scope, ends[f.scope], f.values)
        ends[f.scope] += f.width
    return slots


class Path(NamedTuple):
    """What is known of the state before the step, and what the step has done so far. Never changed, only replaced.

    A named tuple, because lowering replaces paths a million times in a sweep, and data classes are slow at it.

    Attributes:
        allowed: Values that a field of the acting CPU, its package or the globals may have had; absent: all.
        assigned: New constants.
        added: Additions to counters that have no new constant.
        temps: Values of temporaries.
        facts: Quantified matches that were decided.
        bulk: Bulk assignments in order: (group kind, condition before the step, values).
        notes: Words for the trace.
        events: What has happened, for prices.
        choice: Free choices so far.
    """

    allowed: Mapping[Field, frozenset[Value]] = {}
    assigned: Mapping[Field, Value] = {}
    added: Mapping[Field, int] = {}
    temps: Mapping[str, Value] = {}
    facts: Mapping[Atom, bool] = {}
    bulk: tuple[tuple[str, Expr, tuple[tuple[Field, Value], ...]], ...] = ()
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    choice: int = 0

    def possible(self, f: Field) -> frozenset[Value]:
        """The values that a field may have had before the step."""
        return self.allowed.get(f, frozenset(f.values))

    def assign(self, f: Field, value: Value) -> Path:
        """With a new constant in a field."""
        added = {k: v for k, v in self.added.items() if k is not f}
        return self._replace(assigned={**self.assigned, f: value}, added=added)

    def require(self, f: Field, values: frozenset[Value]) -> Path:
        """Knowing that a field had one of ``values`` before the step."""
        return self._replace(allowed={**self.allowed, f: values})

    def changes(self, f: Field) -> bool:
        """Whether the step changes a field, here or in others."""
        return f in self.assigned or f in self.added or any(f is g for _, _, values in self.bulk for g, _ in values)

    def recall(self, atom: Atom) -> bool | None:
        """Whether some member matches, as far as the path knows."""
        for known, some in self.facts.items():
            if some and known.within(atom):
                return True
            if not some and atom.within(known):
                return False
        return None


class Lowering:
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
        self.slots = slots
        self.scope = scope
        self.where = where
        self._none: list[Atom] = []
        for pc in idle:
            kind = "packages" if pc.scope is Scope.PACKAGE else "cpus"
            self._none += self.atoms(kind, Not(In(pc, frozenset(pc.values[:1]))))

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
            for atom in self.atoms(kind, self._before(special, p, kind)):
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
        return tuple(g for value, path in self.decide(expr, Path()) if value for g in self.guards_of(path))

    def guards_of(self, path: Path) -> list[Guard]:
        """What a path knows of the state before the step, as disjoint guards."""
        always = dict.fromkeys(Scope, ANY)
        choices = []
        for f, values in path.allowed.items():
            if len(values) < len(f.values):
                cubes = _cubes(self.slots[f.name], values)
                if len(cubes) == 1:
                    always[f.scope] = always[f.scope].joined(cubes[0])
                else:
                    choices.append([(f.scope, cube) for cube in cubes])
        quantified = tuple(sorted(path.facts.items(), key=repr) if len(path.facts) > 1 else path.facts.items())
        found = []
        for combination in product(*choices):
            own = dict(always)
            for scope, cube in combination:
                own[scope] = own[scope].joined(cube)
            found.append(Guard(own, quantified))
        return found

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
        trap = f"{self.where}: `{f.name}` {delta:+d} leaves its domain, {f.values[0]} to {f.values[-1]}"
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

    def normal(self, path: Path) -> list[Path]:
        """The end of a step in normal form (`Model.forget`); a condition that is not known forks the path.

        The state before the step was in normal form. A step that changes neither what is forgotten nor what decides it
        leaves it so, and needs no fork.
        """
        paths = [path]
        for forgotten in self.model.forgotten:
            paths = [q for p in paths for q in self._forget(forgotten, p)]
        return paths

    def _forget(self, forgotten: Forgotten, path: Path) -> list[Path]:
        concerned = [*forgotten.fields, *(f for f in variables(forgotten.when) if isinstance(f, Field))]
        if not any(path.changes(f) for f in concerned) or self._known(forgotten.when, path) is False:
            return [path]
        found = []
        for holds, p in self.decide(forgotten.when, path):
            paths = [p]
            for f in forgotten.fields if holds else ():
                if not f.constant:
                    paths = [q for before in paths for q in self._reset(f, before)]
            found += paths
        return found

    def _reset(self, f: Field, path: Path) -> list[Path]:
        if f.scope is Scope.GLOBAL:
            return self.assign(f, f.initial, path)
        group = Group.PACKAGES if f.scope is Scope.PACKAGE else Group.CPUS
        return self.assign_each(group, _TRUE, ((f, f.initial),), path)

    def _known(self, expr: Expr, path: Path) -> bool | None:
        """The truth of an expression as far as the path knows it, without a fork.

        `decide` looks from left to right. This finds a condition to be false whatever comes before the part that says so,
        which spares rules that could never fire.
        """
        match expr:
            case Const(value):
                return value
            case In(variable, values):
                found = {truth for truth, _ in self._decide_value(variable, values, path)}
                return found.pop() if len(found) == 1 else None
            case Not(operand):
                known = self._known(operand, path)
                return None if known is None else not known
            case And(left, right) | Or(left, right):
                settles = isinstance(expr, Or)
                sides = (self._known(left, path), self._known(right, path))
                return settles if settles in sides else None if None in sides else not settles
            case _:
                return None

    def targets(self, kind: str, where: Expr) -> list[Atom]:
        """The members that a bulk assignment changes."""
        atoms = self.atoms(kind, where)
        if any(atom.nested for atom in atoms):
            raise self._unsupported("a bulk assignment to packages cannot depend on their CPUs")
        return atoms

    # -- quantified matches -------------------------------------------------------------------------------------------

    def atoms(self, kind: str, body: Expr) -> list[Atom]:
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
                slot = self.slots[variable.name]
                wanted = values if truth else frozenset(slot.values) - values
                cubes = _cubes(slot, frozenset(wanted) & frozenset(slot.values))
                return [Atom("", c) if variable.scope is Scope.CPU else Atom("", ANY, c) for c in cubes]
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


class _Actor:
    """Lowers the procedure of one actor."""

    def __init__(self, model: Model, slots: dict[str, Slot], actor: int, code: Code) -> None:
        self._model = model
        self._slots = slots
        self._actor = actor
        self._code = code
        self._reached: set[str] = set()

    def rules(self) -> list[Rule]:
        """The rules of every step that can be taken at all."""
        labels = {(label.pc, label.name): (at, label) for at, label in self._code.labels}
        entry = self._code.instructions[0]
        assert isinstance(entry, Label)
        waiting, lowered = [(entry.pc, entry.name)], {}
        while waiting:
            key = waiting.pop()
            if key in lowered or key not in labels:
                continue
            at, label = labels[key]
            lowered[key] = [] if label.passive else list(self._step(at, label))
            for rule, leads_to in lowered[key]:
                if rule.trap is None:
                    waiting += leads_to
        return [rule for key in labels if key in lowered for rule, _ in lowered[key]]

    def _step(self, at: int, label: Label) -> Iterator[tuple[Rule, list[tuple[str, str]]]]:
        where = f"step `{label.name}` of `{self._code.actor}`"
        fields = self._model.fields
        idle = [fields[pc] for pc in self._code.counters if pc != label.pc and pc not in label.implied]
        lowering = Lowering(self._model, self._slots, label.scope, where, idle)
        known: dict[Field, frozenset[Value]] = {
            fields[pc]: frozenset([name]) for pc, name in {label.pc: label.name, **label.implied}.items()
        }
        for path, trap in _run(lowering, self._code, at + 1, Path(allowed=known)):
            leads_to = [(f.name, str(v)) for f, v in path.assigned.items()]
            leads_to += [(f.name, str(v)) for _, _, values in path.bulk for f, v in values]
            own, bulk = self._effect(lowering, path)
            for guard in lowering.guards_of(path):
                events = (*label.events, *path.events)
                yield Rule(self._actor, label, path.choice, path.notes, guard, own, bulk, trap, events), leads_to

    def _effect(self, lowering: Lowering, path: Path) -> tuple[dict[Scope, Update], tuple[Bulk, ...]]:
        clear, new = dict.fromkeys(Scope, 0), dict.fromkeys(Scope, 0)
        added: dict[Scope, tuple[tuple[int, int, int], ...]] = dict.fromkeys(Scope, ())
        for f, value in path.assigned.items():
            slot = self._slots[f.name]
            clear[f.scope] |= slot.mask
            new[f.scope] |= slot.encode(value)
        for f, delta in path.added.items():
            slot = self._slots[f.name]
            added[f.scope] = (*added[f.scope], (slot.offset, slot.width, delta))
        own = {s: Update(clear[s], new[s], added[s]) for s in Scope if clear[s] or added[s]}
        bulk: list[Bulk] = []
        for kind, where, assignments in path.bulk:
            slots = [(self._slots[f.name], v) for f, v in assignments]
            mask, value = sum(s.mask for s, _ in slots), sum(s.encode(v) for s, v in slots)
            bulk += [Bulk(atom, mask, value) for atom in lowering.targets(kind, where)]
        return own, tuple(bulk)


def _run(lowering: Lowering, code: Code, at: int, path: Path) -> Iterator[tuple[Path, str | None]]:
    """Every way from an instruction to the end of its step, and what is wrong with it (a trap) or None."""
    waiting = [(at, path, 0)]
    while waiting:
        at, path, length = waiting.pop()
        if length > _LONGEST_STEP:
            raise BadModel(f"{lowering.where}: it never ends; put a step into its loop")
        instruction = code.instructions[at]
        forks: list[tuple[int, Path]] = []
        match instruction:
            case Label(name=name, pc=pc):
                for p in lowering.normal(path.assign(lowering.model.fields[pc], name)):
                    yield p, None
            case Stop():
                for p in lowering.normal(path):
                    yield p, None
            case Set(target, value):
                forks = [(at + 1, p) for p in lowering.assign(target, value, path)]
            case Add(target, delta):
                for p, trap in lowering.add(target, delta, path):
                    if trap is None:
                        forks.append((at + 1, p))
                    else:
                        yield p, trap
            case SetEach(group, where, assignments):
                forks = [(at + 1, p) for p in lowering.assign_each(group, where, assignments, path)]
            case Branch(condition, otherwise):
                forks = [(at + 1 if value else otherwise, p) for value, p in lowering.decide(condition, path)]
            case Jump(target_position):
                forks = [(target_position, path)]
            case Await(condition):
                forks = [(at + 1, p) for value, p in lowering.decide(condition, path) if value]
            case Either(targets):
                options = [path.choice * len(targets) + i for i in range(len(targets))]
                forks = [(t, path._replace(choice=c)) for t, c in zip(targets, options, strict=True)]
            case Note(text, events):
                forks = [(at + 1, path._replace(notes=(*path.notes, text), events=(*path.events, *events)))]
        waiting += [(to, p, length + 1) for to, p in reversed(forks)]


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


def _meet(a: Atom, b: Atom) -> Atom | None:
    cpu, package = a.cpu.meet(b.cpu), a.package.meet(b.package)
    if cpu is None or package is None:
        return None
    return Atom("", cpu, package, tuple(dict.fromkeys((*a.nested, *b.nested))))


def _cubes(slot: Slot, values: frozenset[Value]) -> list[Cube]:
    """Disjoint bit-mask matches that tell ``values`` from the rest of the domain; unused codes may fall either way."""
    codes = frozenset(map(slot.codes.__getitem__, values))
    return [
        Cube(care << slot.offset, value << slot.offset) for care, value in _cover(codes, len(slot.values), slot.width)
    ]


@cache
def _cover(
    codes: frozenset[int], domain: int, width: int, care: int = 0, value: int = 0
) -> tuple[tuple[int, int], ...]:
    here = [c for c in range(domain) if c & care == value]
    inside = [c for c in here if c in codes]
    if not inside:
        return ()
    if len(inside) == len(here):
        return ((care, value),)
    best: tuple[tuple[int, int], ...] | None = None
    for bit in (1 << b for b in range(width)):
        if not care & bit:
            halves = [_cover(codes, domain, width, care | bit, value | side) for side in (0, bit)]
            found = halves[0] + halves[1]
            if best is None or len(found) < len(best):
                best = found
        if best is not None and width > 5:  # noqa: PLR2004 -- trying every order of bits is exponential in the width
            break
    assert best is not None
    return best
