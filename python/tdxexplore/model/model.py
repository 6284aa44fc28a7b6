"""This module holds the model: its fields, its procedures, and the questions that are asked of them.

The questions are outcomes, invariants, expectations, responses and prices. `tdxexplore.model.procedure` records a
procedure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tdxexplore.errors import BadModel, suggest
from tdxexplore.model.code import PROGRAM_COUNTER, Add, Label, Note, Set, SetEach
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
from tdxexplore.model.properties import SEVERITIES, Forgotten, Price, Property, Response
from tdxexplore.model.scopes import variables
from tdxexplore.model.topology import State
from tdxexplore.visible import said

_NAME = 200  # characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tdxexplore.model.code import Code, Instruction
    from tdxexplore.model.procedure import Procedure
    from tdxexplore.model.topology import Topology

Declared = TypeVar("Declared", "Property", "Response")


def _named(what: str, name: object) -> None:
    """Refuse a name that is empty, or more than a line.

    Raises:
        BadModel: It is.
    """
    said(what, name, _NAME)
    if not str(name).strip():
        raise BadModel(f"{what} is empty")


class Model:
    """A model consists of fields, procedures and properties, and it says in which state it starts.

    Args:
        name: The name that messages and dumps use.

    Attributes:
        least_cpus: The smallest number of CPUs on which it can be asked.
    """

    def __init__(self, name: str) -> None:
        _named("the name of a model", name)
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
        self.least_cpus = 1
        self._starts: list[Callable[[State], None]] = []
        self._varying: list[Field] = []

    # -- fields -------------------------------------------------------------------------------------------------------

    def flag(self, name: str, scope: Scope = Scope.GLOBAL, *, initial: bool = False) -> Field:
        """Declare a field that is true or false."""
        return self._field(name, scope, (False, True), initial)

    def enum(self, name: str, values: Sequence[str], scope: Scope = Scope.GLOBAL, *, initial: str = "") -> Field:
        """Declare a field with named values; the first is initial unless ``initial`` names another."""
        if len(set(values)) != len(values) or not values:
            raise BadModel(f"field `{name}` needs distinct values, not {list(values)}")
        return self._field(name, scope, tuple(values), initial or values[0])

    def counter(
        self, name: str, largest: int, scope: Scope = Scope.GLOBAL, *, smallest: int = 0, initial: int = 0
    ) -> Field:
        """Declare a field that counts from ``smallest`` to ``largest``; a step that leaves this range is a trap."""
        if largest < smallest:
            raise BadModel(f"counter `{name}` needs a largest value of at least {smallest}, not {largest}")
        return self._field(name, scope, tuple(range(smallest, largest + 1)), initial)

    def assigned(self, recording: Procedure | None = None) -> list[Field]:
        """List the fields that some procedure assigns of those added so far, in order of declaration.

        Args:
            recording: A procedure that is not finished; what it has assigned so far counts too, its program counters do not.
        """
        found = {id(f) for f, _ in _constants(recording.recorded)} if recording else set()
        for code in self.codes:
            found |= {id(self.fields[pc]) for pc in code.counters}
            found |= {id(f) for f, _ in _constants(code.instructions)}
        return [f for f in self.fields.values() if id(f) in found]

    def settle(self, varying: Iterable[Field] = ()) -> None:
        """Make a constant of each field that no step assigns and no start sets, so that it takes no bits of a state.

        Args:
            varying: Further fields that stay variable.
        """
        kept = {id(f) for f in (*self.assigned(), *self._varying, *varying)}
        for field in self.fields.values():
            field.constant = id(field) not in kept
        self._settled = True

    def forget(self, fields: Iterable[Field], when: Operand | bool) -> None:
        """Declare a normal form of states: wherever ``when`` holds, these fields have their initial values.

        Every step ends in normal form. Two states that differ only in values which no later step reads thus become one
        state. The modeller must know that no later step reads them; a test compares the model with one that forgets nothing.

        Args:
            fields: The fields; each is forgotten in every CPU or package that has it.
            when: The condition. It reads no field that is ever forgotten, so that forgetting does not change its truth.
        """
        new = Forgotten(tuple(fields), as_expr(when))
        everything = [*self.forgotten, new]
        lost = {id(field) for each in everything for field in each.fields}
        for each in everything:
            for read in variables(each.when):
                if id(read) in lost:
                    raise BadModel(f"field `{read.name}` is forgotten, and decides what is forgotten")
        self.forgotten.append(new)

    @property
    def declared(self) -> tuple[int, ...]:
        """How many of each thing are declared; it changes with every declaration."""
        properties = len(self.outcomes), len(self.invariants), len(self.expectations), len(self.responses)
        return (
            len(self.fields),
            len(self.codes),
            len(self.forgotten),
            len(self._starts),
            *properties,
            len(self.prices),
        )

    def __getitem__(self, name: str) -> Field:
        """Return the field of that name.

        Raises:
            BadModel: There is no such field; the message suggests one.
        """
        if name not in self.fields:
            raise BadModel(f"field `{name}` is not defined in model `{self.name}`; {suggest(name, self.fields)}")
        return self.fields[name]

    def _field(self, name: str, scope: Scope, values: tuple[Value, ...], initial: Value) -> Field:
        _named("the name of a field", name)
        if name in self.fields:
            raise BadModel(f"field `{name}` is defined twice")
        if name.startswith(PROGRAM_COUNTER):
            raise BadModel(
                f"field `{name}` has the name of a program counter; none but those begins with `{PROGRAM_COUNTER}`"
            )
        for value in values:
            said(f"a value of field `{name}`", str(value), _NAME)
        field = self.fields[name] = Field(name, scope, values, initial)
        if values:
            field.check(initial)
        return field

    # -- where it starts ----------------------------------------------------------------------------------------------

    def starts(self, start: Callable[[State], None], *fields: Field, least_cpus: int = 1) -> None:
        """Say in which state the model starts, where that is not the state in which every field has its initial value.

        Of several starts each changes what those before it have made.

        Args:
            start: Changes that state, for any topology; it may raise `BadModel` where the topology does not fit.
            fields: The fields that it sets.
            least_cpus: The smallest number of CPUs on which the model can be asked.
        """
        self._starts.append(start)
        self._varying += fields
        self.least_cpus = max(self.least_cpus, least_cpus)

    def initial(self, topology: Topology) -> State:
        """Return the labelled state in which the model starts on a topology.

        Raises:
            BadModel: The model cannot start there, or its start sets something that it does not name.
        """
        if topology.cpus < self.least_cpus:
            raise BadModel(f"--cpus is {topology.cpus}; model `{self.name}` needs at least {self.least_cpus}")
        state = State.initial(self, topology)
        if not self._starts:
            return state
        for start in self._starts:
            start(state)
        for values in (state.globals, *state.packages, *state.cpus):
            for name, value in values.items():
                field = self[name]
                if value is not field.initial and field.check(value) != field.initial and field.constant:
                    raise BadModel(
                        f"the start of model `{self.name}` sets field `{name}`, which no step assigns and `starts` does not name"
                    )
        return state

    # -- properties ---------------------------------------------------------------------------------------------------

    def outcome(self, name: str, severity: str, when: Operand | bool, text: str = "", *, fatal: bool = False) -> None:
        """Name a class of terminal states.

        A terminal state gets the most severe outcome that matches, and among those of equal severity the one that was
        declared first. A policy may therefore declare outcomes of its own before the shared ones.
        """
        self._outcome(Property(name, severity, as_expr(when), text, fatal))

    def diverges(self, name: str, severity: str, text: str = "") -> None:
        """Name the outcome of runs that never come to an end, whatever the scheduler does.

        A state diverges if no terminal state can be reached from it: every run that enters it goes on for ever. All such states
        have this outcome. A run is counted and priced up to the first of them.

        Raises:
            BadModel: The model has such an outcome already.
        """
        if known := next((p.name for p in self.outcomes if p.diverges), None):
            raise BadModel(f"outcome `{name}`: runs that never come to an end have the outcome `{known}` already")
        self._outcome(Property(name, severity, never, text, diverges=True))

    def invariant(self, name: str, holds: Operand | bool, text: str = "", severity: str = "S0") -> None:
        """Declare a condition that must hold in every reachable state."""
        self._property(self.invariants, Property(name, severity, as_expr(holds), text))

    def expect(self, name: str, reachable: Operand | bool, text: str = "") -> None:
        """Declare a condition that some reachable state must satisfy; otherwise the model says nothing."""
        self._property(self.expectations, Property(name, "ok", as_expr(reachable), text))

    def response(
        self, name: str, when: Operand | bool, reach: Operand | bool, text: str = "", severity: str = "S3"
    ) -> None:
        """Declare a goal that must stay reachable wherever ``when`` holds."""
        self._property(self.responses, Response(name, severity, as_expr(when), as_expr(reach), text))

    def price(self, name: str, text: str = "", *, events: Iterable[str] = (), during: Operand | bool = False) -> None:
        """Declare a price, which counts events of these kinds and steps that are taken while ``during`` holds."""
        _named("the name of a price", name)
        said(f"the text of `{name}`", text)
        if any(p.name == name for p in self.prices):
            raise BadModel(f"`{name}` is declared twice")
        self.prices.append(Price(name, text, frozenset(events), as_expr(during)))

    def _outcome(self, new: Property) -> None:
        self._property(self.outcomes, new)
        self.outcomes.sort(key=lambda p: SEVERITIES.index(p.severity))  # stable

    def _property(self, known: list[Declared], new: Declared) -> None:
        _named("the name of an outcome or property", new.name)
        said(f"the text of `{new.name}`", new.text)
        if new.severity not in SEVERITIES:
            raise BadModel(f"severity of `{new.name}` is {new.severity!r}; it is one of {', '.join(SEVERITIES)}")
        if any(p.name == new.name for p in known):
            raise BadModel(f"`{new.name}` is declared twice")
        known.append(new)

    # -- procedures ---------------------------------------------------------------------------------------------------

    def add(self, procedure: Procedure) -> None:
        """Finish a procedure and add it; its program counters become fields.

        Raises:
            BadModel: The procedure cannot be finished, or it contradicts one that was added before.
        """
        if any(code.actor == procedure.actor for code in self.codes):
            raise BadModel(f"actor `{procedure.actor}` has two procedures")
        if self._settled:
            raise BadModel(f"procedure of `{procedure.actor}` is added after the model has been settled")
        _named("an actor", procedure.actor)
        code = procedure.finish()
        for instruction in code.instructions:
            match instruction:
                case Label(title=title, frames=frames, source=source):
                    for text in (title, *frames, source):
                        said(f"a label of `{procedure.actor}`", text)
                case Note(text=text):
                    said(f"a note of `{procedure.actor}`", text)
                case _:
                    pass
        for pc in procedure.counters.values():
            if pc.name in self.fields:
                raise BadModel(f"the program counter of `{procedure.actor}` is `{pc.name}`, which is a field already")
            self.fields[pc.name] = pc
        self._check_counters(code)
        self.codes.append(code)
        self._stuck = None

    def _check_counters(self, code: Code) -> None:
        """Check that a procedure resets either all program counters of another actor or none.

        A step of that actor relies on it: by one of its program counters it knows the others (`Label.implied`).
        """
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
        """Return the procedure of an actor.

        Raises:
            BadModel: There is no such actor; the message suggests one.
        """
        known = {code.actor: code for code in self.codes}
        if actor not in known:
            raise BadModel(f"model `{self.name}` has no actor `{actor}`; {suggest(actor, known)}")
        return known[actor]

    def busy(self, code: Code) -> Expr:
        """Return the condition that some instance of a procedure is at a step at which its actor does not rest."""
        found: Expr = never
        for pc, scope in code.counters.items():
            steps = frozenset(label.name for _, label in code.labels if label.pc == pc and not label.rest)
            if steps:
                at = In(self.fields[pc], steps)
                found = Or(found, {Scope.GLOBAL: at, Scope.CPU: cpus.any(at), Scope.PACKAGE: packages.any(at)}[scope])
        return found

    def stuck(self) -> Expr:
        """Return the condition that some actor is at a step at which it does not rest; a terminal state is then a deadlock.

        The condition covers every actor of the finished model, also one that is added after this call.
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
    """Yield each field that instructions assign, with its new constants; None stands for a value that is no constant."""
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
