"""Why an outcome happens, on one screen: who has to come before whom, which step decides, and the run to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tdxexplore.explore.lanes import folded
from tdxexplore.render.figures import fraction, integer, packages
from tdxexplore.render.terminal import SEVERITIES, console, width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.orders import Event
    from tdxexplore.explore.why import Order, Part, Reason, Why

_WIDTH = 100
_CPUS = {
    ("",): "",
    ("c",): ", for some CPU c",
    ("c", "d"): ", for some CPU c and some other CPU d",
}


def print_why(why: Why) -> None:
    """All of it."""
    out, key = console(), why.question.asked()
    about = f"why {key['policy']} on module kind {key['module']}, {key['cpus']} CPUs in {packages(int(key['packages']))}, "
    out.print(Text(about + f"scenario {key['scenario']}"))
    if key["knobs"]:
        out.print(Text(f"knobs: {key['knobs']}"))
    title = Text.assemble((why.outcome, SEVERITIES[why.severity]), f" ({why.severity}): {why.text}")
    out.print(title)
    for line in _lines(why):
        out.print(Text(line))


def _lines(why: Why) -> Iterator[str]:
    room = min(_WIDTH, width())
    yield from folded(f"{_part(why.part)}, of {integer(str(why.interleavings))}", room)
    yield ""
    yield from _conditions(why, room)
    yield ""
    yield from _deciding(why, room)
    yield ""
    shortest, easiest = why.switches
    yield from folded(
        f"shortest run: {len(why.shortest)} steps, {_switches(shortest)}; with the fewest switches: "
        f"{len(why.easiest)} steps, {_switches(easiest)}",
        room,
    )
    yield f"  replay: {why.easiest.command}"
    yield ""
    yield from folded(_checked(why), room)


def _conditions(why: Why, room: int) -> Iterator[str]:
    if why.always:
        yield "Every run ends so: no order of steps matters."
        return
    if not why.causes:
        yield "No few conditions on the order of steps were found that every run agrees with."
        return
    only = "if and only if" if why.if_and_only_if else "if"
    if len(why.causes) == 1:
        yield f"A run ends so {only}{_cpus(why.causes[0])}:"
        yield from _orders(why.causes[0], room)
    else:
        yield f"A run ends so {only} one of these {len(why.causes)} causes is met:"
        for number, reason in enumerate(why.causes, start=1):
            yield f"cause {number}{_cpus(reason)}: {_part(reason.part)}"
            yield from _orders(reason, room)
    if not why.if_and_only_if:
        yield from folded(
            f"That is sufficient, and covers {fraction(why.covered)} of these runs. No few conditions were found for the others.",
            room,
        )


def _orders(reason: Reason, room: int) -> Iterator[str]:
    for order in reason.orders:
        necessary = " [necessary]" if order.necessary else ""
        yield from (f"  {line}" for line in folded(f"- {sentence(order)}{necessary}", room - 2))


def sentence(order: Order) -> str:
    """A condition in words."""
    first = step(order.first, order.on)
    if order.before is None:
        return f"{first} comes"
    second = step(order.before, order.where)
    return f"{first} comes before {second}" if order.both_come else f"{first} comes, and {second} not before it"


def step(event: Event, on: str = "") -> str:
    """A step in words: whose it is, where, and which way it goes."""
    inside = f" in {event.functions[-1]}" if event.functions and event.functions[-1] != event.title else ""
    where = f" on CPU {on}" if on else ""
    way = f" ({event.way})" if event.way else ""
    return f"{event.actor}'s {event.title}{inside}{where}{way}"


def _cpus(reason: Reason) -> str:
    return _CPUS[tuple(sorted({place for order in reason.orders for place in (order.on, order.where)} - {""})) or ("",)]


def _deciding(why: Why, room: int) -> Iterator[str]:
    if why.always:
        yield "Nothing decides it: it cannot be avoided from the beginning."
        return
    if len(why.deciding) == 1:
        yield from folded(f"Decided by {step(why.deciding[0].step)}: until then some run avoids it, afterwards none does.", room)
        return
    yield "Decided by one of these steps: until then some run avoids it, afterwards none does."
    for deciding in why.deciding:
        yield from (f"  {line}" for line in folded(f"- {step(deciding.step)}: {fraction(deciding.share)} of these runs", room - 2))


def _part(part: Part) -> str:
    return (
        f"{integer(str(part.interleavings))} interleavings (share {fraction(part.share)}), "
        f"with probability {fraction(part.probability)}"
    )


def _switches(count: int) -> str:
    return f"{count} switch{'es' * (count != 1)} between actors"


def _checked(why: Why) -> str:
    looked = f"{why.states:,} concrete states were looked at"
    if why.always or not why.causes:
        return f"All {looked}."
    said = f"Re-checked on all runs ({looked}): with "
    said += "the conditions" if len(why.causes) == 1 else "those of a cause"
    said += " met every run ends so"
    if why.if_and_only_if:
        said += ", otherwise none does" if len(why.causes) == 1 else ", with no cause met none does"
    if any(order.necessary for reason in why.causes for order in reason.orders):
        said += "; with a necessary one forbidden none does"
    return f"{said}."
