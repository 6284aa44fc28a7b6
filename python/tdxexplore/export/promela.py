"""This module writes Promela for Spin: one process, whose loop has an alternative for each step.

The bits of a CPU field are sets of CPUs. An ``atomic`` alternative is executable exactly if some CPU can take some way
through its step. It chooses the CPU, then the way, and ends in one new state, so Spin counts one transition for each way
and CPU. A set has one bit for each CPU, which keeps Spin's state vector short and its C small. Rejected: arrays of
structures. Spin has no quantifiers, so conditions on other CPUs are then written CPU by CPU, and the C of a model with 9
CPUs took five minutes to compile and ran at half the speed. Source: Spin 6.5, manual pages `atomic`, `d_step`, `hidden`.
The option ``-o2`` of `spin` is needed, as Spin otherwise leaves fields that no step reads out of the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel
from tdxexplore.export.notation import NOBODY, Notation, is_flag
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.export.steps import Change, Condition, Each, Form, Member, Step, Test, Way
    from tdxexplore.model.expr import Value
    from tdxexplore.model.program import Slot

_WHO = {Scope.GLOBAL: "", Scope.PACKAGE: "p", Scope.CPU: "c"}
_EVERY = {Scope.PACKAGE: "every_package", Scope.CPU: "every_cpu"}
_MAX_CPUS = 31


def promela(form: Form) -> str:
    """Write a model for Spin.

    Raises:
        BadModel: The topology has more CPUs than an integer of Spin has bits.
    """
    if form.cpus > _MAX_CPUS:
        raise BadModel(f"--cpus is {form.cpus}; Promela is written for at most {_MAX_CPUS} CPUs")
    return _Promela(form).text()


class _Promela(Notation):
    comment = "//"
    and_, or_, not_, equal, unequal = "&&", "||", "!", "==", "!="
    false, true = "false", "true"
    reserved = """
        active assert atomic bit bool break byte c_code c_decl c_expr c_state c_track chan d_proctype d_step do else
        empty enabled eval false fi for full get_priority goto hidden if in init inline int len ltl mtype nempty never
        nfull notrace np_ od of pc_value pid printf printm priority proctype provided return run select set_priority
        short show skip timeout trace true typedef unless unsigned xr xs
        auto case char const continue default double enum extern float long register restrict signed sizeof static
        struct switch union void volatile while main now uchar ushort uint
        c p s v only every_cpu every_package package_of cpus_of inside homes if_any has_other has_neighbour fatal
        everyone
    """

    def __init__(self, form: Form) -> None:
        super().__init__(form)
        self._bits: dict[str, list[str]] = {}
        self._having: dict[tuple[str, Value], str] = {}
        for slot in (s for scope in _EVERY for s in form.slots(scope)):
            name = self.fields[slot.name]
            bits = [name] if slot.width == 1 else [self.names.new(f"{name}_{bit}") for bit in range(slot.width)]
            self._bits[slot.name] = bits
            for value in slot.values:
                named = self.constants.get((slot.name, value)) or self.names.new(f"{slot.name}_is_{value}")
                self._having[slot.name, value] = named if not is_flag(slot) else name if value else f"~{name}"

    def running(self) -> list[str]:
        command = "spin -a -o2 FILE.pml && cc -O3 -DSAFETY -DNOREDUCE -o pan pan.c && ./pan -m1000000 -c0"
        lines = [f"Run:  {command}"]
        if (expected := self.form.expected) is not None:
            lines += [
                (
                    f"Spin should print {expected.states} states, stored and {expected.transitions + 1} transitions (the "
                    f"start is one), and {sum(expected.terminal.values())} errors: an invalid end state is a terminal state."
                )
            ]
        return lines

    def variable(self, slot: Slot, who: str) -> str:
        return self.fields[slot.name]

    def value(self, slot: Slot, value: Value) -> str:
        # A variable holds the code of a value, so no counter has negative numbers here, even if it begins below 0.
        return self.constants.get((slot.name, value)) or str(slot.codes[value])

    def exists(self, scope: Scope, who: str, conditions: Sequence[str]) -> str:
        raise NotImplementedError("Promela has no quantifiers: sets take their place")

    # -- sets of CPUs and packages ------------------------------------------------------------------------------------

    def where(self, tests: Iterable[Test]) -> list[str]:
        """Write, for each test, the set of the CPUs or packages that pass it."""
        found = []
        for t in tests:
            others = [v for v in t.slot.values if v not in t.values]
            few, sign = (t.values, "") if len(t.values) <= len(others) or not others else (others, "~")
            sets = [self._having[t.slot.name, v] for v in few]
            found.append(sets[0] if len(sets) == 1 and not sign else f"{sign}({' | '.join(sets) or '0'})")
        return found

    def alike(self, member: Member) -> str:
        """Write the set of CPUs or packages that pass the tests of ``member``."""
        if member.over != "packages":
            inside = [f"inside({' & '.join(self.where(member.package))})"] if member.package else []
            return " & ".join([_EVERY[Scope.CPU], *self.where(member.cpu), *inside])
        parts = [_EVERY[Scope.PACKAGE], *self.where(member.package)]
        for some, tests in member.nested:
            parts.append(f"{'' if some else '~'}homes({' & '.join([_EVERY[Scope.CPU], *self.where(tests)])})")
        return " & ".join(parts)

    def seeing(self, member: Member, scope: Scope) -> str:
        """Write the set of those of a scope for which another one passes the tests of ``member``.

        If the scope is global there is no set: the text is then true if some CPU or package passes them.
        """
        alike = self.alike(member)
        match scope, member.over:
            case Scope.GLOBAL, _:
                return f"(({alike}) != 0)"
            case Scope.CPU, "packages":
                return f"inside(has_other({alike}))"
            case (Scope.CPU, "cpus") | (Scope.PACKAGE, "packages"):
                return f"has_other({alike})"
            case Scope.CPU, _:
                return f"has_neighbour({alike})"
            case Scope.PACKAGE, "cpus":
                return f"if_any({alike})"
        return f"homes({alike})"

    def condition(self, condition: Condition, acting: object = NOBODY) -> list[str]:
        """Write a condition on global fields and on any CPUs or packages, as parts of a conjunction."""
        parts = self.tests(condition.own, NOBODY)
        return parts + [f"{'' if some else '!'}{self.seeing(m, Scope.GLOBAL)}" for m, some in condition.quantified]

    def able(self, condition: Condition, scope: Scope) -> str:
        """Write the set of CPUs or packages for which a condition holds."""
        free = self.tests([t for t in condition.own if t.slot.scope is Scope.GLOBAL], NOBODY)
        sets = [_EVERY[scope], *self.where([t for t in condition.own if t.slot.scope is scope])]
        if scope is Scope.CPU and (homes := self.where([t for t in condition.own if t.slot.scope is Scope.PACKAGE])):
            sets.append(f"inside({' & '.join(homes)})")
        sets += [f"{'' if some else '~'}{self.seeing(m, scope)}" for m, some in condition.quantified]
        return f"({self.all(free)} -> {' & '.join(sets)} : 0)" if free else f"({' & '.join(sets)})"

    def _macros(self) -> list[str]:
        homes = self.form.start.package_of
        masks = [sum(1 << c for c, home in enumerate(homes) if home == p) for p in range(self.form.packages)]
        package_of, cpus_of = str(homes[-1]), str(masks[-1])
        for c in range(len(homes) - 2, -1, -1):
            if homes[c] != homes[c + 1]:
                package_of = f"((c) <= {c} -> {homes[c]} : {package_of})"
        for p in range(len(masks) - 2, -1, -1):
            cpus_of = f"((p) == {p} -> {masks[p]} : {cpus_of})"
        inside = " | ".join(f"(((s) & {1 << p}) -> {mask} : 0)" for p, mask in enumerate(masks))
        of_cpus = " | ".join(f"(((s) & {mask}) -> {1 << p} : 0)" for p, mask in enumerate(masks))
        near = " | ".join(f"({mask} & has_other((s) & {mask}))" for mask in masks)
        return [
            "",
            *self.comments(
                [
                    (
                        "A set has a bit for each CPU or package: bit c is CPU c. Every CPU; only CPU c; the CPUs inside the "
                        "packages of a set; the packages that are homes of the CPUs of a set; those who see another one in a "
                        "set, anywhere or in their package."
                    )
                ]
            ),
            f"#define every_cpu {(1 << self.form.cpus) - 1}",
            f"#define every_package {(1 << self.form.packages) - 1}",
            "#define only(c) (1 << (c))",
            f"#define package_of(c) {package_of}",
            f"#define cpus_of(p) {cpus_of}",
            f"#define inside(s) ({inside})",
            f"#define homes(s) ({of_cpus})",
            "#define if_any(s) ((s) -> ~0 : 0)",
            "#define has_other(s) (((s) & ((s) - 1)) -> ~0 : ((s) -> ~(s) : 0))",
            f"#define has_neighbour(s) {'has_other(s)' if self.form.packages == 1 else f'({near})'}",
        ]

    # -- the text -----------------------------------------------------------------------------------------------------

    def text(self) -> str:
        steps = self.form.steps
        lines = [*self.header(), *self._macros(), *self._variables(), *self.properties()]
        lines += [line for step in steps for line in self._conditions(step)]
        most = max((len(way.each) for step in steps for way in step.ways), default=0)
        lines += ["", *self.comments(["Everyone who acts. Hidden variables are scratch, not part of the state."])]
        lines += ["hidden byte c;", "hidden byte p;", "hidden int v;", *(f"hidden int hit_{n};" for n in range(most))]
        lines += ["", "active proctype everyone()", "{", "  do"]
        lines += [line for step in steps for line in self._alternative(step)]
        return "\n".join([*lines, "  od", "}"]) + "\n"

    def _variables(self) -> list[str]:
        lines = ["", *self.comments(["The values of fields."])]
        for slot in self.form.slots(Scope.GLOBAL):
            names = [self.constants[slot.name, v] for v in slot.values if (slot.name, v) in self.constants]
            lines += [f"#define {name} {code}" for code, name in enumerate(names)]
        lines += ["", *self.comments(["The state."])]
        for slot in self.form.slots(Scope.GLOBAL):
            start = self.value(slot, self.form.starts(slot)[0])
            kind, width = ("bit", "") if slot.width == 1 else ("unsigned", f" : {slot.width}")
            lines += [f"{kind} {self.fields[slot.name]}{width} = {start};{self.legend(slot)}"]
        for scope, count in ((Scope.PACKAGE, self.form.packages), (Scope.CPU, self.form.cpus)):
            for slot in self.form.slots(scope):
                lines += self._sets(slot, count)
        return lines

    def _sets(self, slot: Slot, count: int) -> list[str]:
        bits, codes = self._bits[slot.name], [slot.values.index(v) for v in self.form.starts(slot)]
        starts = [sum((code >> k & 1) << who for who, code in enumerate(codes)) for k in range(slot.width)]
        lines = [
            f"unsigned {bit} : {count} = {start};{self.legend(slot)}" for bit, start in zip(bits, starts, strict=True)
        ]
        if not is_flag(slot):
            for code, value in enumerate(slot.values):
                sets = [f"{'' if code >> k & 1 else '~'}{bit}" for k, bit in enumerate(bits)]
                lines.append(
                    f"#define {self._having[slot.name, value]} ({' & '.join(sets)})  {self.remark(str(value))}"
                )
        return lines

    def disjunction(self, name: str, parts: Sequence[str]) -> list[str]:
        return [f"#define {name} (\\", *(f"  {part} || \\" for part in parts[:-1]), f"  {parts[-1]})"]

    # -- steps --------------------------------------------------------------------------------------------------------

    def _conditions(self, step: Step) -> list[str]:
        """Define the sets of those that may take each way, and of those that can take the step."""
        scope, first = step.label.scope, step.ways[0].number
        whens = [f"when_{way.number}" for way in step.ways]
        lines = self.begins(step)
        if scope is Scope.GLOBAL:
            lines += [f"#define when_{way.number} ({self.all(self.condition(way.condition))})" for way in step.ways]
            return [*lines, f"#define can_{first} ({self.all([*self._here(step), self.any(whens)])})"]
        own = [t for t in step.tests if t.slot.scope is not Scope.GLOBAL]
        sets = self.where([t for t in own if t.slot.scope is scope])
        if scope is Scope.CPU and (homes := self.where([t for t in own if t.slot.scope is Scope.PACKAGE])):
            sets.append(f"inside({' & '.join(homes)})")
        lines += [f"#define when_{way.number} {self.able(way.condition, scope)}" for way in step.ways]
        sets.append(f"({' | '.join(whens)})")
        return [*lines, f"#define can_{first} ({' & '.join(sets)})"]

    def _here(self, step: Step) -> list[str]:
        free = self.tests([t for t in step.tests if t.slot.scope is Scope.GLOBAL], NOBODY)
        return [*free, *([f"!{self.fatal}"] if self.form.fatal else [])]

    def _alternative(self, step: Step) -> list[str]:
        scope, can = step.label.scope, f"can_{step.ways[0].number}"
        who = _WHO[scope]
        lines = ["", *self.comments([step.title], "  ")]
        if who:
            count = self.form.packages if scope is Scope.PACKAGE else self.form.cpus
            chosen = " ".join(f":: ({can} & {1 << i}) -> {who} = {i}" for i in range(count))
            lines += [f"  :: atomic {{ {self.all([*self._here(step), f'{can} != 0'])} ->", f"       if {chosen} fi;"]
        else:
            lines += [f"  :: atomic {{ {can} ->"]
        lines += ["       if"]
        for way in step.ways:
            when = f"when_{way.number} & only({who})" if who else f"when_{way.number}"
            lines += self.comments([self.way(way)], " " * 7)
            lines += [f"       :: d_step {{ {when} ->", *(f"            {s};" for s in self._effect(way, scope))]
            lines += ["          }"]
        return [*lines, "       fi }"]

    def _effect(self, way: Way, scope: Scope) -> list[str]:
        if way.trap:
            return ["assert(false)"]
        lines = [f"hit_{n} = {self._hit(each, scope)}" for n, each in enumerate(way.each)]
        for n, each in enumerate(way.each):
            lines += [line for change in each.changes for line in self._assign(change, f"hit_{n}")]
        acting = {Scope.PACKAGE: "p" if scope is Scope.PACKAGE else "package_of(c)", Scope.CPU: "c"}
        for change in way.changes:
            slot = change.slot
            if slot.scope is not Scope.GLOBAL:
                who = acting[slot.scope]
                lines += self._move(change, who) if change.delta else self._assign(change, f"only({who})")
            elif change.delta:
                name = self.fields[slot.name]
                lines += [f"{name} = {name} {'+' if change.delta > 0 else '-'} {abs(change.delta)}"]
            else:
                lines += [f"{self.fields[slot.name]} = {self.value(slot, change.value)}"]
        return lines or ["skip"]

    def _hit(self, each: Each, scope: Scope) -> str:
        """Write the set of members that change: those that pass the tests, without whoever acts."""
        parts = [self.alike(each.member)]
        match scope, each.member.over:
            case Scope.CPU, "packages":
                parts += ["~only(package_of(c))"]
            case Scope.PACKAGE, "packages":
                parts += ["~only(p)"]
            case Scope.PACKAGE, "package-cpus":
                parts += ["cpus_of(p)"]
            case Scope.CPU, over:
                parts += ["~only(c)", *(["cpus_of(package_of(c))"] if over == "package-cpus" else [])]
        return " & ".join(parts)

    def _assign(self, change: Change, who: str) -> list[str]:
        """Assign a value to a field in every member of a set."""
        code = change.slot.values.index(change.value)
        bits = enumerate(self._bits[change.slot.name])
        return [f"{bit} = {bit} {'|' if code >> k & 1 else '& ~'}{' ' * (code >> k & 1)}{who}" for k, bit in bits]

    def _move(self, change: Change, who: str) -> list[str]:
        """Add to the counter of one CPU or package."""
        bits = self._bits[change.slot.name]
        value = " + ".join(f"((({bit} >> {who}) & 1) << {k})" for k, bit in enumerate(bits))
        put = [f"{bit} = ({bit} & ~only({who})) | (((v >> {k}) & 1) << {who})" for k, bit in enumerate(bits)]
        return [f"v = {value} + {change.delta}".replace("+ -", "- "), *put]
