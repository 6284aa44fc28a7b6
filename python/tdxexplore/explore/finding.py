"""Finding the subject of a question: by the name of a built-in policy, by file and name, or as it is handed over in Python."""

from __future__ import annotations

from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.errors import BadModel, shown, suggest
from tdxexplore.explore.design import Design
from tdxexplore.explore.own_model import OwnModel
from tdxexplore.model import Model
from tdxexplore.model.knob import Knob
from tdxexplore.tdx.catalogue import checked, find_policy, policies_of
from tdxexplore.tdx.policy import Policy
from tdxexplore.tdx.policy_file import import_file
from tdxexplore.visible import one_line, said, word

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tdxexplore.explore.subject import Subject

About: TypeAlias = "str | type[Policy] | Model | Callable[..., Model]"
"""How a user names a subject: a built-in name, ``path/to/file.py:NAME``, a policy, a model, or a function that returns one."""


def find(about: About) -> Subject:
    """The subject that is meant; of a file, what the file says now.

    Raises:
        BadModel: It is none of these, there is none of that name, or the file does not import.
    """
    refuse_others(about)
    if isinstance(about, str):
        said("a policy", about)
        path, colon, name = about.rpartition(":")
        return _in_file(about, import_file(Path(path)), name) if colon else Design(find_policy(about))
    if isinstance(about, type):
        return _spoken(Design(about))
    assert isinstance(about, Model | FunctionType)
    return _spoken(OwnModel.of(about))


def _spoken(subject: Subject) -> Subject:
    """A subject whose names may stand in tables, commands and the names of folders.

    Raises:
        BadModel: One may not.
    """
    if isinstance(subject, Design):
        policy = subject.policy
        if policy.__module__.startswith("tdxexplore."):
            return subject
        word("the name of a policy", getattr(policy, "name", None))
        for what in ("title", "source"):
            said(f"`{what}` of policy `{policy.name}`", getattr(policy, what, ""))
        whose = f"policy `{policy.name}`"
    else:
        said("the name of a model", subject.name)
        whose = f"model `{subject.name}`"
    for knob in subject.knobs:
        if not isinstance(knob, Knob):
            raise BadModel(f"{whose}: {one_line(repr(knob), 60)} is not a `Knob`")
        for text in (knob.name, *knob.values):
            word(f"knob `{one_line(str(knob.name), 60)}` of {whose}", text)
        said(f"the text of knob `{knob.name}` of {whose}", knob.text)
    return subject


def refuse_others(about: object) -> None:
    """Check that something can be a subject; nothing is imported for this.

    Raises:
        BadModel: It cannot.
    """
    policy = isinstance(about, type) and issubclass(about, Policy)
    if not policy and not isinstance(about, str | Model | FunctionType):
        kinds = (
            "the name of a built-in one, path/to/file.py:NAME, a subclass of `tdxexplore.Policy`, a `tdxexplore.model.Model`, "
            "or a function that returns one"
        )
        raise BadModel(f"policy is {shown(about)}; allowed: {kinds}")


def _in_file(where: str, module: ModuleType, name: str) -> Subject:
    policies, models = policies_of(module), models_of(module)
    if name in policies:
        return _spoken(Design(checked(policies[name], where)))
    if name in models:
        return _spoken(OwnModel.of(models[name], where, module))
    path = where.rpartition(":")[0]
    known = {**policies, **models}
    raise BadModel(
        f"`{path}` has no policy or model `{name}`; {suggest(name, known) if known else 'it defines none of either'}"
    )


def models_of(module: ModuleType) -> dict[str, Model | FunctionType]:
    """The models of a file, and its functions, which may return one; those whose names begin with ``_`` are helpers."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Model) or (isinstance(value, FunctionType) and value.__module__ == module.__name__)
        if not name.startswith("_")
    }
