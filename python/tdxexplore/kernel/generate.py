"""A recorded model as the C of a kernel module: the steps of each actor, with the kernel's own functions where it calls them.

What is generated calls no SEAMCALL: VMX and the TDX module are variables of the module, set as `tdxexplore.tdx.module` says.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from tdxexplore.kernel.body import Body
from tdxexplore.kernel.c_text import Names
from tdxexplore.kernel.primitives import Primitives
from tdxexplore.linux.cpuhp import Hook
from tdxexplore.model.expr import Field, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Code, Label, Native
    from tdxexplore.model.expr import Value
    from tdxexplore.model.model import Model
    from tdxexplore.model.topology import State

KERNELS = frozenset(
    [
        "cpu_hotplug_lock.readers",
        "cpu_hotplug_lock.readers_here",
        "cpu_hotplug_lock.writer",
        "cpu_add_remove_lock",
        "cpuhp_state_mutex",
        "cpuhp_failed",
        "cpuhp_done",
        "cpu_hotplug_disabled",
        "stop_machine",
    ]
)
# States of other architectures, which are free on x86, below and above CPUHP_AP_KVM_ONLINE.
KVM_STATE, BELOW, ABOVE = "CPUHP_AP_KVM_ONLINE", "CPUHP_AP_HYPERV_ONLINE", "CPUHP_AP_ARM_MVEBU_SYNC_CLOCKS"


class Generator:
    """The C of one model on one topology.

    Attributes:
        labels: The number of each label, by actor and name.
        senders: The actors that send IPIs.
        names: The fields in C.
        primitives: The kernel's objects.
    """

    def __init__(self, model: Model, initial: State, hooks: tuple[Hook[Any], ...]) -> None:
        self.model, self.initial, self.hooks = model, initial, hooks
        locks = {n.arguments[0] for c in model.codes for n in c.natives if n.function == "mutex_lock"}
        self.mutexes = sorted({f.name for f in locks if isinstance(f, Field)})
        self.primitives = Primitives(model.codes)
        self.names = Names(KERNELS | frozenset(self.mutexes) | self.primitives.fields)
        number = count()
        self.labels = {(c.actor, label.name): next(number) for c in model.codes for _, label in c.labels}
        self.senders = [i for i, c in enumerate(model.codes) if any(n.function == "on_each_cpu" for n in c.natives)]
        self.natives = {id(n): i for i, n in enumerate(n for c in model.codes for n in c.natives)}
        self._functions: list[str] = []
        self._callbacks: list[tuple[int, bool, int, int]] = []
        self._notified: list[tuple[str, int, str]] = []

    def text(self) -> str:
        """The module."""
        actors = [self._actor(i, code) for i, code in enumerate(self.model.codes)]
        sizes = self.initial.package_of
        head = [
            "// SPDX-License-Identifier: GPL-2.0",
            f"// {self.model.name}. There is no SEAMCALL here: VMX and the TDX module are a mock.",
            f"#define N_CPUS {len(sizes)}",
            f"#define N_PACKAGES {len(self.initial.packages)}",
            f"#define SENDERS {len(self.senders)}",
            *self.primitives.head(len(sizes)),
            "#ifndef LATE",
            "#define LATE 20",
            "#endif",
            f"#define NATIVES {len(self.natives) + 1}",
            f"#define HOOKS {len(self.hooks) + 1}",
            '#include "litmus.h"',
            f"static const int package_of[N_CPUS + 1] = {{ {', '.join(map(str, sizes))} }};",
            *(f"static DEFINE_MUTEX(m{i}); // {name}" for i, name in enumerate(self.mutexes)),
            *self.primitives.declarations(),
            *self.fields(),
            "static int slot[HOOKS], registering;",
            *(f"static int up{h}(unsigned int cpu), down{h}(unsigned int cpu);" for h in range(len(self.hooks))),
        ]
        frame = [*self._frame(), *self._primitives()]
        return "\n".join([*head, *self._functions, *self._dispatch(), *self._writers(), *actors, *frame, ""])

    # -- fields -------------------------------------------------------------------------------------------------------

    def fields(self) -> list[str]:
        """Their declarations; each is named by now."""
        size = {Scope.GLOBAL: "", Scope.PACKAGE: "[N_PACKAGES]", Scope.CPU: "[N_CPUS + 1]"}
        return [f"static int {c}{size[scope]}; // {name}" for name, (c, scope) in self.names.fields.items()]

    def _places(self) -> Iterator[tuple[str, Value]]:
        """Each field of each member, with its initial value."""
        for name, (c, scope) in self.names.fields.items():
            if scope is Scope.GLOBAL:
                yield c, self.initial.globals[name]
            else:
                members = self.initial.packages if scope is Scope.PACKAGE else self.initial.cpus
                yield from ((f"{c}[{i}]", values[name]) for i, values in enumerate(members))

    def initial_values(self) -> list[str]:
        """Assignments of the initial state."""
        return [f"\t{place} = {self.names.value(value)};" for place, value in self._places()]

    def _frame(self) -> list[str]:
        """The functions that begin a run, and that say how it ended."""
        show = [f'\tNOTE("\\n={place} %d", {place});' for place, _ in self._places()]
        show += [f'\tNOTE("\\n={place} %d", {text});' for place, _, text in self.primitives.shown(self.names)]
        starts = []
        for i, code in enumerate(self.model.codes):
            if i in self.primitives.works:
                continue
            each = "for (i = 0; i < N_CPUS; i++) " if code.scope is Scope.CPU else ""
            starts.append(f"\t{each}begin(actor{i}, {i}, {'i' if each else 'ALONE'});")
        return [
            "static void init_state(void)\n{",
            *self.initial_values(),
            "\tmemset(slot, 0, sizeof(slot));",
            "}",
            "static void show(struct seq_file *s)\n{\n\tint i;",
            *show,
            '\tfor (i = 0; i < N_CPUS; i++)\n\t\tNOTE("\\n=online[%d] %d\\n=active[%d] %d", i, cpu_online(i), i, cpu_active(i));',
            '\tfor (i = 0; i < MAX_WHO; i++)\n\t\tif (where[i] != NOWHERE)\n\t\t\tNOTE("\\n@%d %d", i, where[i]);',
            '\tfor (i = 0; i < NATIVES; i++)\n\t\tif (last_errno[i])\n\t\t\tNOTE("\\n!%d %d", i, last_errno[i]);',
            "}",
            "static void begin(int (*actor)(void *), int number, int instance)\n{",
            "\tstruct ctx *x = kzalloc(sizeof(*x), GFP_KERNEL);",
            "\tx->who = WHO(number, instance);",
            "\tx->cpu = instance == ALONE ? -1 : instance;",
            "\tatomic_inc(&alive);",
            '\ttask[x->who] = kthread_create(actor, x, "litmus/%d", x->who);',
            "\tset_cpus_allowed_ptr(task[x->who], cpumask_of(WAITING));",
            "}",
            "static void start(void)\n{\n\tint i;",
            *starts,
            # A thread begins on any CPU: none may pass a gate, and spin in an IPI, before all are there.
            "\tfor (i = 0; i < MAX_WHO; i++)\n\t\tif (task[i])\n\t\t\twake_up_process(task[i]);",
            "}",
            "static void clean(void)\n{\n\tint h;\n\tfor (h = 0; h < HOOKS; h++)\n\t\tif (slot[h])",
            "\t\t\t__cpuhp_remove_state(slot[h], false);\n}",
        ]

    # -- actors and callbacks -----------------------------------------------------------------------------------------

    def _actor(self, number: int, code: Code) -> str:
        if number in self.primitives.works:
            return self._worker(number, code)
        end = len(code.instructions)
        body = Body(self, number, code, 0, end, "goto gone;").lines()
        moves = "false" if any(n.function in ("_cpu_up", "_cpu_down") for n in code.natives) else "true"
        lines = [
            f"static int actor{number}(void *argument) // {code.actor}",
            "{",
            "\tstruct ctx *x = argument;",
            f"\tint cpu __maybe_unused = x->cpu < 0 ? 0 : x->cpu, r __maybe_unused;\n\tx->moves = {moves};",
            *body,
            f"L{end}:",
            "\tfinish(x, NOWHERE);",
            "gone:",
            "\tdrop_all(x);",
            "\tkfree(x);",
            "\tatomic_dec(&alive);",
            "\treturn 0;",
            "}",
        ]
        return "\n".join(lines)

    def _worker(self, number: int, code: Code) -> str:
        """A work item's function. Its first gate is in the item before it."""
        (native,) = (n for n in code.natives if n.function == "process_one_work")
        body = Body(self, number, code, native.start + 1, native.end, "goto gone;").lines()
        item = self.primitives.name(native.arguments[0])
        lines = [
            f"static void run_{item}(struct work_struct *work) // {code.actor}",
            "{",
            f"\tstruct ctx *x = &{item}.x;",
            "\tint cpu __maybe_unused = 0, r __maybe_unused;",
            "\ttask[x->who] = current;",
            "\tif (over)\n\t\treturn;",
            *body,
            f"L{native.end}: __maybe_unused;",
            f"\tfinish(x, {item}.label);",
            "gone: __maybe_unused;",
            "\tdrop_all(x);",
            "}",
        ]
        return "\n".join(lines)

    def _primitives(self) -> list[str]:
        labels = {i: self.labels[code.actor, code.labels[0][1].name] for i, code in enumerate(self.model.codes)}
        return self.primitives.frame(labels, self._notified, self.initial.globals)

    def callback(self, number: int, code: Code, native: Native) -> tuple[str, int]:
        """Generate what the kernel calls; return its name and the label of its first step."""
        first = next(i for a, i in reversed(code.labels) if a < native.start)
        name, label = f"callback{self.natives[id(native)]}", self.labels[code.actor, first.name]
        body = Body(self, number, code, native.start, native.end, "return 0;").lines()
        lines = [
            f"static int {name}(struct ctx *x) // {first.title}",
            "{",
            "\tint cpu __maybe_unused, r __maybe_unused;",
            f"\tif (gate(x, {label}))\n\t\treturn 0;",
            "\tcpu = x->cpu;",
            *body,
            f"L{native.end}: __maybe_unused;",
        ]
        if native.result is None:
            lines.append("\treturn 0;\n}")
        else:
            where = self.names.variable(native.result, "cpu", "package_of[cpu]")
            lines += [f"\tif ({where} == {self.names.value(v)})\n\t\treturn {v};" for v in native.result.values]
            lines.append("\treturn 0;\n}")
        text = "\n".join(lines)
        if text not in self._functions:
            self._functions.append(text)
        if native.arguments:
            hook, up = native.arguments
            self._callbacks.append((self.hook(hook), bool(up), number, self.natives[id(native)] * 10000 + label))
        return name, label

    def hook(self, hook: object) -> int:
        """The number of a hook."""
        return next(i for i, h in enumerate(self.hooks) if h is hook)

    def state(self, hook: Hook[Any]) -> str:
        """Its cpuhp state in the kernel."""
        if hook.dynamic or hook.state == "CPUHP_AP_ONLINE_DYN":
            return "CPUHP_AP_ONLINE_DYN"
        if hook.state == KVM_STATE:
            return KVM_STATE
        after = any(h.state == KVM_STATE for h in self.hooks[: self.hook(hook)])
        return ABOVE if after else BELOW

    def notified(self, name: str, site: int, function: str) -> None:
        """Add what a notifier is called in a call of its chain."""
        self._notified.append((name, site, function))

    def spot(self, number: int) -> str:
        """The C of the CPU where an actor may spin."""
        return f"SPOT({self.primitives.spot(number, len(self.initial.package_of))}, x)"

    def _dispatch(self) -> list[str]:
        cases = [
            f"\telse if (hook == {hook} && up == {int(up)} && label == {code % 10000} && x->who / 16 == {actor})"
            f"\n\t\tr = callback{code // 10000}(x);"
            for hook, up, actor, code in self._callbacks
        ]
        lines = [
            "static int called(int hook, int up, unsigned int cpu)\n{",
            "\tstruct ctx y = { .cpu = cpu }, *x = &y;\n\tstruct task_struct *before;\n\tint label, r = 0;",
            "\tif (cpu >= N_CPUS || over)\n\t\treturn 0;",
            # A CPU that comes or goes is not active; a registration runs on active ones.
            "\ty.who = cpu_active(cpu) ? registering : hot.who;",
            "\tlabel = next_label(y.who);\n\tbefore = task[y.who];\n\ttask[y.who] = current;",
            "\tif (0)\n\t\t;",
            *cases,
            "\telse\n\t\tgate(x, 1000 + 2 * hook + up);\n\ttask[y.who] = before;\n\treturn r;\n}",
        ]
        for h in range(len(self.hooks)):
            lines.append(f"static int up{h}(unsigned int cpu)\n{{\n\treturn called({h}, 1, cpu);\n}}")
            lines.append(f"static int down{h}(unsigned int cpu)\n{{\n\treturn called({h}, 0, cpu);\n}}")
        return lines

    def _writers(self) -> list[str]:
        """The labels of the gates in the writer of cpu_hotplug_lock."""
        lines = ["static int writers_label(int actor, bool first)\n{"]
        for number, code in enumerate(self.model.codes):
            for first, label in writers_labels(code):
                test = f"actor == {number} && first == {int(first)}"
                lines.append(f"\tif ({test})\n\t\treturn {self.labels[code.actor, label.name]};")
        return [*lines, "\treturn -1;\n}"]

    def add_function(self, text: str) -> None:
        """A further function, before the actors."""
        self._functions.append(text)


def writers_labels(code: Code) -> Iterator[tuple[bool, Label]]:
    """Where the writer of cpu_hotplug_lock passes a gate as a CPU comes: whether it is the first gate, and the label."""
    for native in code.natives:
        if native.function == "_cpu_up":
            for at, label in code.labels:
                if native.start <= at < native.end and label.title in ("cpus_write_lock()", "CPUHP_ONLINE"):
                    yield label.title == "cpus_write_lock()", label


def hooks_of(model: Model) -> tuple[Hook[Any], ...]:
    """The cpuhp states of a model, in the order in which a CPU that comes up passes them."""
    natives = [n for code in model.codes for n in code.natives]
    given = [a for n in sorted(natives, key=lambda n: not n.function.startswith("_cpu")) for a in n.arguments]
    return tuple(dict.fromkeys(a for a in given if isinstance(a, Hook)))


def generate(model: Model, initial: State) -> Generator:
    """The generator of a model, whose `Generator.text` is the module."""
    return Generator(model, initial, hooks_of(model))
