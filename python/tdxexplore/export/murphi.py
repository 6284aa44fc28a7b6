"""This module writes Murphi for Rumur: a rule for each step, in a ruleset over the CPUs or packages that may take it.

Ways through a step that exclude each other are branches of one rule, because Rumur evaluates every rule for every CPU in
every state. Each alternative of a free choice has a rule of its own, so that it counts as a transition.
Symmetry is not used (ranges, not scalarsets), so that Rumur's counts are those of the concrete space. Deadlock detection
is off, because a model asks about its terminal states. Source: the Murphi and Rumur manuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.export.notation import Acting, Notation, is_flag
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.export.steps import Change, Each, Form, Step, Way
    from tdxexplore.model.expr import Value
    from tdxexplore.model.program import Slot

_ARRAYS = {Scope.PACKAGE: ("package_id", "package"), Scope.CPU: ("cpu_id", "cpu")}


def murphi(form: Form) -> str:
    """Write a model for Rumur."""
    return _Murphi(form).text()


class _Murphi(Notation):
    comment = "--"
    and_, or_, not_, equal, unequal = "&", "|", "!", "=", "!="
    false, true = "false", "true"
    reserved = """
        alias array assert assume begin bool boolean by case clear const cover do else elsif end endalias endexists
        endfor endforall endfunction endif endprocedure endrecord endrule endruleset endstartstate endswitch endwhile
        enum error exists false for forall from function if in interface invariant isundefined ismember liveness map
        multiset multisetadd multisetcount multisetremove multisetremovepred none of ohead procedure process program
        property put real record return rule ruleset scalarset startstate string switch then to traceuntil true type
        undefine union union var while
        c i p q j cpu package cpu_id package_id package_of fatal
    """

    def running(self) -> list[str]:
        lines = [
            "Run:  rumur --symmetry-reduction off --deadlock-detection off --output FILE.c FILE.m",
            "      && cc -std=c11 -O3 -mcx16 -o FILE FILE.c -lpthread && ./FILE",
        ]
        if (expected := self.form.expected) is not None:
            lines += [f"Rumur should print {expected.states} states, {expected.transitions} rules fired."]
        return lines

    def variable(self, slot: Slot, who: str) -> str:
        name = self.fields[slot.name]
        return name if slot.scope is Scope.GLOBAL else f"{_ARRAYS[slot.scope][1]}[{who}].{name}"

    def value(self, slot: Slot, value: Value) -> str:
        return self.constants.get((slot.name, value)) or str(value).lower()

    def exists(self, scope: Scope, who: str, conditions: Sequence[str]) -> str:
        return f"(exists {who}: {_ARRAYS[scope][0]} do {self.all(conditions)} endexists)"

    # -- the text -----------------------------------------------------------------------------------------------------

    def text(self) -> str:
        form = self.form
        lines = [
            *self.header(),
            "",
            "type",
            f"  cpu_id: 0 .. {form.cpus - 1};",
            f"  package_id: 0 .. {form.packages - 1};",
            *self._variables(),
            *self._homes(),
            *self.properties(),
            *(line for step in form.steps for line in self._step(step)),
            *self._start(),
        ]
        return "\n".join(lines) + "\n"

    def _variables(self) -> list[str]:
        lines = ["", "var"]
        lines += [f"  {self._declaration(s)}" for s in self.form.slots(Scope.GLOBAL)]
        for scope, (index, name) in _ARRAYS.items():
            if slots := self.form.slots(scope):
                lines += [f"  {name}: array [{index}] of record"]
                lines += [*(f"    {self._declaration(s)}" for s in slots), "  end;"]
        return lines

    def _declaration(self, slot: Slot) -> str:
        if is_flag(slot):
            kind = "boolean"
        elif isinstance(slot.values[0], str):
            kind = f"enum {{ {', '.join(self.constants[slot.name, v] for v in slot.values)} }}"
        else:
            kind = f"{slot.values[0]} .. {slot.values[-1]}"
        return f"{self.fields[slot.name]}: {kind};{self.legend(slot)}"

    def _homes(self) -> list[str]:
        """Define the function that gives the package of a CPU; one package needs none."""
        homes = self.form.start.package_of
        if self.form.packages == 1:
            return []
        text = str(homes[-1])
        for cpu in reversed(range(1, self.form.cpus)):
            if homes[cpu] != homes[cpu - 1]:
                text = f"(c < {cpu} ? {homes[cpu - 1]} : {text})"
        return ["", f"function package_of(c: cpu_id): package_id; begin return {text}; end;"]

    def disjunction(self, name: str, parts: Sequence[str]) -> list[str]:
        head = f"function {name}(): boolean; begin return"
        return [head, *(f"  {part} |" for part in parts[:-1]), f"  {parts[-1]};", "end;"]

    def _step(self, step: Step) -> list[str]:
        acting = self.acting[step.label.scope]
        choices = dict.fromkeys(way.choice for way in step.ways)
        rules = [
            line
            for choice in choices
            for line in self._rule(step, [way for way in step.ways if way.choice == choice], acting)
        ]
        who = acting.cpu or acting.package
        if not who:
            return [*self.begins(step), *rules]
        head = f"ruleset {who}: {_ARRAYS[step.label.scope][0]} do"
        return [*self.begins(step), head, *(f"  {line}" for line in rules), "endruleset;"]

    def _rule(self, step: Step, ways: Sequence[Way], acting: Acting) -> list[str]:
        conditions = [self.all(self.condition(way.condition, acting)) for way in ways]
        guard = [*self.tests(step.tests, acting), *([f"!{self.fatal}()"] if self.form.fatal else [])] or [self.true]
        title = f"{step.actor}: {step.label.name} ({ways[0].number})"
        scratch = [
            f"var hit_{way.number}_{n}: array [{self._index(each)}] of boolean;"
            for way in ways
            for n, each in enumerate(way.each)
            if each.early
        ]
        effects = [[*self.comments([self.way(way)]), *self._effect(way, acting)] for way in ways]
        if len(ways) == 1:
            guard += self.condition(ways[0].condition, acting)
            body = effects[0]
        else:
            guard.append(f"({' | '.join(f'({c})' for c in conditions)})")
            body = []
            for number, (condition, effect) in enumerate(zip(conditions, effects, strict=True)):
                body += [f"{'els' if number else ''}if {condition} then", *(f"  {line}" for line in effect)]
            body.append("end;")
        head, *tests = guard
        return [
            f'rule "{_quoted(title)}"',
            f"  {head}",
            *(f"  & {test}" for test in tests),
            "==>",
            *scratch,
            "begin",
            *(f"  {line}" for line in body),
            "end;",
        ]

    def _effect(self, way: Way, acting: Acting) -> list[str]:
        if way.trap:
            return [f'error "{_quoted(way.trap)}";']
        lines = []
        for n, each in enumerate(way.each):
            if each.early:
                hit = self._hit(each, acting)
                lines += [f"for i: {self._index(each)} do hit_{way.number}_{n}[i] := {hit}; end;"]
        for n, each in enumerate(way.each):
            hit = f"hit_{way.number}_{n}[i]" if each.early else self._hit(each, acting)
            changes = " ".join(f"{self.variable(c.slot, 'i')} := {self.value(c.slot, c.value)};" for c in each.changes)
            lines += [f"for i: {self._index(each)} do if {hit} then {changes} end; end;"]
        return [*lines, *(self._own(c, acting) for c in way.changes)]

    def _index(self, each: Each) -> str:
        return _ARRAYS[Scope.PACKAGE if each.member.over == "packages" else Scope.CPU][0]

    def _hit(self, each: Each, acting: Acting) -> str:
        return self.all([*self.outside(each.member, acting, "i"), *self.like(each.member, "i")])

    def _own(self, change: Change, acting: Acting) -> str:
        who = {Scope.CPU: acting.cpu, Scope.PACKAGE: acting.package}.get(change.slot.scope, "")
        target = self.variable(change.slot, who)
        if change.delta:
            return f"{target} := {target} {'+' if change.delta > 0 else '-'} {abs(change.delta)};"
        return f"{target} := {self.value(change.slot, change.value)};"

    def _start(self) -> list[str]:
        lines = ["", 'startstate "start"', "begin"]
        for slot in (s for scope in Scope for s in self.form.slots(scope)):
            starts = self.form.starts(slot)
            if slot.scope is not Scope.GLOBAL and len(set(starts)) == 1:
                target = self.variable(slot, "i")
                body = f"{target} := {self.value(slot, starts[0])};"
                lines += [f"  for i: {_ARRAYS[slot.scope][0]} do {body} end;"]
            else:
                lines += [f"  {self.variable(slot, str(i))} := {self.value(slot, v)};" for i, v in enumerate(starts)]
        return [*lines, "end;"]


def _quoted(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")
