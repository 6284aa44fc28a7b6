"""Asking the engine a question: `explore` with a question and settings, `check` with plain values."""

from __future__ import annotations

import time
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from tdxexplore.explore.exploration import Exploration
from tdxexplore.explore.question import RECORDING, Question
from tdxexplore.explore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.explore.engine import Counters, Found
    from tdxexplore.explore.finding import About
    from tdxexplore.explore.question import Compiled

_LEAST = 1e-6
"""Seconds that a search gets when recording has taken all: it ends at once and says that it is incomplete."""


def explore(
    question: Question, settings: Settings, progress: Callable[[Counters], object] | None = None
) -> Exploration:
    """Explore every interleaving of a question.

    Args:
        question: What is asked.
        settings: How.
        progress: Called about twice a second, first before the search, with the counters. An exception ends the search.

    Returns:
        The exploration; a limit or Ctrl-C makes it incomplete.

    Raises:
        BadModel: Something in the question is not allowed.
        TimeUp: Recording and lowering the model take longer than the timeout.
    """
    compiled, found = search(question, settings, progress)
    return Exploration(question, settings, compiled, found)


def search(
    question: Question,
    settings: Settings,
    progress: Callable[[Counters], object] | None = None,
    share: float = 1.0,
) -> tuple[Compiled, Found]:
    """The same as `explore`, without the tables; as one of several searches at once it gets a share of the free memory.

    Raises:
        BadModel: Something in the question is not allowed.
        TimeUp: Recording and lowering the model take longer than the timeout.
    """
    # To wait until other questions have been recorded takes no time of this one.
    with RECORDING:
        began = time.monotonic()
        # Of several searches at once nobody can say which takes the memory.
        compiled = question.compile(settings.timeout, settings.memory_limit if share == 1 else None)
        initial = question.initial()
        taken = time.monotonic() - began
    left = settings
    if settings.timeout is not None:
        left = replace(settings, timeout=max(settings.timeout - taken, _LEAST))
    return compiled, compiled.engine.explore(initial, left, progress, share)


def asking(policy: About, asked: Mapping[str, Any]) -> tuple[Question, Settings]:
    """A question and its settings from one set of names: those of `Question.of`, and those of the fields of `Settings`.

    Raises:
        BadModel: A name is none of these, or a value is not allowed.
    """
    names = signature(Question.of).parameters
    question = {name: value for name, value in asked.items() if name in names}
    return Question.of(policy, **question), Settings.of({n: v for n, v in asked.items() if n not in names})


def check(
    policy: About,
    *,
    module: str | None = None,
    cpus: int = 4,
    packages: int = 1,
    scenario: str | None = None,
    knobs: Mapping[str, str | bool | int] | None = None,
    budgets: Mapping[str, int] | None = None,
    progress: Callable[[Counters], object] | None = None,
    **settings: Any,  # noqa: ANN401 -- of the types of the fields of `Settings`
) -> Exploration:
    """Explore every interleaving of a policy, or of any model.

    Args:
        policy: A built-in name, ``path/to/file.py:NAME``, a `Policy` subclass, a `tdxexplore.model.Model`, or a function that
            returns one.
        module: TDX-module kind: ``strict`` (default), ``subset`` or ``subset-nocheck``; a model has none.
        cpus: CPUs in all, 1 to 2048, at most 256 in a package; the concrete space takes at most 64.
        packages: Packages that they are spread over, 1 to 8.
        scenario: What happens around bring-up, default ``all-online``; a model has none.
        knobs: Choices that the policy's source leaves open, or parameters of the model's function, by name.
        budgets: How often environment actions may happen, where not as in the scenario; a model takes them as parameters.
        progress: Called about twice a second, first before the search, with the counters.
        settings: How, by name: the fields of `tdxexplore.Settings`.

    Returns:
        The exploration; a limit or Ctrl-C makes it incomplete.

    Raises:
        BadModel: Something in the question or the settings is not allowed.
        TimeUp: Recording and lowering the model take longer than the timeout.

    Example:
        >>> import tdxexplore
        >>> answer = tdxexplore.check("v19", module="subset", cpus=3, scenario="late-online")
        >>> answer.verdict, answer.worst
        ('violated', 'td-error')
    """
    question = Question.of(
        policy, module=module, cpus=cpus, packages=packages, scenario=scenario, knobs=knobs, budgets=budgets
    )
    return explore(question, Settings.of(settings), progress)
