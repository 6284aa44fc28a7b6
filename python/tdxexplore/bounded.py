"""Reading a file that somebody named, which may be a device without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def at_most(path: Path, most: int, what: str) -> bytes:
    """The bytes of a file.

    Args:
        path: The file.
        most: How many there may be.
        what: What the file is, for the message.

    Raises:
        ValueError: There are more.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"has more than {most:,} bytes, the most that {what} has")
    return content
