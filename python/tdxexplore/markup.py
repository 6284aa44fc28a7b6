"""Small HTML tables for notebooks: what the ``_repr_html_`` of every result is made of.

Every text is escaped here, and nowhere else. Styles stand in the tags, as a notebook has no style sheet of ours; colours are
pairs of paper and ink, so that they can be read on a light page and on a dark one.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COLOURS = {
    "S0": ("#7d0f2b", "#ffffff"),
    "S1": ("#cf3a2c", "#ffffff"),
    "S2": ("#f2915a", "#3a1404"),
    "S3": ("#fbcf7c", "#45290a"),
    "S4": ("#f0e59a", "#4a430e"),
    "ok": ("#bfe0c7", "#12401f"),
}
"""Paper and ink of each severity, in notebooks and charts."""

_VERDICTS = {"violated": COLOURS["S1"], "holds": COLOURS["ok"]}
_OTHER = ("#d9dbe6", "#2e3350")
_CELL = "padding:2px 8px;text-align:left;vertical-align:top"


@dataclass(frozen=True, slots=True)
class Html:
    """HTML that was made here; everything else is a text that is still to be escaped."""

    text: str


Cell: TypeAlias = "Html | str | int | float | None"


def severity(words: str, of: str | None) -> Html:
    """Words in the colour of a severity; of None in that of no answer."""
    return _badge(words, COLOURS.get(of or "", _OTHER))


def verdict(word: str) -> Html:
    """A verdict in its colour."""
    return _badge(word, _VERDICTS.get(word, _OTHER))


def bar(words: str, share: float | None) -> Html:
    """A share with a bar under it."""
    line = f"height:3px;width:{60 * (share or 0):.0f}px;background:currentColor;opacity:.55"
    return Html(f'{_text(words)}<div style="{line}"></div>')


def paragraph(*parts: Html | str) -> Html:
    """Texts and badges in a line."""
    return Html(f"<p>{''.join(_html(part) for part in parts)}</p>")


def folded(summary: str, inside: Html) -> Html:
    """Something that opens when it is clicked."""
    return Html(f"<details><summary>{_text(summary)}</summary>{inside.text}</details>")


def picture(kind: str, data: str, words: str) -> Html:
    """A picture that is part of the page.

    Args:
        kind: Its media type.
        data: It, as base64.
        words: What is said where no picture is shown.
    """
    return Html(f'<img alt="{_text(words)}" style="max-width:100%" src="data:{kind};base64,{data}">')


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Html:
    """A table; None is shown as ``-``."""
    head = "".join(f'<th style="{_CELL}">{_text(name)}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{_html(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return Html(f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def page(*parts: Html | None) -> str:
    """Parts below each other."""
    return "".join(part.text for part in parts if part is not None)


def _badge(words: str, colour: tuple[str, str]) -> Html:
    paper, ink = colour
    return Html(f'<span style="background:{paper};color:{ink};border-radius:4px;padding:0 5px">{_text(words)}</span>')


def _html(cell: Cell) -> str:
    if isinstance(cell, Html):
        return cell.text
    if cell is None:
        return "-"
    return _text(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell))


def _text(text: str) -> str:
    return escape(visible(text))
