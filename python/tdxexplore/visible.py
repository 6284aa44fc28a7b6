"""Texts of strangers on a terminal: names, file names, notes and messages say what they contain and do nothing else."""

from __future__ import annotations

import re

# Control characters but for the line feed, what turns the direction of text around, and halves of characters.
_ACTING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    r"""A text in which every character that a terminal would act on is written as Python writes it.

    Example:
        >>> print(visible("a\x1b[31m b"))
        a\x1b[31m b
    """
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, most: int = 1000) -> str:
    """The same, in one line of at most so many characters: what stands in the middle of a longer one is left out."""
    line = " ".join(visible(text).split())
    return line if len(line) <= most else f"{line[: most // 2]} [...] {line[-most // 2 :]}"
