"""This module executes the steps of an *unlowered* model on dictionaries, one state at a time, for the reference.

It exists to be obviously right, and is never optimised. It shares with lowering the recorded instructions and nothing
else, so that a defect of lowering shows as a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel, Trap
from tdxexplore.model.code import Add, Await, Branch, Either, Jump, Label, Note, Set, SetEach, Stop
from tdxexplore.model.expr import RELATIONS, And, Any, Compare, Const, Field, Group, In, Late, Not, Or, Scope, Temp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Code, Event
    from tdxexplore.model.expr import Expr, Value, Variable
    from tdxexplore.model.model import Model
    from tdxexplore.model.topology import State, Values


@dataclass(slots=True)
class Transition:
    """One step of one actor in one state.

    Attributes:
        actor: The index of the actor.
        package: The acting package, or that of the acting CPU; -1 for none.
        cpu: The acting CPU; -1 for none.
        choices: The branch taken of each free choice.
        label: The step.
        notes: The notes of the way taken through the step.
        events: The events that happened.
        target: The successor.
    """

    actor: int
    package: int
    cpu: int
    choices: tuple[int, ...]
    label: Label
    notes: tuple[str, ...]
    events: tuple[Event, ...]
    target: State

    @property
    def order(self) -> tuple[int, int, int, tuple[int, ...]]:
        """The key that puts the transitions of a state into canonical order."""
        return (self.actor, self.package, self.cpu, self.choices)


Temps: TypeAlias = "dict[Temp, Value]"


def evaluate(expr: Expr, state: State, package: int, cpu: int, temps: Temps) -> bool:
    """Evaluate ``expr`` for the acting ``package`` and ``cpu``; -1 stands for none."""
    match expr:
        case Const(value):
            return value
        case In(variable, values):
            return read(variable, state, package, cpu, temps) in values
        case Compare(left, relation, right):
            first, second = (read(v, state, package, cpu, temps) for v in (left, right))
            return RELATIONS[relation](first, second)
        case Not(operand):
            return not evaluate(operand, state, package, cpu, temps)
        case And(left, right):
            return evaluate(left, state, package, cpu, temps) and evaluate(right, state, package, cpu, temps)
        case Or(left, right):
            return evaluate(left, state, package, cpu, temps) or evaluate(right, state, package, cpu, temps)
        case Any(group, body):
            return any(evaluate(body, state, p, c, temps) for p, c in members(group, state, package, cpu))
        case Late(make):
            return evaluate(make(), state, package, cpu, temps)
    raise BadModel(f"{expr!r} is not an expression")


def members(group: Group, state: State, package: int, cpu: int) -> Iterator[tuple[int, int]]:
    """Yield the members of a group, as seen by the acting package and CPU, as (package, CPU); CPU -1 stands for none."""
    acting = {Scope.GLOBAL: 0, Scope.PACKAGE: package, Scope.CPU: cpu}[group.relative_to]
    if acting < 0:
        raise BadModel(f"`{group.value}` is used where no {group.relative_to.value} acts")
    if group in (Group.PACKAGES, Group.OTHER_PACKAGES):
        for p in range(len(state.packages)):
            if group is Group.PACKAGES or p != package:
                yield p, -1
        return
    same_package = group in (Group.PACKAGE_CPUS, Group.OTHER_PACKAGE_CPUS)
    not_self = group in (Group.OTHER_CPUS, Group.OTHER_PACKAGE_CPUS)
    for c, p in enumerate(state.package_of):
        if not (same_package and p != package) and not (not_self and c == cpu):
            yield p, c


def home(field: Field, state: State, package: int, cpu: int) -> Values:
    """Return the dictionary that holds a field."""
    if field.scope is Scope.GLOBAL:
        return state.globals
    if field.scope is Scope.PACKAGE and package >= 0:
        return state.packages[package]
    if field.scope is Scope.CPU and cpu >= 0:
        return state.cpus[cpu]
    raise BadModel(f"field `{field.name}` of a {field.scope.value} is used where no {field.scope.value} acts")


def read(variable: Variable, state: State, package: int, cpu: int, temps: Temps) -> Value:
    """Return the value of a field or a temporary."""
    if isinstance(variable, Field):
        return home(variable, state, package, cpu)[variable.name]
    if isinstance(variable, Temp) and variable in temps:
        return temps[variable]
    raise BadModel(f"`{variable.name}` is read, but was not set in this step")


def transitions(model: Model, state: State) -> list[Transition]:
    """List all transitions of a state in canonical order; a state with a fatal outcome has none."""
    if is_over(model, state):
        return []
    found: list[Transition] = []
    for actor, code in enumerate(model.codes):
        for at, label in code.labels:
            if label.passive:
                continue
            for package, cpu in _instances(label.scope, state):
                if read(model.fields[label.pc], state, package, cpu, {}) == label.name:
                    step = _Step(model, code, label, package, cpu)
                    for choices, target, notes in step.run(at + 1, state.copy(), {}, (), ()):
                        normalise(model, target)
                        events = (*label.events, *(event for note in notes for event in note.events))
                        words = tuple(note.text for note in notes)
                        found.append(Transition(actor, package, cpu, choices, label, words, events, target))
    return sorted(found, key=lambda t: t.order)


def normalise(model: Model, state: State) -> None:
    """Bring a state into normal form: give forgotten fields their initial values (`Model.forget`)."""
    for forgotten in model.forgotten:
        if evaluate(forgotten.when, state, -1, -1, {}):
            for values in (state.globals, *state.packages, *state.cpus):
                values.update({f.name: f.initial for f in forgotten.fields if f.name in values})


def is_over(model: Model, state: State) -> bool:
    """Return whether a fatal outcome ends the run in this state."""
    return any(o.fatal and evaluate(o.when, state, -1, -1, {}) for o in model.outcomes)


def outcome_of(model: Model, state: State) -> str:
    """Return the first outcome that a terminal state matches.

    Raises:
        BadModel: The state matches no outcome.
    """
    for outcome in model.outcomes:
        if evaluate(outcome.when, state, -1, -1, {}):
            return outcome.name
    raise BadModel(f"a terminal state of model `{model.name}` matches no outcome: {state.globals}")


def _instances(scope: Scope, state: State) -> list[tuple[int, int]]:
    if scope is Scope.GLOBAL:
        return [(-1, -1)]
    if scope is Scope.PACKAGE:
        return [(p, -1) for p in range(len(state.packages))]
    return [(p, c) for c, p in enumerate(state.package_of)]


@dataclass(slots=True)
class _Step:
    """Executes one step: from its label to the next one that control reaches."""

    model: Model
    code: Code
    label: Label
    package: int
    cpu: int

    def run(
        self, at: int, state: State, temps: Temps, choices: tuple[int, ...], notes: tuple[Note, ...]
    ) -> Iterator[tuple[tuple[int, ...], State, tuple[Note, ...]]]:
        while True:
            instruction = self.code.instructions[at]
            at += 1
            match instruction:
                case Label(name=name, pc=pc):
                    counter = self.model.fields[pc]
                    home(counter, state, self.package, self.cpu)[pc] = name
                    yield choices, state, notes
                    return
                case Stop():
                    yield choices, state, notes
                    return
                case Set(target, value):
                    if not isinstance(value, (bool, int, str)):
                        value = read(value, state, self.package, self.cpu, temps)
                    if isinstance(target, Temp):
                        temps[target] = value
                    elif isinstance(target, Field):
                        home(target, state, self.package, self.cpu)[target.name] = value
                case Add(target, delta):
                    values = home(target, state, self.package, self.cpu)
                    values[target.name] += delta  # type: ignore[operator]
                    if values[target.name] not in target.values:
                        raise Trap(f"`{target.name}` becomes {values[target.name]} at `{self.label.name}`", "")
                case SetEach(group, where, assignments):
                    chosen = [
                        (p, c)
                        for p, c in members(group, state, self.package, self.cpu)
                        if evaluate(where, state, p, c, temps)
                    ]
                    for p, c in chosen:
                        for target, new in assignments:
                            home(target, state, p, c)[target.name] = new
                case Branch(condition, otherwise):
                    if not evaluate(condition, state, self.package, self.cpu, temps):
                        at = otherwise
                case Jump(target_position):
                    at = target_position
                case Await(condition):
                    if not evaluate(condition, state, self.package, self.cpu, temps):
                        return
                case Either(targets):
                    for i, position in enumerate(targets):
                        yield from self.run(position, state.copy(), dict(temps), (*choices, i), notes)
                    return
                case Note():
                    notes = (*notes, instruction)
