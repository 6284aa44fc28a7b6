"""A model: fields, procedures, and what is asked of them: outcomes, invariants, expectations, responses, prices.

How a procedure is recorded is in `tdxexplore.model.procedure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tdxexplore.errors import BadModel, suggest
from tdxexplore.model.code import PROGRAM_COUNTER, Add, Set, SetEach
from tdxexplore.model.expr import (
    Expr,
    Field,
    In,
    Late,
    Operand,
    Or,
    Scope,
    Value,
    Variable,
    as_expr,
    cpus,
    never,
    packages,
)
from tdxexplore.model.scopes import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tdxexplore.model.code import Code, Event, Instruction
    from tdxexplore.model.procedure import Procedure

Declared = TypeVar("Declared", "Property", "Response")

SEVERITIES = ("S0", "S1", "S2", "S3", "S4", "ok")


@dataclass(frozen=True, slots=True)
class Property:
    """A named predicate on states: an outcome, an invariant or an expectation.

    Attributes:
        name: Unique among its kind.
        severity: ``S0`` (catastrophic) to ``S4`` (nuisance), or ``ok``.
        when: Outcome or expectation: where it holds. Invariant: what must hold in every state.
        text: What it means, in a sentence.
        fatal: Reaching it ends the run (an oops).
        diverges: It is the outcome of runs that never come to an end, and ``when`` never holds.
    """

    name: str
    severity: str
    when: Expr
    text: str
    fatal: bool = False
    diverges: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """What must stay possible: from every reachable state in which ``when`` holds, one in which ``reach`` holds can be reached.

    In CTL: AG (when -> EF reach). Where ``reach`` ends what ``when`` says is going on, this is termination under strong
    fairness. A fatal outcome ends a run and is an answer of its own: nothing is due where a fair run comes to one for sure
    (AG EF fatal).

    Attributes:
        name: Unique among responses.
        severity: ``S0`` to ``S4``.
        when: Where it is due.
        reach: What has to be reachable from there.
        text: What it means, in a sentence.
    """

    name: str
    severity: str
    when: Expr
    reach: Expr
    text: str


@dataclass(frozen=True, slots=True)
class Price:
    """What a run costs: the sum over its steps.

    Attributes:
        name: Unique among prices.
        text: What is counted, in a sentence.
        events: Each event of one of these kinds costs 1.
        during: A step from a state in which this holds costs 1 more.
    """

    name: str
    text: str
    events: frozenset[str]
    during: Expr

    def of(self, events: Sequence[Event]) -> int:
        """What a step in which these events happen costs, wherever it is taken."""
        return sum(event.kind in self.events for event in events)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Fields that have their initial values wherever a condition holds, as nothing reads them there.

    Attributes:
        fields: What is forgotten, in every CPU or package that has it.
        when: Where; it looks at other fields.
    """

    fields: tuple[Field, ...]
    when: Expr


class Model:
    """Fields, procedures and properties: everything that is explored.

    Args:
        name: For messages and dumps.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fields: dict[str, Field] = {}
        self.codes: list[Code] = []
        self.outcomes: list[Property] = []
        self.invariants: list[Property] = []
        self.expectations: list[Property] = []
        self.responses: list[Response] = []
        self.prices: list[Price] = []
        self._settled = False
        self._stuck: Expr | None = None
        self.forgotten: list[Forgotten] = []

    # -- fields -------------------------------------------------------------------------------------------------------

    def flag(self, name: str, scope: Scope = Scope.GLOBAL, *, initial: bool = False) -> Field:
        """A field that is true or false."""
        return self._field(name, scope, (False, True), initial)

    def enum(self, name: str, values: Sequence[str], scope: Scope = Scope.GLOBAL, *, initial: str = "") -> Field:
        """A field with named values; the first is initial unless said otherwise."""
        if len(set(values)) != len(values) or not values:
            raise BadModel(f"field `{name}` needs distinct values, not {list(values)}")
        return self._field(name, scope, tuple(values), initial or values[0])

    def counter(
        self, name: str, largest: int, scope: Scope = Scope.GLOBAL, *, smallest: int = 0, initial: int = 0
    ) -> Field:
        """A field that counts from ``smallest`` to ``largest``; a step that leaves this range is a trap."""
        if largest < smallest:
            raise BadModel(f"counter `{name}` needs a largest value of at least {smallest}, not {largest}")
        return self._field(name, scope, tuple(range(smallest, largest + 1)), initial)

    def assigned(self, recording: Procedure | None = None) -> list[Field]:
        """The fields that some step of the procedures so far assigns, in order of declaration.

        Args:
            recording: A procedure that is not finished; what it has assigned so far counts too, its program counters do not.
        """
        found = {id(f) for f, _ in _constants(recording.recorded)} if recording else set()
        for code in self.codes:
            found |= {id(self.fields[pc]) for pc in code.counters}
            found |= {id(f) for f, _ in _constants(code.instructions)}
        return [f for f in self.fields.values() if id(f) in found]

    def settle(self, varying: Iterable[Field] = ()) -> None:
        """Make constants of the fields that no step assigns: what a model does not use costs it no state.

        Args:
            varying: Fields whose initial value a scenario sets; they stay.
        """
        kept = {id(f) for f in (*self.assigned(), *varying)}
        for field in self.fields.values():
            field.constant = id(field) not in kept
        self._settled = True

    def forget(self, fields: Iterable[Field], when: Operand | bool) -> None:
        """Declare a normal form of states: wherever ``when`` holds, these fields have their initial values.

        Every step ends in normal form, so that states which differ only in what nothing reads any more are one state. That
        nothing reads it is for the modeller to know, and for a test that compares with a model that forgets nothing.

        Args:
            fields: What is forgotten, in every CPU or package that has it.
            when: Where. It looks at no field that is ever forgotten, so that forgetting does not change where it applies.
        """
        new = Forgotten(tuple(fields), as_expr(when))
        everything = [*self.forgotten, new]
        lost = {id(field) for each in everything for field in each.fields}
        for each in everything:
            for read in variables(each.when):
                if id(read) in lost:
                    raise BadModel(f"field `{read.name}` is forgotten, and decides what is forgotten")
        self.forgotten.append(new)

    def __getitem__(self, name: str) -> Field:
        """The field of that name.

        Raises:
            BadModel: There is none; the message suggests one.
        """
        if name not in self.fields:
            raise BadModel(f"field `{name}` is not defined in model `{self.name}`; {suggest(name, self.fields)}")
        return self.fields[name]

    def _field(self, name: str, scope: Scope, values: tuple[Value, ...], initial: Value) -> Field:
        if name in self.fields:
            raise BadModel(f"field `{name}` is defined twice")
        if name.startswith(PROGRAM_COUNTER):
            raise BadModel(
                f"field `{name}` has the name of a program counter; none but those begins with `{PROGRAM_COUNTER}`"
            )
        field = self.fields[name] = Field(name, scope, values, initial)
        if values:
            field.check(initial)
        return field

    # -- properties ---------------------------------------------------------------------------------------------------

    def outcome(self, name: str, severity: str, when: Operand | bool, text: str = "", *, fatal: bool = False) -> None:
        """Name a class of terminal states.

        A terminal state gets the first outcome that matches: the most severe one, and of equal severity the one that was
        declared first. So a policy may declare its own before the shared ones are.
        """
        self._outcome(Property(name, severity, as_expr(when), text, fatal))

    def diverges(self, name: str, severity: str, text: str = "") -> None:
        """Name the outcome of runs that never come to an end, whatever the scheduler does.

        A state diverges if no terminal state can be reached from it: every run that enters it goes on for ever. All such states
        have this outcome; a run is counted, and costs, up to the first of them.

        Raises:
            BadModel: Such an outcome is declared already.
        """
        if known := next((p.name for p in self.outcomes if p.diverges), None):
            raise BadModel(f"outcome `{name}`: runs that never come to an end have the outcome `{known}` already")
        self._outcome(Property(name, severity, never, text, diverges=True))

    def invariant(self, name: str, holds: Operand | bool, text: str = "", severity: str = "S0") -> None:
        """Something that must hold in every state."""
        self._property(self.invariants, Property(name, severity, as_expr(holds), text))

    def expect(self, name: str, reachable: Operand | bool, text: str = "") -> None:
        """Something that must be reachable, or the model says nothing: a `sometimes` expectation."""
        self._property(self.expectations, Property(name, "ok", as_expr(reachable), text))

    def response(
        self, name: str, when: Operand | bool, reach: Operand | bool, text: str = "", severity: str = "S3"
    ) -> None:
        """Something that must stay possible wherever ``when`` holds."""
        self._property(self.responses, Response(name, severity, as_expr(when), as_expr(reach), text))

    def price(self, name: str, text: str = "", *, events: Iterable[str] = (), during: Operand | bool = False) -> None:
        """Something that runs cost: events of these kinds, and steps taken while ``during`` holds."""
        if any(p.name == name for p in self.prices):
            raise BadModel(f"`{name}` is declared twice")
        self.prices.append(Price(name, text, frozenset(events), as_expr(during)))

    def _outcome(self, new: Property) -> None:
        self._property(self.outcomes, new)
        self.outcomes.sort(key=lambda p: SEVERITIES.index(p.severity))  # stable

    def _property(self, known: list[Declared], new: Declared) -> None:
        if new.severity not in SEVERITIES:
            raise BadModel(f"severity of `{new.name}` is {new.severity!r}; it is one of {', '.join(SEVERITIES)}")
        if any(p.name == new.name for p in known):
            raise BadModel(f"`{new.name}` is declared twice")
        known.append(new)

    # -- procedures ---------------------------------------------------------------------------------------------------

    def add(self, procedure: Procedure) -> None:
        """Take a finished procedure; its program counters become fields.

        Raises:
            BadModel: It cannot be finished, or does not fit the others.
        """
        if any(code.actor == procedure.actor for code in self.codes):
            raise BadModel(f"actor `{procedure.actor}` has two procedures")
        if self._settled:
            raise BadModel(f"procedure of `{procedure.actor}` is added after the model has been settled")
        code = procedure.finish()
        for pc in procedure.counters.values():
            if pc.name in self.fields:
                raise BadModel(f"the program counter of `{procedure.actor}` is `{pc.name}`, which is a field already")
            self.fields[pc.name] = pc
        self._check_counters(code)
        self.codes.append(code)
        self._stuck = None

    def _check_counters(self, code: Code) -> None:
        """What a step assumes of its actor's program counters holds only if others reset all of them or none."""
        assigned = {f.name: values for f, values in _constants(code.instructions)}
        for other in self.codes:
            touched = assigned.keys() & other.counters.keys()
            if touched and touched != other.counters.keys():
                missing = ", ".join(f"`{name}`" for name in other.counters if name not in touched)
                raise BadModel(f"`{code.actor}` sets `{min(touched)}` and leaves {missing}; it must reset all or none")
            for name in touched:
                if assigned[name] != {self.fields[name].initial}:
                    raise BadModel(f"`{code.actor}` moves `{name}` of another actor; it may only reset it to its start")

    def code(self, actor: str) -> Code:
        """The procedure of an actor.

        Raises:
            BadModel: There is no such actor; the message suggests one.
        """
        known = {code.actor: code for code in self.codes}
        if actor not in known:
            raise BadModel(f"model `{self.name}` has no actor `{actor}`; {suggest(actor, known)}")
        return known[actor]

    def busy(self, code: Code) -> Expr:
        """The actor of a procedure, in some instance of it, is at a step at which it does not rest."""
        found: Expr = never
        for pc, scope in code.counters.items():
            steps = frozenset(label.name for _, label in code.labels if label.pc == pc and not label.rest)
            if steps:
                at = In(self.fields[pc], steps)
                found = Or(found, {Scope.GLOBAL: at, Scope.CPU: cpus.any(at), Scope.PACKAGE: packages.any(at)}[scope])
        return found

    def stuck(self) -> Expr:
        """Some actor is at a step at which it does not rest: in a terminal state, a deadlock.

        It means every actor of the finished model, whenever it is asked for.
        """
        return Late(self._anybody_busy)

    def _anybody_busy(self) -> Expr:
        if self._stuck is None:
            found: Expr = never
            for code in self.codes:
                found = Or(found, self.busy(code))
            self._stuck = found
        return self._stuck


def _constants(instructions: Sequence[Instruction]) -> Iterator[tuple[Field, set[Value | None]]]:
    """The fields that instructions assign, with the constants; None stands for what is no constant."""
    found: dict[Field, set[Value | None]] = {}
    for instruction in instructions:
        match instruction:
            case Set(target, value) if isinstance(target, Field):
                found.setdefault(target, set()).add(None if isinstance(value, Variable) else value)
            case Add(target, _):
                found.setdefault(target, set()).add(None)
            case SetEach(_, _, values):
                for target, value in values:
                    found.setdefault(target, set()).add(value)
    yield from found.items()
