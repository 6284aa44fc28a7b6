"""``tdxexplore explore``: walk through the interleavings in the terminal."""

from __future__ import annotations

import sys

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import say
from tdxexplore.errors import BadModel, MissingExtra
from tdxexplore.explore.walk import Walk


def explore(policy: str, schedule: str = "", *, asked: Asked = Asked()) -> int:
    """Walk through the interleavings in the terminal: choose each step, see locks and state, go back.

    At the end the command that replays the walk is printed.

    Args:
        policy: A built-in name, or path/to/file.py:NAME with a policy or a model.
        schedule: Where to begin, as printed under a trace.
    """
    walk = Walk(asked.question(policy), schedule)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadModel("`explore` needs a terminal; `replay` prints a schedule and what may come next")
    try:
        from tdxexplore.render.walk import Walker  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError:
        raise MissingExtra("`explore`", "explore") from None
    chosen = Walker(walk).run()
    if chosen is not None:
        say(walk.trace.question.command("replay", chosen))
    return exits.HOLDS
