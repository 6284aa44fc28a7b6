"""Knobs as people read them: only those that tell the rows of a table apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def values(knobs: str) -> dict[str, str]:
    """The values of a ``knobs`` column, by name."""
    return dict(knob.split("=", 1) for knob in knobs.split())


def varying(
    rows: Iterable[Mapping[str, Any]], policy: str = "policy", knobs: str = "knobs"
) -> dict[str, tuple[str, ...]]:
    """The knobs that have several values among the rows of each policy.

    Args:
        rows: Rows of a table.
        policy: Its column of policies.
        knobs: Its column of their knobs.
    """
    found: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        of_policy = found.setdefault(row[policy], {})
        for name, value in values(row[knobs]).items():
            of_policy.setdefault(name, set()).add(value)
    return {name: tuple(knob for knob, several in of.items() if len(several) > 1) for name, of in found.items()}


def label(policy: str, knobs: str, names: Iterable[str]) -> str:
    """A policy with some of its knobs."""
    known = values(knobs)
    return " ".join([policy, *(f"{name}={known[name]}" for name in names)])
