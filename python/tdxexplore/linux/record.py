"""Recording a kernel, and the whole model of one.

A protocol that needs no fields of its own beside a few flags is a function that records its actors (`kernel_model`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tdxexplore.linux import boot
from tdxexplore.linux.state import BUDGETS, Linux
from tdxexplore.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tdxexplore.linux.lock_order import Nesting
    from tdxexplore.model import Topology

W = TypeVar("W", bound=Linux)


def with_lock_order(record: Callable[[frozenset[Nesting]], W]) -> W:
    """Record a kernel; where locks nest in a circle, a second time, with fields that remember it.

    Args:
        record: Records every procedure, given the nestings that are part of a cycle.
    """
    world = record(frozenset())
    inverted = world.lock_order.inverted()
    return record(inverted) if inverted else world


def kernel_model(
    name: str,
    record: Callable[[Linux], None],
    *,
    budgets: Mapping[str, int] | None = None,
    offline: int = 0,
    oopses: Sequence[str] = (),
    stoppable: bool = False,
    booting: bool = False,
) -> Model:
    """The model of a protocol in the kernel.

    Args:
        name: What messages call it.
        record: Declares fields, adds the actors and says what is asked. Where locks nest in a circle it is called twice, each
            time with new fields.
        budgets: How often the environment acts at most, by name: an action that mechanics here know
            (`tdxexplore.linux.state.BUDGETS`), or one of the protocol, whose name says in words what happens.
        offline: CPUs that are offline at first: the last ones.
        oopses: What can end a run besides a BUG_ON of CPU hotplug; a step sets ``w.oops`` to one of them.
        stoppable: Some actor calls stop_machine().
        booting: Initcalls run before user space does (`tdxexplore.linux.boot.initcalls`).
    """
    limits = dict(budgets or {})

    def recorded(inverted: frozenset[Nesting]) -> Linux:
        texts = {name: name for name in (*BUDGETS, *limits)}
        world = Linux(Model(name), texts, limits, boot=booting, stoppable=stoppable, oopses=oopses, inverted=inverted)
        boot.starts(world, last, down=offline > 0)
        record(world)
        return world

    def last(topology: Topology) -> frozenset[int]:
        return frozenset(range(topology.cpus - offline, topology.cpus))

    model = with_lock_order(recorded).model
    model.least_cpus = max(model.least_cpus, offline + 1)
    model.settle()
    return model
