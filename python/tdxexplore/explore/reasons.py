"""An explanation, and its words: `tdxexplore.explore.why` makes it, and the command line, the report and the library show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.markup import Html, page, paragraph, severity, table
from tdxexplore.quantities import fraction, integer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.orders import Event
    from tdxexplore.explore.question import Question
    from tdxexplore.explore.trace import Trace

_CPUS = {"": "", "c": ", for some CPU c", "d": ", for some CPU d", "cd": ", for some CPU c and some other CPU d"}


@dataclass(frozen=True, slots=True)
class Part:
    """How much of all runs some runs are.

    Attributes:
        interleavings: How many there are, exactly.
        share: Of all interleavings.
        probability: That a run is one of them, each enabled transition being equally likely.
    """

    interleavings: int
    share: float
    probability: float


@dataclass(frozen=True, slots=True)
class Order:
    """A condition on the order of steps, in words.

    Attributes:
        first: The step that comes; if it stands for several, each of them does.
        on: ``c`` or ``d`` if it is on a certain CPU, ``p`` if it is on any other CPU in the package of c, else empty.
        before: The step that it comes before, or None if it is enough that the first one comes. With `since`, the step that
            has not come in between.
        where: As `on`, of that step and of `since`.
        both_come: Whether the second step comes in every run that meets the cause; else it may also be left out.
        necessary: Whether no run without it has the outcome.
        since: The step that it comes after, or None.
        nth: For which time the first step comes.
        before_nth: Which time of the other one is meant.
    """

    first: Event
    on: str
    before: Event | None
    where: str
    both_come: bool
    necessary: bool
    since: Event | None = None
    nth: int = 1
    before_nth: int = 1


@dataclass(frozen=True, slots=True)
class Reason:
    """Conditions that together are sufficient: every run that meets all of them, on some CPUs c and d, has the outcome.

    Attributes:
        orders: The conditions.
        part: The runs that meet them.
        schedule: One of them.
    """

    orders: tuple[Order, ...]
    part: Part
    schedule: str


@dataclass(frozen=True, slots=True)
class Deciding:
    """A step after which the outcome can no longer be avoided.

    Attributes:
        step: The step.
        share: Of the interleavings with the outcome, those that it decides.
    """

    step: Event
    share: float


@dataclass(frozen=True, slots=True)
class Why:
    """Why an outcome happens.

    Attributes:
        question: What was asked.
        outcome: The outcome.
        severity: Its severity.
        text: What it means, in a sentence.
        part: The runs that have it.
        interleavings: All runs.
        states: Concrete states, all of which were looked at.
        always: Whether every run has it, so that no order matters.
        causes: Sets of conditions, each of them sufficient.
        if_and_only_if: Whether a run has the outcome exactly if it meets some cause.
        covered: The share of the interleavings with the outcome that meet some cause; at least so many, if the time was up.
        necessary: Conditions that every run with the outcome meets, if the causes do not cover all of them.
        cut: Whether the time was up before everything was tried.
        deciding: The steps that decide, those of most runs first; empty if the outcome could never be avoided.
        shortest: A run with the fewest steps.
        easiest: A run with the fewest switches from one actor to another.
        switches: Those of the shortest and of the easiest one.
    """

    question: Question
    outcome: str
    severity: str
    text: str
    part: Part
    interleavings: int
    states: int
    always: bool
    causes: tuple[Reason, ...]
    if_and_only_if: bool
    covered: float
    necessary: tuple[Order, ...]
    cut: bool
    deciding: tuple[Deciding, ...]
    shortest: Trace
    easiest: Trace
    switches: tuple[int, int]

    def _repr_html_(self) -> str:
        parts: list[Html] = []
        for block in blocks(self):
            parts += [paragraph(block.said), *([table(("", ""), block.items)] if block.items else [])]
        head = paragraph(severity(f"{self.severity} {self.outcome}", self.severity), f" {self.text}")
        return page(head, *parts, self.easiest.folded(f"with the fewest switches to {self.outcome}"))


@dataclass(frozen=True, slots=True)
class Block:
    """A sentence, and a list below it.

    Attributes:
        said: The sentence.
        items: Each with its tag, such as ``necessary``, or with an empty text.
        after: Whether it goes on with what is said in the block before.
    """

    said: str
    items: tuple[tuple[str, str], ...] = ()
    after: bool = False


def blocks(why: Why) -> Iterator[Block]:
    """All that an explanation says."""
    yield Block(f"{_part(why.part, why.interleavings)}")
    yield from _conditions(why)
    yield _deciding(why)
    shortest, easiest = why.switches
    yield Block(
        f"Shortest such run: {len(why.shortest)} steps, {_switches(shortest)}; run with the fewest switches: "
        f"{len(why.easiest)} steps, {_switches(easiest)}"
    )
    yield Block(_checked(why))


def _conditions(why: Why) -> Iterator[Block]:
    if why.always:
        yield Block("Every run ends so: no order of steps matters.")
        return
    each = _cpus(why.necessary).replace(", for", ", each for")
    needed = Block(f"Every run that ends so meets these{each}:", _items(why.necessary), after=True)
    if not why.causes:
        yield Block(f"{_unexplained(why)}.")
        yield from [needed] * bool(why.necessary)
        return
    only = "if and only if" if why.if_and_only_if else "if"
    common = _common(why)
    if len(why.causes) == 1:
        yield Block(f"A run ends so {only}{_cpus(why.causes[0].orders)}:", _items(why.causes[0].orders))
    else:
        one = "one of these causes is met:"
        yield Block(f"A run ends so {only}" + ("" if common else f" {one}"), _items(common))
        if common:
            yield Block(f"and {one}", after=True)
        for number, reason in enumerate(why.causes, start=1):
            own = tuple(order for order in reason.orders if order not in common)
            about = f"cause {number}, {_part(reason.part, why.interleavings)}{_cpus(own)}:"
            yield Block(about, _items(own), after=True)
    if not why.if_and_only_if:
        yield Block(f"That covers {_share(why)}.", after=True)
        yield from [needed] * bool(why.necessary)


def _unexplained(why: Why) -> str:
    """Why there are no causes, in words."""
    return (
        "The time was up before conditions on the order of steps were found that are sufficient"
        if why.cut
        else "No few conditions on the order of steps were found that every run agrees with"
    )


def _share(why: Why) -> str:
    """How many of the runs with the outcome the causes cover, and what is known of the others."""
    share = fraction(why.covered)
    if why.cut:
        return f"at least {share} of these runs; the time was up before more was found"
    return f"{share} of these runs; no few conditions were found for the others"


def _common(why: Why) -> tuple[Order, ...]:
    """The conditions of all causes, but for those on a certain CPU, which may be another one in each cause."""
    first, *others = why.causes
    shared = (o for o in first.orders if not o.on and not o.where and all(o in reason.orders for reason in others))
    return tuple(shared) if others else ()


def _items(orders: Sequence[Order]) -> tuple[tuple[str, str], ...]:
    return tuple((sentence(order), "necessary" if order.necessary else "") for order in orders)


def sentence(order: Order) -> str:
    """A condition in words."""
    first = step(order.first, order.on).replace("any of", "each of", 1 if order.first.either else 0)
    comes = f"{first} comes{_TIMES[order.nth]}"
    if order.since is not None:
        between = "" if order.before is None else f", with no {step(order.before, order.where)} in between"
        return f"{comes} after {step(order.since, order.where)}{between}"
    if order.before is None:
        return comes
    again = "" if order.before_nth == 1 else f" comes{_TIMES[order.before_nth]}"
    maybe = "" if order.both_come or order.before.either else ", if that comes at all"
    return f"{comes} before {step(order.before, order.where)}{again}{maybe}"


_TIMES = ("", "", " for the second time", " for the third time")


def step(event: Event, on: str = "") -> str:
    """A step in words: whose it is, where, and which way it goes."""
    if event.either:
        return f"any of ({'; '.join(map(step, event.either))})"
    inside = f" in {event.functions[-1]}" if event.functions and event.functions[-1] != event.title else ""
    where = {"": "", "p": " on another CPU in the package of CPU c"}.get(on, f" on CPU {on}")
    way = f" ({event.way})" if event.way else ""
    return f"{event.actor or 'anybody'}'s {event.title}{inside}{where}{way}"


def _cpus(orders: tuple[Order, ...]) -> str:
    return _CPUS["".join(sorted({place.replace("p", "c") for order in orders for place in (order.on, order.where)}))]


def _deciding(why: Why) -> Block:
    if why.always:
        return Block("Nothing decides it: it cannot be avoided from the beginning.")
    avoided = "until then some run avoids it, afterwards none does."
    if len(why.deciding) == 1:
        return Block(f"Decided by {step(why.deciding[0].step)}: {avoided}")
    each = tuple((f"{step(one.step)}: {fraction(one.share)} of these runs", "") for one in why.deciding)
    return Block(f"Decided by one of these steps: {avoided}", each)


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
