"""A sweep file: which points, and how each is explored. Everything in it is checked before anything runs.

The keys are the words of ``tdxexplore check`` (`TOP`, `AXES`; the settings of `tdxexplore.explore.settings`). Each axis takes one
value, a list, or ``"all"``, and an axis of numbers also a range. ``sweeps/late_cpus.toml`` is an example.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tdxexplore.bounded import at_most
from tdxexplore.errors import BadModel, BadSetting, BadSpec, shown, suggest
from tdxexplore.explore.finding import find
from tdxexplore.explore.own_model import text_of
from tdxexplore.explore.settings import Settings, having
from tdxexplore.explore.time_limit import limited
from tdxexplore.model.topology import MAX_CPUS, MAX_PACKAGES
from tdxexplore.quantities import RANGES, whole_numbers
from tdxexplore.sweep.points import Box, Cells, expand, of_one_name
from tdxexplore.tdx.fields import BUDGETS, MAX_BUDGET, MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS
from tdxexplore.visible import one_line, said

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tdxexplore.explore.subject import Subject

TOP = {
    "name": "what the sweep is called; default: the name of the file",
    "note": "what it is for",
    "grid": "the axes; each combination of their values is a point",
    "exclude": "a list of tables with the keys of the grid: a point that matches every key of one of them is left out",
    "check": "how each point is explored: settings of `tdxexplore check`, with `_` for `-`",
}
"""The keys of a sweep file."""

AXES = {
    "policy": "built-in names, or `path/to/file.py:NAME` of a policy or a model, where the path begins at the sweep file; "
    "default: all built-in ones",
    "module": "module kinds; default: all; models have none",
    "scenario": "scenarios; default: all; models have none",
    "cpus": f"CPUs in all: {RANGES}; needed",
    "packages": "packages that the CPUs are spread over, likewise; default: 1",
    "set": 'a table of knobs: values, or "all"; for the policies and models that have the knob, each of which must know them',
    "budget": f"a table of budgets, instead of the scenario's: 0 to {MAX_BUDGET}, for `kvm_load` from 1 on",
}
"""The keys of the grid and of each exclusion."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A checked sweep file.

    Attributes:
        path: The file.
        name: What the sweep is called; default: the name of the file.
        note: What it is for.
        grid: The axes, all of them named.
        exclude: Boxes that are cut out of the grid.
        settings: How each point is explored.
        content: What the file says.
    """

    path: Path
    name: str
    note: str
    grid: Box
    exclude: tuple[Box, ...]
    settings: Settings
    content: bytes = field(default=b"", repr=False)

    def cells(self) -> Cells:
        """The cells of the grid. Nothing is recorded yet."""
        return expand(self.grid, self.settings, self.exclude)


_CHECK = having("identity", "limit")
_LARGEST, _LONGEST = 1 << 20, 2000  # bytes of a file, characters of a note, which is in each file of a data set
DEFAULTS = {"prices": True}  # where they differ from those of `check`


def load(path: Path) -> Spec:
    """Read and check a sweep file.

    Raises:
        BadSpec: In one line: the file, the key, the value, and what is allowed.
        OSError: The file cannot be read.
        TimeUp: A policy's file takes longer to import than the timeout.
    """
    try:
        raw = at_most(path, _LARGEST, "a sweep file")
    except ValueError as error:
        raise BadSpec(f"{path}: {error}") from None
    try:
        document = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits, and of deep nesting
        raise BadSpec(f"{path}: not TOML that can be read: {one_line(str(error), 200)}") from None
    top = _Table(path, "", document, TOP)
    if "grid" not in document:
        raise BadSpec(f"{path}: `grid` is missing; a sweep needs a table [grid] with at least `cpus`")
    settings = _settings(_Table(path, "check.", top.table("check"), _CHECK))
    axes = _Table(path, "grid.", top.table("grid"), AXES)
    grid = limited(lambda: _grid(axes), settings.timeout, "importing the policies")
    exclude = tuple(_cut(_Table(path, f"exclude[{i}].", t, AXES), grid) for i, t in enumerate(top.tables("exclude"), 1))
    return Spec(
        path=path,
        name=top.text("name", path.stem),
        note=top.text("note", ""),
        grid=grid,
        exclude=exclude,
        settings=settings,
        content=raw,
    )


class _Table:
    """A TOML table whose keys are known; every accessor says what it expected."""

    def __init__(self, path: Path, prefix: str, values: Mapping[str, Any], allowed: Collection[str]) -> None:
        self.path, self.prefix, self.values = path, prefix, values
        for key in values:
            if key not in allowed:
                raise BadSpec(f"{path}: `{prefix}{key}` is not a key; {suggest(key, allowed)}")

    def wrong(self, key: str, value: object, allowed: str) -> BadSpec:
        return BadSpec(f"{self.path}: `{self.prefix}{key}` is {shown(value)}; {allowed}")

    def text(self, key: str, default: str) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, value, "a text is needed")
        if not value.replace("\n", " ").isprintable() or len(value) > _LONGEST:
            raise self.wrong(key, one_line(value, 60), f"at most {_LONGEST:,} printable characters are allowed")
        return value

    def table(self, key: str) -> Mapping[str, Any]:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, value, "a table is needed")
        return value

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.wrong(key, value, f"tables are needed, each under [[{key}]]")
        return value

    def names(self, key: str, known: Collection[str] | None) -> tuple[str, ...]:
        """One name, a list of names or "all"; of the known ones, or any when the caller checks them."""
        value = self.values.get(key, "all")
        if value == "all":
            return tuple(known or ())
        names = value if isinstance(value, list) else [value]
        if not names:
            raise self.wrong(key, value, "an empty list has no points")
        for name in names:
            if not isinstance(name, str):
                raise self.wrong(key, name, 'a name, a list of names or "all" is needed')
            if known is not None and name not in known:
                raise self.wrong(key, name, suggest(name, known))
        return tuple(dict.fromkeys(names))

    def numbers(self, key: str, least: int, most: int) -> tuple[int, ...]:
        """A whole number, a range, or a list of these."""
        value = self.values[key]
        found: list[int] = []
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str):
                try:
                    found += whole_numbers(part)
                except OverflowError:
                    raise self.wrong(key, part, f"allowed are {least} to {most}") from None
                except ValueError:
                    raise self.wrong(key, part, f"write {RANGES}") from None
            elif isinstance(part, int) and not isinstance(part, bool):
                found.append(part)
            else:
                raise self.wrong(key, part, f"write {RANGES}")
        if not found:
            raise self.wrong(key, value, "an empty list has no points")
        for number in found:
            if not least <= number <= most:
                raise self.wrong(key, number, f"allowed are {least} to {most}")
        return tuple(dict.fromkeys(found))


def _grid(table: _Table) -> Box:
    if "cpus" not in table.values:
        raise BadSpec(f"{table.path}: `grid.cpus` is missing; write {RANGES}")
    whole = _Table(table.path, table.prefix, {"packages": 1, **table.values}, AXES)
    policies = _policies(whole) or tuple(BUILT_IN)
    every = Box({"policy": policies, "module": MODULE_KINDS, "scenario": tuple(SCENARIOS)})
    named = _box(whole, every)
    axes = {**every.axes, **named.axes}
    if (problem := of_one_name([find(policy) for policy in axes["policy"]])) is not None:
        raise table.wrong("policy", *problem)
    return Box(axes, named.knobs, named.budgets)


def _cut(table: _Table, grid: Box) -> Box:
    if not table.values:
        raise BadSpec(f"{table.path}: `{table.prefix[:-1]}` has no keys and would cut out the whole grid")
    return _box(table, grid)


def _box(table: _Table, within: Box) -> Box:
    """The axes that a table names. Policies and knobs are those of `within`."""
    axes: dict[str, tuple[Any, ...]] = {}
    known: dict[str, Collection[str]] = {"module": MODULE_KINDS, "scenario": SCENARIOS}
    limits = {"cpus": MAX_CPUS, "packages": MAX_PACKAGES}
    for axis in table.values:
        if axis == "policy":
            axes[axis] = _policies(table) or within.axes["policy"]
            for name in axes[axis]:
                if name not in within.axes["policy"]:
                    raise table.wrong(axis, name, f"not in the grid; {suggest(name, within.axes['policy'])}")
        elif axis in known:
            axes[axis] = table.names(axis, known[axis])
        elif axis in limits:
            axes[axis] = table.numbers(axis, 1, limits[axis])
    return Box(axes, _knobs(table, axes.get("policy", within.axes["policy"])), _budgets(table))


def _policies(table: _Table) -> tuple[str, ...]:
    """The named policies and models, files with their full path, or none for all policies."""
    resolved = []
    for name in table.names("policy", None):
        path, colon, wanted = name.rpartition(":")
        try:
            said("a policy", name)
            full = f"{(table.path.parent / path).resolve()}:{wanted}" if colon else name
            find(full)
        except (BadModel, OSError, RuntimeError) as error:  # links that lead in a circle are a RuntimeError
            raise BadSpec(f"{table.path}: `{table.prefix}policy`: {one_line(str(error))}") from None
        resolved.append(full)
    return tuple(resolved)


def _knobs(table: _Table, policies: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    subjects = [find(policy) for policy in policies]
    names = sorted({knob.name for subject in subjects for knob in subject.knobs})
    inner = _Table(table.path, f"{table.prefix}set.", _as_texts(table.table("set")), names)
    return {name: _values(inner, name, subjects) for name in inner.values}


def _as_texts(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of parameters as the command line has them: TOML has its own numbers and truth values."""

    def text(value: object) -> object:
        return text_of(value) if isinstance(value, bool | int) else value

    return {name: [*map(text, v)] if isinstance(v, list) else text(v) for name, v in given.items()}


def _values(table: _Table, name: str, subjects: list[Subject]) -> tuple[str, ...]:
    """Values of a knob: each must be allowed by every policy and model that has the knob."""
    owners = {subject.name: knob for subject in subjects for knob in subject.knobs if knob.name == name}
    named = table.names(name, None)
    try:
        several = [(named and knob.chosen(named)) or knob.values for knob in owners.values()]
    except BadModel:
        raise table.wrong(name, table.values[name], f"write {RANGES}") from None
    values = tuple(dict.fromkeys(value for values in several for value in values))
    for owner, knob in owners.items():
        for value in values:
            if not knob.whole and value not in knob.values:
                raise table.wrong(name, value, f"policy `{owner}` does not know it; {suggest(value, knob.values)}")
    return values


def _budgets(table: _Table) -> dict[str, tuple[int, ...]]:
    inner = _Table(table.path, f"{table.prefix}budget.", table.table("budget"), BUDGETS)
    return {name: inner.numbers(name, 1 if name == "kvm_load" else 0, MAX_BUDGET) for name in inner.values}


def _settings(table: _Table) -> Settings:
    try:
        return Settings.of(dict(table.values), **DEFAULTS)
    except BadSetting as error:
        raise table.wrong(error.name, error.value, error.allowed) from None
