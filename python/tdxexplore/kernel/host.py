"""The kernel's own host library of TDX, run under its own CPU hotplug, and held against a model.

A module includes arch/x86/virt/vmx/tdx/tdx.c, and what belongs to it, from the distribution's source package when it is
compiled; ``kernel/host.h`` has what is replaced. SEAMCALL, VMXON and VMXOFF are a mock, from `tdxexplore.kernel.mock`. A script's
actions go one after the other. What is observed is each action, each SEAMCALL with its CPU and its status, whether the action
fails, and the CPUs that are online. A recording of that is one more actor of the model, see `tdxexplore.kernel.conformance`.
"""

from __future__ import annotations

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
from tdxexplore.tdx.td import td

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.kernel import packages
    from tdxexplore.kernel.recording import Event
    from tdxexplore.kernel.toolchain import Toolchain
    from tdxexplore.model.execution import Transition
    from tdxexplore.tdx.fields import ModuleKind

NOTE = "the host's own tdx.c under the kernel's own CPU hotplug, in QEMU's emulation; VMX and the TDX module are a mock"
ONLINE = "/sys/devices/system/cpu/cpuN/online"
# The step with which an action begins. The first field says which actor takes it.
BEGINS = {
    "boot": ("boot", "initcalls"),
    "load": ("kvm", "modprobe kvm_intel tdx=1"),
    "unload": ("kvm", "rmmod kvm_intel"),
    "td": ("td", "KVM_CREATE_VM"),
    "update": ("update", "update of the TDX module"),
}
ACTIONS = (*BEGINS, "online", "offline")
# A read of the module's fields that succeeds changes nothing, and a host makes many.
READ = "TDH.SYS.RD = TDX_SUCCESS"


def record(
    kernel: packages.Kernel,
    tools: Toolchain,
    text: dict[str, bytes],
    script: Sequence[str],
    *,
    name: str,
    module: ModuleKind,
    topology: Topology,
) -> Recording:
    """Compile the host's text, boot the kernel, run a script, and return what happened.

    Args:
        kernel: The kernel.
        tools: For its modules.
        text: The host's text, see `tdxexplore.kernel.sources`.
        script: Actions, one a line: those of `ACTIONS`, the last two with a CPU.
        name: Of the script.
        module: The TDX-module kind of the mock.
        topology: CPUs and packages of the guest.

    Raises:
        BadTrace: A line is no action, or the module does not load.
        NoKernel: The text does not compile.
    """
    for line in script:
        if line.split()[0] not in ACTIONS:
            raise BadTrace(f"`{line}` is no action; allowed are {', '.join(ACTIONS)}")
    sources = {
        "tdxhost.c": guest_file(f"host-{kernel.series}.c"),
        "host.h": guest_file("host.h"),
        "symbol.h": guest_file("symbol.h"),
        "mock.h": header(module, topology).encode(),
        **{f"text/{file}": content for file, content in text.items()},
    }
    files = {"tdxhost.ko": tools.compile(sources)["tdxhost"]}
    events: list[Event] = []
    with boot(kernel, cpus=topology.cpus, packages=len(topology.sizes), files=files) as machine:
        # The thread of an action stays on CPU 0.
        loaded = machine.run("taskset -p 1 $$ > /dev/null; insmod /tdxhost.ko", timeout=PATIENCE)
        if loaded.code:
            raise BadTrace(f"the module does not load: {loaded.text.strip()}")
        read = 0
        for line in script:
            action, *cpu = line.split()
            where = f"/sys/devices/system/cpu/cpu{cpu[0]}/online" if cpu else "/proc/tdxhost"
            word = {"online": "1", "offline": "0"}.get(action, action)
            code = machine.run(f"echo {word} > {where}", timeout=PATIENCE).code
            said = machine.run("cat /proc/tdxhost", timeout=PATIENCE).text
            online = machine.run("cat /sys/devices/system/cpu/online").text.strip()
            found = [_seamcall(each) for each in said[read:].splitlines()]
            read = len(said)
            first = found[0]["t"] if found else events[-1]["t"] if events else 0
            last = found[-1]["t"] if found else first
            events += [
                {"t": first, "event": "begin", "action": line},
                *found,
                {"t": last, "event": "end", "code": code, "action": line},
                {"t": last, "event": "mask", "online": cpu_list(online)},
            ]
    heads = {"format": FORMAT, "version": VERSION, "kernel": kernel.version, "series": kernel.series}
    of = {
        "cpus": topology.cpus,
        "packages": len(topology.sizes),
        "module": module,
        "name": name,
        "script": list(script),
    }
    return Recording({**heads, **of, "note": NOTE}, events)


def _seamcall(line: str) -> Event:
    t, cpu, says = line.split(" ", 2)
    return {"t": int(t), "cpu": int(cpu), "event": "seamcall", "says": says}


class WatchedHost:
    """The model of a policy on a module kind, and what its steps and states show.

    Args:
        name: The policy.
        module: The TDX-module kind.
        cpus: CPUs of the machine, all of them online at first.
        packages: Packages that share them evenly.
    """

    limits: ClassVar[dict[str, int]] = {
        **dict.fromkeys(BUDGETS, 0),
        **dict.fromkeys(("kvm_load", "kvm_unload", "cpu_up", "cpu_down"), UNBOUNDED),
        "update": MOST_UPDATES,
    }

    def __init__(self, name: str, module: ModuleKind, cpus: int, packages: int) -> None:
        policy = find_policy(name)()
        self.model = Model(f"{name} in a recorded host")
        traits = Traits(policy.has_boot, policy.has_update, policy.key_ids, policy.seamcall_ud)
        w = self.w = World(self.model, module, self.limits, traits)
        policy.declare(w)
        if policy.has_boot:
            self.model.add(initcalls(self._actor("boot"), policy.boot))
        self.model.add(modprobe(self._actor("kvm"), policy, when=always))
        self.model.add(td(self._actor("td"), policy))
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
        return list(_observations(recording.events))

    def shows(self, _: State, step: Transition) -> tuple[Observation, ...]:
        """What a step shows: that an action begins, or SEAMCALLs."""
        title, actor = step.label.title, self.model.codes[step.actor].actor
        if title == ONLINE:
            return (Observation("up" if "echo 1" in step.notes else "down", step.cpu),)
        begins = tuple(Observation(action) for action, begin in BEGINS.items() if begin == (actor, title))
        return begins + tuple(_call(note, step.cpu) for note in step.notes if _is_call(note) and note != READ)

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
    for index, event in enumerate(events):
        match event["event"]:
            case "begin":
                action, *cpu = event["action"].split()
                kind = {"online": "up", "offline": "down"}.get(action, action)
                seen = Observation(kind, int(cpu[0]) if cpu else -1)
            case "end":
                action, *cpu = event["action"].split()
                seen = Observation("returns", int(cpu[0]) if cpu else -1, action, failed=event["code"] != 0)
            case "mask":
                seen = Observation("mask", online=tuple(event["online"]))
            case _:
                seen = _call(event["says"], event["cpu"])
                # The slices of TDH.SYS.TDMR.INIT are one in the model.
                if event["says"] == READ or seen == before:
                    continue
        before = seen
        yield index, seen


def _is_call(note: str) -> bool:
    return " = " in note or note.startswith(("VMXON", "VMXOFF"))


def _call(note: str, cpu: int) -> Observation:
    return Observation("SEAMCALL", cpu, note)
