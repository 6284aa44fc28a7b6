"""The generated pages of the documentation: ``python -m tdxexplore.docs [FOLDER]``, or ``make docs``.

- ``policies/NAME.md``: the steps of a policy beside the kernel functions that they stand for, and what was left out;
- ``outcomes.md``: the worst outcome of every policy, module kind and scenario.

The tests compare the folder with what this writes.
"""

from __future__ import annotations

import inspect
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.exploration import check
from tdxexplore.model import Topology, lower
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS, Scenario, build
from tdxexplore.tdx.world import MODULE_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tdxexplore.model import Program
    from tdxexplore.model.code import Label
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.kernel import Hook, Kernel
    from tdxexplore.tdx.policy import Policy

TOPOLOGY = Topology((2, 2))
LONGEST = 10**15
INSTRUCTIONS = ("TDH.", "SEAMLDR.", "VMXON", "VMXOFF")

# Everything that a policy can do, once.
_ALL = Scenario(
    "documentation",
    "every actor",
    {
        "kvm_load": 1,
        "kvm_unload": 1,
        "second_enable": 1,
        "td_destroy": 1,
        "cpu_up": 1,
        "cpu_down": 1,
        "update": 1,
        "suspend": 1,
    },
    offline=1,
)
_SCOPES = {"global": "", "cpu": "one CPU", "package": "one package"}


def pages() -> dict[str, str]:
    """Every generated page, by its path in the folder."""
    found = {f"policies/{name}.md": policy_page(policy) for name, policy in BUILT_IN.items()}
    return {**found, "outcomes.md": outcomes_page()}


def policy_page(policy: type[Policy]) -> str:
    """One policy: source, knobs, steps and their sources, what was left out."""
    lines = [f"# {policy.name}", "", f"{policy.title}.", "", f"Source: {policy.source}.", ""]
    lines += _table(("knob", "values, the default first", "what is chosen"), _knobs(policy))
    example = policy()
    program = lower(build(example, "strict", _ALL))
    lines += ["## Callbacks of CPU hotplug", "", "In the order in which a CPU that comes up meets them.", ""]
    lines += _table(("cpuhp state", "startup", "teardown"), [_callbacks(hook) for hook in example.hooks])
    lines += [
        "## Steps",
        "",
        "A step is atomic; between any two of them every other actor may act. Knobs are at their defaults, the module",
        "kind is `strict`, and every actor has something to do.",
        "",
    ]
    for actor, rows in groupby(_steps(program), key=lambda row: row[0]):
        lines += [f"### {actor}", ""]
        lines += _table(("step", "in", "on", "instructions", "stands for"), [row[1:] for row in rows])
    lines += ["## Left out, and why that hides no outcome", ""]
    lines += [f"- {text}" for base in policy.__mro__ for text in vars(base).get("abstracted", ())]
    lines += ["- What the shared mechanics leave out: [abstractions](../abstractions.md).", ""]
    return "\n".join(lines)


def outcomes_page() -> str:
    """The worst outcome of every policy, module kind and scenario."""
    return "\n".join([outcomes_head(), *(outcomes_section(policy) for policy in BUILT_IN.values())])


def outcomes_head() -> str:
    """What the table shows."""
    text = [
        "# Worst outcomes",
        "",
        f"{TOPOLOGY.cpus} CPUs in packages of {TOPOLOGY}; knobs and budgets at their defaults. A cell gives the severity",
        "and name of the worst outcome that is reachable, in how many of all interleavings it happens, and the",
        "invariants that fail. A design without run-time update has no row for the scenarios of updates.",
        "",
        "`make docs` writes this page.",
        "",
    ]
    return "\n".join([*text, *_table(("scenario", "what happens"), [(s.name, s.text) for s in SCENARIOS.values()])])


def outcomes_section(policy: type[Policy]) -> str:
    """The table of one policy."""
    rows = []
    for scenario in SCENARIOS.values():
        if "update" in scenario.budgets and not policy().has_update:
            continue
        rows.append((scenario.name, *(_worst(policy, module, scenario) for module in MODULE_KINDS)))
    heads = ("scenario", *MODULE_KINDS)
    return "\n".join([f"## {policy.name}", "", *_table(heads, rows)])


def write(folder: Path) -> None:
    """Write every page; files of policies that are gone are removed."""
    written = pages()
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    for old in (folder / "policies").glob("*.md"):
        if f"policies/{old.name}" not in written:
            old.unlink()
    for name, text in written.items():
        (folder / name).write_text(text)


def _worst(policy: type[Policy], module: str, scenario: Scenario) -> str:
    answer = check(
        policy,
        module=next(kind for kind in MODULE_KINDS if kind == module),
        cpus=TOPOLOGY.cpus,
        packages=TOPOLOGY.packages,
        scenario=scenario.name,
    )
    row = answer.outcomes.row(0, named=True)
    total = sum(map(int, answer.outcomes["interleavings"]))
    here = int(row["interleavings"])
    share = "all" if here == total else f"{_count(here)} of"
    failed = [r["invariant"] for r in answer.invariants.to_dicts() if r["schedule"] is not None]
    broken = f"; {', '.join(failed)} fail{'s' * (len(failed) == 1)}" if failed else ""
    return f"{row['severity']} {row['outcome']}: {share} {_count(total)}{broken}"


def _count(number: int) -> str:
    return f"{number:,}" if number < LONGEST else f"{number:.3e}"


def _knobs(policy: type[Policy]) -> list[tuple[str, str, str]]:
    return [(f"`{k.name}`", ", ".join(f"`{v}`" for v in k.values), k.text) for k in policy.knobs]


def _callbacks(hook: Hook) -> tuple[str, str, str]:
    return f"`{hook.state}`", _first_line(hook.startup), _first_line(hook.teardown)


def _first_line(function: Callable[[Kernel], Variable]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _steps(program: Program) -> Iterable[tuple[str, ...]]:
    """A row a step, in the order of recording: actor, title, functions, scope, instructions, source."""
    labels: dict[tuple[int, str], tuple[Label, dict[str, None]]] = {}
    for rule in program.rules:
        _, calls = labels.setdefault((rule.actor, rule.label.name), (rule.label, {}))
        calls.update(dict.fromkeys(_word(note) for note in rule.notes if note.startswith(INSTRUCTIONS)))
    for (actor, _), (label, calls) in labels.items():
        functions = " > ".join(label.frames)
        scope = _SCOPES[label.scope.value]
        yield program.actors[actor], label.title, functions, scope, ", ".join(calls), label.source


def _word(note: str) -> str:
    return note.partition(" ")[0].rstrip(":")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows), ""]


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
