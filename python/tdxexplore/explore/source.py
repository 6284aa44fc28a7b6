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
from tdxexplore.tdx.policy_file import sources

if TYPE_CHECKING:
    from tdxexplore.tdx.policy import Policy

_PACKAGE = Path(__file__).parent.parent
_RECORDING = ("model", "linux", "tdx")  # the folders of the package that record and lower


def source_of(policy: type[Policy]) -> str | None:
    """A hash of this package's sources that record and lower, and of a user's policy with the neighbours that it imports.

    What a policy reads in other ways than by importing it is not seen.

    Returns:
        32 hex digits of BLAKE2b, or None where sources cannot be read: a class that was typed in, or a package without its text.
    """
    ours = _of_the_package()
    if ours is None or policy.__module__.startswith("tdxexplore."):
        return ours
    texts = sources(policy) or _of_a_class(policy)
    return None if texts is None else _hash([ours.encode(), *(text for _, text in sorted(texts.items()))])


def _of_a_class(policy: type[Policy]) -> dict[str, bytes] | None:
    """The files that define a class of a program and its bases, and the modules of that program beside them."""
    try:
        files = {Path(inspect.getfile(base)).resolve() for base in policy.__mro__ if not _is_ours(base)}
        folder = Path(inspect.getfile(policy)).resolve().parent
        files |= {path for path in _loaded() if path.is_relative_to(folder)}
        return {str(path): path.read_bytes() for path in files}
    except (OSError, TypeError):
        return None


def _is_ours(base: type) -> bool:
    return base.__module__.startswith(("tdxexplore.", "builtins", "abc"))


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
