"""``tdxexplore compact``: fewer files in a data set."""

from __future__ import annotations

from pathlib import Path

from tdxexplore.cli import exits
from tdxexplore.cli.output import say
from tdxexplore.data.compacting import compact as merge


def compact(out: Path) -> int:
    """Merge the files of a data set: one for each table and partition instead of one for each point.

    Args:
        out: The data set.
    """
    before, after = merge(out)
    say(f"{out}: {before:,} files became {after:,}")
    return exits.HOLDS
