"""Markdown, as the pages of the manual and `tdxexplore describe` are written."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, ClassVar

from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.table import Table

from tdxexplore.render.terminal import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult


# An opening angle bracket outside a span of code: Markdown takes `<addr>` for HTML, and shows nothing of it.
_BRACKET = re.compile(r"<(?=[^`]*(?:`[^`]*`[^`]*)*$)")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, and an empty one after it; a cell is Markdown, in which a bar would end the cell."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(_text(cell).replace('|', '&#124;') for cell in row)} |" for row in rows), ""]


def listed(items: Iterable[str], none: str = "None.") -> list[str]:
    """The lines of a list, and an empty one after it; of an empty list, a word that says so."""
    return [*([f"- {_text(item)}" for item in items] or [none]), ""]


def _text(text: str) -> str:
    return _BRACKET.sub("&lt;", text)


class _FoldedTable(TableElement):
    """A table whose cells are folded, as nothing is ever cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                for column in part.columns:
                    column.overflow = "fold"
            yield part


class Laid(Markdown):
    """Markdown, laid out for a terminal."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "table_open": _FoldedTable}


def print_page(text: str) -> None:
    """A page: laid out on a terminal, as it is into a pipe or a file."""
    if sys.stdout.isatty():
        console().print(Laid(text), soft_wrap=False)
    else:
        sys.stdout.write(text)
