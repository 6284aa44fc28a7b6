"""Questions to a data set, each one function from lazy frames to a lazy frame, sorted by its key.

Most read the *answers*: a row for each point and outcome with the verdict of its run (`answers`). A *question* is a module
kind, scenario, budgets, packages and CPU count; a *policy* is its name with its knobs. Incomplete searches are shown where a
row is a single search, and left out where searches are compared or summed up: they know only what they saw so far. Floats
are summed in a fixed order, as the order of rows within a group is not.

Example:
    >>> from pathlib import Path
    >>> from tdxexplore.data import analysis
    >>> def worst_of(folder):
    ...     return analysis.worst(analysis.answers(Path(folder))).collect()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tdxexplore.data.dataset import Dataset
from tdxexplore.model import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

POLICY = ("policy", "knobs")
QUESTION = ("module", "scenario", "budgets", "packages", "cpus")
SERIES = (*POLICY, *QUESTION[:-1])
KEY = (*SERIES, "cpus")

WORST = ("outcome", "severity", "interleavings", "interleaving_share", "probability", "shortest_steps", "schedule")
"""What a table of worst outcomes says of each, by the names of the columns of the outcomes."""

SPENT = ("seamcalls", "steps-under-cpus-lock")
"""The prices that count where policies are compared, unless others are asked for."""

_BADNESS = list(reversed(range(len(SEVERITIES))))
_SAME = 1e-9  # relative: shares and probabilities are sums of floats, and may be as small as 1e-30
_DIGITS = 9


def answers(root: Path) -> pl.LazyFrame:
    """The answers in a data set: a row for each point and outcome; see `tdxexplore.data.dataset.Dataset.answers`.

    Raises:
        BadDataset: The folder is not a data set, or holds two answers to one question.
    """
    return Dataset(root).answers


def paid(root: Path) -> pl.LazyFrame:
    """The prices in a data set: a row for each point, outcome and price; see `tdxexplore.data.dataset.Dataset.prices`.

    Raises:
        BadDataset: The folder is not a data set, or holds two answers to one question.
    """
    return Dataset(root).prices


def runs(root: Path) -> pl.LazyFrame:
    """The runs in a data set: a row for each point.

    Raises:
        BadDataset: The folder is not a data set.
    """
    return Dataset(root).scan("runs")


def worst(answers: pl.LazyFrame) -> pl.LazyFrame:
    """Which outcome is the worst at each point?

    Columns: the key, verdict, and `WORST` as in the outcomes; null if the search ended before any.
    """
    return answers.filter(pl.col("rank").fill_null(0) == 0).select(*KEY, "verdict", *WORST).sort(KEY)


def domination(
    answers: pl.LazyFrame, paid: pl.LazyFrame, fail_on: str = "S3", prices: Sequence[str] = SPENT
) -> pl.LazyFrame:
    """Which policy dominates which, on each module kind (Pareto)?

    A policy is compared with another at every question that both answer completely, by these objectives, less being better:
    the severity of its worst outcome, the share of interleavings and the probability that end at least as bad as `fail_on`,
    and each price, as the mean over all interleavings. An objective that is null on either side of a question, as prices are
    where runs need not end, says nothing there.

    Args:
        answers: See `answers`.
        paid: See `paid`.
        fail_on: The least severe severity that counts as bad.
        prices: The prices that count, by name.

    Returns:
        A row for each module kind and ordered pair of policies: questions compared, how many of them where the first is
        better in some objective and worse in none (``better``), the reverse (``worse``), or both better and worse
        (``mixed``), and whether it ``dominates``: never worse or mixed, and better at least once.
    """
    objectives = ["badness", "bad_share", "bad_probability", *prices]
    spent = _spent(paid.filter(pl.col("price").is_in(list(prices))))
    wide = spent.group_by(KEY).agg(
        pl.col("mean").filter(pl.col("price") == name).first().alias(name) for name in prices
    )
    points = _points(answers, fail_on).join(wide, on=KEY, how="left").cache()
    # Numbers instead of names: there are as many pairs as points times policies.
    names, modules = (points.select(key).unique().sort(key).with_row_index("number") for key in (POLICY, ("module",)))
    slim = (
        points.with_columns(pl.struct(QUESTION).rank("dense").alias("question"))
        .join(names.rename({"number": "one"}), on=POLICY)
        .join(modules.rename({"number": "kind"}), on="module")
        .select("question", "kind", "one", *objectives)
    )
    other = slim.select("question", pl.col("one").alias("two"), *(pl.col(o).alias(f"other_{o}") for o in objectives))
    less = [pl.col(o) < pl.col(f"other_{o}") * (1 - _SAME) for o in objectives]
    more = [pl.col(o) * (1 - _SAME) > pl.col(f"other_{o}") for o in objectives]
    better, worse = pl.any_horizontal(*less).fill_null(value=False), pl.any_horizontal(*more).fill_null(value=False)
    pairs = (
        slim.join(other, on="question")
        .filter(pl.col("one") != pl.col("two"))
        .select("kind", "one", "two", better=better, worse=worse)
        .group_by("kind", "one", "two")
        .agg(
            questions=pl.len().cast(pl.Int64),
            better=(pl.col("better") & ~pl.col("worse")).sum().cast(pl.Int64),
            worse=(pl.col("worse") & ~pl.col("better")).sum().cast(pl.Int64),
            mixed=(pl.col("worse") & pl.col("better")).sum().cast(pl.Int64),
        )
    )
    pair = ("module", *POLICY, *(f"other_{name}" for name in POLICY))
    second = names.rename({name: f"other_{name}" for name in POLICY})
    return (
        pairs.join(names, left_on="one", right_on="number")
        .join(second, left_on="two", right_on="number")
        .join(modules, left_on="kind", right_on="number")
        .select(*pair, "questions", "better", "worse", "mixed")
        .with_columns(dominates=(pl.col("worse") == 0) & (pl.col("mixed") == 0) & (pl.col("better") > 0))
        .sort(pair)
    )


def cost(runs: pl.LazyFrame) -> pl.LazyFrame:
    """What does an answer cost, against the CPU count?

    Returns:
        A row for each complete point: stored states, generated transitions, seconds, memory; and for its series, that is all
        its CPU counts: ``growth`` and ``growth_of_seconds``, the exponents *a* of the least-squares fits ``states ~ cpus^a``
        and ``seconds ~ cpus^a`` on logarithms, and ``r_squared`` of the first. They are null with fewer than two counts.
    """
    figures = ("explored", "generated", "seconds", "peak_memory_bytes")
    x, states, seconds = (pl.col(name).sort_by("cpus").log() for name in ("cpus", "explored", "seconds"))
    several = pl.col("cpus").n_unique() > 1

    def fitted(value: pl.Expr) -> pl.Expr:
        return pl.when(several).then(pl.cov(x, value) / x.var())

    correlation = pl.when(several & (pl.col("explored").n_unique() > 1)).then(pl.corr(x, states))
    fits = {
        "growth": fitted(states),
        "growth_of_seconds": fitted(seconds),
        "r_squared": correlation**2,
    }
    complete = runs.filter(pl.col("verdict") != "incomplete")
    exponents = complete.group_by(SERIES).agg(**fits)
    return complete.select(*KEY, *figures).join(exponents, on=SERIES).sort(KEY)


def smallest(answers: pl.LazyFrame, outcome: str | None = None) -> pl.LazyFrame:
    """At how many CPUs does an outcome first appear?

    Args:
        answers: See `answers`.
        outcome: The outcome; default: all.

    Returns:
        A row for each series and outcome that appears: the smallest CPU count, with its severity, steps and schedule;
        ``tried``, the smallest CPU count in the data set: if both are equal, fewer CPUs may do; and ``unsure``, how many
        smaller counts have an incomplete search, which may have missed it.
    """
    counts = answers.select(*SERIES, "cpus", incomplete=pl.col("verdict") == "incomplete").unique()
    tried = counts.group_by(SERIES).agg(tried=pl.col("cpus").min())
    cut = counts.filter("incomplete").select(*SERIES, cut="cpus")
    wanted = pl.col("outcome").is_not_null() if outcome is None else pl.col("outcome") == outcome
    figures = ("severity", "cpus", "shortest_steps", "schedule")
    first = answers.filter(wanted).group_by(*SERIES, "outcome").agg(pl.col(figures).sort_by("cpus").first())
    return (
        first.join(cut, on=SERIES, how="left")
        .group_by(*SERIES, "outcome", *figures)
        .agg(unsure=(pl.col("cut") < pl.col("cpus")).sum().cast(pl.Int64))
        .join(tried, on=SERIES)
        .sort(*SERIES, "severity", "outcome")
    )


def differences(old: pl.LazyFrame, new: pl.LazyFrame) -> pl.LazyFrame:
    """What differs between two data sets, as of two versions of a policy?

    Returns:
        A row for each point and outcome that is not the same in both: ``change`` (``only old`` or ``only new``: the point is
        in one data set only; ``appears``, ``gone``: the outcome is; ``severity``, ``figures``: that differs; ``verdict``:
        only the verdict does), and verdict, severity, interleavings, interleaving_share and probability, old and new.
    """
    exact = ("severity", "terminal_states", "interleavings")
    real = ("interleaving_share", "probability")
    figures = ("verdict", *exact, *real)
    key = [*KEY, "outcome"]
    sides = [side.select(*key, *figures, present=pl.lit(value=True)) for side in (old, new)]
    both = sides[0].join(sides[1], on=key, how="full", suffix="_new", coalesce=True, nulls_equal=True)
    for side, name in ((old, "in_old"), (new, "in_new")):
        both = both.join(side.select(KEY).unique().with_columns(pl.lit(value=True).alias(name)), on=KEY, how="left")

    def differs(name: str) -> pl.Expr:
        if name in real:
            near = (pl.col(name) - pl.col(f"{name}_new")).abs() <= _SAME * pl.max_horizontal(name, f"{name}_new")
            return ~(near | (pl.col(name).is_null() & pl.col(f"{name}_new").is_null())).fill_null(value=False)
        return pl.col(name).ne_missing(pl.col(f"{name}_new"))

    change = (
        pl.when(pl.col("in_new").is_null())
        .then(pl.lit("only old"))
        .when(pl.col("in_old").is_null())
        .then(pl.lit("only new"))
        .when(pl.col("present").is_null())
        .then(pl.lit("appears"))
        .when(pl.col("present_new").is_null())
        .then(pl.lit("gone"))
        .when(differs("severity"))
        .then(pl.lit("severity"))
        .when(pl.any_horizontal(*(differs(name) for name in (*exact, *real))))
        .then(pl.lit("figures"))
        .when(differs("verdict"))
        .then(pl.lit("verdict"))
    )
    shown = [column for name in figures if name != "terminal_states" for column in (f"{name}_old", f"{name}_new")]
    return (
        both.with_columns(change=change)
        .filter(pl.col("change").is_not_null())
        .rename({name: f"{name}_old" for name in figures})
        .select(*key, "change", *shown)
        .sort(key)
    )


def ranking(answers: pl.LazyFrame, module: str, fail_on: str = "S3") -> pl.LazyFrame:
    """Which policies are best on a module kind?

    Policies are compared at the questions that all of them answer completely. First comes the one with the fewest questions
    whose worst outcome is S0; among equals the fewest S1, and so on; then the one with the smaller mean share of bad
    interleavings. Equal policies share a place.

    Args:
        answers: See `answers`.
        module: The module kind.
        fail_on: The least severe severity that counts as bad.

    Returns:
        A row for each policy: place, questions, how many of these have each severity as worst, mean bad_share and
        bad_probability, and ``incomplete``, its questions that are left out because its search was cut short.
    """
    here = answers.filter(pl.col("module") == module)
    points = _points(here, fail_on)
    policies = here.select(POLICY).unique()
    common = (
        points.group_by(QUESTION)
        .agg(answered=pl.len())
        .join(policies.select(asked=pl.len()), how="cross")
        .filter(pl.col("answered") == pl.col("asked"))
    )
    incomplete = (
        here.filter(pl.col("verdict") == "incomplete")
        .unique(KEY)
        .group_by(POLICY)
        .agg(incomplete=pl.len().cast(pl.Int64))
    )
    worst = zip(SEVERITIES, _BADNESS, strict=True)
    counts = [(pl.col("badness") == badness).sum().cast(pl.Int64).alias(severity) for severity, badness in worst]
    means = [pl.col(name).sort_by(QUESTION).mean() for name in ("bad_share", "bad_probability")]
    found = (
        points.join(common, on=QUESTION, how="semi")
        .group_by(POLICY)
        .agg(pl.len().cast(pl.Int64).alias("questions"), *counts, *means)
    )
    order = [*SEVERITIES[:-1], "bad_share"]
    return (
        policies.join(found, on=POLICY, how="left")
        .join(incomplete, on=POLICY, how="left")
        .with_columns(pl.col("questions", "incomplete", *SEVERITIES).fill_null(0))
        .with_columns(pl.col("bad_share", "bad_probability").round_sig_figs(_DIGITS))
        .with_columns(place=pl.struct(order).rank("min").cast(pl.Int64))
        .select("place", *POLICY, "questions", *SEVERITIES, "bad_share", "bad_probability", "incomplete")
        .sort("place", *POLICY)
    )


def benchmark(paid: pl.LazyFrame, module: str, outcome: str | None = None, prices: Sequence[str] = ()) -> pl.LazyFrame:
    """What does a policy cost on a module kind: SEAMCALLs, VMXON, IPIs, steps under locks?

    Policies are compared at the questions at which all of them have a price: their searches are complete, and every run
    ends. Among the policies are those that have a price at any question.

    Args:
        paid: See `paid`.
        module: The module kind.
        outcome: Look only at runs that end so: what success costs, or a failure. Default: all runs.
        prices: The prices, by name; default: all.

    Returns:
        A row for each price and policy: place by ``mean``, questions, the mean of the questions' means over all
        interleavings (``mean``), the least and the most of any interleaving of any question.
    """
    here = paid.filter(pl.col("module") == module)
    if outcome is not None:
        here = here.filter(pl.col("outcome") == outcome).with_columns(interleaving_share=pl.lit(1.0))
    if prices:
        here = here.filter(pl.col("price").is_in(list(prices)))
    points = _spent(here).cache()
    policies = points.select(POLICY).unique()
    common = (
        points.group_by(*QUESTION, "price")
        .agg(answered=pl.len())
        .join(policies.select(asked=pl.len()), how="cross")
        .filter(pl.col("answered") == pl.col("asked"))
    )
    figures = {
        "questions": pl.len().cast(pl.Int64),
        "mean": pl.col("mean").sort_by(QUESTION).mean().round_sig_figs(_DIGITS),
        "least": pl.col("least").min(),
        "most": pl.col("most").max(),
    }
    return (
        points.join(common, on=[*QUESTION, "price"], how="semi")
        .group_by("price", *POLICY)
        .agg(**figures)
        .with_columns(place=pl.col("mean").rank("min").over("price").cast(pl.Int64))
        .select("price", "place", *POLICY, *figures)
        .sort("price", "place", *POLICY)
    )


def _spent(paid: pl.LazyFrame) -> pl.LazyFrame:
    """A row for each complete point and price: its mean over all interleavings, and the least and most of any."""
    return (
        paid.filter(pl.col("verdict") != "incomplete")
        .group_by(*KEY, "price")
        .agg(
            mean=(pl.col("mean") * pl.col("interleaving_share")).sort_by("rank").sum(),
            least=pl.col("least").min(),
            most=pl.col("most").max(),
        )
    )


def _points(answers: pl.LazyFrame, fail_on: str) -> pl.LazyFrame:
    """A row for each complete point: badness of its worst outcome (0 is ok), share and probability of bad ones."""
    bad = pl.col("severity").is_in(SEVERITIES[: SEVERITIES.index(fail_on) + 1])
    badness = pl.col("severity").replace_strict(SEVERITIES, _BADNESS, return_dtype=pl.Int64)

    def total(name: str) -> pl.Expr:
        return (
            pl.when(pl.col(name).is_null().any())
            .then(None)
            .otherwise(pl.col(name).sort_by("rank").filter(bad.sort_by("rank")).sum())
        )

    return (
        answers.filter(pl.col("verdict") != "incomplete")
        .group_by(KEY)
        .agg(
            badness=badness.max(),
            bad_share=total("interleaving_share"),
            bad_probability=total("probability"),
        )
    )
