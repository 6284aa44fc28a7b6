"""The steps of an actor: each label that control can reach, with every way from it to the next label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.model.code import Add, Await, Branch, Either, Jump, Label, Note, Set, SetEach, Stop
from tdxexplore.model.expr import Field, Scope, Value
from tdxexplore.model.lowering.path import Path
from tdxexplore.model.lowering.symbolic import Symbolic
from tdxexplore.model.program import Bulk, Rule, Update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Code
    from tdxexplore.model.model import Model
    from tdxexplore.model.program import Slot

_LONGEST_STEP = 2_000


def rules_of(model: Model, slots: dict[str, Slot], actor: int, code: Code) -> list[Rule]:
    """The rules of every step of an actor that can be taken at all.

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
        step = Symbolic(self._model, self._slots, label.scope, where, idle)
        known: dict[Field, frozenset[Value]] = {
            fields[pc]: frozenset([name]) for pc, name in {label.pc: label.name, **label.implied}.items()
        }
        for path, trap in _run(step, self._code, at + 1, Path(allowed=known)):
            leads_to = [(f.name, str(v)) for f, v in path.assigned.items()]
            leads_to += [(f.name, str(v)) for _, _, values in path.bulk for f, v in values]
            own, bulk = self._effect(step, path)
            for guard in step.matches.guards_of(path):
                yield Rule(self._actor, label, path.choice, path.notes, guard, own, bulk, trap), leads_to

    def _effect(self, step: Symbolic, path: Path) -> tuple[dict[Scope, Update], tuple[Bulk, ...]]:
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
            bulk += [Bulk(atom, mask, value) for atom in step.matches.targets(kind, where)]
        return own, tuple(bulk)


def _run(step: Symbolic, code: Code, at: int, path: Path) -> Iterator[tuple[Path, str | None]]:
    """Every way from an instruction to the end of its step, and what is wrong with it (a trap) or None."""
    waiting = [(at, path, 0)]
    while waiting:
        at, path, length = waiting.pop()
        if length > _LONGEST_STEP:
            raise BadModel(f"{step.where}: it never ends; put a step into its loop")
        instruction = code.instructions[at]
        forks: list[tuple[int, Path]] = []
        match instruction:
            case Label(name=name, pc=pc):
                yield path.assign(step.model.fields[pc], name), None
            case Stop():
                yield path, None
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
                options = [path.choice * len(targets) + i for i in range(len(targets))]
                forks = [(t, path._replace(choice=c)) for t, c in zip(targets, options, strict=True)]
            case Note(text):
                forks = [(at + 1, path._replace(notes=(*path.notes, text)))]
        waiting += [(to, p, length + 1) for to, p in reversed(forks)]
