"""A policy as a report describes it: what was read for it, its knobs, its callbacks, and its steps with their sources."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tdxexplore.errors import TdxExploreError
from tdxexplore.explore.design import Design
from tdxexplore.explore.subject import NONE
from tdxexplore.model.code import Label
from tdxexplore.tdx.build import build
from tdxexplore.tdx.scenarios import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.explore.subject import Subject
    from tdxexplore.model import Model

# Everything that a policy can do, once.
_ALL = Scenario(
    "report",
    "every actor",
    dict.fromkeys(
        ("kvm_load", "kvm_unload", "second_enable", "td_destroy", "cpu_up", "cpu_down", "update", "suspend"), 1
    ),
    offline=1,
)
_SCOPES = {"global": "", "cpu": "one CPU", "package": "one package"}


@lru_cache(maxsize=64)
def described(subject: Subject) -> dict[str, Any]:
    """What a report says of a policy, or of a model.

    Returns:
        ``title``, ``source``, and the texts that were ``read``, those that are our ``reading``, and what is ``abstracted``;
        ``knobs`` and ``hooks``, rows of three texts; ``steps``: rows of actor, step, functions, where and source. Knobs of the
        steps are at their defaults, and the module kind is ``strict``. A user's policy that cannot do everything has no steps.
    """
    knobs = [[knob.name, ", ".join(knob.values), knob.text] for knob in subject.knobs]
    if not isinstance(subject, Design):
        steps = list(_steps(lambda: subject.record(NONE, NONE, (), {}).model))
        known = {"title": "a model of one's own", "source": subject.place}
        return {**known, "read": [], "reading": [], "abstracted": [], "knobs": knobs, "steps": steps, "hooks": []}
    policy = subject.policy
    with subject.running():
        example = policy()
        steps = list(_steps(lambda: build(example, "strict", _ALL)))  # which sets the hooks
    return {
        "title": policy.title,
        "source": policy.source,
        "read": policy.said("read"),
        "reading": policy.said("reading"),
        "abstracted": policy.said("abstracted"),
        "knobs": knobs,
        "steps": steps,
        "hooks": [[hook.state, _first_line(hook.startup), _first_line(hook.teardown)] for hook in example.hooks],
    }


def _steps(record: Callable[[], Model]) -> Iterator[list[str]]:
    try:
        model = record()
    except TdxExploreError:
        return
    for code in model.codes:
        for label in code.instructions:
            if isinstance(label, Label) and not label.passive:
                functions = " > ".join(label.frames)
                yield [code.actor, label.title, functions, _SCOPES[label.scope.value], label.source]


def _first_line(function: Callable[..., object]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
