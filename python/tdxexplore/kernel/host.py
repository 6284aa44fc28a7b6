"""The kernel's own host library of TDX, run under its own CPU hotplug, and held against a model.

A module includes the text of arch/x86/virt, tdx.c and what belongs to it, from the distribution's source package when it is
compiled; ``kernel/host.h`` has what is replaced. SEAMCALL, VMXON and VMXOFF are a mock, from `tdxexplore.kernel.mock`. A script's
actions go one after the other. What is observed is each action, each SEAMCALL with its CPU and its status, each assertion of
lockdep that does not hold, whether the action fails, and the CPUs that are online. A recording of that is one more actor of the
model, see `tdxexplore.kernel.conformance`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from tdxexplore.errors import BadModel
from tdxexplore.kernel.guest import boot
from tdxexplore.kernel.machine import guest_file
from tdxexplore.kernel.mock import MOST_UPDATES, header
from tdxexplore.kernel.observations import Observation
from tdxexplore.kernel.recording import FORMAT, PATIENCE, VERSION, BadTrace, Recording, cpu_list
from tdxexplore.linux.boot import initcalls, starts_with
from tdxexplore.linux.hotplug import hotplug
from tdxexplore.model import Model, Scope, State, Topology, always
from tdxexplore.tdx.catalogue import find_policy
from tdxexplore.tdx.environment import modprobe, update
from tdxexplore.tdx.fields import BUDGETS, UNBOUNDED, Traits, World
from tdxexplore.tdx.kernel import Kernel
from tdxexplore.tdx.td import td, vcpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tdxexplore.kernel import packages
    from tdxexplore.kernel.recording import Event
    from tdxexplore.kernel.toolchain import Toolchain
    from tdxexplore.model.execution import Transition
    from tdxexplore.tdx.fields import ModuleKind

NOTE = "the host's own text under the kernel's own CPU hotplug, in QEMU's emulation; VMX and the TDX module are a mock"
ONLINE = "/sys/devices/system/cpu/cpuN/online"
# The step with which an action begins. The first field says which actor takes it.
BEGINS = {
    "boot": ("boot", "initcalls"),
    "load": ("kvm", "modprobe kvm_intel tdx=1"),
    "unload": ("kvm", "rmmod kvm_intel"),
    "td": ("td", "KVM_CREATE_VM"),
    "run": ("vcpu", "KVM_RUN"),
    "update": ("update", "update of the TDX module"),
}
OF_CPUS = {"online": "1", "offline": "0"}
# What a script may ask for, by series. In 6.12 KVM's load brings TDX up, and there is no update; its tdx.c calls nothing of a TD.
ACTIONS = {"6.12": ("load", "unload", *OF_CPUS), "7.3": (*BEGINS, *OF_CPUS)}
SCRIPTS = {"6.12": ("kvm", "late", "package"), "7.3": ("boot", "late-boot", "update", "update-offline", "update-again")}
# Which KVM the part that is written here is, as knobs of a policy: in 6.12 that of 6.16, which has no kexec.
KNOBS: dict[str, dict[str, str]] = {"6.12": {"kexec": "no"}, "7.3": {}}
WITH_CPU = ("run", *OF_CPUS)
LOG = re.compile(r"\[ *[\d.]+\] (.*(?:virt/tdx: |seamldr: |WARNING: |BUG: ).*)")
# An assertion of lockdep that does not hold, in the words of the model.
WARN = "WARN: lockdep_assert"
# A read of the module's fields that succeeds changes nothing, and a host makes many.
READ = "TDH.SYS.RD = TDX_SUCCESS"
SYS_INIT, LP_INIT = "TDH.SYS.INIT = TDX_SUCCESS", "TDH.SYS.LP.INIT = "


def record(
    kernel: packages.Kernel,
    tools: Toolchain,
    text: dict[str, bytes],
    script: Sequence[str],
    *,
    name: str,
    module: ModuleKind,
    topology: Topology,
    tell: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Compile the host's text, boot the kernel, run a script, and return what happened.

    Args:
        kernel: The kernel.
        tools: For its modules.
        text: The host's text, see `tdxexplore.kernel.sources`.
        script: Actions, one a line: those of `ACTIONS`; those of `WITH_CPU` with a CPU.
        name: Of the script.
        module: The TDX-module kind of the mock.
        topology: CPUs and packages of the guest.
        tell: Is called with each line of progress.

    Raises:
        BadTrace: A line is no action, or the module does not load.
        NoKernel: The text does not compile.
    """
    check(script, kernel.series, topology)
    sources = {
        "tdxhost.c": guest_file(f"host-{kernel.series}.c"),
        "host.h": guest_file("host.h"),
        "symbol.h": guest_file("symbol.h"),
        "mock.h": header(module, topology).encode(),
        **{f"text/{file}": content for file, content in text.items()},
    }
    tell(f"Linux {kernel.version}: compiling its arch/x86/virt as a module")
    files = {"tdxhost.ko": tools.compile(sources)["tdxhost"]}
    events: list[Event] = []
    tell(f"Linux {kernel.version}: booting")
    with boot(kernel, cpus=topology.cpus, packages=len(topology.sizes), files=files) as machine:
        # The thread of an action stays on CPU 0.
        loaded = machine.run("taskset -p 1 $$ > /dev/null; insmod /tdxhost.ko", timeout=PATIENCE)
        if loaded.code:
            raise BadTrace(f"the module does not load: {loaded.text.strip()}")
        read, start = 0, None
        for line in script:
            tell(f"Linux {kernel.version}: {line}")
            code = machine.run(_command(line), timeout=PATIENCE).code
            said = machine.run("cat /proc/tdxhost", timeout=PATIENCE).text
            online = machine.run("cat /sys/devices/system/cpu/online").text.strip()
            found = [_seamcall(each) for each in said[read:].splitlines()]
            read = len(said)
            if found and start is None:
                start = found[0]["t"]
            for each in found:
                each["t"] -= start
            first = found[0]["t"] if found else events[-1]["t"] if events else 0
            last = found[-1]["t"] if found else first
            events += [
                {"t": first, "event": "begin", "action": line},
                *found,
                {"t": last, "event": "end", "code": code, "action": line},
                {"t": last, "event": "mask", "online": cpu_list(online)},
            ]
        log = LOG.findall(machine.run("dmesg", timeout=PATIENCE).text)
    heads = {"format": FORMAT, "version": VERSION, "kernel": kernel.version, "series": kernel.series}
    of = {
        "cpus": topology.cpus,
        "packages": len(topology.sizes),
        "module": module,
        "knobs": KNOBS[kernel.series],
        "name": name,
        "script": list(script),
        "log": log,
    }
    return Recording({**heads, **of, "note": NOTE}, events)


def check(script: Sequence[str], series: str, topology: Topology) -> None:
    """Refuse a script with a line that is no action of a series.

    Raises:
        BadTrace: There is such a line.
    """
    for line in script:
        action, *cpu = line.split()
        if action not in ACTIONS[series]:
            raise BadTrace(f"`{line}` is no action of {series}; allowed are {', '.join(ACTIONS[series])}")
        numbers = [str(number) for number in range(topology.cpus)]
        if (len(cpu) == 1 and cpu[0] in numbers) if action in WITH_CPU else not cpu:
            continue
        allowed = f"`{action}` and a CPU from 0 to {numbers[-1]}" if action in WITH_CPU else f"`{action}` alone"
        raise BadTrace(f"the script says `{line}`; allowed is {allowed}")


def _command(line: str) -> str:
    """What does an action, in the guest's shell."""
    action, *cpu = line.split()
    if action in OF_CPUS:
        return f"echo {OF_CPUS[action]} > /sys/devices/system/cpu/cpu{cpu[0]}/online"
    return f"echo {line} > /proc/tdxhost"


def _seamcall(line: str) -> Event:
    t, cpu, says = line.split(" ", 2)
    kind = "warn" if says.startswith(WARN) else "seamcall" if _is_seen(says) else "note"
    return {"t": int(t), "cpu": int(cpu), "event": kind, "says": says}


class WatchedHost:
    """The model of a policy on a module kind, and what its steps and states show.

    Args:
        name: The policy.
        module: The TDX-module kind.
        cpus: CPUs of the machine, all of them online at first.
        packages: Packages that share them evenly.
        knobs: Of the recording; the policy may not have them.
    """

    limits: ClassVar[dict[str, int]] = {
        **dict.fromkeys(BUDGETS, 0),
        **dict.fromkeys(("kvm_load", "kvm_unload", "cpu_up", "cpu_down"), UNBOUNDED),
        "update": MOST_UPDATES,
    }

    def __init__(
        self, name: str, module: ModuleKind, cpus: int, packages: int, knobs: Mapping[str, str] | None = None
    ) -> None:
        of = find_policy(name)
        has = {knob.name for knob in of.knobs}
        policy = of({knob: value for knob, value in (knobs or {}).items() if knob in has})
        self.model = Model(f"{name} in a recorded host")
        traits = Traits(policy.has_boot, policy.has_update, policy.key_ids, policy.seamcall_ud)
        w = self.w = World(self.model, module, self.limits, traits)
        policy.declare(w)
        if policy.has_boot:
            self.model.add(initcalls(self._actor("boot"), policy.boot))
        self.model.add(modprobe(self._actor("kvm"), policy, when=always))
        self.model.add(td(self._actor("td"), policy))
        self.model.add(vcpu(self._actor("vcpu", Scope.CPU)))
        self.model.add(hotplug(self._actor("hotplug", Scope.CPU), policy.hooks, up_when=always, down_when=always))
        if policy.has_update:
            self.model.add(update(self._actor("update"), policy))
        self.initial = State.initial(self.model, Topology.of(cpus, packages))
        starts_with(self.initial, (), smt_blocked=False, later=False)
        self.model.settle([w.boot_cpu])

    def _actor(self, name: str, scope: Scope = Scope.GLOBAL) -> Kernel:
        return Kernel(self.w, name, scope)

    @staticmethod
    def observe(recording: Recording) -> list[tuple[int, Observation]]:
        """What a recording shows: observations, each with the index of its event."""
        return _in_steps(list(_observations(recording.events)))

    def shows(self, _: State, step: Transition) -> tuple[Observation, ...]:
        """What a step shows: that an action begins, SEAMCALLs, and assertions that do not hold."""
        title, actor = step.label.title, self.model.codes[step.actor].actor
        if title == ONLINE:
            return (Observation("up" if "echo 1" in step.notes else "down", step.cpu),)
        begins = tuple(Observation(action, step.cpu) for action, begin in BEGINS.items() if begin == (actor, title))
        return begins + tuple(_call(note, step.cpu) for note in step.notes if _is_seen(note) and note != READ)

    def is_so(self, seen: Observation, state: State, steps: list[Transition]) -> bool:
        """Whether a condition holds in a state from which these steps are possible."""
        if seen.kind == "mask":
            return tuple(i for i, cpu in enumerate(state.cpus) if cpu["online"]) == seen.online
        g = state.globals
        match seen.state:
            case "boot":
                return bool(g["booted"]) and (g["tdx_status"] == "INITIALIZED") != seen.failed
            case "load" | "unload":
                rests = self._rests(state, "kvm", "modprobe kvm_intel tdx=1", "rmmod kvm_intel")
                return rests and g["kvm_loaded"] == ((seen.state == "load") != seen.failed)
            case "td":
                return (g["td"] == "running") != seen.failed and g["td"] != "none"
            case "run":
                return bool(g["td_error"]) or not seen.failed
            case "update":
                up = g["tdx_status"] == "INITIALIZED" and not g["update_failed"]
                return self._rests(state, "update", "update of the TDX module") and up != seen.failed
            case "online" | "offline":
                done = bool(state.cpus[seen.cpu]["online"]) == ((seen.state == "online") != seen.failed)
                return done and self._rests(state, "hotplug", ONLINE, cpu=seen.cpu)
        raise BadModel(f"{seen.kind} is no condition")

    def _rests(self, state: State, actor: str, *titles: str, cpu: int = -1) -> bool:
        values = state.globals if cpu < 0 else state.cpus[cpu]
        return any(
            values.get(label.pc) == label.name for _, label in self.model.code(actor).labels if label.title in titles
        )


def _observations(events: Sequence[Event]) -> Iterator[tuple[int, Observation]]:
    before: Observation | None = None
    loaded = False
    for index, event in enumerate(events):
        # A load of what is loaded is refused at once, and so is the reverse: no step of the model.
        idle = event.get("action") == ("load" if loaded else "unload")
        match event["event"]:
            case "begin" | "end" if idle and event.get("code") != 0:
                continue
            case "begin":
                action, *cpu = event["action"].split()
                kind = {"online": "up", "offline": "down"}.get(action, action)
                seen = Observation(kind, int(cpu[0]) if cpu else -1)
            case "end":
                action, *cpu = event["action"].split()
                seen = Observation("returns", int(cpu[0]) if cpu else -1, action, failed=event["code"] != 0)
                if action in ("load", "unload"):
                    loaded = (action == "load") == (event["code"] == 0)
            case "mask":
                seen = Observation("mask", online=tuple(event["online"]))
            case _:
                seen = _call(event["says"], event["cpu"])
                slices = event["says"].startswith("TDH.SYS.TDMR.INIT = ") and seen == before
                if event["event"] == "note" or event["says"] == READ or slices:  # the slices are one in the model
                    continue
        before = seen
        yield index, seen


def _in_steps(seen: list[tuple[int, Observation]]) -> list[tuple[int, Observation]]:
    """TDH.SYS.INIT, and behind it the TDH.SYS.LP.INIT of the same CPU: they are one step of the model.

    In stop_machine() the calls of other CPUs come between them. These commute: each TDH.SYS.LP.INIT changes its LP only.
    """
    for at, (_, first) in enumerate(seen):
        if first.state != SYS_INIT:
            continue
        after = next(
            (i for i, (_, each) in enumerate(seen) if i > at and not each.state.startswith(LP_INIT)), len(seen)
        )
        own = [i for i in range(at + 1, after) if seen[i][1].cpu == first.cpu]
        if own:
            seen.insert(at + 1, seen.pop(own[0]))
    return seen


def _is_seen(note: str) -> bool:
    return " = " in note or note.startswith(("VMXON", "VMXOFF", WARN))


def _call(note: str, cpu: int) -> Observation:
    return Observation("SEAMCALL" if " = " in note else "", cpu, note)
