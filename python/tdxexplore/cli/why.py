"""``tdxexplore why``: which orders of steps have an outcome, and which step decides."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tdxexplore.cli import exits
from tdxexplore.cli.options import Asked
from tdxexplore.cli.output import Json, print_json
from tdxexplore.explore.reasons import sentence, step
from tdxexplore.explore.why import MOST_STATES, explain
from tdxexplore.render.why import print_why

if TYPE_CHECKING:
    from tdxexplore.explore.reasons import Order, Part, Reason, Why


def why(
    policy: str,
    *,
    asked: Asked = Asked(),
    outcome: str | None = None,
    max_states: int = MOST_STATES,
    timeout: float | None = None,
    as_json: Json = False,
) -> int:
    """Explain an outcome: which steps have to come before which, and after which step it cannot be avoided.

    A condition says that a step of one actor comes before one of another. It is necessary if no run without it has the outcome.
    Where "if and only if" is printed, every run was checked: those that meet the conditions have the outcome, and no other has.
    "CPU c" is any CPU, the same one in all conditions of a cause, and "CPU d" is another. Exits with 3 if the question is
    too large, if no few conditions cover all runs, or if the time was up; what is printed is true all the same.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        outcome: What is explained; default: the worst outcome.
        max_states: The most concrete states, all of which are looked at.
        timeout: Print what is proved after so many seconds.
        as_json: Print one JSON document.
    """
    found = explain(asked.question(policy), outcome, max_states, timeout)
    if as_json:
        print_json(document(found))
    else:
        print_why(found)
    return exits.HOLDS if found.if_and_only_if else exits.INCOMPLETE


def document(why: Why) -> dict[str, object]:
    """The ``--json`` document of an explanation. Exact counts are decimal strings."""
    return {
        "key": why.question.key(),
        "outcome": why.outcome,
        "severity": why.severity,
        "text": why.text,
        **_part(why.part),
        "all_interleavings": str(why.interleavings),
        "states": why.states,
        "always": why.always,
        "if_and_only_if": why.if_and_only_if,
        "covered_share": why.covered,
        "causes": [_reason(reason) for reason in why.causes],
        "necessary": [_order(order) for order in why.necessary],
        "cut": why.cut,
        "deciding": [{**asdict(d.step), "text": step(d.step), "share": d.share} for d in why.deciding],
        "shortest": {"steps": len(why.shortest), "switches": why.switches[0], "schedule": why.shortest.schedule},
        "fewest_switches": {"steps": len(why.easiest), "switches": why.switches[1], "schedule": why.easiest.schedule},
    }


def _part(part: Part) -> dict[str, object]:
    return {
        "interleavings": str(part.interleavings),
        "interleaving_share": part.share,
        "probability": part.probability,
    }


def _reason(reason: Reason) -> dict[str, object]:
    orders = [_order(order) for order in reason.orders]
    return {"sufficient": True, **_part(reason.part), "schedule": reason.schedule, "orders": orders}


def _order(order: Order) -> dict[str, object]:
    return {**asdict(order), "text": sentence(order)}
