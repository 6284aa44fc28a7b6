"""Writing a file whole or not at all, beside files of others."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replacing(path: Path, *, named: bool = True) -> Iterator[Path]:
    """Yield a path to write to; what was written takes the place of `path` when all went well.

    The path is a new hidden name in the same folder, so that nobody else's file is touched and no reader sees a part.

    Args:
        path: The file.
        named: Whether a user named it. Then what a link leads to is replaced, and what is no file, such as ``/dev/stdout``, is
            written to as it is. Otherwise it is a name in a folder that may be a stranger's, and whatever has it gives way.

    Raises:
        OSError: It cannot be written; the error names `path`, and what was there before is still there.
    """
    device = named and path.exists() and not path.is_file() and not path.is_dir()
    target = Path(os.path.realpath(path)) if named else path
    temporary = path if device else target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
        if not device:
            temporary.replace(target)
    except OSError as error:
        said = os.strerror(error.errno) if error.errno else str(error)  # Arrow adds words of its own
        raise OSError(error.errno, said, str(path)) from error
    finally:
        if not device:
            temporary.unlink(missing_ok=True)
