"""This module lowers the steps of an actor: each label that control can reach, with every way from it to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.code import Add, Await, Branch, Either, Jump, Label, Note, Set, SetEach, Stop
from tdxexplore.model.lowering.normal_form import in_normal_form
from tdxexplore.model.lowering.path import Path
from tdxexplore.model.lowering.symbolic import MOST_WAYS, Symbolic
from tdxexplore.model.lowering.updates import bulk_updates, own_updates
from tdxexplore.model.program import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Code
    from tdxexplore.model.expr import Field, Value
    from tdxexplore.model.model import Model
    from tdxexplore.model.program import Slot

_LONGEST_STEP = 2_000


def rules_of(model: Model, slots: dict[str, Slot], actor: int, code: Code) -> list[Rule]:
    """Make the rules of every step of an actor that control can reach.

    Args:
        model: The model.
        slots: Its layout.
        actor: The actor's index.
        code: Its procedure.
    """
    return _Actor(model, slots, actor, code).rules()


class _Actor:
    """Lowers the procedure of one actor."""

    def __init__(self, model: Model, slots: dict[str, Slot], actor: int, code: Code) -> None:
        self._model = model
        self._slots = slots
        self._actor = actor
        self._code = code

    def rules(self) -> list[Rule]:
        """Make the rules of every step that control can reach."""
        labels = {(label.pc, label.name): (at, label) for at, label in self._code.labels}
        entry = self._code.instructions[0]
        assert isinstance(entry, Label)
        waiting, lowered = [(entry.pc, entry.name)], {}
        while waiting:
            key = waiting.pop()
            if key in lowered or key not in labels:
                continue
            at, label = labels[key]
            lowered[key] = [] if label.passive else self._step(at, label)
            for rule, leads_to in lowered[key]:
                if rule.trap is None:
                    waiting += leads_to
        return [rule for key in labels if key in lowered for rule, _ in lowered[key]]

    def _step(self, at: int, label: Label) -> list[tuple[Rule, list[tuple[str, str]]]]:
        """Make the rules of a step, each with the fields that it assigns and their values: those that are labels come next."""
        where = f"step `{label.name}` of `{self._code.actor}`"
        fields = self._model.fields
        idle = [fields[pc] for pc in self._code.counters if pc != label.pc and pc not in label.implied]
        step = Symbolic(self._model, self._slots, label.scope, where, idle)
        known: dict[Field, frozenset[Value]] = {
            fields[pc]: frozenset([name]) for pc, name in {label.pc: label.name, **label.implied}.items()
        }
        ways = []
        rules = 0
        for path, trap in _run(step, self._code, at + 1, Path(allowed=known)):
            guards = step.matches.guards_of(path)
            ways.append((path, trap, guards))
            rules += len(guards)
            if rules > MOST_WAYS:
                raise step.too_many(f"{MOST_WAYS} rules")
        # The number of a choice is its place among all choices of the step, so that no two have the same.
        numbers = {choices: number for number, choices in enumerate(sorted({path.choices for path, _, _ in ways}))}
        found = []
        for path, trap, guards in ways:
            leads_to = [(f.name, str(v)) for f, v in path.assigned.items()]
            leads_to += [(f.name, str(v)) for bulk in path.bulk for f, v in bulk.values]
            own, others = own_updates(path, self._slots), bulk_updates(path, self._slots, step.matches)
            number, events = numbers[path.choices], (*label.events, *path.events)
            found += [
                (Rule(self._actor, label, number, path.notes, guard, own, others, trap, events), leads_to)
                for guard in guards
            ]
        return found


def _run(step: Symbolic, code: Code, at: int, path: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every path from an instruction to the end of its step, with the text of its trap, or None."""
    waiting = [(at, path, 0)]
    while waiting:
        at, path, length = waiting.pop()
        if length > _LONGEST_STEP:
            raise BadModel(f"{step.where}: it never ends; put a step into its loop")
        instruction = code.instructions[at]
        forks: list[tuple[int, Path]] = []
        match instruction:
            case Label(name=name, pc=pc):
                for p in in_normal_form(step, path.assign(step.model.fields[pc], name)):
                    yield p, None
            case Stop():
                for p in in_normal_form(step, path):
                    yield p, None
            case Set(target, value):
                forks = [(at + 1, p) for p in step.assign(target, value, path)]
            case Add(target, delta):
                for p, trap in step.add(target, delta, path):
                    if trap is None:
                        forks.append((at + 1, p))
                    else:
                        yield p, trap
            case SetEach(group, where, assignments):
                forks = [(at + 1, p) for p in step.assign_each(group, where, assignments, path)]
            case Branch(condition, otherwise):
                forks = [(at + 1 if value else otherwise, p) for value, p in step.decide(condition, path)]
            case Jump(target_position):
                forks = [(target_position, path)]
            case Await(condition):
                forks = [(at + 1, p) for value, p in step.decide(condition, path) if value]
            case Either(targets):
                forks = [(t, path._replace(choices=(*path.choices, i))) for i, t in enumerate(targets)]
            case Note(text, events):
                said = path._replace(notes=(*path.notes, text), events=(*path.events, *events))
                forks = [(at + 1, said)]
        waiting += [(to, p, length + 1) for to, p in reversed(forks)]
