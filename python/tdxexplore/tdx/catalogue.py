"""Finding a policy: a built-in one by its name, or a user's own as ``path/to/file.py:name``."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.policy import Policy
from tdxexplore.tdx.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from types import ModuleType


def find_policy(name: str) -> type[Policy]:
    """The policy class of a name, or of a file and a name in it.

    Args:
        name: That of a built-in one, or ``path/to/file.py:MyPolicy``, where the name after the colon is that of the class or
            the ``name`` of the policy.

    Raises:
        BadModel: There is no such policy, or the file does not import.
    """
    path, colon, wanted = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise BadModel(f"policy `{name}` names a file only; write `{name}:NAME`, with the class in it")
        if name not in BUILT_IN:
            raise BadModel(f"policy `{name}` is not known; {suggest(name, BUILT_IN)}")
        return BUILT_IN[name]
    module = _load(Path(path))
    found = {
        alias: value
        for attribute, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Policy) and value.__module__ == module.__name__
        for alias in (attribute, getattr(value, "name", attribute))
    }
    if wanted not in found:
        raise BadModel(f"`{path}` has no policy `{wanted}`; {suggest(wanted, found) if found else 'it defines none'}")
    policy = found[wanted]
    for attribute in ("name", "title", "source"):
        if not isinstance(getattr(policy, attribute, None), str):
            raise BadModel(f"policy `{wanted}` of `{path}` has no `{attribute}`; set it to a string in the class")
    return policy


def find_scenario(name: str) -> Scenario:
    """The scenario of a name.

    Raises:
        BadModel: There is none.
    """
    if name not in SCENARIOS:
        raise BadModel(f"scenario `{name}` is not known; {suggest(name, SCENARIOS)}")
    return SCENARIOS[name]


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise BadModel(f"policy file `{path}` does not exist")
    # The name carries the content, so that an edited file is a new module, and classes of equal name do not mix.
    content = hashlib.blake2b(path.resolve().as_posix().encode() + path.read_bytes(), digest_size=8).hexdigest()
    name = f"tdxexplore_policy_{content}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadModel(f"policy file `{path}` is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):  # Ctrl-C, or the time is up
            raise
        raise BadModel(f"policy file `{path}` does not import: {where(error, path)}{describe(error)}") from error
    return module


def where(error: BaseException, path: Path) -> str:
    """``line N: `` for the last line of a file that an error passed through; empty when it did not."""
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == path.resolve()
    ]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    return f"line {lines[-1]}: " if lines else ""


def describe(error: BaseException) -> str:
    """An error in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"
