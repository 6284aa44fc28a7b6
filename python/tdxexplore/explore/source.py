"""The sources that a model is recorded from, as a hash: equal sources record equal models, and need not do so again.

A model's digest says exactly what the engine ran, but costs recording and lowering. The hash of the sources costs reading a
few files. It changes more often, as with a comment, so that it may only say that two models are equal, never that they differ.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore._version import __version__

if TYPE_CHECKING:
    from tdxexplore.tdx.policy import Policy

_PACKAGE = Path(__file__).parent.parent
_RECORDING = ("model", "linux", "tdx")  # the folders of the package that record and lower


def source_of(policy: type[Policy]) -> str | None:
    """A hash of this package's sources that record and lower, and of a user's policy with its neighbours that are loaded.

    Files that a policy reads in other ways than by importing them are not seen.

    Returns:
        32 hex digits of BLAKE2b, or None where sources cannot be read: a class that was typed in, or a package without its text.
    """
    if policy.__module__.startswith("tdxexplore."):
        return _of_the_package()
    try:
        folder = Path(inspect.getfile(policy)).resolve().parent
        files = {Path(inspect.getfile(base)).resolve() for base in policy.__mro__ if not _is_ours(base)}
        files |= {path for path in _loaded() if path.is_relative_to(folder)}
        texts = [path.read_bytes() for path in sorted(files)]
    except (OSError, TypeError):
        return None
    return None if _of_the_package() is None else _hash([str(_of_the_package()).encode(), *texts])


def _is_ours(base: type) -> bool:
    return base is object or base.__module__.startswith(("tdxexplore.", "builtins", "abc"))


def _loaded() -> list[Path]:
    places = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [Path(place).resolve() for place in places if place is not None and place.endswith(".py")]


@lru_cache(maxsize=1)
def _of_the_package() -> str | None:
    paths = sorted(path for folder in _RECORDING for path in (_PACKAGE / folder).rglob("*.py"))
    if not paths:
        return None
    return _hash([__version__.encode(), *(path.read_bytes() for path in paths)])


def _hash(texts: list[bytes]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for text in texts:
        found.update(len(text).to_bytes(8, "big") + text)
    return found.hexdigest()
