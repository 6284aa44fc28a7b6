"""A trace in kernel words, with the command that replays it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.terminal import console

if TYPE_CHECKING:
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.trace import Trace


def print_trace(trace: Trace, question: Question, title: str, *, changes: bool = False) -> None:
    """A trace of a question."""
    out = console()
    out.print()
    out.print(Text.assemble((title, "bold"), f" ({len(trace)} steps)"))
    out.print(Text(trace.to_text(changes=changes)))
    out.print(f"replay: {question.command('replay', trace.schedule)}")
