"""What can be asked about: designs, scenarios, budgets; and what stands behind a design."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.terminal import console
from tdxexplore.tdx.fields import BUDGETS, MAY_BE_UNBOUNDED
from tdxexplore.tdx.policies import ALIASES, BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.tdx.policy import Policy


def print_policies() -> None:
    """The built-in policies, a line each, with their knobs and sources; then scenarios and budgets."""
    out = console()
    for policy in BUILT_IN.values():
        _print_head(policy)
    out.print()
    out.print("`tdxexplore policies NAME` says what was read of a design, and what is our reading.")
    out.print()
    out.print("scenarios:")
    for scenario in SCENARIOS.values():
        budgets = ", ".join(f"{name}={value}" for name, value in scenario.budgets.items())
        out.print(Text.assemble(f"  {scenario.name:<21}{scenario.text}  ", (f"({budgets})", "dim")))
    out.print()
    out.print("budgets, for --budget NAME=N, or NAME=unbounded where marked *:")
    for name, text in BUDGETS.items():
        out.print(f"  {name + '*' * (name in MAY_BE_UNBOUNDED):<21}{text}")


def print_policy(policy: type[Policy]) -> None:
    """One policy: its knobs and source, what was read for it, what is our reading, and what it leaves out."""
    _print_head(policy)
    for title, said in (
        ("read", policy.said("read")),
        ("our reading, or an assumption", policy.said("reading")),
        ("left out, and why that hides no outcome", policy.said("abstracted")),
    ):
        console().print()
        console().print(Text(f"{title}:", "bold"))
        for text in said:
            console().print(Text(f"- {text}"), soft_wrap=False)


def _print_head(policy: type[Policy]) -> None:
    out = console()
    out.print(Text(f"{policy.name:<23}", "bold") + Text(policy.title))
    for alias in (alias for alias, name in ALIASES.items() if name == policy.name):
        out.print(f"{'':<23}also known as {alias}")
    out.print(Text.assemble(f"{'':<23}", (policy.source, "dim")))
    for knob in policy.knobs:
        default, *others = knob.values
        out.print(f"{'':<23}--set {knob.name}={default}|{'|'.join(others)}: {knob.text}")
