"""Where text goes, and its colours. Every printer of this package writes to `console` and lays its tables out with `table`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

SEVERITIES = {"S0": "bold red", "S1": "red", "S2": "magenta", "S3": "yellow", "S4": "cyan", "ok": "green"}
"""The colour of each severity."""

VERDICTS = {"holds": "bold green", "violated": "bold red", "incomplete": "bold yellow", "vacuous": "bold yellow"}
"""The colour of each verdict."""

_WIDE = 200


def console() -> Console:
    """Standard output; wide when it is no terminal, so that pipes get whole lines."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE, highlight=False, soft_wrap=True)


def table(title: str | None = None) -> Table:
    """A table without lines, with its title on the left."""
    return Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left", title_style="bold")
