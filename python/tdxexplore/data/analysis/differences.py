"""What differs between two data sets, as of two versions of a policy?"""

from __future__ import annotations

import polars as pl

from tdxexplore.data.analysis.keys import KEY, POLICY, SAME

_EXACT = ("severity", "states", "interleavings")
_REAL = ("interleaving_share", "probability")
_FIGURES = ("verdict", *_EXACT, *_REAL)


def differences(old: pl.LazyFrame, new: pl.LazyFrame) -> pl.LazyFrame:
    """The points and findings that are not the same in two data sets.

    Args:
        old: See `tdxexplore.data.reading.findings`.
        new: Likewise, of the other data set.

    Returns:
        A row for each, with ``kind`` and ``finding`` (an outcome that is reached, an invariant that fails, a response that can
        be lost, an expectation that is never met): ``change`` (``only old`` or ``only new``: the point is in one data set
        only; ``appears``, ``gone``: the finding is; ``severity``, ``figures``: that differs; ``verdict``: only the verdict
        does), and verdict, severity, interleavings, interleaving_share and probability, old and new.
    """
    key = [*KEY, "kind", "finding"]
    sides = [side.select(*key, *_FIGURES, present=pl.lit(value=True)) for side in (old, new)]
    both = sides[0].join(sides[1], on=key, how="full", suffix="_new", coalesce=True, nulls_equal=True)
    for side, name in ((old, "in_old"), (new, "in_new")):
        both = both.join(side.select(KEY).unique().with_columns(pl.lit(value=True).alias(name)), on=KEY, how="left")
    change = (
        pl.when(pl.col("in_new").is_null())
        .then(pl.lit("only old"))
        .when(pl.col("in_old").is_null())
        .then(pl.lit("only new"))
        .when(pl.col("present").is_null())
        .then(pl.lit("appears"))
        .when(pl.col("present_new").is_null())
        .then(pl.lit("gone"))
        .when(_differs("severity"))
        .then(pl.lit("severity"))
        .when(pl.any_horizontal(*(_differs(name) for name in (*_EXACT, *_REAL))))
        .then(pl.lit("figures"))
        .when(_differs("verdict"))
        .then(pl.lit("verdict"))
    )
    shown = [column for name in _FIGURES if name != "states" for column in (f"{name}_old", f"{name}_new")]
    return (
        both.with_columns(change=change)
        .filter(pl.col("change").is_not_null())
        .rename({name: f"{name}_old" for name in _FIGURES})
        .select(*key, "change", *shown)
        .sort(key)
    )


def compared(old: pl.LazyFrame, new: pl.LazyFrame) -> pl.LazyFrame:
    """What `differences` compares.

    Returns:
        A row for each policy: how many of its points are in ``both`` data sets, ``only_old`` and ``only_new``; and at how many
        of both something is ``differing``.
    """
    sides = [
        side.select(KEY).unique().with_columns(pl.lit(value=True).alias(name))
        for side, name in ((old, "in_old"), (new, "in_new"))
    ]
    changed = differences(old, new).select(KEY).unique().with_columns(changed=pl.lit(value=True))
    points = sides[0].join(sides[1], on=KEY, how="full", coalesce=True).join(changed, on=KEY, how="left")
    in_old, in_new, changes = (pl.col(name).fill_null(value=False) for name in ("in_old", "in_new", "changed"))
    counts = {
        "both": in_old & in_new,
        "only_old": in_old & ~in_new,
        "only_new": in_new & ~in_old,
        "differing": in_old & in_new & changes,
    }
    return (
        points.group_by(POLICY).agg(**{name: which.sum().cast(pl.Int64) for name, which in counts.items()}).sort(POLICY)
    )


def _differs(name: str) -> pl.Expr:
    if name in _REAL:
        near = (pl.col(name) - pl.col(f"{name}_new")).abs() <= SAME * pl.max_horizontal(name, f"{name}_new")
        return ~(near | (pl.col(name).is_null() & pl.col(f"{name}_new").is_null())).fill_null(value=False)
    return pl.col(name).ne_missing(pl.col(f"{name}_new"))
