"""What a recording shows, in the words of the models.

An observation is of one of two sorts. A *step* is something that happened, which a step of the model must match. A *condition* is
something that was so at that moment: what an action returned, which CPUs were online, a task that slept because a lock was held.
Between two observations the model may take any step that leaves no event.

That a task slept says more than that it ran late: *the kernel blocks where the step of the model is not enabled*. It counts only
from the event that shows who holds the lock to the event that announces the release, as the lock changes hands just outside.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.kernel.recording import Event, Recording

STATES = {
    "kvm/cpu:online": "CPUHP_AP_KVM_ONLINE",
    "cpu:teardown": "CPUHP_TEARDOWN_CPU",
    "workqueue:online": "CPUHP_AP_WORKQUEUE_ONLINE",
    "sched:active": "CPUHP_AP_ACTIVE",
}
STARTUPS = ("kvm_online_cpu", "workqueue_online_cpu", "sched_cpu_activate")
CONDITIONS = ("returns", "mask", "reader sleeps", "writer sleeps")


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation.

    Attributes:
        kind: Of a step: ``load``, ``unload``, ``read lock``, ``read unlock``, ``up``, ``down``, ``write lock``, ``write unlock``,
            ``startup``, ``teardown``. Of a condition: one of `CONDITIONS`.
        cpu: The CPU that it concerns; -1 for none.
        state: The cpuhp state of a callback.
        failed: The callback failed, or the action that returns.
        refs: How many references to virtualization a callback took; less than 0 if it gave one back.
        online: The CPUs that are online afterwards: all of them for ``mask``, this one or none for ``write unlock``.
    """

    kind: str
    cpu: int = -1
    state: str = ""
    failed: bool = False
    refs: int = 0
    online: tuple[int, ...] = ()

    @property
    def is_condition(self) -> bool:
        """Whether it says what was so, and not what happened."""
        return self.kind in CONDITIONS

    def __str__(self) -> str:
        words = [self.state, self.kind]
        if self.cpu >= 0:
            words.append(f"on CPU {self.cpu}")
        if self.failed:
            words.append("fails")
        if self.refs:
            words.append(f"({self.refs:+d} reference)")
        if self.kind in ("write unlock", "mask"):
            words.append(f"with {', '.join(map(str, self.online)) or 'it not'} online")
        return " ".join(word for word in words if word)


def observe(recording: Recording) -> list[tuple[int, Observation]]:
    """What a recording shows: observations, each with the index of its event."""
    return list(_Reader(recording.events).all())


class _Reader:
    """Goes through the events once, with what it knows of each task."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.function: dict[str, str] = {}  # the callback that a task is in
        self.refs: dict[str, int] = defaultdict(int)
        self.writer: tuple[str, int] | None = None  # task and CPU of the hotplug operation that goes on
        self.begins = ""  # it goes up or down, and has not been seen to wait for the lock or to take it
        self.synced = False  # the writer has come to where it waits for readers
        self.reads = False  # a registration holds the read side
        self.loaded = False  # kvm_amd is loaded
        self.idle = False  # a load of what is loaded, or the reverse, which does nothing
        self.refused = False  # the registration of this load has failed
        self.waits: set[str] = set()  # tasks that have found it taken

    def all(self) -> Iterator[tuple[int, Observation]]:
        for index, event in enumerate(self.events):
            for seen in self.of(index, event):
                yield index, seen

    def of(self, index: int, event: Event) -> Iterator[Observation]:
        kind, task = event["event"], event["task"]
        match kind:
            case "begin" if event["action"] in ("load", "unload"):
                self.refused = False
                self.idle = (event["action"] == "load") == self.loaded
                if not self.idle:
                    yield Observation(event["action"])
            case "setup_end" if event["ret"] < 0:
                self.refused = True
            case "setup" if self.refused:
                # insmod calls finit_module(), and after an error init_module(): KVM is loaded a second time.
                self.refused = False
                yield Observation("returns", failed=True, state="load")
                yield Observation("load")
            case "end" if event["action"] in ("load", "unload") and not self.idle:
                self.loaded = (event["action"] == "load") == (event["code"] == 0)
                yield Observation("returns", failed=event["code"] != 0, state=event["action"])
            case "mask":
                yield Observation("mask", online=tuple(event["online"]))
            case "setup_locked" | "remove_locked":
                self.reads = True
                self.waits.discard(task)
                yield Observation("read lock")
            case "setup_unlocks" | "remove_unlocks":
                self.reads = False
                yield Observation("read unlock")
            case "up" | "down":
                self.writer, self.synced, self.begins = (task, event["cpu_arg"]), False, kind
            case _:
                yield from self._locks(index, event)
                yield from self._callbacks(event)

    def _locks(self, index: int, event: Event) -> Iterator[Observation]:
        kind, task = event["event"], event["task"]
        if self.writer is not None and task == self.writer[0]:
            cpu = self.writer[1]
            match kind:
                case "rcu_sync":
                    self.synced = True
                case "write_lock":
                    self.synced = False
                    yield from self._queued()
                    yield Observation("write lock", cpu)
                case "write_unlock":
                    self.writer = None
                    yield Observation("write unlock", cpu, online=self._online_after(index, task, cpu))
                case "sleeps" if self.synced and self.reads:
                    yield from self._queued()
                    yield Observation("writer sleeps", cpu)
        elif kind == "rwsem_wait":
            self.waits.add(task)
        elif kind == "sleeps" and task in self.waits and self.writer is not None:
            yield from self._queued()
            yield Observation("reader sleeps")

    def _queued(self) -> Iterator[Observation]:
        """The writer is queued by now. _cpu_up() and _cpu_down() have begun before that, and readers may still have come."""
        if self.begins and self.writer is not None:
            yield Observation(self.begins, self.writer[1])
            self.begins = ""

    def _online_after(self, index: int, task: str, cpu: int) -> tuple[int, ...]:
        """Whether the CPU is online after an operation, by what _cpu_up() or _cpu_down() returns next."""
        for event in self.events[index:]:
            if event["event"] in ("up_end", "down_end") and event["task"] == task:
                return (cpu,) if (event["event"] == "up_end") == (event["ret"] == 0) else ()
        return ()

    def _callbacks(self, event: Event) -> Iterator[Observation]:
        kind, task = event["event"], event["task"]
        match kind:
            case "cpuhp_enter":
                self.function[task], self.refs[task] = event["function"], 0
            case "get_ref" | "put_ref" if task in self.function:
                self.refs[task] += 1 if kind == "get_ref" else -1
            case "cpuhp_exit":
                way = "startup" if self.function.pop(task, "") in STARTUPS else "teardown"
                if event["ret"] == 0:
                    seen = Observation(way, event["cpu_arg"], STATES[event["state"]])
                    yield replace(seen, refs=self.refs.pop(task, 0))
            case "failed":
                way = "startup" if event["up"] else "teardown"
                yield Observation(way, event["cpu_arg"], STATES[event["state"]], failed=True)
