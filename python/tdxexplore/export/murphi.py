"""This module writes Murphi for Rumur: a rule for each step, in a ruleset over the CPUs or packages that may take it.

Ways through a step that exclude each other are branches of one rule, because Rumur evaluates every rule for every CPU in
every state. Each alternative of a free choice has a rule of its own, so that it counts as a transition.

CPUs are a scalarset, and so are packages: no rule can tell one from another, which Rumur's symmetry reduction needs.
Where there are several packages, the package of each CPU is a variable that never changes, so that CPUs and packages may be
renamed independently, and the orbits are still those of the topology. Only the start tells members apart, by counting them;
it is one labelled state, of which Rumur takes any renaming, as `tdxexplore check --symmetry all` does. Without its reduction
Rumur finds the concrete space. Deadlock detection is off, because a model asks about its terminal states. Source: the Murphi
and Rumur manuals; Ip and Dill, "Better verification through symmetry" (1996).
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
        c i p q j n m cpu package cpu_id package_id package_of fatal
    """

    def running(self) -> list[str]:
        lines = [
            "Run:  rumur --symmetry-reduction off --deadlock-detection off --output FILE.c FILE.m",
            "      && cc -std=c11 -O3 -mcx16 -o FILE FILE.c -lpthread && ./FILE",
        ]
        if (expected := self.form.expected) is not None:
            lines += [f"Rumur should print {expected.states} states, {expected.transitions} rules fired."]
            lines += [f"With --symmetry-reduction {self._reduction(expected.orbits)} states."]
        return lines

    def _reduction(self, orbits: int) -> str:
        if self.form.packages == 1:
            return f"heuristic --scalarset-schedules off: {orbits}"
        return f"exhaustive: {orbits}; with heuristic, which is faster, {orbits} or more"

    def home(self, cpu: str) -> str:
        return f"package_of[{cpu}]" if self.form.packages > 1 else "0"

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
            # Rumur's heuristic sorts the first type first, and the order of packages does not depend on that of CPUs.
            f"  package_id: {f'scalarset({form.packages})' if form.packages > 1 else '0 .. 0'};",
            f"  cpu_id: scalarset({form.cpus});",
            *self._variables(),
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
        if self.form.packages > 1:
            lines += ["  package_of: array [cpu_id] of package_id;"]
        return lines

    def _declaration(self, slot: Slot) -> str:
        if is_flag(slot):
            kind = "boolean"
        elif isinstance(slot.values[0], str):
            kind = f"enum {{ {', '.join(self.constants[slot.name, v] for v in slot.values)} }}"
        else:
            kind = f"{slot.values[0]} .. {slot.values[-1]}"
        return f"{self.fields[slot.name]}: {kind};{self.legend(slot)}"

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
        """The start, with loops that count: ``n`` CPUs, ``m`` packages, as their members have no names."""
        form = self.form
        lines = [f"{self.variable(s, '')} := {self.value(s, form.starts(s)[0])};" for s in form.slots(Scope.GLOBAL)]
        several = form.packages > 1
        lines += _counted("n", "i: cpu_id", [line for s in form.slots(Scope.CPU) for line in self._starts(s, "i", "n")])
        inside = [line for s in form.slots(Scope.PACKAGE) for line in self._starts(s, "p", "m")]
        if several:
            homes = [f"m = {m} & ({_numbers('n', which)})" for m, which in enumerate(self._members())]
            inside += _counted("n", "i: cpu_id", [f"if {' | '.join(homes)} then package_of[i] := p; end;"])
        lines += _counted("m", "p: package_id", inside)
        scratch = f"var n: 0 .. {form.cpus}; m: 0 .. {form.packages};"
        return ["", 'startstate "start"', scratch, "begin", *(f"  {line}" for line in lines), "end;"]

    def _members(self) -> list[list[int]]:
        homes = self.form.start.package_of
        return [[c for c, home in enumerate(homes) if home == m] for m in range(self.form.packages)]

    def _starts(self, slot: Slot, who: str, counter: str) -> list[str]:
        """Initial values in a loop over CPUs or packages: the first one's, but for those that differ."""
        starts = self.form.starts(slot)
        target = self.variable(slot, who)
        lines = [f"{target} := {self.value(slot, starts[0])};"]
        for value in dict.fromkeys(starts[1:]):
            if value != starts[0]:
                which = _numbers(counter, [n for n, v in enumerate(starts) if v == value])
                lines += [f"if {which} then {target} := {self.value(slot, value)}; end;"]
        return lines


def _counted(counter: str, over: str, body: list[str]) -> list[str]:
    """A loop whose body may look at a counter."""
    head = [f"{counter} := 0;", f"for {over} do"]
    return [*head, *(f"  {line}" for line in body), f"  {counter} := {counter} + 1;", "end;"] if body else []


def _numbers(counter: str, which: list[int]) -> str:
    return " | ".join(f"{counter} = {n}" for n in which)


def _quoted(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")
