"""Writing a file whole or not at all, beside files of others."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; what was written takes the place of `path` when all went well.

    The path is a new hidden name in the same folder, so that nobody else's file is touched and no reader sees a part.

    Raises:
        OSError: It cannot be written; the error names `path`, and what was there before is still there.
    """
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        said = os.strerror(error.errno) if error.errno else str(error)  # Arrow adds words of its own
        raise OSError(error.errno, said, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
