"""Recordings: the events of a guest's ftrace as a file of JSON lines, whose format is described in docs/kernel.md.

Kept are the events that concern CPU hotplug and KVM: the callbacks of the states in `STATES`, which actions of the script
began and ended, the lock of CPU hotplug, references to virtualization. The rest of a trace is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tdxexplore.bounded import at_most
from tdxexplore.errors import TdxExploreError
from tdxexplore.kernel import NO_TDX
from tdxexplore.kernel.guest import boot
from tdxexplore.model.topology import MAX_CPUS
from tdxexplore.replacing import replacing
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tdxexplore.kernel.machine import Machine
    from tdxexplore.kernel.packages import Kernel

FORMAT, VERSION = "tdxexplore-kernel-trace", 1
STATES = ("kvm/cpu:online", "cpu:teardown", "workqueue:online", "sched:active")
"""The cpuhp states that are recorded, by their names in ``/sys/devices/system/cpu/hotplug/states``."""

PATIENCE = 300
"""Seconds that a line of a script may take; a machine that others use is slow to emulate four CPUs."""

_LARGEST = 1 << 26  # bytes of a file

LINE = re.compile(r"\s*(?P<task>.+-\d+)\s+\[(?P<cpu>\d+)\] \S+ +(?P<t>\d+\.\d+): (?P<event>\w+): ?(?P<rest>.*)")
WORDS = re.compile(r"(\w+)[=:] *(-?\w+)")
HOTPLUG = ("cpuhp_enter", "cpuhp_exit", "failed", "setup", "remove")

Event = dict[str, Any]


class BadTrace(TdxExploreError, ValueError):
    """A file that is no recording."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a kernel did.

    Attributes:
        header: The kernel, its CPUs, the script, the numbers of the states.
        events: In the order of time. Each has ``t`` (microseconds from the first), ``cpu`` and ``task`` that ran, ``event``,
            and what the event says.
    """

    header: dict[str, Any]
    events: list[Event]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BadTrace: It is no recording, or of a version that is not known.
        """
        try:
            lines = at_most(path, _LARGEST, "a recording").decode().splitlines()
        except ValueError as error:
            raise BadTrace(f"{path} is no recording: {one_line(str(error), 200)}") from None
        try:
            header, *events = map(json.loads, lines)
        except (ValueError, RecursionError):
            raise BadTrace(f"{path} is no recording: it holds no lines of JSON") from None
        if not isinstance(header, dict):
            raise BadTrace(f"{path} is no recording: its first line is no object")
        known = header.get("format"), header.get("version")
        if known != (FORMAT, VERSION):
            raise BadTrace(f"{path} says format {known[0]!r}, version {known[1]!r}; allowed are {FORMAT!r}, {VERSION}")
        needed = _HEADER | (_HOST if "module" in header else {}) | ({"knobs": _texts} if "knobs" in header else {})
        if wrong := _wrong(header, needed, header):
            raise BadTrace(f"{path}: its first line: {wrong}")
        for number, event in enumerate(events, 2):
            kind = str(event.get("event")) if isinstance(event, dict) else ""
            needed = _OF.get(kind, {}) if "module" not in header or kind in _ACTIONS else _SAID
            if wrong := _wrong(event, _EVERY | needed | ({} if "module" in header else _TRACED), header):
                raise BadTrace(f"{path}: line {number}: {wrong}")
        return cls(header, events)

    def write(self, path: Path) -> None:
        """Write the file: a line for the header, and one for each event."""
        lines = (json.dumps(document, separators=(",", ":")) for document in (self.header, *self.events))
        with replacing(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines))


Check = Callable[[Any, dict[str, Any]], bool]


def _whole(value: object, _: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _text(value: object, _: object) -> bool:
    return isinstance(value, str)


def _texts(value: object, _: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _cpu(value: object, header: dict[str, Any]) -> bool:
    return type(value) is int and 0 <= value < header["cpus"]


def _cpus(value: object, header: dict[str, Any]) -> bool:
    return isinstance(value, list) and all(_cpu(cpu, header) for cpu in value)


def _size(value: object, _: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_CPUS


def _action(value: object, header: dict[str, Any]) -> bool:
    """A word, and of a host's recording a CPU."""
    found = isinstance(value, str) and re.fullmatch(r"\w+(?: (\d{1,6}))?", value)
    return isinstance(value, str) and ("module" not in header or bool(found and int(found[1] or 0) < header["cpus"]))


def _state(value: object, _: object) -> bool:
    return value in STATES


_HEADER: dict[str, Check] = {"kernel": _text, "cpus": _size}
_HOST: dict[str, Check] = {"module": _text, "packages": _size}
_EVERY: dict[str, Check] = {"t": _whole, "event": _text}
_TRACED: dict[str, Check] = {"cpu": _whole, "task": _text}
_SAID: dict[str, Check] = {"cpu": _whole, "says": _text}
_ACTIONS = ("begin", "end", "mask")
_OF: dict[str, dict[str, Check]] = {
    "begin": {"action": _action},
    "end": {"action": _action, "code": _whole},
    "mask": {"online": _cpus},
    "setup_end": {"ret": _whole},
    "up": {"cpu_arg": _cpu},
    "down": {"cpu_arg": _cpu},
    "up_end": {"ret": _whole},
    "down_end": {"ret": _whole},
    "cpuhp_enter": {"function": _text},
    "cpuhp_exit": {"ret": _whole, "cpu_arg": _cpu, "state": _state},
    "failed": {"up": _whole, "cpu_arg": _cpu, "state": _state},
}
"""What the header and each event need: a recording may come from a stranger."""


def _wrong(said: object, needed: dict[str, Check], header: dict[str, Any]) -> str:
    """What is missing or wrong in a line, if anything."""
    if not isinstance(said, dict):
        return "it is no object"
    for name, check in needed.items():
        if name not in said:
            return f"`{name}` is missing"
        if not check(said[name], header):
            return f"`{name}` is {one_line(json.dumps(said[name]), 60)}"
    return ""


def record(
    kernel: Kernel,
    script: Sequence[str],
    *,
    cpus: int = 4,
    name: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Boot a kernel, run a script, and return what the kernel did.

    Args:
        kernel: The kernel.
        script: Lines for the guest's shell, see ``kernel/guest.sh``.
        cpus: CPUs of the guest.
        name: Of the script, for the header.
        tell: Is called with each line of progress.
    """
    tell(f"Linux {kernel.version}: booting")
    with boot(kernel, cpus=cpus) as machine:
        _must(machine, "start_trace")
        for line in script:
            tell(f"Linux {kernel.version}: {line}")
            machine.run(line, timeout=PATIENCE)
        _must(machine, "echo 0 > $T/tracing_on")
        text = machine.run("cat $T/trace", timeout=PATIENCE).text
        states = {state: number for number, state in _states(machine)}
    recorded = {state: states[state] for state in STATES if state in states}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kernel": kernel.version,
        "series": kernel.series,
        "cpus": cpus,
        "name": name,
        "script": list(script),
        "states": recorded,
        "note": NO_TDX,
    }
    return Recording(header, list(kept(parse(text), {number: state for state, number in recorded.items()})))


def _must(machine: Machine, line: str) -> None:
    answer = machine.run(line, timeout=PATIENCE)
    if answer.code != 0:
        raise BadTrace(f"the guest's `{line}` fails: {answer.text.strip() or answer.code}")


def _states(machine: Machine) -> Iterator[tuple[int, str]]:
    """The numbers and names of the cpuhp states, with KVM's, which has a name while it is registered."""
    _must(machine, "grep -q kvm_amd /proc/modules || insmod /mods/kvm-amd.ko")
    for line in machine.run("cat $C/hotplug/states").text.splitlines():
        number, _, name = line.partition(": ")
        yield int(number), name


def parse(text: str) -> Iterator[Event]:
    """The events of ftrace's text."""
    start: float | None = None
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            continue
        at = float(match["t"])
        start = at if start is None else start
        event: Event = {"t": round((at - start) * 1e6), "cpu": int(match["cpu"]), "task": match["task"].strip()}
        if match["event"] == "tracing_mark_write":
            yield {**event, **_marker(match["rest"])}
        else:
            function = re.search(r"\((\w+)(?: \[\w+\])?\)", match["rest"])
            words = {
                "cpu_arg" if name == "cpu" else name: _number(value)
                for name, value in WORDS.findall(match["rest"])
                if name not in ("target", "sem")
            }
            if match["event"] == "sched_switch":
                words = {"pid": words["prev_pid"]}
            named = {"function": function[1]} if function else {}
            yield {**event, "event": match["event"], **named, **words}


def _marker(text: str) -> Event:
    """What the script says: an action begins, or ends with an exit code; or the CPUs that are online."""
    kind, *words = text.split()
    match kind:
        case "end":
            return {"event": "end", "code": int(words[0]), "action": " ".join(words[1:])}
        case "mask":
            return {"event": "mask", "online": cpu_list(words[0])}
        case _:
            return {"event": kind, "action": " ".join(words)}


def cpu_list(text: str) -> list[int]:
    """The CPUs of a list such as ``0-2,4``."""
    ends = [part.split("-") for part in text.split(",")]
    return [cpu for part in ends for cpu in range(int(part[0]), int(part[-1]) + 1)]


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def kept(events: Iterator[Event], states: dict[int, str]) -> Iterator[Event]:
    """The events that are kept, with the names of states in the place of their numbers."""
    inside: dict[str, str] = {}
    sleepy = {"down": "down_end", "up": "up_end", "setup": "setup_end", "remove": "remove_end"}
    for event in events:
        kind, task = event["event"], event["task"]
        number = event.pop("step") if kind.startswith("cpuhp_") else event.get("state")
        if number is not None and number not in states:
            continue
        if kind.startswith("cpuhp_"):
            event.pop("state", None)
        if number is not None:
            event["state"] = states[number]
        if kind in sleepy:
            inside[task] = sleepy[kind]
        elif inside.get(task) == kind:
            del inside[task]
        elif kind in ("sched_switch", "rwsem_wait", "rcu_sync", "write_lock", "write_unlock") and task not in inside:
            continue
        if kind == "sched_switch":
            event["event"] = "sleeps"
            del event["pid"]
        yield event
