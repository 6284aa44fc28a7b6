"""What one design changes against another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.render.figures import circumstances, fraction, integer, price_range
from tdxexplore.render.terminal import SEVERITIES, VERDICTS, Sheet, console
from tdxexplore.render.trace import print_trace

if TYPE_CHECKING:
    from tdxexplore.explore.difference import Difference

_WORDS = {
    "violated": "B adds violations",
    "holds": "B adds no violation",
    "incomplete": "incomplete",
    "vacuous": "B adds no violation, but its answer is vacuous",
}


def print_difference(difference: Difference) -> None:
    """Outcomes side by side, the share of interleavings that moves, and the schedule that B does not survive."""
    out, key = console(), difference.before.question.key()
    name_a, name_b = _two_names(difference)
    out.print(f"A: {name_a}, B: {name_b}; {circumstances(key)}")
    out.print(Text(_WORDS[difference.verdict], VERDICTS[difference.verdict]))
    out.print()
    _outcomes(difference).print()
    _print_properties(difference)
    if not difference.prices.is_empty():
        out.print()
        _prices(difference).print()
    if difference.moved is not None:
        out.print(f"at least {fraction(difference.moved)} of the interleavings end otherwise")
    if (trace := difference.trace) is not None:
        title = f"shortest schedule that A survives and B does not: {difference.worse}"
        print_trace(trace, difference.after.question, title)


def _outcomes(difference: Difference) -> Sheet:
    figures = ("A interleavings", "A share", "B interleavings", "B share", "moved", "A shortest", "B shortest")
    shown = Sheet("outcomes", ("outcome", "sev", "change"), figures)
    for row in difference.outcomes.iter_rows(named=True):
        counts = [
            cell
            for side in "ab"
            for cell in (
                integer(row[f"interleavings_{side}"], row[f"log10_interleavings_{side}"]),
                fraction(row[f"interleaving_share_{side}"]),
            )
        ]
        steps = [row[f"shortest_steps_{side}"] for side in "ab"]
        shortest = ["-" if count is None else f"{count} steps" for count in steps]
        moved = "-" if row["moved"] is None else f"{row['moved']:+.4f}"
        outcome = Text(row["outcome"], SEVERITIES[row["severity"]])
        shown.add([outcome, row["severity"], row["change"]], [Text(cell) for cell in (*counts, moved, *shortest)])
    return shown


def _prices(difference: Difference) -> Sheet:
    shown = Sheet("prices", ("outcome", "price"), ("A mean (least to most)", "B mean (least to most)", "moved"))
    for row in difference.prices.iter_rows(named=True):
        sides = [
            "-"
            if row[f"mean_{side}"] is None
            else price_range(*(row[f"{n}_{side}"] for n in ("mean", "least", "most")))
            for side in "ab"
        ]
        moved = "-" if row["moved"] is None else f"{row['moved']:+.2f}"
        shown.add(
            [Text(row["outcome"], SEVERITIES[row["severity"]]), row["price"]], [Text(each) for each in (*sides, moved)]
        )
    return shown


def _print_properties(difference: Difference) -> None:
    """The invariants that fail, responses that can be lost and expectations that are never met, on one side or both."""
    for row in difference.properties.iter_rows(named=True):
        states = ", ".join(
            f"{side.upper()} in {integer(row[f'states_{side}'])} states" for side in "ab" if row[f"states_{side}"]
        )
        what = {"invariant": "fails", "response": "can become impossible", "expectation": "is never met"}[row["kind"]]
        console().print(Text(f"{row['change']}: {row['kind']} {row['property']} {what} ({states}): {row['text']}"))


def _two_names(difference: Difference) -> tuple[str, str]:
    """The policies with the knobs that were set for either."""
    questions = (difference.before.question, difference.after.question)
    keys = [question.key() for question in questions]
    knobs = [dict(knob.split("=", 1) for knob in str(key["knobs"]).split()) for key in keys]
    asked = {name for question in questions for name, _ in question.knobs}
    shown = ([f"{name}={value}" for name, value in some.items() if name in asked] for some in knobs)
    names = (
        f"{policy} ({', '.join(some)})" if some else policy
        for policy, some in zip(difference.policies, shown, strict=True)
    )
    return next(names), next(names)
