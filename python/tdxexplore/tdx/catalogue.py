"""Finding a policy: a built-in one by its name, or a user's own as ``path/to/file.py:name``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.tdx.policies import ALIASES, BUILT_IN
from tdxexplore.tdx.policy import Policy
from tdxexplore.tdx.policy_file import import_file
from tdxexplore.tdx.scenarios import SCENARIOS, Scenario
from tdxexplore.visible import said

if TYPE_CHECKING:
    from types import ModuleType


def find_policy(name: str) -> type[Policy]:
    """The policy class of a name, or of a file and a name in it.

    Args:
        name: That of a built-in one, or another name of it, or ``path/to/file.py:MyPolicy``, where the name after the colon is
            that of the class or the ``name`` of the policy.

    Raises:
        BadModel: There is no such policy, or the file does not import.
    """
    said("a policy", name)
    path, colon, wanted = name.rpartition(":")
    if colon:
        found = policies_of(import_file(Path(path)))
        if wanted not in found:
            raise BadModel(
                f"`{path}` has no policy `{wanted}`; {suggest(wanted, found) if found else 'it defines none'}"
            )
        return checked(found[wanted], name)
    if name.endswith(".py"):
        raise BadModel(f"`{name}` names a file only; write `{name}:NAME`, with the policy or the model in it")
    known = ALIASES.get(name, name)
    if known not in BUILT_IN:
        raise BadModel(f"policy `{name}` is not known; {suggest(name, [*BUILT_IN, *ALIASES])}")
    return BUILT_IN[known]


def policies_of(module: ModuleType) -> dict[str, type[Policy]]:
    """The policies that a file defines, by the name of the class and by that of the policy."""
    return {
        alias: value
        for attribute, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Policy) and value.__module__ == module.__name__
        for alias in (attribute, getattr(value, "name", attribute))
    }


def checked(policy: type[Policy], said: str) -> type[Policy]:
    """A user's policy, if it says what tables need.

    Raises:
        BadModel: It does not.
    """
    path, _, wanted = said.rpartition(":")
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
