"""A policy's model for recordings: the loader of KVM and CPU hotplug, with what can be observed in a real kernel.

It is the policy's own model and the mechanics of ``linux/``, with three additions. The module is *absent*: the kernel has no
TDX, as ``kvm_amd`` in an emulated machine, so that KVM goes on without it (tdx_bringup(), from 7.1 on tdx_hardware_setup()) and
core registers nothing at boot (tdx_enable() returns -ENODEV). Three other callbacks of the kernel stand around KVM's, so that a
veto below it, and an error above it, can be seen. Any callback may fail, as ``cpuN/hotplug/fail`` makes it. Nobody creates a VM.

Rejected: a module kind ``absent`` beside the others. Every table of the package has a column for each kind, and this one differs
only before the first SEAMCALL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tdxexplore.errors import BadModel
from tdxexplore.kernel.observations import Observation, observe
from tdxexplore.linux.boot import starts_with
from tdxexplore.linux.hotplug import hotplug
from tdxexplore.model import Model, Scope, State, Topology, always
from tdxexplore.tdx.catalogue import find_policy
from tdxexplore.tdx.environment import modprobe
from tdxexplore.tdx.fields import UNBOUNDED, Traits, World
from tdxexplore.tdx.kernel import EIO, OK, Hook, Kernel
from tdxexplore.tdx.kvm import VirtAtLoad

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.model.execution import Transition
    from tdxexplore.model.expr import Variable

BELOW, ABOVE = ("CPUHP_TEARDOWN_CPU",), ("CPUHP_AP_WORKQUEUE_ONLINE", "CPUHP_AP_ACTIVE")
HAS_NO_STARTUP = ("CPUHP_TEARDOWN_CPU",)
DONE, FAILED = "the callback returns 0", "the callback fails"
STEPS = {
    "modprobe kvm_intel tdx=1": "load",
    "rmmod kvm_intel": "unload",
    "cpus_read_lock()": "read lock",
    "cpus_read_unlock()": "read unlock",
    "cpus_write_lock()": "write lock",
}
LIMITS = dict.fromkeys(("kvm_load", "kvm_unload", "cpu_up", "cpu_down"), UNBOUNDED)


class Watched:
    """The model of a policy, and what its steps and states show.

    Args:
        name: The policy.
        cpus: CPUs of the machine, all of them online at first.

    Raises:
        BadModel: There is no such policy, or its KVM does not enable virtualization when it is loaded.
    """

    def __init__(self, name: str, cpus: int) -> None:
        base = find_policy(name)
        if not issubclass(base, VirtAtLoad):
            raise BadModel(f"policy `{name}` has no KVM_ONLINE callback; a recording shows that of KVM at load")
        policy = _without_tdx(base)()
        self.model = Model(f"{name} in a recorded kernel")
        self.w = World(self.model, "strict", LIMITS, Traits(key_ids=policy.key_ids, seamcall_ud=policy.seamcall_ud))
        policy.declare(self.w)
        policy.kvm_online, before = _watched(policy.kvm_online), policy.kvm_online
        hooks = tuple(policy.kvm_online if hook is before else hook for hook in policy.hooks)
        policy.hooks = (*map(self._other, BELOW), *hooks, *map(self._other, ABOVE))
        self.model.add(modprobe(self._actor("kvm"), policy, when=always))
        self.model.add(hotplug(self._actor("hotplug", Scope.CPU), policy.hooks, up_when=always, down_when=always))
        self.initial = State.initial(self.model, Topology.of(cpus))
        starts_with(self.initial, (), smt_blocked=False, later=False)
        self.model.settle([self.w.boot_cpu])

    def _actor(self, name: str, scope: Scope = Scope.GLOBAL) -> Kernel:
        return Kernel(self.w, name, scope, split_releases=True)

    def _other(self, state: str) -> Hook:
        """A callback of the kernel that has always been registered, and whose work is not modelled."""

        def works(k: Kernel) -> Variable:
            with k.function(f"callback of {state}", returns=(OK,)) as f:
                f.returns(OK)
            return f.result

        return _watched(Hook(state, self.model.flag(f"{state} registered", initial=True), works, works))

    observe = staticmethod(observe)

    def shows(self, before: State, step: Transition) -> tuple[Observation, ...]:
        """What a step shows."""
        shown = self._shows(before, step)
        return () if shown is None else (shown,)

    def _shows(self, before: State, step: Transition) -> Observation | None:
        title, cpu = step.label.title, step.cpu
        if title == "/sys/devices/system/cpu/cpuN/online":
            return Observation("up" if "echo 1" in step.notes else "down", cpu)
        if title == "cpus_write_unlock()":
            return Observation("write unlock", cpu, online=(cpu,) if step.target.cpus[cpu]["online"] else ())
        if title in STEPS:
            return Observation(STEPS[title], cpu)
        if FAILED not in step.notes and DONE not in step.notes:
            return None
        state, way, *_ = title.split()
        if way == "startup" and state in HAS_NO_STARTUP:
            return Observation("nothing", failed=True) if FAILED in step.notes else None
        refs = cast("int", step.target.cpus[cpu]["vmx_users"]) - cast("int", before.cpus[cpu]["vmx_users"])
        return Observation(way, cpu, state, FAILED in step.notes, refs)

    def is_so(self, seen: Observation, state: State, steps: list[Transition]) -> bool:
        """Whether a condition holds in a state from which these steps are possible."""
        match seen.kind:
            case "mask":
                return tuple(i for i, cpu in enumerate(state.cpus) if cpu["online"]) == seen.online
            case "returns":
                loaded = state.globals["kvm_loaded"] == ((seen.state == "load") != seen.failed)
                return loaded and self._at(state, "kvm", "modprobe kvm_intel tdx=1", "rmmod kvm_intel")
            case "reader sleeps":
                # A mutex of the registration is taken inside: the loader stands at the lock, and cannot take it.
                return self._at(state, "kvm", "cpus_read_lock()") and not any(
                    s.label.title == "cpus_read_lock()" for s in steps
                )
            case "writer sleeps":
                here = [s for s in steps if s.cpu == seen.cpu]
                return self._at(state, "hotplug", "cpus_write_lock()", cpu=seen.cpu) and not here
        raise BadModel(f"{seen.kind} is no condition")

    def _at(self, state: State, actor: str, *titles: str, cpu: int = -1) -> bool:
        """Whether an actor stands at one of these steps."""
        values = state.globals if cpu < 0 else state.cpus[cpu]
        code = self.model.code(actor)
        return any(values.get(label.pc) == label.name for _, label in code.labels if label.title in titles)


def _watched(hook: Hook) -> Hook:
    """The same callbacks, each of which may fail, and notes whether it does."""

    def either(callback: Callable[[Kernel], Variable]) -> Callable[[Kernel], Variable]:
        def watched(k: Kernel) -> Variable:
            with k.function("cpuhp_invoke_callback()", returns=(OK, EIO)) as f:
                with k.either() as choice:
                    with choice.branch():
                        k.note(FAILED)
                        f.returns(EIO)
                    with choice.branch():
                        error = k.call(callback)
                        with k.if_(error != OK):
                            k.note(FAILED)
                            f.returns(EIO)
                        k.note(DONE)
                        f.returns(OK)
            return f.result

        return watched

    return Hook(hook.state, hook.registered, either(hook.startup), either(hook.teardown), hook.dynamic)


def _without_tdx(base: type[VirtAtLoad]) -> type[VirtAtLoad]:
    """The policy in a kernel that has no TDX."""

    class WithoutTdx(base):  # type: ignore[misc, valid-type]
        name, title, source = base.name, base.title, base.source

        def tdx_bringup(self, k: Kernel) -> None:
            """tdx_bringup() without X86_FEATURE_TDX_HOST_PLATFORM: KVM loads without TDX."""
            self.tdx_failed(k)
            k.set(k.w.kvm_loaded, value=True)

        def tdx_cleanup(self, k: Kernel) -> None:
            """tdx_cleanup(): nothing was registered."""

    return WithoutTdx
