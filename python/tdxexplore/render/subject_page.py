"""A policy or a model as a page of Markdown: its knobs, and its steps beside what they stand for.

docs/policies has this page of every built-in policy; `tdxexplore describe` prints it of any policy or model.
"""

from __future__ import annotations

import inspect
from itertools import groupby
from typing import TYPE_CHECKING

from tdxexplore.model import lower
from tdxexplore.render.markdown import listed, table
from tdxexplore.tdx.build import build
from tdxexplore.tdx.policy_file import running
from tdxexplore.tdx.scenarios import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tdxexplore.explore.subject import Subject
    from tdxexplore.model import Field, Program
    from tdxexplore.model.code import Label
    from tdxexplore.model.expr import Variable
    from tdxexplore.model.knob import Knob
    from tdxexplore.tdx.kernel import Hook, Kernel
    from tdxexplore.tdx.policy import Policy

# Everything that a policy can do, once.
_ALL = Scenario(
    "documentation",
    "every actor",
    {
        "kvm_load": 1,
        "kvm_unload": 1,
        "second_enable": 1,
        "td_destroy": 1,
        "cpu_up": 1,
        "cpu_down": 1,
        "update": 1,
        "suspend": 1,
    },
    offline=1,
)
_STEPS = ("step", "in", "on", "instructions", "stands for")
_SCOPES = {"global": "", "cpu": "one CPU", "package": "one package"}


def policy_page(policy: type[Policy], shared: str) -> str:
    """A policy: what was read and what is assumed, knobs, callbacks, steps and their sources, what was left out.

    Args:
        policy: A built-in one, or a user's own.
        shared: Where it says what the mechanics leave out that all policies share.

    Raises:
        BadModel: The policy cannot be recorded.
    """
    with running(policy):
        example = policy()
        model = build(example, "strict", _ALL)
    program = lower(model)
    lines = [f"# {policy.name}", "", f"{policy.title}.", "", f"Source: {policy.source}.", ""]
    lines += ["## Read", "", *listed(policy.said("read"))]
    lines += ["## Our reading, or an assumption", "", *listed(policy.said("reading"))]
    lines += ["## Knobs", "", *_knobs(policy.knobs)]
    lines += ["## Callbacks of CPU hotplug", "", "In the order of a CPU that comes up.", ""]
    lines += _table(("cpuhp state", "startup", "teardown"), [_callbacks(hook) for hook in example.hooks])
    lines += [
        "## Steps",
        "",
        "A step is atomic; between any two of them every other actor may act. Knobs are at their defaults, the module",
        "kind is `strict`, and every actor has something to do.",
        "",
    ]
    lines += _by_actor(program)
    lines += ["## Left out, and why that hides no outcome", ""]
    lines += listed([*policy.said("abstracted"), f"What the shared mechanics leave out: {shared}."])
    return "\n".join(lines)


def model_page(subject: Subject) -> str:
    """A model in the public language: its knobs, its fields, what is asked of it, its steps and their sources.

    Args:
        subject: A model, or a function that returns one; its knobs are at their defaults.

    Raises:
        BadModel: The model cannot be recorded.
    """
    model = subject.record(subject.modules[0], subject.scenarios[0], (), {}).model
    program = lower(model)
    asked = [
        *((f"`{p.name}`", f"outcome, {p.severity}", p.text) for p in model.outcomes),
        *((f"`{p.name}`", f"invariant, {p.severity}", p.text) for p in model.invariants),
        *((f"`{p.name}`", "expectation", p.text) for p in model.expectations),
        *((f"`{p.name}`", f"response, {p.severity}", p.text) for p in model.responses),
        *((f"`{p.name}`", "price", p.text) for p in model.prices),
    ]
    counters = {name for code in model.codes for name in code.counters}  # whose values are the steps
    fields = [
        (f"`{f.name}`", _SCOPES[f.scope.value], _domain(f))
        for f in model.fields.values()
        if not f.constant and f.name not in counters
    ]
    lines = [f"# {subject.name}", "", f"A model of `{subject.place}`.", ""]
    lines += ["## Knobs", "", *_knobs(subject.knobs)]
    lines += ["## Fields", "", *_table(("field", "of", "values, the initial one first"), fields)]
    lines += ["## What is asked", "", *_table(("name", "what it is", "text"), asked)]
    lines += [
        "## Steps",
        "",
        "A step is atomic; between any two of them every other actor may act. Knobs are at their defaults.",
        "",
    ]
    return "\n".join([*lines, *_by_actor(program)]).rstrip() + "\n"


def _domain(field: Field) -> str:
    """The values, the initial one first; of many numbers the range."""
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in field.values]
    first = values[field.values.index(field.initial)]
    if type(field.initial) is int:
        return f"{first}; {values[0]} to {values[-1]}"
    return ", ".join([first, *(value for value in values if value != first)])


def _by_actor(program: Program) -> list[str]:
    """A table of steps for each actor."""
    lines: list[str] = []
    for actor, rows in groupby(_steps(program), key=lambda row: row[0]):
        lines += [f"### {actor}", "", *table(_STEPS, [row[1:] for row in rows])]
    return lines


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return table(heads, rows) if rows else listed([])


def _knobs(knobs: tuple[Knob, ...]) -> list[str]:
    rows = [
        (f"`{k.name}`", ", ".join(f"`{v}`" for v in k.values) + ", or any whole number" * k.whole, k.text)
        for k in knobs
    ]
    return _table(("knob", "values, the default first", "what is chosen"), rows)


def _callbacks(hook: Hook) -> tuple[str, ...]:
    return f"`{hook.state}`", _first_line(hook.startup), _first_line(hook.teardown)


def _first_line(function: Callable[[Kernel], Variable]) -> str:
    """What a callback does: the first line of its docstring, or its name where it has none."""
    name = getattr(function, "__name__", "a callback")
    return (inspect.getdoc(function) or f"`{name}`, which has no docstring").partition("\n")[0]


def _steps(program: Program) -> Iterable[tuple[str, ...]]:
    """A row a step, in the order of recording: actor, title, functions, scope, instructions, source."""
    labels: dict[tuple[int, str], tuple[Label, dict[str, None]]] = {}
    for rule in program.rules:
        _, calls = labels.setdefault((rule.actor, rule.label.name), (rule.label, {}))
        calls.update(dict.fromkeys(event.name for event in rule.events if event.name))
    for (actor, _), (label, calls) in labels.items():
        functions = " > ".join(label.frames)
        scope = _SCOPES[label.scope.value]
        yield program.actors[actor], label.title, functions, scope, ", ".join(calls), label.source
