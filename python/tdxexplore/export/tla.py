"""This module writes TLA+ for TLC: an action for each step, and in it a disjunct for each way through the step.

A field becomes a variable, whose value is that of the field or a function of the CPU or package. TLC counts a generated
state for each CPU and each disjunct that is enabled for it, which is one for each transition here. Effects read the state
before the step, so bulk changes need no order.

CPUs and packages are model values, as TLC's symmetry reduction needs. `Symmetry` has the permutations that exchange
neighbours, from which TLC makes the whole group: CPUs of a package, and packages of one size with all their CPUs. TLC tries
every member of the group on every state, so its cost is a factorial. Source: Specifying Systems (Lamport), chapters 14
and 18.
"""

from __future__ import annotations

import re
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.export.notation import NOBODY, Acting, Notation, is_flag
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.export.steps import Change, Each, Form, Step, Way
    from tdxexplore.model.expr import Value
    from tdxexplore.model.program import Slot

_SETS = {Scope.PACKAGE: "Packages", Scope.CPU: "Cpus"}
_WIDTH = 110

_CONFIGURATION = """\\* For TLC. Terminal states are no errors here: run it with -deadlock, which switches that check off.
CONSTANTS {constants}
INIT Init
NEXT Next
"""
_SYMMETRY = "SYMMETRY Symmetry"


def tla(form: Form, module: str = "") -> str:
    """Write a module for TLC, which needs `CONFIGURATION` beside it.

    Args:
        form: The form to write.
        module: The name of the module and so of its file; default: a name made from the model's.

    Raises:
        BadModel: The name cannot be that of a module.
    """
    name = module or re.sub(r"[^A-Za-z0-9]+", "_", form.program.name).strip("_")
    if not re.fullmatch(r"[A-Za-z0-9_]*[A-Za-z][A-Za-z0-9_]*", name):
        raise BadModel(f"`{name}` cannot be the name of a TLA+ module; use letters, digits and underscores")
    return _Tla(form, name).text()


def configuration(cpus: int, packages: int, *, symmetry: bool) -> str:
    """The text of the configuration that goes with a module.

    Args:
        cpus: CPUs in all.
        packages: Packages in all.
        symmetry: Whether TLC stores one state of those that differ only in the names of CPUs and packages. It does not
            take the `Symmetry` of a single CPU.
    """
    constants = " ".join(f"{name} = {name}" for names in _members(cpus, packages).values() for name in names)
    line = (
        _SYMMETRY
        if symmetry and cpus > 1
        else rf"\* {_SYMMETRY}  \* Stores fewer states, and renames each in every way: not for many CPUs."
    )
    return f"{_CONFIGURATION.format(constants=constants)}{line}\n"


class _Tla(Notation):
    comment = r"\*"
    and_, or_, not_, equal, unequal = "/\\", "\\/", "~", "=", "#"
    false, true = "FALSE", "TRUE"
    fatal, judged = "Fatal", "Outcomes of terminal states; violated invariants."
    reserved = """
        ASSUME ASSUMPTION AXIOM BOOLEAN BY CASE CHOOSE CONSTANT CONSTANTS COROLLARY DEF DEFINE DEFS DOMAIN ELSE ENABLED
        EXCEPT EXTENDS FALSE HAVE HIDE IF IN INSTANCE LAMBDA LEMMA LET LOCAL MODULE NEW OBVIOUS OMITTED OTHER PICK
        PROOF PROPOSITION PROVE QED RECURSIVE SF_ STATE STRING SUBSET SUFFICES TAKE TEMPORAL THEN THEOREM TRUE
        UNCHANGED UNION USE VARIABLE VARIABLES WF_ WITH WITNESS
        Nat Assert Print PrintT Permutations SortSeq ToString JavaTime TLCGet TLCSet RandomElement Any TLCEval
        c i p q j Cpus Packages package_of Fatal Init Next vars Terminal
    """

    def __init__(self, form: Form, module: str) -> None:
        self._strings: set[tuple[str, str]] = set()
        super().__init__(form)
        self._slots = [s for scope in Scope for s in form.slots(scope)]
        self._negative = any(isinstance(v, int) and v < 0 for s in self._slots for v in s.values)
        self._module = module
        self._members = _members(form.cpus, form.packages)

    def running(self) -> list[str]:
        lines = [
            f"Run:  java -XX:+UseParallelGC -cp tla2tools.jar tlc2.TLC -workers auto -deadlock {self._module}.tla",
            f"{self._module}.cfg has INIT Init, NEXT Next, each constant as a model value and, if wanted, SYMMETRY Symmetry.",
        ]
        if (expected := self.form.expected) is not None:
            lines += [
                (
                    f"TLC should print {expected.transitions + 1} states generated (the initial one among them), "
                    f"{expected.states} distinct states found and depth {expected.depth + 1}; "
                    f"with SYMMETRY {expected.orbits} distinct states found."
                ),
            ]
        return lines

    def home(self, cpu: str) -> str:
        return f"package_of[{cpu}]" if self.form.packages > 1 else "package_0"

    def variable(self, slot: Slot, who: str) -> str:
        name = self.fields[slot.name]
        return name if slot.scope is Scope.GLOBAL else f"{name}[{who}]"

    def value(self, slot: Slot, value: Value) -> str:
        if is_flag(slot):
            return self.true if value else self.false
        return self.constants.get((slot.name, value)) or str(value)

    def constant(self, slot: Slot, value: str) -> str:
        text = _string(value)
        while (slot.name, text) in self._strings:
            text = f'{text[:-1]}_"'
        self._strings.add((slot.name, text))
        return text

    def among(self, variable: str, values: Sequence[str]) -> str:
        return f"{variable} = {values[0]}" if len(values) == 1 else rf"{variable} \in {{{', '.join(values)}}}"

    def exists(self, scope: Scope, who: str, conditions: Sequence[str]) -> str:
        return rf"(\E {who} \in {_SETS[scope]} : {self.all(conditions)})"

    # -- the text -----------------------------------------------------------------------------------------------------

    def text(self) -> str:
        slots = self._slots
        names = [self.fields[s.name] for s in slots]
        homes = self.form.start.package_of
        dashes = "-" * 20
        lines = [
            f"{dashes} MODULE {self._module} {dashes}",
            *self.header(),
            f"EXTENDS {'Integers' if self._negative else 'Naturals'}, TLC",
            "",
            f"CONSTANTS {', '.join(name for names in self._members.values() for name in names)}",
            "",
            *(f"{_SETS[scope]} == {{{', '.join(names)}}}" for scope, names in self._members.items()),
            f"package_of == {self._function('c', Scope.CPU, [self._members[Scope.PACKAGE][p] for p in homes])}",
            "Symmetry == {",
            *(f"  {exchange}" for exchange in self._exchanges()),
            "}",
            "",
            "VARIABLES",
            *(line for slot in slots for line in self._declaration(slot, last=slot is slots[-1])),
            "",
            *_listed("vars == <<", names),
            "",
            "Init ==",
            *(f"  /\\ {self.fields[s.name]} = {self._start(s)}" for s in slots),
            *self.properties(),
            *(line for step in self.form.steps for line in self._step(step)),
            "",
            "Next ==",
            *([f"  /\\ ~{self.fatal}"] if self.form.fatal else []),
            *self._next(),
            "",
            *self.comments(["A terminal state has the first outcome that holds."]),
            "Terminal == ~ENABLED Next",
            "=" * (len(dashes) * 2 + len(self._module) + 9),
        ]
        return "\n".join(lines) + "\n"

    def _declaration(self, slot: Slot, *, last: bool) -> list[str]:
        name = self.fields[slot.name]
        legend = [] if is_flag(slot) else self.comments([f"{slot.name}: {' | '.join(map(str, slot.values))}"], "  ")
        return [*legend, f"  {name}{'' if last else ','}{self.legend(slot) if is_flag(slot) else ''}"]

    def _start(self, slot: Slot) -> str:
        starts = [self.value(slot, v) for v in self.form.starts(slot)]
        if slot.scope is Scope.GLOBAL:
            return starts[0]
        return self._function("i", slot.scope, starts)

    def _function(self, index: str, scope: Scope, values: list[str]) -> str:
        """A function by its values: the first one's, but for those that differ."""
        text = values[0]
        for value in dict.fromkeys(values[1:]):
            if value != values[0]:
                where = ", ".join(name for name, v in zip(self._members[scope], values, strict=True) if v == value)
                text = rf"IF {index} \in {{{where}}} THEN {value} ELSE {text}"
        return rf"[{index} \in {_SETS[scope]} |-> {text}]"

    def _exchanges(self) -> list[str]:
        """Permutations that exchange two neighbours of a package, or two neighbouring packages of one size."""
        names, homes = self._members, self.form.start.package_of
        inside = {
            p: [c for c, home in zip(names[Scope.CPU], homes, strict=True) if names[Scope.PACKAGE][home] == p]
            for p in names[Scope.PACKAGE]
        }
        pairs = [[pair] for cpus in inside.values() for pair in pairwise(cpus)]
        for (p, here), (q, there) in pairwise(sorted(inside.items(), key=lambda package: len(package[1]))):
            if len(here) == len(there):
                pairs.append([(p, q), *zip(here, there, strict=True)])
        # TLC refuses a set of one permutation, so the one that changes nothing is there as well.
        texts = ["cpu_0 :> cpu_0", *(" @@ ".join(f"{a} :> {b} @@ {b} :> {a}" for a, b in pair) for pair in pairs)]
        return [f"{text}," for text in texts[:-1]] + texts[-1:]

    def disjunction(self, name: str, parts: Sequence[str]) -> list[str]:
        return [f"{name} ==", *(f"  \\/ {part}" for part in parts)]

    def _step(self, step: Step) -> list[str]:
        acting = self.acting[step.label.scope]
        who = acting.cpu or acting.package
        head = f"Step_{step.ways[0].number}{f'({who})' * bool(who)} =="
        tests = [f"  /\\ {t}" for t in self.tests(step.tests, acting)]
        touched = {c.slot.name for way in step.ways for c in _all_changes(way)}
        same = [f"  {line}" for line in self._unchanged([s for s in self._slots if s.name not in touched])]
        if len(step.ways) == 1:
            return [*self.begins(step), head, *tests, *self._way(step.ways[0], acting, touched, "  "), *same]
        ways = [line for way in step.ways for line in self._way(way, acting, touched, "     \\/ ")]
        return [*self.begins(step), head, *tests, "  /\\", *ways, *same]

    def _way(self, way: Way, acting: Acting, touched: set[str], head: str) -> list[str]:
        conditions = self.tests(way.condition.own, acting)
        for member, some in way.condition.quantified:
            # TLC takes each witness of an `\E` in an action as a way of its own, unless the formula is compared as a value.
            conditions.append(self.quantified(member, acting, some=some) + " = TRUE" * some)
        slots = [s for s in self._slots if s.name in touched]
        effect = [f"Assert(FALSE, {_string(way.trap)})"] if way.trap else self._effect(way, acting, slots)
        changed = {c.slot.name for c in _all_changes(way)}
        parts = [f"/\\ {part}" for part in (*conditions, *effect)]
        lines = [*parts, *self._unchanged([s for s in slots if s.name not in changed])] or ["/\\ TRUE"]
        rest = [f"{' ' * len(head)}{line}" for line in lines[1:]]
        return [*self.comments([self.way(way)], " " * min(len(head), 5)), f"{head}{lines[0]}", *rest]

    def _unchanged(self, slots: list[Slot]) -> list[str]:
        return _listed("/\\ UNCHANGED <<", [self.fields[s.name] for s in slots]) if slots else []

    def _next(self) -> list[str]:
        lines = []
        for number, step in enumerate(self.form.steps):
            who = {Scope.GLOBAL: "", Scope.PACKAGE: "p", Scope.CPU: "c"}[step.label.scope]
            call = f"Step_{step.ways[0].number}"
            if who:
                call = rf"\E {who} \in {_SETS[step.label.scope]} : {call}({who})"
            lines += [f"  {'   ' if number else '/' + chr(92) + ' '}\\/ {call}"]
        return lines

    # -- effects ------------------------------------------------------------------------------------------------------

    def _effect(self, way: Way, acting: Acting, slots: list[Slot]) -> list[str]:
        own = {c.slot.name: c for c in way.changes}
        bulk: dict[str, list[tuple[Each, Change]]] = {}
        for each in way.each:
            for change in each.changes:
                bulk.setdefault(change.slot.name, []).append((each, change))
        lines = []
        for slot in slots:
            name = self.fields[slot.name]
            if slot.name in bulk:
                lines += [f"{name}' = {self._bulk(slot, bulk[slot.name], own.get(slot.name), acting)}"]
            elif slot.name in own:
                lines += [f"{name}' = {self._own(own[slot.name], acting)}"]
        return lines

    def _own(self, change: Change, acting: Acting) -> str:
        slot = change.slot
        new = self.value(slot, change.value)
        if slot.scope is Scope.GLOBAL:
            return self._moved(self.fields[slot.name], change) if change.delta else new
        who = acting.cpu if slot.scope is Scope.CPU else acting.package
        return f"[{self.fields[slot.name]} EXCEPT ![{who}] = {self._moved('@', change) if change.delta else new}]"

    def _moved(self, variable: str, change: Change) -> str:
        return f"{variable} {'+' if change.delta > 0 else '-'} {abs(change.delta)}"

    def _bulk(self, slot: Slot, changes: list[tuple[Each, Change]], own: Change | None, acting: Acting) -> str:
        """Write the new function of a field: the last change of a member counts, and whoever acts is no member."""
        text = ""
        if own is not None:
            who = acting.cpu if slot.scope is Scope.CPU else acting.package
            value = self._moved(self.variable(slot, "i"), own) if own.delta else self.value(slot, own.value)
            text = f"IF i = {who} THEN {value} ELSE "
            acting = Acting("", acting.package) if slot.scope is Scope.CPU else NOBODY
        for each, change in reversed(changes):
            hit = self.all([*self.outside(each.member, acting, "i"), *self.like(each.member, "i")])
            text += f"IF {hit} THEN {self.value(slot, change.value)} ELSE "
        return rf"[i \in {_SETS[slot.scope]} |-> {text}{self.variable(slot, 'i')}]"


def _all_changes(way: Way) -> list[Change]:
    return [*way.changes, *(c for each in way.each for c in each.changes)]


def _members(cpus: int, packages: int) -> dict[Scope, list[str]]:
    """Names of CPUs and packages."""
    return {Scope.CPU: [f"cpu_{c}" for c in range(cpus)], Scope.PACKAGE: [f"package_{p}" for p in range(packages)]}


def _listed(head: str, names: Sequence[str]) -> list[str]:
    return wrap(f"{head}{', '.join(names)}>>", _WIDTH, subsequent_indent="    ")


def _string(text: str) -> str:
    """Write a string literal; characters that TLC's parser does not accept there become quotes."""
    known = re.sub(r"[^A-Za-z0-9~@#$%^&*\-+=(){}\[\]<>|/,.?:;'_! ]", "'", text)
    return f'"{known}"'
