"""This module ends a step in normal form: forgotten fields get their initial values (`Model.forget`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model.expr import Field, Group, Scope, always
from tdxexplore.model.scopes import variables

if TYPE_CHECKING:
    from tdxexplore.model.lowering.path import Path
    from tdxexplore.model.lowering.symbolic import Symbolic
    from tdxexplore.model.properties import Forgotten


def in_normal_form(step: Symbolic, path: Path) -> list[Path]:
    """End a path in normal form; a condition for forgetting that the path does not decide forks it.

    The state before the step was in normal form. A step that changes neither the forgotten fields nor the fields that
    their condition reads keeps it so, and its path needs no fork.
    """
    paths = [path]
    for forgotten in step.model.forgotten:
        paths = [q for p in paths for q in _forget(step, forgotten, p)]
    return paths


def _forget(step: Symbolic, forgotten: Forgotten, path: Path) -> list[Path]:
    concerned = [*forgotten.fields, *(f for f in variables(forgotten.when) if isinstance(f, Field))]
    if not any(path.changes(f) for f in concerned) or step.truth(forgotten.when, path) is False:
        return [path]
    found = []
    for holds, p in step.decide(forgotten.when, path):
        paths = [p]
        for f in forgotten.fields if holds else ():
            if not f.constant:
                paths = [q for before in paths for q in _reset(step, f, before)]
        found += paths
    return found


def _reset(step: Symbolic, f: Field, path: Path) -> list[Path]:
    if f.scope is Scope.GLOBAL:
        return step.assign(f, f.initial, path)
    group = Group.PACKAGES if f.scope is Scope.PACKAGE else Group.CPUS
    return step.assign_each(group, always, ((f, f.initial),), path)
