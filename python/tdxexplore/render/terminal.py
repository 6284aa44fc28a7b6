"""Where text goes, how wide it may be, and its colours.

Every printer of this package writes to `console` and lays its tables out with `table` or `Sheet`. Nothing is ever cut: text that
is wider than the terminal is folded, or goes into a further block. The width is that of the terminal, or `COLUMNS` if that is
set; a pipe or a file without `COLUMNS` gets lines as long as they are. Where the locale is that of ASCII nothing is drawn with
other characters, although Python takes UTF-8 for the encoding there (`Screen`).
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, RenderHook
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tdxexplore.visible import speaks_ascii, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import ConsoleOptions, ConsoleRenderable, RenderResult

SEVERITIES = {"S0": "bold red", "S1": "red", "S2": "magenta", "S3": "yellow", "S4": "cyan", "ok": "green"}
"""The colour of each severity."""

VERDICTS = {"holds": "bold green", "violated": "bold red", "incomplete": "bold yellow", "vacuous": "bold yellow"}
"""The colour of each verdict."""

_IN_ASCII = str.maketrans({"\u2026": "~", "\u00d7": "x"})
"""What Rich and this package write besides ASCII, but for frames and bars."""

_UNLIMITED = 1 << 16
_GAP = 2  # between columns


def width() -> int:
    """The columns that a line may have."""
    return shutil.get_terminal_size((_UNLIMITED, 24)).columns


class Screen(Console):
    """A console whose frames and bars have the characters of the locale."""

    @property
    def encoding(self) -> str:
        """What Rich asks before it draws."""
        return "ascii" if speaks_ascii() else super().encoding


def console() -> Console:
    """Standard output."""
    return plain(Screen(file=sys.stdout, width=width(), highlight=False, soft_wrap=True, markup=False, emoji=False))


def plain(out: Console) -> Console:
    """A console on which texts of strangers do nothing: what a terminal would act on is written out."""
    out.push_render_hook(_Hook())
    return out


class _Hook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Visible(renderable) for renderable in renderables]


class _Visible:
    """Something to print, without its control characters, and with the characters that the locale has."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self.inner = inner

    def __rich_console__(self, out: Console, options: ConsoleOptions) -> RenderResult:
        ascii_only = speaks_ascii()
        for segment in out.render(self.inner, options):
            if segment.control:
                yield segment
            else:
                text = visible(segment.text)
                yield Segment(text.translate(_IN_ASCII) if ascii_only else text, segment.style)


def table() -> Table:
    """A table without lines."""
    return Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold", pad_edge=False)


class Sheet:
    """A table with many columns of figures: those that do not fit beside the names go into further blocks.

    Args:
        title: Its title.
        names: The heads of the columns that name a row; every block repeats them.
        columns: The heads of the columns of figures.
    """

    def __init__(self, title: str, names: Sequence[str], columns: Sequence[str]) -> None:
        self.title, self.names, self.columns = title, names, columns
        self.rows: list[tuple[Sequence[str | Text], Sequence[Text]]] = []

    def add(self, names: Sequence[str | Text], cells: Sequence[Text]) -> None:
        """A row: its names, and a cell for each column."""
        self.rows.append((names, cells))

    def print(self) -> None:
        """As few blocks as the width allows."""
        out = console()
        for number, block in enumerate(self._blocks()):
            out.print(Text(self.title if number == 0 else f"{self.title} (continued)", "bold"), soft_wrap=False)
            shown = table()
            for name in self.names:
                shown.add_column(name, overflow="fold")
            for column in block:
                shown.add_column(self.columns[column], justify="right", overflow="fold")
            for names, cells in self.rows:
                shown.add_row(
                    *(Text(name) if isinstance(name, str) else name for name in names),
                    *(cells[column] for column in block),
                )
            out.print(shown)
            out.print()

    def _blocks(self) -> Iterator[list[int]]:
        """The columns of each block."""
        beside = sum(
            _GAP + max(map(cell_len, (name, *(str(names[i]) for names, _ in self.rows))))
            for i, name in enumerate(self.names)
        )
        block: list[int] = []
        used = 0
        for number, head in enumerate(self.columns):
            wide = _GAP + max(map(cell_len, (head, *(cells[number].plain for _, cells in self.rows))))
            if block and beside + used + wide - _GAP > width():
                yield block
                block, used = [], 0
            block.append(number)
            used += wide
        yield block
