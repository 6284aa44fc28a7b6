"""What can be asked about: designs, scenarios, budgets."""

from __future__ import annotations

from rich.text import Text

from tdxexplore.render.terminal import console
from tdxexplore.tdx.fields import BUDGETS, MAY_BE_UNBOUNDED
from tdxexplore.tdx.policies import ALIASES, BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS


def print_policies() -> None:
    """The built-in policies, a line each, with their knobs and sources; then scenarios and budgets."""
    out = console()
    for policy in BUILT_IN.values():
        out.print(Text(f"{policy.name:<23}", "bold") + Text(policy.title))
        for alias in (alias for alias, name in ALIASES.items() if name == policy.name):
            out.print(f"{'':<23}also known as {alias}")
        out.print(f"{'':<23}[dim]{policy.source}[/dim]")
        for knob in policy.knobs:
            default, *others = knob.values
            out.print(f"{'':<23}--set {knob.name}={default}|{'|'.join(others)}: {knob.text}")
    out.print()
    out.print("scenarios:")
    for scenario in SCENARIOS.values():
        budgets = ", ".join(f"{name}={value}" for name, value in scenario.budgets.items())
        out.print(f"  {scenario.name:<21}{scenario.text}  [dim]({budgets})[/dim]")
    out.print()
    out.print("budgets, for --budget NAME=N, or NAME=unbounded where marked *:")
    for name, text in BUDGETS.items():
        out.print(f"  {name + '*' * (name in MAY_BE_UNBOUNDED):<21}{text}")
