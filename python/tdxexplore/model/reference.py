"""This module is the reference: it explores an *unlowered* model and computes every figure in the obvious way.

It exists to be obviously right, and is never optimised. Every result of the engine is compared with it on small
models (``tests/test_differential.py``). `execution` gives it the transitions of one state.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel, BadSchedule
from tdxexplore.model.execution import evaluate, is_over, normalise, outcome_of, transitions
from tdxexplore.model.schedule import decode, encode

if TYPE_CHECKING:
    from tdxexplore.model.code import Event
    from tdxexplore.model.execution import Transition
    from tdxexplore.model.model import Model
    from tdxexplore.model.properties import Response
    from tdxexplore.model.topology import State

__all__ = [
    "Answer",
    "Cost",
    "evaluate",
    "explore",
    "is_over",
    "normalise",
    "outcome_of",
    "replay",
    "transitions",
]

Key: TypeAlias = object
Successors: TypeAlias = "dict[Key, list[Key]]"


@dataclass(slots=True)
class Cost:
    """The cost of the runs to one outcome.

    Attributes:
        total: The sum over all runs.
        least: The cost of the cheapest run.
        most: The cost of the dearest run.
    """

    total: int
    least: int
    most: int


@dataclass(slots=True)
class Answer:
    """The figures that the engine must reproduce.

    Attributes:
        states: The number of distinct states.
        transitions: The number of transitions.
        terminal_states: For each outcome, the number of states in which a run ends: terminal states, and diverging ones if
            the model has an outcome for them.
        outcome_depths: For each outcome, the least depth of a state in which a run ends with it.
        diverging: The keys of the states from which no terminal state can be reached.
        cyclic: Whether some state can be reached again from itself.
        interleavings: For each outcome, the number of maximal runs, each up to the first state in which it ends; None if a
            run can go through a cycle before it ends.
        probability: For each outcome, its probability if each transition of a state is equally likely; None if
            ``interleavings`` is None.
        violating_states: For each invariant, the number of states that violate it.
        expected_states: For each expectation, the number of states that satisfy it.
        lost_states: For each response, the number of states in which it is lost: it is due, its goal is out of reach, and a
            fair run can avoid every fatal outcome.
        lost_depths: For each response, the least depth of a state in which it is lost, or None if there is none.
        prices: For each outcome and price, the cost of the runs; None if ``interleavings`` is None.
        labels: For each actor and label, the number of transitions that take this step.
        depth: The largest distance of a state from the initial state.
        graph: Each state by its key, with the keys of its successors.
    """

    states: int = 0
    transitions: int = 0
    terminal_states: Counter[str] = field(default_factory=Counter)
    outcome_depths: dict[str, int] = field(default_factory=dict)
    diverging: frozenset[Key] = frozenset()
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
    graph: dict[Key, tuple[State, list[Key]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Graph:
    """The reachable states by their keys, in the order of a breadth-first search.

    Attributes:
        root: The initial state.
        states: Each state.
        depths: Its distance from the initial state.
        successors: The targets of its transitions, in canonical order.
        events: The events of each of these transitions.
    """

    root: Key
    states: dict[Key, State] = field(default_factory=dict)
    depths: dict[Key, int] = field(default_factory=dict)
    successors: Successors = field(default_factory=dict)
    events: dict[Key, list[tuple[Event, ...]]] = field(default_factory=dict)


def explore(model: Model, initial: State) -> Answer:
    """Find all states breadth-first, then count runs and add up probabilities and costs over the graph.

    Raises:
        BadModel: The initial state is not in normal form (`Model.forget`), or a terminal state has no outcome.
    """
    normal = initial.copy()
    normalise(model, normal)
    if normal.key() != initial.key():
        raise BadModel(f"the initial state of model `{model.name}` is not in normal form: it holds what is forgotten")
    answer = Answer()
    graph = _search(model, initial, answer)
    outcomes = {key: outcome_of(model, graph.states[key]) for key, targets in graph.successors.items() if not targets}
    _find_lost(model, graph, answer)
    answer.diverging = frozenset(graph.states.keys() - _leading_to(set(outcomes), graph.successors))
    answer.cyclic = _topological(graph.successors, graph.root) is None
    for outcome in model.outcomes:
        if outcome.diverges:
            # The figures below count a run up to its first diverging state, where it ends as in a terminal state.
            outcomes |= dict.fromkeys(answer.diverging, outcome.name)
            graph.successors = _up_to(answer.diverging, graph.successors, graph.root)
            graph.events |= {key: [] for key in answer.diverging}
    answer.terminal_states.update(outcomes.values())
    for key, name in outcomes.items():
        answer.outcome_depths[name] = min(graph.depths[key], answer.outcome_depths.get(name, graph.depths[key]))
    order = _topological(graph.successors, graph.root)
    if order is not None:
        _measure(answer, graph.successors, outcomes, order)
        answer.prices = _prices(model, graph, outcomes, order)
    return answer


def _search(model: Model, initial: State, answer: Answer) -> _Graph:
    """Find all states, level by level, and count what the answer says of single states and transitions."""
    graph = _Graph(initial.key())
    level: dict[Key, State] = {graph.root: initial}
    while level:
        following: dict[Key, State] = {}
        for key, state in level.items():
            steps = transitions(model, state)
            graph.states[key], graph.depths[key] = state, answer.depth
            graph.successors[key], graph.events[key] = [t.target.key() for t in steps], [t.events for t in steps]
            answer.labels.update((model.codes[t.actor].actor, t.label.name) for t in steps)
            answer.violating_states.update(p.name for p in model.invariants if not evaluate(p.when, state, -1, -1, {}))
            answer.expected_states.update(p.name for p in model.expectations if evaluate(p.when, state, -1, -1, {}))
            for step in steps:
                if step.target.key() not in graph.successors and step.target.key() not in level:
                    following[step.target.key()] = step.target
        answer.depth += bool(following)
        level = following
    answer.graph = {key: (state, graph.successors[key]) for key, state in graph.states.items()}
    answer.states = len(graph.states)
    answer.transitions = sum(map(len, graph.successors.values()))
    return graph


def _find_lost(model: Model, graph: _Graph, answer: Answer) -> None:
    """Find the states in which a response is lost although a fair run can avoid every fatal outcome."""
    fatal = {key for key, state in graph.states.items() if is_over(model, state)}
    avoids_fatal = _leading_to(graph.states.keys() - _leading_to(fatal, graph.successors), graph.successors)
    for response in model.responses:
        lost = _out_of_reach(response, graph) & avoids_fatal
        answer.lost_states[response.name] = len(lost)
        answer.lost_depths[response.name] = min((graph.depths[key] for key in lost), default=None)


def _prices(model: Model, graph: _Graph, outcomes: dict[Key, str], order: list[Key]) -> dict[str, dict[str, Cost]]:
    """Compute the costs of the runs to each outcome, by price."""
    found: dict[str, dict[str, Cost]] = {}
    for price in model.prices:
        steps = {
            key: [evaluate(price.during, state, -1, -1, {}) + price.of(events) for events in graph.events[key]]
            for key, state in graph.states.items()
        }
        for outcome, cost in _costs(graph.successors, outcomes, order, steps).items():
            found.setdefault(outcome, {})[price.name] = cost
    return found


def _out_of_reach(response: Response, graph: _Graph) -> set[Key]:
    """Find the states in which the response is due and from which no path leads to its goal."""
    goals = {key for key, state in graph.states.items() if evaluate(response.reach, state, -1, -1, {})}
    due = {key for key, state in graph.states.items() if evaluate(response.when, state, -1, -1, {})}
    return due - _leading_to(goals, graph.successors)


def _leading_to(marked: set[Key], successors: Successors) -> set[Key]:
    """Find the marked states and all from which a path leads to one."""
    found = set(marked)
    while more := {k for k, targets in successors.items() if k not in found and not found.isdisjoint(targets)}:
        found |= more
    return found


def _up_to(ends: frozenset[Key], successors: Successors, root: Key) -> Successors:
    """Cut the graph so that each run ends in the first state of ``ends`` that it reaches."""
    inside = {key: targets for key, targets in successors.items() if key not in ends}
    reached = {root, *(target for targets in inside.values() for target in targets)}
    return inside | {key: [] for key in reached & ends}


def _costs(
    successors: Successors,
    outcomes: dict[Key, str],
    order: list[Key],
    steps: dict[Key, list[int]],
) -> dict[str, Cost]:
    """Add up the costs of the runs to each outcome. ``runs`` counts, for each state and cost, the runs that arrive so."""
    runs: dict[Key, Counter[int]] = {key: Counter() for key in order}
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


def _topological(successors: Successors, root: Key) -> list[Key] | None:
    """List every state before its successors; None if the graph has a cycle."""
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


def _measure(answer: Answer, successors: Successors, outcomes: dict[Key, str], order: list[Key]) -> None:
    """Count the runs, and add up the probability, that arrive at each state, and hand both on to its successors."""
    runs: Counter[Key] = Counter({order[0]: 1})
    probability: dict[Key, Fraction] = dict.fromkeys(order, Fraction(0))
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
