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
    from tdxexplore.explore.reasons import Order, Part, Why

_WIDTH = 100
_CPUS = {"": "", "c": ", for some CPU c", "d": ", for some CPU d", "cd": ", for some CPU c and some other CPU d"}


def print_why(why: Why) -> None:
    """All of it."""
    out, key = console(), why.question.asked()
    about = (
        f"why {key['policy']} on module kind {key['module']}, {key['cpus']} CPUs in {packages(int(key['packages']))}, "
    )
    out.print(Text(about + f"scenario {key['scenario']}"))
    if key["knobs"]:
        out.print(Text(f"knobs: {key['knobs']}"))
    title = Text.assemble((why.outcome, SEVERITIES[why.severity]), f" ({why.severity}): {why.text}")
    out.print(title)
    for line in _lines(why):
        out.print(Text(line))


def _lines(why: Why) -> Iterator[str]:
    room = min(_WIDTH, width())
    yield from folded(_part(why.part, why.interleavings), room)
    yield ""
    yield from _conditions(why, room)
    yield ""
    yield from _deciding(why, room)
    yield ""
    shortest, easiest = why.switches
    yield from folded(
        f"Shortest such run: {len(why.shortest)} steps, {_switches(shortest)}; run with the fewest switches: "
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
        yield from folded(f"{unexplained(why)}.", room)
        yield from _needed(why, room)
        return
    only = "if and only if" if why.if_and_only_if else "if"
    common = _common(why)
    if len(why.causes) == 1:
        yield f"A run ends so {only}{_cpus(why.causes[0].orders)}:"
        yield from _orders(why.causes[0].orders, room)
    else:
        yield f"A run ends so {only}"
        if common:
            yield from _orders(common, room)
            yield "and one of these causes is met:"
        else:
            yield "one of these causes is met:"
        for number, reason in enumerate(why.causes, start=1):
            own = tuple(order for order in reason.orders if order not in common)
            yield from folded(f"cause {number}, {_part(reason.part, why.interleavings)}{_cpus(own)}:", room)
            yield from _orders(own, room)
    if not why.if_and_only_if:
        yield from folded(f"That covers {covered(why)}.", room)
        yield from _needed(why, room)


def unexplained(why: Why) -> str:
    """Why there are no causes, in words."""
    return (
        "The time was up before conditions on the order of steps were found that are sufficient"
        if why.cut
        else "No few conditions on the order of steps were found that every run agrees with"
    )


def covered(why: Why) -> str:
    """How many of the runs with the outcome the causes cover, and what is known of the others."""
    share = fraction(why.covered)
    if why.cut:
        return f"at least {share} of these runs; the time was up before more was found"
    return f"{share} of these runs; no few conditions were found for the others"


def _needed(why: Why, room: int) -> Iterator[str]:
    if why.necessary:
        yield "Every run that ends so meets these:"
        yield from _orders(why.necessary, room)


def _common(why: Why) -> tuple[Order, ...]:
    """The conditions of all causes, but for those on a certain CPU, which may be another one in each cause."""
    first, *others = why.causes
    shared = (o for o in first.orders if not o.on and not o.where and all(o in reason.orders for reason in others))
    return tuple(shared) if others else ()


def _orders(orders: tuple[Order, ...], room: int) -> Iterator[str]:
    for order in orders:
        necessary = " [necessary]" if order.necessary else ""
        yield from (f"  {line}" for line in folded(f"- {sentence(order)}{necessary}", room - 2))


def sentence(order: Order) -> str:
    """A condition in words."""
    first = step(order.first, order.on)
    if order.before is None:
        return f"{first} comes"
    maybe = "" if order.both_come else ", if that comes at all"
    return f"{first} comes before {step(order.before, order.where)}{maybe}"


def step(event: Event, on: str = "") -> str:
    """A step in words: whose it is, where, and which way it goes."""
    inside = f" in {event.functions[-1]}" if event.functions and event.functions[-1] != event.title else ""
    where = {"": "", "p": " on another CPU in the package of CPU c"}.get(on, f" on CPU {on}")
    way = f" ({event.way})" if event.way else ""
    return f"{event.actor}'s {event.title}{inside}{where}{way}"


def _cpus(orders: tuple[Order, ...]) -> str:
    return _CPUS["".join(sorted({place.replace("p", "c") for order in orders for place in (order.on, order.where)}))]


def _deciding(why: Why, room: int) -> Iterator[str]:
    if why.always:
        yield "Nothing decides it: it cannot be avoided from the beginning."
        return
    if len(why.deciding) == 1:
        yield from folded(
            f"Decided by {step(why.deciding[0].step)}: until then some run avoids it, afterwards none does.", room
        )
        return
    yield "Decided by one of these steps: until then some run avoids it, afterwards none does."
    for deciding in why.deciding:
        yield from (
            f"  {line}"
            for line in folded(f"- {step(deciding.step)}: {fraction(deciding.share)} of these runs", room - 2)
        )


def _part(part: Part, whole: int) -> str:
    return (
        f"{integer(str(part.interleavings))} of {integer(str(whole))} interleavings (share {fraction(part.share)}), "
        f"probability {fraction(part.probability)}"
    )


def _switches(count: int) -> str:
    return f"{count} switch{'es' * (count != 1)} between actors"


def _checked(why: Why) -> str:
    looked = f"{why.states:,} concrete states"
    if why.always or not (why.causes or why.necessary):
        return f"All {looked} were looked at."
    if not why.causes:
        return f"Re-checked on all runs, over {looked}: with a necessary condition forbidden, no run ends so."
    met = "the conditions" if len(why.causes) == 1 else "those of a cause"
    said = f"Re-checked on all runs, over {looked}: with {met} met, every run ends so"
    if why.if_and_only_if:
        said += "; else none does"
    if any(order.necessary for orders in (why.necessary, *(r.orders for r in why.causes)) for order in orders):
        said += "; with a necessary one forbidden, none does"
    return f"{said}."
