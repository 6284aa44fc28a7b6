"""The reference: a plain interpreter of the *unlowered* model on dictionaries.

It exists to be obviously right, and is never optimised. Every result of the engine is compared with it on small
models (``tests/test_differential.py``). It shares with lowering the recorded instructions and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel, BadSchedule, Trap
from tdxexplore.model.code import Add, Await, Branch, Either, Jump, Label, Note, Set, SetEach, Stop
from tdxexplore.model.expr import (
    RELATIONS,
    And,
    Any,
    Compare,
    Const,
    Expr,
    Field,
    Group,
    In,
    Late,
    Not,
    Or,
    Scope,
    Temp,
    Variable,
)
from tdxexplore.model.schedule import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Code, Event
    from tdxexplore.model.expr import Value
    from tdxexplore.model.model import Model, Response
    from tdxexplore.model.topology import State, Values


@dataclass(slots=True)
class Transition:
    """One step of one actor in one state. The first four fields are its place in the canonical order."""

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
        """Sort key among the transitions of a state; -1 stands for no package, no CPU."""
        return (self.actor, self.package, self.cpu, self.choices)


Temps: TypeAlias = "dict[Temp, Value]"


def evaluate(expr: Expr, state: State, package: int, cpu: int, temps: Temps) -> bool:
    """The truth of ``expr`` for acting ``package`` and ``cpu`` (-1: none)."""
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
    """The (package, CPU) pairs of a group, as seen by the acting package and CPU."""
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
    """The dictionary that holds a field."""
    if field.scope is Scope.GLOBAL:
        return state.globals
    if field.scope is Scope.PACKAGE and package >= 0:
        return state.packages[package]
    if field.scope is Scope.CPU and cpu >= 0:
        return state.cpus[cpu]
    raise BadModel(f"field `{field.name}` of a {field.scope.value} is used where no {field.scope.value} acts")


def read(variable: Variable, state: State, package: int, cpu: int, temps: Temps) -> Value:
    """The value of a field or temporary."""
    if isinstance(variable, Field):
        return home(variable, state, package, cpu)[variable.name]
    if isinstance(variable, Temp) and variable in temps:
        return temps[variable]
    raise BadModel(f"`{variable.name}` is read, but was not set in this step")


def transitions(model: Model, state: State) -> list[Transition]:
    """All transitions of a state in canonical order; none after a fatal outcome."""
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
    """Forget what a model declares as forgotten where a state is (`Model.forget`)."""
    for forgotten in model.forgotten:
        if evaluate(forgotten.when, state, -1, -1, {}):
            for values in (state.globals, *state.packages, *state.cpus):
                values.update({f.name: f.initial for f in forgotten.fields if f.name in values})


def is_over(model: Model, state: State) -> bool:
    """Whether a fatal outcome has ended the run."""
    return any(o.fatal and evaluate(o.when, state, -1, -1, {}) for o in model.outcomes)


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
                    new = read(value, state, self.package, self.cpu, temps) if isinstance(value, Variable) else value
                    if isinstance(target, Temp):
                        temps[target] = new
                    elif isinstance(target, Field):
                        home(target, state, self.package, self.cpu)[target.name] = new
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


@dataclass(slots=True)
class Cost:
    """What runs cost.

    Attributes:
        total: The sum over all of them.
        least, most: Of a single one.
    """

    total: int
    least: int
    most: int


@dataclass(slots=True)
class Answer:
    """What the reference finds: the figures that the engine must reproduce.

    Attributes:
        states: Distinct states.
        transitions: Transitions (generated successors).
        terminal_states: By outcome, the distinct states where a run ends: terminal states, and those that diverge.
        outcome_depths: By outcome, the distance of the nearest of them.
        diverging: The keys of the states from which no terminal state can be reached.
        cyclic: Some state can be reached again from itself.
        interleavings: Maximal runs by outcome, each up to the first state where it ends; None when there is a cycle before.
        probability: By outcome, each transition of a state being equally likely; None as above.
        violating_states: By invariant.
        expected_states: By expectation.
        lost_states: By response, the states in which it is lost: due, with its goal out of reach, and a fair run can avoid every
            fatal outcome.
        lost_depths: By response, the distance of the nearest of them, or None.
        prices: By outcome and price; None as above.
        labels: Times each (actor, label) was taken.
        depth: Distance of the furthest state.
        graph: Each state by its key, and the keys of its successors.
    """

    states: int = 0
    transitions: int = 0
    terminal_states: Counter[str] = field(default_factory=Counter)
    outcome_depths: dict[str, int] = field(default_factory=dict)
    diverging: frozenset[object] = frozenset()
    cyclic: bool = False
    interleavings: Counter[str] | None = None
    probability: dict[str, Fraction] | None = None
    violating_states: Counter[str] = field(default_factory=Counter)
    expected_states: Counter[str] = field(default_factory=Counter)
    lost_states: dict[str, int] = field(default_factory=dict)
    lost_depths: dict[str, int | None] = field(default_factory=dict)
    prices: dict[str, dict[str, Cost]] | None = None
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    depth: int = 0
    graph: dict[object, tuple[State, list[object]]] = field(default_factory=dict)


def outcome_of(model: Model, state: State) -> str:
    """The first outcome that a terminal state matches.

    Raises:
        BadModel: It matches none.
    """
    for outcome in model.outcomes:
        if evaluate(outcome.when, state, -1, -1, {}):
            return outcome.name
    raise BadModel(f"a terminal state of model `{model.name}` matches no outcome: {state.globals}")


def explore(model: Model, initial: State) -> Answer:
    """Breadth-first over all states, then runs and probabilities over the graph.

    Raises:
        BadModel: The initial state is not in normal form (`Model.forget`), or a terminal state has no outcome.
    """
    root, normal = initial.key(), initial.copy()
    normalise(model, normal)
    if normal.key() != root:
        raise BadModel(f"the initial state of model `{model.name}` is not in normal form: it holds what is forgotten")
    answer = Answer()
    successors: dict[object, list[object]] = {}
    outcomes: dict[object, str] = {}
    states: dict[object, State] = {}
    depths: dict[object, int] = {}
    happened: dict[object, list[tuple[Event, ...]]] = {}
    level: dict[object, State] = {root: initial}
    while level:
        following: dict[object, State] = {}
        for key, state in level.items():
            steps = transitions(model, state)
            successors[key] = [t.target.key() for t in steps]
            states[key], depths[key], happened[key] = state, answer.depth, [t.events for t in steps]
            answer.labels.update((model.codes[t.actor].actor, t.label.name) for t in steps)
            if not steps:
                outcomes[key] = outcome_of(model, state)
            answer.violating_states.update(p.name for p in model.invariants if not evaluate(p.when, state, -1, -1, {}))
            answer.expected_states.update(p.name for p in model.expectations if evaluate(p.when, state, -1, -1, {}))
            for step in steps:
                if step.target.key() not in successors and step.target.key() not in level:
                    following[step.target.key()] = step.target
        answer.depth += bool(following)
        level = following
    answer.graph = {key: (state, successors[key]) for key, state in states.items()}
    answer.states = len(successors)
    answer.transitions = sum(map(len, successors.values()))
    fatal = {key for key, state in states.items() if is_over(model, state)}
    avoids_fatal = _leading_to(states.keys() - _leading_to(fatal, successors), successors)
    for response in model.responses:
        lost = _out_of_reach(response, states, successors) & avoids_fatal
        answer.lost_states[response.name] = len(lost)
        answer.lost_depths[response.name] = min((depths[key] for key in lost), default=None)
    answer.diverging = frozenset(states.keys() - _leading_to(set(outcomes), successors))
    answer.cyclic = _topological(successors, root) is None
    for outcome in model.outcomes:
        if outcome.diverges:
            # From here on a run ends where it begins to diverge, as in a terminal state.
            outcomes |= dict.fromkeys(answer.diverging, outcome.name)
            successors = _up_to(answer.diverging, successors, root)
            happened |= {key: [] for key in answer.diverging}
    answer.terminal_states.update(outcomes.values())
    for key, name in outcomes.items():
        answer.outcome_depths[name] = min(depths[key], answer.outcome_depths.get(name, depths[key]))
    order = _topological(successors, root)
    if order is not None:
        _measure(answer, successors, outcomes, order)
        answer.prices = {}
        for price in model.prices:
            costs = {
                key: [evaluate(price.during, state, -1, -1, {}) + price.of(events) for events in happened[key]]
                for key, state in states.items()
            }
            for ended, cost in _costs(successors, outcomes, order, costs).items():
                answer.prices.setdefault(ended, {})[price.name] = cost
    return answer


def _out_of_reach(
    response: Response, states: dict[object, State], successors: dict[object, list[object]]
) -> set[object]:
    """The states in which the response is due and from which no path leads to its goal."""
    goals = {key for key, state in states.items() if evaluate(response.reach, state, -1, -1, {})}
    due = {key for key, state in states.items() if evaluate(response.when, state, -1, -1, {})}
    return due - _leading_to(goals, successors)


def _leading_to(marked: set[object], successors: dict[object, list[object]]) -> set[object]:
    """The states that are marked, or from which a path leads to one that is."""
    found = set(marked)
    while more := {k for k, targets in successors.items() if k not in found and not found.isdisjoint(targets)}:
        found |= more
    return found


def _up_to(ends: frozenset[object], successors: dict[object, list[object]], root: object) -> dict[object, list[object]]:
    """The transitions of all runs up to the first of these states."""
    inside = {key: targets for key, targets in successors.items() if key not in ends}
    reached = {root, *(target for targets in inside.values() for target in targets)}
    return inside | {key: [] for key in reached & ends}


def _costs(
    successors: dict[object, list[object]],
    outcomes: dict[object, str],
    order: list[object],
    steps: dict[object, list[int]],
) -> dict[str, Cost]:
    """What the runs to each outcome cost: every run by its cost, and how many there are of it."""
    runs: dict[object, Counter[int]] = {key: Counter() for key in order}
    runs[order[0]][0] = 1
    ended: dict[str, Counter[int]] = {}
    for key in order:
        for target, step in zip(successors[key], steps[key], strict=True):
            for cost, number in runs[key].items():
                runs[target][cost + step] += number
        if key in outcomes:
            ended.setdefault(outcomes[key], Counter()).update(runs[key])
    return {
        outcome: Cost(sum(cost * number for cost, number in costs.items()), min(costs), max(costs))
        for outcome, costs in ended.items()
    }


def _topological(successors: dict[object, list[object]], root: object) -> list[object] | None:
    """Every state before its successors; None when the graph has a cycle."""
    waiting = Counter(t for targets in successors.values() for t in targets)
    ready, order = [root] if not waiting[root] else [], []
    while ready:
        key = ready.pop()
        order.append(key)
        for target in successors[key]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return order if len(order) == len(successors) else None


def _measure(
    answer: Answer, successors: dict[object, list[object]], outcomes: dict[object, str], order: list[object]
) -> None:
    """Runs and probability arriving at each state, pushed on to its successors."""
    runs: Counter[object] = Counter({order[0]: 1})
    probability: dict[object, Fraction] = dict.fromkeys(order, Fraction(0))
    probability[order[0]] = Fraction(1)
    answer.interleavings = Counter()
    answer.probability = dict.fromkeys(sorted(set(outcomes.values())), Fraction(0))
    for key in order:
        for target in successors[key]:
            runs[target] += runs[key]
            probability[target] += probability[key] / len(successors[key])
        if key in outcomes:
            answer.interleavings[outcomes[key]] += runs[key]
            answer.probability[outcomes[key]] += probability[key]


def replay(model: Model, initial: State, schedule: str) -> list[Transition]:
    """Run a schedule; each token is an index into the transitions of the state in canonical order.

    Raises:
        BadSchedule: A token has no transition.
    """
    state, taken = initial, []
    for position, index in enumerate(decode(schedule)):
        steps = transitions(model, state)
        if index >= len(steps):
            raise BadSchedule(
                f"step {position + 1} of the schedule is {encode([index])}; {len(steps)} are enabled there"
            )
        taken.append(steps[index])
        state = steps[index].target
    return taken
