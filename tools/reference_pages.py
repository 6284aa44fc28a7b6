"""The reference pages of the manual that are made from docstrings: the language, the kernel's primitives, policies, fields.

`pages` writes them with the others. A public name without a docstring stops it (`docstrings.Undocumented`).
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import docstrings
import tdxexplore
from tdxexplore.linux import context as linux_context
from tdxexplore.linux import cpuhp, errno, locks, record, sync, wait
from tdxexplore.linux.actor import Actor
from tdxexplore.linux.state import Linux
from tdxexplore.model import (
    SEVERITIES,
    Model,
    Procedure,
    Program,
    Scope,
    State,
    Topology,
    block,
    expr,
    lower,
    reference,
)
from tdxexplore.model.blocks import Choice, Frame, Loop, Region
from tdxexplore.model.code import Event, Lock
from tdxexplore.model.pointer import Pointer
from tdxexplore.model.properties import Price, Property, Response
from tdxexplore.render.markdown import table
from tdxexplore.tdx import host, kvm, module
from tdxexplore.tdx.fields import BUDGETS, Traits, World
from tdxexplore.tdx.kernel import Kernel
from tdxexplore.tdx.policy import Knob, Policy
from tdxexplore.tdx.vmx import Vmx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MADE = "`make docs` writes this page from the docstrings of the code."

# Public, as blocks and mechanisms call them on one another; a model or a policy does not. A page has them last, in a line each.
INSIDE = frozenset(
    {
        *(f"Model.{name}" for name in ("settle", "assigned", "code", "busy")),
        *(f"Procedure.{name}" for name in ("emit", "nested", "finish", "position", "recorded", "acting", "result")),
        "Procedure.stands_for",
        *("Loop.over", "Region.over", "Region.done", "Choice.over", "Field.width", "Group.relative_to", "Group.scope"),
        *("State.key", "State.copy", "Price.of"),
        *("Actor.emit", "Actor.result", "Actor.waits_for", "Actor.undisturbed", "Locks.every_cpu_answers"),
        *("Kernel.waits_for", "Kernel.every_cpu_answers", "Kernel.seam_exit"),
    }
)


# What a policy is made of; they have a page of their own.
_POLICIES = (Policy, Knob, kvm.KvmPolicy, kvm.VirtAtLoad, kvm.Alternative)


def pages() -> dict[str, str]:
    """Every page of this kind, by its path in the folder."""
    return {
        "reference/language.md": language(),
        "reference/primitives.md": primitives(),
        "reference/policy.md": policies(),
        "reference/library.md": library(),
        "reference/fields.md": fields(),
    }


def language() -> str:
    """Models, procedures, what blocks give, expressions, states."""
    lines = [
        "# The language, name by name",
        "",
        "[The modelling language](../language.md) explains it with models that run. All names are in `tdxexplore.model`.",
        _MADE,
        "",
    ]
    lines += _class(Model, "model")
    lines += _class(
        Procedure,
        "p",
        "In a policy the procedure is called `k`, and has the [primitives of the kernel](primitives.md), too.",
    )
    given: tuple[tuple[type, str], ...] = ((Frame, "f"), (Loop, "loop"), (Region, "each"), (Choice, "choice"))
    for owner, name in given:
        lines += _class(owner, name)
    lines += _function(block, "", "Blocks of one's own")
    lines += ["## Expressions", "", *docstrings.markdown(inspect.getdoc(expr) or "")]
    lines += ["`always` and `never` are the conditions that Python has decided.", ""]
    lines += _class(Scope, "Scope")
    lines += _class(expr.Variable, "field", members=("isin",))
    lines += _class(expr.Field, "field")
    lines += _class(Pointer, "pointer")
    lines += _class(expr.Group, "cpus", "Groups: " + ", ".join(f"`{group.value}`" for group in expr.Group) + ".")
    lines += ["## Severities", "", f"`SEVERITIES`: {', '.join(f'`{severity}`' for severity in SEVERITIES)}.", ""]
    for owner in (Property, Response, Price, Event, Lock):
        lines += _class(owner, "")
    lines += [*_class(Topology, "topology"), *_class(State, "state"), *_class(Program, "program")]
    lines += _function(lower, "", "Lowering")
    lines += _function(reference.explore, "reference.", "The reference interpreter")
    return "\n".join(lines)


def primitives() -> str:
    """What `k` can do in a policy; the host library; SEAMCALLs; the actors of Linux."""
    lines = [
        "# Primitives of the kernel",
        "",
        "A procedure of a policy gets a `Kernel` as its argument, here `k`. It has everything of a [procedure](language.md), and",
        f"what stands here. {_MADE}",
        "",
    ]
    for owner, title in (
        (locks.Locks, "Locks, IPIs, stop_machine()"),
        (wait.Waits, "Wait queues and rcuwait"),
        (sync.Sync, "Semaphores, completions, work items, grace periods, notifiers"),
        (cpuhp.Kernel, "CPU hotplug"),
        (Vmx, "VMX"),
        (linux_context.Context, "Contexts, and what the kernel reports of them"),
        (Actor, "Budgets, faults, warnings"),
        (Kernel, "CPUs inside the TDX module"),
    ):
        lines += [f"## {title}", "", docstrings.summary(docstrings.documented(owner, owner.__name__)), ""]
        lines += _members(owner, "k")
    lines += _class(cpuhp.Hook, "hook")
    made = (
        wait.WaitQueue,
        wait.RcuWait,
        sync.RwSemaphore,
        sync.Completion,
        sync.Work,
        sync.Readers,
        sync.NotifierChain,
    )
    for kind in (*made, wait.ByActor):
        lines += _class(kind, kind.__name__.lower())
    errors = ", ".join(f"`{name}` (`{value}`)" for name, value in vars(errno).items() if name.isupper())
    lines += ["## Errors", "", f"What functions of the kernel return: {errors}.", ""]
    lines += _module(host, "The host library")
    lines += _module(module, "SEAMCALLs")
    for part in ("dispatcher", "tdh_sys", "td_calls", "seamldr"):
        lines += _functions(import_module(f"tdxexplore.tdx.module.{part}"), "module")
    lines += _class(module.Seamcall, "call")
    lines += [
        "## Actors of Linux",
        "",
        "Whoever models another protocol than TDX records them with callbacks of its own.",
        "",
    ]
    # The package has functions of the same names.
    for name in ("boot", "hotplug", "suspend", "shutdown", "kexec", "sync"):
        lines += _functions(import_module(f"tdxexplore.linux.{name}"))
    lines += [
        "## A model of another protocol",
        "",
        "[Model any protocol](../models.md) shows how.",
        "",
        *_functions(record),
    ]
    return "\n".join(lines)


def policies() -> str:
    """The interface of a policy, and the parts of KVM that policies share."""
    lines = [
        "# Policies",
        "",
        "[A policy of your own](../own-policy.md) writes one in steps; the [designs](../designs.md) are built in.",
        _MADE,
        "",
    ]
    for owner in _POLICIES:
        lines += _class(owner, "policy")
    return "\n".join(lines)


def library() -> str:
    """What `import tdxexplore` gives: functions, then classes, then errors."""
    names = [name for name in tdxexplore.__all__ if name != "__version__"]
    values = {name: getattr(tdxexplore, name) for name in names}
    classes = {name: value for name, value in values.items() if isinstance(value, type)}
    errors = {name: value for name, value in classes.items() if issubclass(value, BaseException)}
    lines = [
        "# The library",
        "",
        "All of it is in `tdxexplore`, and loads what it needs when it is first used. Every table is a Polars frame, with the",
        "columns that [the data set](../dataset.md) explains.",
        _MADE,
        "",
        "## Functions",
        "",
    ]
    for name, value in values.items():
        if name not in classes:
            # A wing that is a function as well: `tdxexplore.sweep` is a package, and can be called.
            function = value.__call__ if isinstance(value, ModuleType) else value
            lines += docstrings.entry(f"tdxexplore.{name}", function, docstrings.documented(function, name))
    for name, owner in classes.items():
        if name not in errors and owner not in _POLICIES:
            lines += _class(owner, name.lower())
    lines += [
        "## Errors",
        "",
        *table(("class", "what it says"), [_error(name, owner) for name, owner in errors.items()]),
    ]
    return "\n".join(lines)


def _error(name: str, owner: type) -> tuple[str, str]:
    bases = ", ".join(f"`{base.__name__}`" for base in owner.__bases__)
    return f"`{name}`", f"{docstrings.summary(docstrings.documented(owner, name))} ({bases})"


def fields() -> str:
    """Every field of the world: its name in code and in traces, its domain, what it means."""
    world = everything()
    rows = []
    for name in world.names:
        field = getattr(world, name)
        kept = "yes" if field in world.survives_kexec else ""
        named = f"`w.{name}`" if field.name == name else f"`w.{name}`, in traces `{field.name}`"
        rows.append((named, field.scope.value, _domain(field), _meaning(name), kept))
    lines = [
        "# Fields of the world",
        "",
        "In a policy `k.w` is the world: the fields that shared mechanics read and write. One that no recorded step assigns is a",
        "constant, and no part of the state. The first value is the initial one; the budgets of the question bound a counter.",
        "Fields that survive kexec are hardware, or remember for the outcome what has happened.",
        _MADE,
        "",
        *table(("field", "one for each", "values", "meaning", "survives kexec"), rows),
        "## Beside the fields",
        "",
    ]
    for owner in (World, Linux):
        others = {n: t for n, t in docstrings.attributes(owner).items() if n not in world.names}
        lines += [f"- `w.{name}`: {text}" for name, text in others.items()]
    lines.append("")
    for owner in (World, Linux):
        lines += _members(owner, "w")
    lines += ["## Budgets", "", "`w.budget[NAME]` is a counter for each.", ""]
    lines += table(("name", "what happens so often"), [(f"`{name}`", text) for name, text in BUDGETS.items()])
    return "\n".join(lines)


def everything() -> World:
    """A world with every field in its largest domain that is told apart."""
    traits = Traits(boot=True, stoppable=True)
    return World(Model("documentation"), "strict", dict.fromkeys(BUDGETS, 1), traits, caches=True)


def _meaning(name: str) -> str:
    for owner in (World, Linux):
        if name in (said := docstrings.attributes(owner)):
            return docstrings.summary(said[name])
    raise docstrings.Undocumented(f"field `w.{name}` is not in the attributes of `World` or `Linux`")


def _domain(field: expr.Field) -> str:
    if expr.is_counter(field):
        return "counter"
    if field.values == (False, True):
        return "flag, true" if field.initial else "flag"
    rest = [str(value) for value in field.values if value != field.initial]
    return ", ".join([str(field.initial), *rest])


def _class(owner: type, given: str, more: str = "", members: Iterable[str] | None = None) -> list[str]:
    """A class: what it is, its attributes, and what it can do."""
    text = docstrings.documented(owner, owner.__name__)
    lines = [f"## {owner.__name__}", "", *docstrings.markdown(text), *([more, ""] if more else [])]
    return lines + _members(owner, given, members)


def _members(owner: type, given: str, members: Iterable[str] | None = None) -> list[str]:
    """What a class itself declares; what models and policies do not call, in a line each."""
    known = docstrings.public(owner)
    if members is not None:
        known = {name: known[name] for name in members}
    said = {name: text for name in known if (text := docstrings.method(owner, name)) is not None}
    lines: list[str] = []
    for name, text in said.items():
        if f"{owner.__name__}.{name}" not in INSIDE:
            lines += docstrings.entry(f"{given}.{name}", known[name], text)
    named = [name for name in said if f"{owner.__name__}.{name}" in INSIDE]
    inside = [f"- `{name}`: {docstrings.summary(said[name])}" for name in named]
    return [*lines, "For blocks and mechanisms of one's own:", "", *inside, ""] if inside else lines


def _function(value: Callable[..., object], place: str, title: str) -> list[str]:
    name = value.__name__
    return [f"## {title}", "", *docstrings.entry(f"{place}{name}", value, docstrings.documented(value, name))]


def _module(place: ModuleType, title: str) -> list[str]:
    """A module of functions that record something."""
    lines = [f"## {title}", "", *docstrings.markdown(docstrings.documented(place, place.__name__))]
    return lines + _functions(place)


def _functions(place: ModuleType, known_as: str = "") -> list[str]:
    """The public functions that a module itself defines, in order, by the name under which a policy has it."""
    name = known_as or place.__name__.rpartition(".")[2]
    found = {n: v for n, v in vars(place).items() if inspect.isfunction(v) and v.__module__ == place.__name__}
    lines: list[str] = []
    for function, value in found.items():
        if not function.startswith("_"):
            text = docstrings.documented(value, f"{place.__name__}.{function}")
            lines += docstrings.entry(f"{name}.{function}", value, text)
    return lines
