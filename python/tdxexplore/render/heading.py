"""The first lines of an answer: what was asked, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.figures import circumstances
from tdxexplore.render.terminal import VERDICTS, console

if TYPE_CHECKING:
    from tdxexplore.explore.exploration import Exploration
    from tdxexplore.explore.sample import Sample


def print_heading(answer: Exploration | Sample) -> None:
    """The policy and its circumstances, its knobs, and the verdict."""
    out, asked = console(), answer.question.asked()
    out.print(f"{asked['policy']} on {circumstances(asked)}")
    if asked["knobs"]:
        out.print(Text(f"knobs: {asked['knobs']}", "dim"))
    line = answer.verdict_line.removeprefix(answer.verdict)
    out.print(Text.assemble("verdict: ", (answer.verdict, VERDICTS[answer.verdict]), line))
    out.print()
