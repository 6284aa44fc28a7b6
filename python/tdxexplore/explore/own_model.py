"""A model in the public language as the subject of a question: a `Model`, or a function that returns one.

The parameters of the function are its knobs. One is a ``bool``, a whole number with a default, or one of a ``Literal``::

    def ticket_lock(tickets: int = 4, unlock: Literal["atomic", "in-two-steps"] = "atomic") -> Model:
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args, get_origin, get_type_hints

from tdxexplore.errors import BadModel, shown
from tdxexplore.explore.source import source_of
from tdxexplore.explore.subject import NONE, Recorded, Subject, in_tables
from tdxexplore.model import Model
from tdxexplore.model.knob import Knob, setting
from tdxexplore.tdx.policy_file import running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tdxexplore.explore.subject import Given
    from tdxexplore.model import Topology

Argument: TypeAlias = "bool | int | str"


@dataclass(frozen=True, eq=False)
class OwnModel(Subject):
    """A model, or a function of its parameters.

    Attributes:
        what: The model or the function.
        said: How the user names it: file and name; empty if it was handed over in Python.
        home: The file as a module; None if it was handed over.
        declared: How much a model declares: what is asked of it after another declaration is another question.
    """

    what: Model | FunctionType
    said: str = ""
    home: ModuleType | None = None
    declared: tuple[int, ...] = ()
    records_to_tell = True

    @classmethod
    def of(cls, what: Model | FunctionType, said: str = "", home: ModuleType | None = None) -> OwnModel:
        """The subject."""
        return cls(what, said, home, what.declared if isinstance(what, Model) else ())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OwnModel):
            return False
        return (self.what is other.what) and (self.said, self.declared) == (other.said, other.declared)

    def __hash__(self) -> int:
        return hash((id(self.what), self.said, self.declared))

    @property
    def name(self) -> str:
        """The name in the file, of the function, or of the model."""
        if self.said:
            return self.said.rpartition(":")[2]
        return self.what.name if isinstance(self.what, Model) else self.what.__name__

    @property
    def place(self) -> str:
        """The file and the name in it; only the name of a model that was handed over."""
        if self.said:
            return in_tables(f"{Path(self.said.rpartition(':')[0]).name}:{self.name}")
        return self.name if isinstance(self.what, Model) else in_tables(f"{Path(self._file).name}:{self.name}")

    @property
    def word(self) -> str:
        """The file and the name."""
        return self.said or (self.name if isinstance(self.what, Model) else f"{self._file}:{self.name}")

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """The parameters of the function; a model has none."""
        return () if isinstance(self.what, Model) else tuple(knob for knob, _ in _parameters(self.what))

    def setting(self, given: Given) -> dict[str, str]:
        """The value of every parameter."""
        return setting(f"model `{self.name}`", self.knobs, dict(given))

    def record(self, module: str, scenario: str, given: Given, budgets: Mapping[str, int]) -> Recorded:
        """Call the function."""
        values = self.setting(given)
        for name in budgets:
            raise BadModel(f"budget `{name}` is given, and model `{self.name}` has none; make it a parameter")
        if isinstance(self.what, Model):
            model: object = self.what
        else:
            parameters = _parameters(self.what)
            arguments = {k.name: int(values[k.name]) if k.whole else meant[values[k.name]] for k, meant in parameters}
            with running(self.what):
                model = self.what(**arguments)
        if not isinstance(model, Model):
            raise BadModel(f"`{self.word}` returns {shown(model)}; it must return a `tdxexplore.model.Model`")
        model.settle()
        return Recorded(model, None)

    def source(self) -> str | None:
        """The file with its neighbours; of a function that was handed over, unless it depends on variables around it."""
        if self.home is not None:
            return source_of(self.home)
        if isinstance(self.what, FunctionType) and not self.what.__closure__:
            return source_of(self.what)
        return None

    def least_cpus(self, scenario: str, given: Given) -> int:
        """What the model says."""
        return _least_cpus(self, given)

    def cannot_happen(self, scenario: str, given: Given, topology: Topology) -> str:
        """Whether there are too few CPUs."""
        least = _least_cpus(self, given)
        return f"`{self.name}` needs at least {least} CPUs" if topology.cpus < least else ""

    def running(self) -> AbstractContextManager[None]:
        """Code of the file may run: that of the start of the model."""
        code = self.home or self.what
        return super().running() if isinstance(code, Model) else running(code)

    @property
    def _file(self) -> str:
        assert isinstance(self.what, FunctionType)
        return self.what.__code__.co_filename


@lru_cache(maxsize=4096)
def _least_cpus(subject: OwnModel, given: Given) -> int:
    return subject.record(NONE, NONE, given, {}).model.least_cpus


@lru_cache(maxsize=4096)
def _parameters(function: FunctionType) -> tuple[tuple[Knob, dict[str, Argument]], ...]:
    """Each parameter as a knob, with what its values stand for.

    Raises:
        BadModel: One is of another kind, or has no default.
    """
    return tuple(_parameter(function, p) for p in inspect.signature(function).parameters.values())


def _parameter(function: FunctionType, parameter: inspect.Parameter) -> tuple[Knob, dict[str, Argument]]:
    what = f"parameter `{parameter.name}` of model `{function.__name__}`"
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise BadModel(f"{what} has no name to set it by; write a parameter for each choice")
    kind, default = _annotation(function, parameter, what), parameter.default
    if kind is bool or isinstance(default, bool):
        allowed: tuple[Argument, ...] = (False, True)
    elif get_origin(kind) is Literal:
        allowed = get_args(kind)
    elif isinstance(default, int):
        return Knob(parameter.name, (str(default),), "", whole=True), {}
    else:
        raise BadModel(f"{what} is none of: a bool, a whole number with a default, a `Literal`")
    first = allowed[0] if default is parameter.empty else default
    if first not in allowed:
        raise BadModel(f"the default of {what} is {shown(default)}; allowed are {', '.join(map(text_of, allowed))}")
    values = {text_of(value): value for value in (first, *allowed)}
    if any(set(text) & set(" =,") for text in values):
        raise BadModel(f"{what} has values with a space, a comma or `=`: {', '.join(values)}; tables take words")
    return Knob(parameter.name, tuple(values), ""), values


def _annotation(function: FunctionType, parameter: inspect.Parameter, what: str) -> object:
    """What the parameter is annotated with; texts are evaluated where the function is defined."""
    only = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return get_type_hints(only, globalns=function.__globals__)[parameter.name]
    except (NameError, TypeError, SyntaxError):
        raise BadModel(f"{what} is annotated with `{parameter.annotation}`, which cannot be read") from None


def text_of(value: Argument) -> str:
    """A value of a parameter as the command line and tables have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
