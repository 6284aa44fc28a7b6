"""Texts of strangers on a terminal: names, file names, notes and messages say what they contain and do nothing else."""

from __future__ import annotations

import os
import re

from tdxexplore.errors import BadModel

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


def speaks_ascii() -> bool:
    """Whether the locale is that of ASCII. Python itself then sets LC_CTYPE to ``C.UTF-8`` (PEP 538), which says nothing."""
    known = [os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if not known[0] and known[1] == "C.UTF-8" and known[2] in ("", "C", "POSIX"):
        return True
    said = next((value for value in known if value), "C")
    return "UTF-8" not in said.upper().replace("UTF8", "UTF-8")


def said(what: str, text: object, most: int = 2000) -> None:
    """Refuse what cannot be said in one line of a table, a comment of another language, or a terminal.

    Args:
        what: What the text is, for the message.
        text: One line of printable characters is allowed.
        most: How many.

    Raises:
        BadModel: It is none.
    """
    if not isinstance(text, str) or not text.isprintable() or len(text) > most:
        shown = f"`{one_line(text, 60)}`" if isinstance(text, str) else repr(text)
        raise BadModel(f"{what} is {shown}; one line of at most {most:,} printable characters is needed")


_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")


def word(what: str, text: object) -> None:
    """Refuse what is no name that stands in a command, in a folder's name and in a list between spaces.

    Raises:
        BadModel: It is none.
    """
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        shown = f"`{one_line(text, 60)}`" if isinstance(text, str) else repr(text)
        raise BadModel(
            f"{what} is {shown}; at most 60 of `A-Z a-z 0-9 . _ + -` are allowed, the first a letter or digit"
        )
