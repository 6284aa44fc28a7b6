"""The tables of `tdxexplore.data.analysis`, but for the worst outcomes (`worst`): a block for each module kind.

A column of the key is shown only if it tells rows apart, and of the knobs only those that vary: in columns of their own where the
policies of a table vary in the same knobs, otherwise behind the policy's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from tdxexplore.quantities import SHARE_AND_PROBABILITY
from tdxexplore.render import knobs
from tdxexplore.render.figures import fraction
from tdxexplore.render.terminal import SEVERITIES, Sheet, console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    Row = Mapping[str, Any]
    Key = tuple[str, str]

_HEADS = {
    "cpus": "CPUs",
    "shortest_steps": "steps",
    "tried": "fewest CPUs tried",
    "unsure": "fewer, but incomplete",
    "interleaving_share": "share",
    "interleaving_share_old": "share old",
    "interleaving_share_new": "share new",
}


def print_growth(growth: pl.DataFrame) -> None:
    """Stored states against the CPU count, and the exponent of their growth."""
    if growth.is_empty():
        console().print("nothing: no search is complete")
        return
    for part in _by_module(growth):
        counts = sorted(part["cpus"].unique())
        cells: dict[tuple[str, ...], dict[object, Text]] = {}
        names, name = _naming(part, ("scenario", "budgets", "packages"))
        for row in part.iter_rows(named=True):
            of = cells.setdefault(name(row), {"growth": _value(row["growth"])})
            of[row["cpus"]] = Text(f"{row['explored']:,}")
        title = f"{_common(part)}: stored states; growth: the exponent of the CPU count"
        _print_pivot(title, names, {**{count: f"{count} CPUs" for count in counts}, "growth": "growth"}, cells)


def print_prices(prices: pl.DataFrame) -> None:
    """Policies down, prices across, in the order of the table."""
    if prices.is_empty():
        console().print("nothing: there is no question at which all policies have a price")
        return
    for part in _by_module(prices):
        cells: dict[tuple[str, ...], dict[object, Text]] = {}
        names, name = _naming(part)
        for row in part.iter_rows(named=True):
            cells.setdefault(name(row), {})[row["price"]] = Text(f"{row['mean']:.2f} ({row['most']:,})")
        questions = " or ".join(map(str, sorted(part["questions"].unique())))
        title = f"{_common(part)}: mean (most) of one run, over {questions} questions"
        _print_pivot(title, names, {price: price for price in part["price"].unique(maintain_order=True)}, cells)


def print_ranking(ranking: pl.DataFrame) -> None:
    """Places, and how many questions have each severity as worst."""
    for part in _by_module(ranking):
        title = f"{_common(part)}: questions by their worst severity; bad: what counts as a violation"
        figures = [name for name in part.columns if name not in ("module", "policy", "knobs")]
        _print_rows(title, part, (), figures)
    console().print(Text(SHARE_AND_PROBABILITY, "dim"), soft_wrap=False)


def print_smallest(smallest: pl.DataFrame) -> None:
    """Outcomes, invariants that fail and responses that can be lost, with the fewest CPUs at which they appear."""
    if smallest.is_empty():
        console().print("nothing: no search has reached an outcome, and no invariant fails")
        return
    for part in _by_module(smallest):
        figures = ["finding", "severity", "cpus", "shortest_steps", "tried", "unsure"]
        _print_rows(_common(part), part, ("scenario", "budgets", "packages"), figures)


def print_shares(shares: pl.DataFrame) -> None:
    """How the runs of each point end."""
    if shares.is_empty():
        console().print("nothing: no search is complete")
        return
    for part in _by_module(shares):
        figures = ["outcome", "severity", "interleaving_share", "probability", "shortest_steps"]
        _print_rows(_common(part), part, ("scenario", "budgets", "packages", "cpus"), figures)
    console().print(Text(SHARE_AND_PROBABILITY, "dim"), soft_wrap=False)


def print_domination(pairs: pl.DataFrame) -> None:
    """Who dominates whom, what was compared, and which policies are identical."""
    out = console()
    if pairs.is_empty():
        out.print("nothing to compare: no two policies answer the same question completely")
        return
    for part in _by_module(pairs):
        labels = _labels(part)
        sheet = Sheet(f"{_common(part)}: nowhere worse, and better somewhere", ["policy", "dominates"], ["better at"])
        for row in part.filter("dominates").iter_rows(named=True):
            better = Text(f"{row['better']:,} of {row['questions']:,} questions")
            sheet.add([labels[row["policy"], row["knobs"]], labels[row["other_policy"], row["other_knobs"]]], [better])
        if sheet.rows:
            sheet.print()
        else:
            out.print(Text(f"{_common(part)}: no policy dominates another", "bold"))
        counts = sorted(part["questions"].unique())
        questions = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
        out.print(f"compared: each two of {len(labels)} policies, at {questions} questions")
        for group in _equal(part):
            _print_names("identical at every question", group, labels)
        out.print()


def print_differences(differences: pl.DataFrame, compared: pl.DataFrame) -> None:
    """What differs at points that are in both data sets, what was compared, and which policies are identical.

    Args:
        differences: See `tdxexplore.data.analysis.differences`.
        compared: See `tdxexplore.data.analysis.compared`.
    """
    out = console()
    changed = differences.filter(~differences["change"].is_in(["only old", "only new"]))
    if changed.is_empty():
        out.print("nothing differs")
    figures = [
        "finding",
        "change",
        *(f"{name}_{s}" for name in ("severity", "interleaving_share") for s in ("old", "new")),
    ]
    for part in _by_module(changed):
        _print_rows(_common(part), part, ("scenario", "budgets", "packages", "cpus"), figures)
    both, old, new = (compared[name].sum() for name in ("both", "only_old", "only_new"))
    alone = f"; only in the old one: {old:,}, only in the new one: {new:,}" if old or new else ""
    out.print(f"compared: {both:,} points that are in both data sets{alone}")
    same = compared.filter((compared["both"] > 0) & (compared["differing"] == 0))
    _print_names("identical", list(same.select("policy", "knobs").iter_rows()), _labels(compared))


# -- rows and their names ---------------------------------------------------------------------------------------------


def _by_module(frame: pl.DataFrame) -> list[pl.DataFrame]:
    return frame.partition_by("module", maintain_order=True) if len(frame) else []


def _common(part: pl.DataFrame) -> str:
    """What the rows of a block have in common."""
    policies = part["policy"].unique()
    return f"module kind {part['module'][0]}" + (f", policy {policies[0]}" if len(policies) == 1 else "")


def _naming(frame: pl.DataFrame, key: Sequence[str] = ()) -> tuple[list[str], Callable[[Row], tuple[str, ...]]]:
    """The heads of the columns that name the rows of a table, and what they say of a row.

    Args:
        frame: The table.
        key: Columns that name a row beside its policy, if they vary.
    """
    of = knobs.varying(frame.select("policy", "knobs").unique().to_dicts())
    sets = set(of.values())
    columns = sets.pop() if len(sets) == 1 else ()
    policy = [] if len(of) == 1 and columns else ["policy"]
    others = [name for name in key if frame[name].n_unique() > 1]
    labels = {} if columns else _labels(frame)

    def name(row: Row) -> tuple[str, ...]:
        known = {**row, **knobs.values(row["knobs"])}
        if labels:
            known["policy"] = labels[row["policy"], row["knobs"]]
        return tuple(str(known[head]) for head in (*policy, *columns, *others))

    return [*policy, *columns, *(_HEADS.get(head, head) for head in others)], name


def _labels(frame: pl.DataFrame) -> dict[Key, str]:
    """Each policy with those of its knobs that vary, as one text."""
    rows = frame.select("policy", "knobs").unique(maintain_order=True).to_dicts()
    names = knobs.varying(rows)
    return {
        (row["policy"], row["knobs"]): knobs.label(row["policy"], row["knobs"], names[row["policy"]]) for row in rows
    }


def _print_names(what: str, policies: Sequence[Key], labels: Mapping[Key, str]) -> None:
    if policies:
        several = len(policies) == len(labels) > 1
        named = f"all {len(labels)} policies" if several else ", ".join(labels[key] for key in policies)
        console().print(Text(f"{what}: {named}"), soft_wrap=False)


def _print_rows(title: str, frame: pl.DataFrame, key: Sequence[str], figures: Sequence[str]) -> None:
    """Each row of a table with its names and some of its columns."""
    names, name = _naming(frame, key)
    sheet = Sheet(title, names, [_HEADS.get(figure, figure.replace("_", " ")) for figure in figures])
    for row in frame.iter_rows(named=True):
        sheet.add(name(row), [_value(row[figure]) for figure in figures])
    sheet.print()


def _print_pivot(
    title: str,
    names: Sequence[str],
    columns: Mapping[Any, str],
    cells: Mapping[tuple[str, ...], Mapping[object, Text]],
) -> None:
    sheet = Sheet(title, names, list(columns.values()))
    for name, row in cells.items():
        sheet.add(name, [row.get(column, Text("")) for column in columns])
    sheet.print()


def _value(value: object) -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, float):
        return Text(fraction(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(str(value), SEVERITIES.get(str(value), ""), justify="left")


def _equal(pairs: pl.DataFrame) -> Iterator[list[Key]]:
    """Groups of policies each two of which are equal at every question that both answer."""
    alike = pairs.filter((pairs["better"] == 0) & (pairs["worse"] == 0) & (pairs["mixed"] == 0))
    rows = alike.select("policy", "knobs", "other_policy", "other_knobs").iter_rows()
    equal = {(row[:2], row[2:]) for row in rows}
    groups: list[list[Key]] = []
    for key in sorted({one for one, _ in equal}):
        fitting = (group for group in groups if all((key, other) in equal for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([key])
        else:
            group.append(key)
    yield from (group for group in groups if len(group) > 1)
