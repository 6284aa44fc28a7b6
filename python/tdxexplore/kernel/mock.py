"""The TDX module and VMX as a C header for a host's own text: what `tdxexplore.tdx.module` and `tdxexplore.tdx.vmx` record.

The header has the fields as variables, a function for each SEAMCALL, and the words that it returns. What a step notes it logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.kernel.body import Body
from tdxexplore.kernel.generate import Generator
from tdxexplore.model import Model, Scope, State
from tdxexplore.model.code import Await, Note
from tdxexplore.tdx import module
from tdxexplore.tdx.fields import BUDGETS, Traits, World
from tdxexplore.tdx.kernel import OK, Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model import Topology
    from tdxexplore.model.code import Instruction
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import ModuleKind

SEAMLDR = 1 << 63
# Leaf numbers: the TDX module's ABI, and P-SEAMLDR's. VMXON and VMXOFF are none; they have numbers that no SEAMCALL has.
CALLS: dict[str, tuple[int, Callable[[Kernel], Variable | None]]] = {
    "VP_ENTER": (0, module.vp_enter),
    "MNG_CREATE": (9, module.mng_create),
    "SYS_KEY_CONFIG": (31, module.sys_key_config),
    "SYS_INIT": (33, module.sys_init),
    "SYS_RD": (34, module.sys_rd),
    "SYS_LP_INIT": (35, module.sys_lp_init),
    "SYS_TDMR_INIT": (36, module.sys_tdmr_init),
    "SYS_CONFIG": (45, module.sys_config),
    "SYS_SHUTDOWN": (52, module.sys_shutdown),
    "SYS_UPDATE": (53, module.sys_update),
    "SEAMLDR_INSTALL": (SEAMLDR + 1, lambda k: module.seamldr_install(k, all_lps=True)),
    "VMXON": (1 << 32, Kernel.vmxon),
    "VMXOFF": (2 << 32, Kernel.vmxoff),
}
WORDS = {"SUCCESS": module.SUCCESS, "UD": module.UD, "INVALID": module.VMFAIL_INVALID, "OK": OK}
MOST_UPDATES = 8


class _Call(Body):
    """One call: its notes are logged, and it waits for nothing."""

    def one(self, i: Instruction) -> list[str]:
        match i:
            case Note(text):
                return [f'\tSAY("%llu %d {text}\\n", NOW, cpu);']
            case Await():
                return []
        return super().one(i)


def header(kind: ModuleKind, topology: Topology) -> str:
    """The header's text.

    Args:
        kind: The TDX-module behaviour.
        topology: CPUs and packages of the platform.
    """
    model = Model("mock")
    world = World(model, kind, {**dict.fromkeys(BUDGETS, 0), "update": MOST_UPDATES}, Traits(stoppable=True))
    k = Kernel(world, "mock", Scope.CPU)
    results = []
    for name, (_, call) in CALLS.items():
        k.step(name)
        results.append(call(k))
    model.add(k)
    code = model.code("mock")
    generator = Generator(model, State.initial(model, topology), ())
    functions = []
    for number, (result, name) in enumerate(zip(results, CALLS, strict=True)):
        start, end = code.labels[number][0] + 1, code.labels[number + 1][0]
        body = _Call(generator, 0, code, start, end, "return 0;").lines()
        answer = generator.names.variable(result, "cpu", "package_of[cpu]") if result is not None else "0"
        functions += [f"static int call_{name}(int cpu)\n{{", *body, f"L{end}: __maybe_unused;\n\treturn {answer};\n}}"]
    numbers = {word: generator.names.value(value) for word, value in WORDS.items()}
    rows = [f"\t{{ {leaf:#x}ULL, call_{name} }}," for name, (leaf, _) in CALLS.items()]
    lines = [
        f"/* Generated. The TDX module, of the kind {kind}, and VMX: a mock. */",
        f"#define N_CPUS {topology.cpus}",
        f"#define N_PACKAGES {len(topology.sizes)}",
        *(f"#define WORD_{word} {number}" for word, number in numbers.items()),
        *(f"#define LEAF_{name} {leaf:#x}ULL" for name, (leaf, _) in CALLS.items()),
        f"static const int package_of[N_CPUS] = {{ {', '.join(map(str, topology.package_of))} }};",
        *generator.fields(),
        *functions,
        "static const struct { u64 leaf; int (*call)(int cpu); } mock_calls[] = {",
        *rows,
        "};",
        "static void mock_init(void)\n{",
        *generator.initial_values(),
        "}",
    ]
    return "\n".join([*lines, ""])
