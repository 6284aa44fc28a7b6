"""Why an outcome happens, on one screen: who has to come before whom, which step decides, and the run to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.explore.lanes import folded
from tdxexplore.explore.reasons import blocks
from tdxexplore.explore.subject import NONE
from tdxexplore.render.figures import packages
from tdxexplore.render.terminal import SEVERITIES, console, width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.reasons import Why

_WIDTH = 100


def print_why(why: Why) -> None:
    """All of it."""
    out, key = console(), why.question.asked()
    kind = "" if key["module"] == NONE else f"module kind {key['module']}, "
    happens = "" if key["scenario"] == NONE else f", scenario {key['scenario']}"
    about = f"{kind}{key['cpus']} CPUs in {packages(int(key['packages']))}{happens}"
    out.print(Text(f"why {key['policy']} on {about}"))
    if key["knobs"]:
        out.print(Text(f"knobs: {key['knobs']}"))
    title = Text.assemble((why.outcome, SEVERITIES[why.severity]), f" ({why.severity}): {why.text}")
    out.print(title)
    for line in _lines(why):
        out.print(Text(line))
    out.print(Text(f"\n  replay: {why.easiest.command}"))


def _lines(why: Why) -> Iterator[str]:
    room = min(_WIDTH, width())
    for number, block in enumerate(blocks(why)):
        if number and not block.after:
            yield ""
        yield from folded(block.said, room)
        for said, tag in block.items:
            item = f"- {said} [{tag}]" if tag else f"- {said}"
            yield from (f"  {line}" for line in folded(item, room - 2))
