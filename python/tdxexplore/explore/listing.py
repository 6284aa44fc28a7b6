"""What can be asked about, as tables: policies and scenarios."""

from __future__ import annotations

import polars as pl

from tdxexplore.tdx.policies import ALIASES, BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS


def policies() -> pl.DataFrame:
    """The built-in designs, oldest first.

    Returns:
        A row for each: ``policy``, ``title``, ``source``, ``knobs`` (``name=default|other``, separated by spaces), and ``also``
        (other names).

    Example:
        >>> import tdxexplore
        >>> tdxexplore.policies()["policy"][0]
        'v7-2022'
    """
    rows = [
        (
            policy.name,
            policy.title,
            policy.source,
            " ".join(f"{knob.name}={'|'.join(knob.values)}" for knob in policy.knobs),
            " ".join(alias for alias, name in ALIASES.items() if name == policy.name),
        )
        for policy in BUILT_IN.values()
    ]
    schema = dict.fromkeys(("policy", "title", "source", "knobs", "also"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def scenarios() -> pl.DataFrame:
    """What can happen around bring-up.

    Returns:
        A row for each: ``scenario``, ``text``, ``budgets`` (``name=n``, separated by spaces), and ``offline`` (CPUs that are
        offline at first).

    Example:
        >>> import tdxexplore
        >>> tdxexplore.scenarios()["scenario"][0]
        'all-online'
    """
    rows = [
        (each.name, each.text, " ".join(f"{name}={n}" for name, n in each.budgets.items()), each.offline)
        for each in SCENARIOS.values()
    ]
    schema = {"scenario": pl.String, "text": pl.String, "budgets": pl.String, "offline": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")
