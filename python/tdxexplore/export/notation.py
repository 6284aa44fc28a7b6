"""What the three languages share: names, conditions, comments. A language says how its operators look.

Variables carry the names of the fields, so that a counterexample of the other checker reads like a trace of this one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from textwrap import TextWrapper
from typing import TYPE_CHECKING, ClassVar

from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.export.steps import Condition, Form, Member, Step, Test, Way
    from tdxexplore.model.expr import Value
    from tdxexplore.model.program import Slot

_WIDTH = 110
_LONGEST_NAME = 60
_NUMBERED = re.compile(r"(when|can|step|hit|cpu|package)(_\d+)+")


class Names:
    """Distinct identifiers of letters, digits and underscores; they differ in more than case.

    Args:
        reserved: Words of the language, and names that the text uses itself.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        self._reserved = frozenset(word.lower() for word in reserved)
        self._taken = set(self._reserved)

    def new(self, text: str) -> str:
        """A name that reads like ``text``."""
        name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:_LONGEST_NAME].strip("_") or "field"
        if not name[0].isalpha():
            name = f"v_{name}"
        if name.lower() in self._reserved or _NUMBERED.fullmatch(name.lower()):
            name += "_"
        found, number = name, 1
        while found.lower() in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found.lower())
        return found


def is_flag(slot: Slot) -> bool:
    """Whether its values are false and true; a counter up to 1 is none, though Python calls the values equal."""
    return slot.values[0] is False


@dataclass(frozen=True, slots=True)
class Acting:
    """Whose fields a condition means: the texts of an acting CPU and package, empty for none."""

    cpu: str = ""
    package: str = ""


NOBODY = Acting()


class Notation(ABC):
    """Writes a form in a language.

    Args:
        form: What is written.
    """

    comment: ClassVar[str]
    and_: ClassVar[str]
    or_: ClassVar[str]
    not_: ClassVar[str]
    equal: ClassVar[str]
    unequal: ClassVar[str]
    false: ClassVar[str]
    true: ClassVar[str]
    reserved: ClassVar[str]

    def __init__(self, form: Form) -> None:
        self.form = form
        self.names = Names(self.reserved.split())
        slots = [s for scope in Scope for s in form.slots(scope)]
        self.fields = {s.name: self.names.new(s.name) for s in slots}
        self.constants: dict[tuple[str, Value], str] = {
            (s.name, v): self.constant(s, v) for s in slots for v in s.values if isinstance(v, str)
        }
        self.acting = {Scope.GLOBAL: NOBODY, Scope.PACKAGE: Acting("", "p"), Scope.CPU: Acting("c", self.home("c"))}

    # -- what a language decides --------------------------------------------------------------------------------------

    @abstractmethod
    def text(self) -> str:
        """The whole text."""

    @abstractmethod
    def running(self) -> list[str]:
        """How to run it, and what the checker should then print: lines of the header."""

    @abstractmethod
    def variable(self, slot: Slot, who: str) -> str:
        """A field of the global state, of a package or of a CPU."""

    @abstractmethod
    def value(self, slot: Slot, value: Value) -> str:
        """A constant."""

    @abstractmethod
    def exists(self, scope: Scope, who: str, conditions: Sequence[str]) -> str:
        """Some CPU or package ``who`` meets all conditions."""

    def constant(self, slot: Slot, value: str) -> str:
        """What stands for a named value."""
        return self.names.new(f"{slot.name}_is_{value}")

    def home(self, cpu: str) -> str:
        """The package of a CPU."""
        return f"package_of({cpu})" if self.form.packages > 1 else "0"

    # -- conditions ---------------------------------------------------------------------------------------------------

    def all(self, parts: Sequence[str]) -> str:
        """A conjunction; its parts bind tighter."""
        return f" {self.and_} ".join(parts) or self.true

    def any(self, parts: Sequence[str]) -> str:
        """A disjunction in parentheses; its parts bind tighter."""
        return f"({f' {self.or_} '.join(parts)})" if parts else self.false

    def test(self, test: Test, acting: Acting) -> str:
        """A field of whoever acts has one of some values."""
        slot = test.slot
        variable = self.variable(slot, {Scope.CPU: acting.cpu, Scope.PACKAGE: acting.package}.get(slot.scope, ""))
        if not test.values:
            return self.false
        if is_flag(slot):
            return variable if test.values[0] else f"{self.not_}{variable}"
        others = [v for v in slot.values if v not in test.values]
        if len(test.values) <= len(others):
            return self.among(variable, [self.value(slot, v) for v in test.values])
        return self.all([f"{variable} {self.unequal} {self.value(slot, v)}" for v in others])

    def among(self, variable: str, values: Sequence[str]) -> str:
        """A variable has one of some values."""
        tests = [f"{variable} {self.equal} {value}" for value in values]
        return tests[0] if len(tests) == 1 else self.any(tests)

    def tests(self, tests: Iterable[Test], acting: Acting) -> list[str]:
        """A conjunction of tests, as parts."""
        return [self.test(t, acting) for t in tests]

    def condition(self, condition: Condition, acting: Acting) -> list[str]:
        """A conjunction, as parts: own fields first, as they are cheap."""
        parts = self.tests(condition.own, acting)
        for member, some in condition.quantified:
            found = self.some(member, acting)
            parts.append(found if some else f"{self.not_}{found}")
        return parts

    def holds(self, conditions: Sequence[Condition]) -> list[str]:
        """Any of these conditions, of nobody in particular: a disjunction, as parts in parentheses."""
        return [f"({self.all(self.condition(c, NOBODY))})" for c in conditions] or [self.false]

    def some(self, member: Member, acting: Acting) -> str:
        """Some member of a group, but for whoever acts, is like that."""
        if member.over == "packages":
            return self.exists(Scope.PACKAGE, "q", [*self.outside(member, acting, "q"), *self.like(member, "q")])
        return self.exists(Scope.CPU, "i", [*self.outside(member, acting, "i"), *self.like(member, "i")])

    def outside(self, member: Member, acting: Acting, who: str) -> list[str]:
        """``who`` belongs to the group and does not act."""
        if member.over == "packages":
            return [f"{who} {self.unequal} {acting.package}"] if acting.package else []
        parts = [f"{who} {self.unequal} {acting.cpu}"] if acting.cpu else []
        if member.over == "package-cpus" and self.form.packages > 1:
            parts.append(f"{self.home(who)} {self.equal} {acting.package}")
        return parts

    def like(self, member: Member, who: str) -> list[str]:
        """``who`` is like the member, as parts."""
        if member.over == "packages":
            parts = self.tests(member.package, Acting("", who))
            for some, tests in member.nested:
                inside = [f"{self.home('j')} {self.equal} {who}"] if self.form.packages > 1 else []
                found = self.exists(Scope.CPU, "j", [*inside, *self.tests(tests, Acting("j"))])
                parts.append(found if some else f"{self.not_}{found}")
            return parts
        return self.tests((*member.cpu, *member.package), Acting(who, self.home(who)))

    # -- comments -----------------------------------------------------------------------------------------------------

    def comments(self, lines: Iterable[str], indent: str = "") -> list[str]:
        """Comment lines, wrapped."""
        width = _WIDTH - len(indent)
        layout = TextWrapper(width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        wrapped = [part for line in lines for part in layout.wrap(line) or [""]]
        return [f"{indent}{self.comment} {line}".rstrip() for line in wrapped]

    def header(self) -> list[str]:
        """What this is, how to run it, what to expect."""
        form = self.form
        lines = [form.title, f"Every interleaving; written by tdxexplore from the Program {form.program.digest}."]
        lines += ["", *self.running()]
        if form.expected is not None:
            terminal = ", ".join(f"{count:,} {name}" for name, count in form.expected.terminal.items())
            lines += ["", f"Terminal states by outcome: {terminal or 'none'}."]
        return self.comments(lines)

    def way(self, way: Way) -> str:
        """A rule in a line: its number and what happens."""
        return f"rule {way.number}{': ' if way.notes else ''}{'; '.join(way.notes)}"

    def begins(self, step: Step) -> list[str]:
        """The comment above a step."""
        return ["", *self.comments([step.title])]

    def legend(self, slot: Slot) -> str:
        """A trailing comment with the field's name, where the variable's differs."""
        return "" if self.fields[slot.name] == slot.name else f"  {self.comment} {slot.name}"
