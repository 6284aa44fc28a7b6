"""Which outcome is the worst at each point?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import KEY

WORST = (
    *("outcome", "severity", "interleavings", "log10_interleavings", "all_interleavings", "log10_all_interleavings"),
    *("interleaving_share", "probability", "shortest_steps", "schedule"),
)
"""What a table of worst outcomes says of each, by the names of the columns of the answers."""


def worst(answers: pl.LazyFrame) -> pl.LazyFrame:
    """The worst outcome of each point.

    Columns: the key, verdict, complete, reason, and `WORST`, which are null if no outcome was reached; then the invariants that
    fail (``broken``) and the responses that can be lost (``lost``), by name.
    """
    columns = (*KEY, "verdict", "complete", "reason", *WORST, "broken", "lost")
    return answers.filter(pl.col("rank").fill_null(0) == 0).select(columns).sort(KEY)
