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
from tdxexplore.tdx.policy_file import module_of, sources

if TYPE_CHECKING:
    from types import FunctionType, ModuleType

_PACKAGE = Path(__file__).parent.parent
_RECORDING = ("model", "linux", "tdx")  # the folders of the package that record and lower


def source_of(code: type | FunctionType | ModuleType) -> str | None:
    """A hash of this package's sources that record and lower, and of a user's file with the neighbours that it imports.

    What the file reads in other ways than by importing it is not seen.

    Args:
        code: The class of a policy, the function of a model, or the file of either as a module.

    Returns:
        32 hex digits of BLAKE2b, or None where sources cannot be read: a class that was typed in, or a package without its text.
    """
    ours, home = _of_the_package(), module_of(code)
    if ours is None or home.startswith("tdxexplore."):
        return ours
    texts = sources(home) or _of_a_program(code)
    return None if texts is None else _hash([ours.encode(), *(text for _, text in sorted(texts.items()))])


def _of_a_program(code: type | FunctionType | ModuleType) -> dict[str, bytes] | None:
    """The files that define a function, or a class and its bases, and the modules of that program beside them."""
    parts = [base for base in code.__mro__ if not _is_ours(base)] if isinstance(code, type) else [code]
    try:
        files = {Path(inspect.getfile(part)).resolve() for part in parts}
        folder = Path(inspect.getfile(code)).resolve().parent
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
