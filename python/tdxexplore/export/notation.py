"""This module holds the parts that the three languages share: names, conditions, properties and comments.

Each language says how its operators look. Variables carry the names of the fields, so that a counterexample of the other
checker reads like a trace of this one.
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
    """Makes distinct identifiers of letters, digits and underscores, which differ in more than case.

    Args:
        reserved: The words of the language, and the names that the text uses itself.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        self._reserved = frozenset(word.lower() for word in reserved)
        self._taken = set(self._reserved)

    def new(self, text: str) -> str:
        """Make a name that reads like ``text``."""
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
    """Return whether the values are false and true. A counter up to 1 is no flag, though its values are equal to Python."""
    return slot.values[0] is False


@dataclass(frozen=True, slots=True)
class Acting:
    """Names whoever acts, whose fields a condition reads.

    Attributes:
        cpu: The text of the acting CPU; empty for none.
        package: The text of the acting package, or of that of the acting CPU; empty for none.
    """

    cpu: str = ""
    package: str = ""


NOBODY = Acting()


class Notation(ABC):
    """Writes a form in a language.

    Args:
        form: The form to write.
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
    fatal: ClassVar[str] = "fatal"
    judged: ClassVar[str] = "Outcomes of terminal states, the first that holds; violated invariants."

    def __init__(self, form: Form) -> None:
        self.form = form
        self.names = Names(self.reserved.split())
        slots = [s for scope in Scope for s in form.slots(scope)]
        self.fields = {s.name: self.names.new(s.name) for s in slots}
        self.constants: dict[tuple[str, Value], str] = {
            (s.name, v): self.constant(s, v) for s in slots for v in s.values if isinstance(v, str)
        }
        self.acting = {Scope.GLOBAL: NOBODY, Scope.PACKAGE: Acting("", "p"), Scope.CPU: Acting("c", self.home("c"))}

    # -- left to each language --------------------------------------------------------------------------------------

    @abstractmethod
    def text(self) -> str:
        """Write the whole text."""

    @abstractmethod
    def running(self) -> list[str]:
        """Write the lines of the header that give the command to run and the counts that the checker should print."""

    @abstractmethod
    def variable(self, slot: Slot, who: str) -> str:
        """Write a field of the global state, or of the package or CPU ``who``."""

    @abstractmethod
    def value(self, slot: Slot, value: Value) -> str:
        """Write a value of a field."""

    @abstractmethod
    def exists(self, scope: Scope, who: str, conditions: Sequence[str]) -> str:
        """Write that some CPU or package, named ``who``, meets all conditions."""

    @abstractmethod
    def disjunction(self, name: str, parts: Sequence[str]) -> list[str]:
        """Define a named condition that holds where one of its parts does."""

    def constant(self, slot: Slot, value: str) -> str:
        """Make the text of a named value."""
        return self.names.new(f"{slot.name}_is_{value}")

    def home(self, cpu: str) -> str:
        """Write the package of a CPU."""
        return f"package_of({cpu})" if self.form.packages > 1 else "0"

    # -- conditions ---------------------------------------------------------------------------------------------------

    def all(self, parts: Sequence[str]) -> str:
        """Join parts that bind tighter to a conjunction."""
        return f" {self.and_} ".join(parts) or self.true

    def any(self, parts: Sequence[str]) -> str:
        """Join parts that bind tighter to a disjunction in parentheses."""
        return f"({f' {self.or_} '.join(parts)})" if parts else self.false

    def test(self, test: Test, acting: Acting) -> str:
        """Write that a field of whoever acts has one of the values of a test."""
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
        """Write that a variable has one of some values."""
        tests = [f"{variable} {self.equal} {value}" for value in values]
        return tests[0] if len(tests) == 1 else self.any(tests)

    def tests(self, tests: Iterable[Test], acting: Acting) -> list[str]:
        """Write tests as the parts of a conjunction."""
        return [self.test(t, acting) for t in tests]

    def condition(self, condition: Condition, acting: Acting) -> list[str]:
        """Write a condition as the parts of a conjunction: own fields first, as they are cheap."""
        others = [self.quantified(member, acting, some=some) for member, some in condition.quantified]
        return [*self.tests(condition.own, acting), *others]

    def quantified(self, member: Member, acting: Acting, *, some: bool) -> str:
        """Write that some member of a group passes the tests of ``member``, or that none does."""
        found = self.some(member, acting)
        return found if some else f"{self.not_}{found}"

    def holds(self, conditions: Sequence[Condition]) -> list[str]:
        """Write conditions on global fields and on any CPUs or packages as the parts of a disjunction, in parentheses."""
        return [f"({self.all(self.condition(c, NOBODY))})" for c in conditions] or [self.false]

    def some(self, member: Member, acting: Acting) -> str:
        """Write that some member of a group, other than whoever acts, passes the tests of ``member``."""
        if member.over == "packages":
            return self.exists(Scope.PACKAGE, "q", [*self.outside(member, acting, "q"), *self.like(member, "q")])
        return self.exists(Scope.CPU, "i", [*self.outside(member, acting, "i"), *self.like(member, "i")])

    def outside(self, member: Member, acting: Acting, who: str) -> list[str]:
        """Write that ``who`` belongs to the group of ``member`` and does not act, as parts of a conjunction."""
        if member.over == "packages":
            return [f"{who} {self.unequal} {acting.package}"] if acting.package else []
        parts = [f"{who} {self.unequal} {acting.cpu}"] if acting.cpu else []
        if member.over == "package-cpus" and self.form.packages > 1:
            parts.append(f"{self.home(who)} {self.equal} {acting.package}")
        return parts

    def like(self, member: Member, who: str) -> list[str]:
        """Write that ``who`` passes the tests of ``member``, as parts of a conjunction."""
        if member.over == "packages":
            parts = self.tests(member.package, Acting("", who))
            for some, tests in member.nested:
                inside = [f"{self.home('j')} {self.equal} {who}"] if self.form.packages > 1 else []
                found = self.exists(Scope.CPU, "j", [*inside, *self.tests(tests, Acting("j"))])
                parts.append(found if some else f"{self.not_}{found}")
            return parts
        return self.tests((*member.cpu, *member.package), Acting(who, self.home(who)))

    def properties(self) -> list[str]:
        """Define outcomes, violated invariants and expectations as named conditions, after one for the fatal outcomes."""
        lines = ["", *self.comments([self.judged])]
        if self.form.fatal:
            lines += self.disjunction(self.fatal, self.holds(self.form.fatal))
        for kind, found, conditions in self.form.properties:
            lines += self.comments([f"{found.severity}: {found.text or found.name}"])
            lines += self.disjunction(self.names.new(f"{kind} {found.name}"), self.holds(conditions))
        return lines

    # -- comments -----------------------------------------------------------------------------------------------------

    def comments(self, lines: Iterable[str], indent: str = "") -> list[str]:
        """Write comment lines, wrapped."""
        width = _WIDTH - len(indent)
        layout = TextWrapper(width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        wrapped = [part for line in lines for part in layout.wrap(line) or [""]]
        return [f"{indent}{self.remark(line)}" for line in wrapped]

    def remark(self, text: str) -> str:
        """Write a comment up to the end of the line; for a preprocessor, a backslash there would go on in the next one."""
        line = f"{self.comment} {text}".rstrip()
        return f"{line} ." if line.endswith("\\") else line

    def header(self) -> list[str]:
        """Write the comment at the top: the model, the command that runs it and the expected counts."""
        form = self.form
        lines = [form.title, f"Every interleaving; written by tdxexplore from the Program {form.program.digest}."]
        lines += ["", *self.running()]
        if form.expected is not None:
            terminal = ", ".join(f"{count:,} {name}" for name, count in form.expected.terminal.items())
            lines += ["", f"Terminal states by outcome: {terminal or 'none'}."]
        return self.comments(lines)

    def way(self, way: Way) -> str:
        """Write a rule in one line: its number and its notes."""
        return f"rule {way.number}{': ' if way.notes else ''}{'; '.join(way.notes)}"

    def begins(self, step: Step) -> list[str]:
        """Write the comment above a step."""
        return ["", *self.comments([step.title])]

    def legend(self, slot: Slot) -> str:
        """Write a trailing comment with the name of the field, if the variable has another."""
        return "" if self.fields[slot.name] == slot.name else f"  {self.remark(slot.name)}"
