"""The kernel around TDX: locks, VMX, CPU hotplug. Shared by all policies.

Source: kernel/cpu.c of about Linux 6.6. A lock's release is part of the step before it: a release only enables others,
so delaying it hides nothing (Lipton's left mover), and ``tests/test_fusion.py`` compares the outcomes with releases as
steps of their own.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tdxexplore.model import (
    Event,
    Field,
    Procedure,
    Scope,
    cpus,
    other_cpus,
    other_package_cpus,
    package_cpus,
    packages,
)
from tdxexplore.model.blocks import block
from tdxexplore.model.code import Await, Label
from tdxexplore.tdx.fields import BUDGETS, UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tdxexplore.model.expr import Operand, Value, Variable
    from tdxexplore.model.procedure import Frame, Recorded
    from tdxexplore.tdx.fields import World

CPUHP = "kernel/cpu.c, v6.6"
HW = "arch/x86/virt/hw.c @0eaed89c"

OK = "0"
EIO = "-EIO"
EBUSY = "-EBUSY"
EFAULT = "-EFAULT"
VMXON = (OK, EBUSY, EFAULT)

# What prices count. VMXON that is refused, and VMXOFF that is a BUG, are events of their own: they turn nothing on or off.
IPI = Event("ipi")
VMXON_DONE, VMXON_REFUSED = Event("vmxon", "VMXON"), Event("vmxon refused", "VMXON")
VMXOFF_DONE, VMXOFF_REFUSED = Event("vmxoff", "VMXOFF"), Event("vmxoff refused", "VMXOFF")


@dataclass(frozen=True, eq=False, slots=True)
class Hook:
    """A cpuhp state with its callbacks, which run on the CPU that comes or goes.

    Attributes:
        state: The cpuhp state, such as ``CPUHP_AP_KVM_ONLINE``.
        registered: The flag that says whether the callbacks are installed.
        startup: Records the startup callback; returns 0 or an error.
        teardown: Records the teardown callback; returns 0, or an error that vetoes the offline.
    """

    state: str
    registered: Field
    startup: Callable[[Kernel], Variable]
    teardown: Callable[[Kernel], Variable]


class Returning(Protocol):
    """A function or a SEAMCALL that is being recorded."""

    def returns(self, value: str, /) -> None:
        """It ends here."""


class Kernel(Procedure):
    """A procedure that knows kernel functions.

    Args:
        world: The fields.
        actor: Who acts.
        scope: Global, or CPU for an actor with an instance on each CPU.
        split_releases: Make the release of a lock a step of its own (to test that this changes no outcome).
    """

    def __init__(self, world: World, actor: str, scope: Scope = Scope.GLOBAL, *, split_releases: bool = False) -> None:
        self.w = world
        self._split_releases = split_releases
        self._alone = False
        self._holds_cpus = 0
        super().__init__(actor, scope)

    def emit(self, instruction: Recorded) -> Recorded:
        """Append an instruction; a step waits while stop_machine() holds its CPU, or the CPU is inside the module."""
        super().emit(instruction)
        if isinstance(instruction, Label) and not instruction.passive and not self._alone:
            if self.w.stoppable:
                super().emit(Await(~self.w.stop_machine))
            if self.w.contended and instruction.scope is Scope.CPU:
                super().emit(Await(~self.w.in_seam))
        return instruction

    @block
    def _undisturbed(self) -> Iterator[None]:
        before, self._alone = self._alone, True
        yield
        self._alone = before

    # -- budgets ------------------------------------------------------------------------------------------------------

    def spend(self, budget: str) -> None:
        """An action of that budget happens; one without limit is not counted."""
        if self.w.limit[budget] != UNBOUNDED:
            self.add(self.w.budget[budget], -1)

    # -- faults -------------------------------------------------------------------------------------------------------

    @block
    def fault(self, budget: str) -> Iterator[None]:
        """What is recorded inside may happen here, as often as the budget of that name allows."""
        with self.either() as choice:
            with choice.branch():
                pass
            with choice.branch():
                self.await_(self.w.budget[budget] > 0)
                self.spend(budget)
                self.note(BUDGETS[budget])
                yield

    def may_fail(self, budget: str, function: Returning, error: str) -> None:
        """The function may return an error here, as often as the budget of that name allows."""
        if self.w.has(budget):
            with self.fault(budget):
                function.returns(error)

    # -- the module, seen from the kernel -----------------------------------------------------------------------------

    @block
    def seam_exit(self, call: str) -> Iterator[None]:
        """The second step of a SEAMCALL, on the CPU that it was made on."""
        title = f"{call}: exit"
        if self.acting is not Scope.GLOBAL:
            with self._undisturbed():
                self.step(title)
            yield
        else:
            before, self._alone = self._alone, True
            with self.on_any_cpu(self.w.in_seam, title):
                self._alone = before
                yield

    @block
    def once_in_each_package(self, where: Operand, done: Field, title: str) -> Iterator[None]:
        """One CPU of each package, one package after the other; the body is a step, and sets the package's ``done``.

        The kernel takes the first online CPU in the order of numbers: here any, as numbers are names. A package
        without a CPU where ``where`` holds is left out.
        """
        with self.loop() as left:
            with self.on_any_cpu(where & ~done, title):
                yield
                with self.if_(packages.none(~done & package_cpus.any(where))):
                    left.leave()

    # -- IPIs ---------------------------------------------------------------------------------------------------------

    @block
    def ipi(self, where: Operand | bool, function: str) -> Iterator[None]:
        """on_each_cpu(function): an IPI to every CPU where ``where`` holds, the sender's own included; it waits for all."""
        with self.on_each_cpu(where, f"IPI {function}", events=(IPI,)):
            yield

    # -- locks --------------------------------------------------------------------------------------------------------

    @block
    def cpus_read_lock(self) -> Iterator[None]:
        """cpus_read_lock(): excludes hotplug. A waiting writer blocks new readers, also one who reads already.

        lockdep reports who takes it a second time, whether a writer waits or not.
        """
        w = self.w
        self.step("cpus_read_lock()", CPUHP)
        self.await_(w.cpus_writer == "none")
        if self._holds_cpus:
            self.warn("lockdep: possible recursive locking, cpu_hotplug_lock")
        self.add(w.cpus_readers, 1)

        def release() -> None:
            self._release("cpus_read_unlock()")
            self.add(w.cpus_readers, -1)

        with self.holding(release), self._holding_cpus():
            yield

    @block
    def _holding_cpus(self) -> Iterator[None]:
        self._holds_cpus += 1
        yield
        self._holds_cpus -= 1

    def lockdep_assert_cpus_held(self) -> None:
        """WARN unless the caller, or the hotplug operation it is a callback of, holds cpu_hotplug_lock; inert at boot."""
        if not self._holds_cpus:
            self.warn_on(self.w.booted, "lockdep_assert_cpus_held()")

    @block
    def mutex(self, lock: Field) -> Iterator[None]:
        """mutex_lock(&lock)."""
        self.step(f"mutex_lock(&{lock.name})")
        self.await_(~lock)
        self.set(lock, value=True)

        def release() -> None:
            self._release(f"mutex_unlock(&{lock.name})")
            self.set(lock, value=False)

        with self.holding(release):
            yield

    def _release(self, title: str) -> None:
        if self._split_releases:
            self.step(title)

    def result(self, name: str, values: tuple[Value, ...]) -> Variable:
        """With releases as steps of their own, a result has to outlive a step: it becomes part of the state.

        Nobody releases a lock in a callback that runs on a CPU, so results there stay as they are.
        """
        if not self._split_releases or self.acting is Scope.CPU:
            return super().result(name, values)
        known, name = self.w.model.fields, f"{self.actor}.{name}"
        if name not in known:
            known[name] = Field(name, Scope.GLOBAL, values, values[0])
        return known[name]

    @block
    def stop_machine(self) -> Iterator[None]:
        """stop_machine(): nobody else takes a step, on any CPU; it waits until no CPU is inside the module."""
        w = self.w
        self.step("stop_machine()", "kernel/stop_machine.c")
        self.await_(cpus.none(w.in_seam))
        self.set(w.stop_machine, value=True)

        def release() -> None:
            self.set(w.stop_machine, value=False)

        with self.holding(release), self._undisturbed():
            yield

    # -- VMX ----------------------------------------------------------------------------------------------------------

    def vmxon(self) -> Variable:
        """VMXON on the acting CPU; refused when CR4.VMXE is set already (arch/x86/virt/hw.c @0eaed89c)."""
        with self.function("VMXON", returns=VMXON) as f:
            with self.if_(self.w.vmx_on):
                self.note("VMXON: CR4.VMXE is set already, -EBUSY", VMXON_REFUSED)
                f.returns(EBUSY)
            self.may_fail("vmxon_fail", f, EFAULT)
            self.set(self.w.vmx_on, value=True)
            self.note("VMXON", VMXON_DONE)
            f.returns(OK)
        return f.result

    def vmxoff(self) -> None:
        """VMXOFF on the acting CPU; outside VMX operation it is #UD and a BUG."""
        with self.if_(~self.w.vmx_on):
            self.note("VMXOFF: #UD", VMXOFF_REFUSED)
            self.set(self.w.oops, "vmxoff #UD")
        with self.else_():
            self.set(self.w.vmx_on, value=False)
            self.note("VMXOFF", VMXOFF_DONE)

    def get_ref(self) -> Variable:
        """x86_virt_get_ref(VMX), preemption off: VMXON with the first reference; a failure undoes the count."""
        w = self.w
        with self.function("x86_virt_get_ref()", HW, returns=VMXON) as f:
            self.add(w.vmx_users, 1)
            with self.if_(w.vmx_users == 1):
                error = self.vmxon()
                with self.if_(error != OK):
                    self.add(w.vmx_users, -1)
                f.returns(error)
            f.returns(OK)
        return f.result

    def put_ref(self) -> None:
        """x86_virt_put_ref(VMX), preemption off: VMXOFF with the last reference; WARN if there is none."""
        w = self.w
        with self.if_(w.vmx_users == 0):
            self.warn_on(w.vmx_users == 0, "x86_virt_put_ref() without a reference")
        with self.else_():
            self.add(w.vmx_users, -1)
            with self.if_(w.vmx_users == 0):
                self.vmxoff()

    def warn_on(self, condition: Operand | bool, text: str) -> None:
        """WARN_ON(condition)."""
        with self.if_(condition):
            self.warn(text)

    def warn(self, text: str) -> None:
        """WARN(), or a report of lockdep."""
        self.note(f"WARN: {text}")
        self.set(self.w.warned, value=True)

    # -- cpuhp: registration ------------------------------------------------------------------------------------------

    def cpuhp_setup_state(self, hook: Hook, *, cpuslocked: bool = False) -> Variable:
        """cpuhp_setup_state(): install the callbacks, then run startup on every online CPU, one after the other.

        On an error the CPUs done are torn down and the callbacks removed; an error from a teardown is BUG_ON.
        """
        w, suffix = self.w, "_cpuslocked" if cpuslocked else ""
        with self.function(f"cpuhp_setup_state{suffix}({hook.state})", CPUHP, returns=(OK, EIO)) as f:
            with nullcontext() if cpuslocked else self.cpus_read_lock(), self.mutex(w.cpuhp_state_mutex):
                self.set(hook.registered, value=True)
                with self.on_each_cpu(w.online, f"{hook.state} startup", serial=True) as each:
                    error = self.call(hook.startup)
                    with self.if_(error != OK):
                        self.set(w.cpuhp_failed, value=True)
                        each.stop()
                    self.set(w.cpuhp_done, value=True)
                with self.if_(w.cpuhp_failed):
                    self.set(w.cpuhp_failed, value=False)
                    with self.on_each_cpu(w.cpuhp_done, f"{hook.state} teardown (rollback)", serial=True):
                        self._teardown_or_bug(hook)
                    self._forget(hook)
                    f.returns(EIO)
                self.set_each(cpus, where=True, values={w.cpuhp_done: False})
                f.returns(OK)
        return f.result

    def cpuhp_remove_state(self, hook: Hook) -> None:
        """cpuhp_remove_state(): teardown on every online CPU, one after the other; an error from one is BUG_ON."""
        w = self.w
        with self.function(f"cpuhp_remove_state({hook.state})", CPUHP):
            with self.cpus_read_lock(), self.mutex(w.cpuhp_state_mutex):
                with self.on_each_cpu(w.online, f"{hook.state} teardown", serial=True):
                    self._teardown_or_bug(hook)
                self._forget(hook)

    def cpuhp_setup_state_nocalls(self, hook: Hook) -> None:
        """cpuhp_setup_state_nocalls(): one step, as no callback runs: nobody sees what is between lock and unlock."""
        self._install(f"cpuhp_setup_state_nocalls({hook.state})", hook, installed=True)

    def cpuhp_remove_state_nocalls(self, hook: Hook, *, cpuslocked: bool = False) -> None:
        """cpuhp_remove_state_nocalls(), or the _cpuslocked form: one step, as above."""
        suffix = "_cpuslocked" if cpuslocked else ""
        self._install(f"cpuhp_remove_state_nocalls{suffix}({hook.state})", hook, installed=False, cpuslocked=cpuslocked)

    def _install(self, title: str, hook: Hook, *, installed: bool, cpuslocked: bool = False) -> None:
        w = self.w
        self.step(title, CPUHP)
        self.await_(~w.cpuhp_state_mutex if cpuslocked else ~w.cpuhp_state_mutex & (w.cpus_writer == "none"))
        self.set(hook.registered, value=installed)

    def _teardown_or_bug(self, hook: Hook) -> None:
        """cpuhp_issue_call(): BUG_ON(ret && !bringup)."""
        error = self.call(hook.teardown)
        with self.if_(error != OK):
            self.set(self.w.oops, "cpuhp BUG_ON")

    def _forget(self, hook: Hook) -> None:
        self.set_each(cpus, where=True, values={self.w.cpuhp_done: False})
        self.set(hook.registered, value=False)

    # -- cpuhp: a CPU comes and goes ----------------------------------------------------------------------------------

    def cpu_up(self, hooks: tuple[Hook, ...]) -> None:
        """_cpu_up(): the acting CPU walks up the cpuhp states; an error of a callback walks it back down.

        An error on the way back is a WARN, and the CPU stays there: its online bit set, and no task on it.

        The STARTING section is part of the first step: it sets the online bit, which only holders of the read lock look
        at.
        """
        w = self.w
        with self.function("_cpu_up()", CPUHP) as up, self._holding_cpus():
            self._cpus_write_lock()
            self.note("CPU starts")
            self.set(w.online, value=True)
            for reached, hook in enumerate(hooks):
                with self.if_(hook.registered):
                    self.step(f"{hook.state} startup")
                    error = self.call(hook.startup)
                    with self.if_(error != OK):
                        for lower in reversed(hooks[:reached]):
                            with self.if_(lower.registered):
                                self.step(f"{lower.state} teardown (rollback)")
                                again = self.call(lower.teardown)
                                with self.if_(again != OK):
                                    self.set(w.online_refused, value=True)
                                    self._stuck(up)
                        self.note("online refused")
                        self.set(w.online, value=False)
                        self.set(w.online_refused, value=True)
                        self._cpus_write_unlock()
                        up.returns()
            self.step("CPUHP_ONLINE")
            self.set(w.active, value=True)
            self._cpus_write_unlock()

    def cpu_down(self, hooks: tuple[Hook, ...], vetoed: Field | None = None) -> None:
        """_cpu_down(): down the cpuhp states in reverse; a callback may veto, and the CPU walks back up.

        An error on the way back is a WARN, and the CPU stays there: its online bit set, and no task on it.

        Args:
            hooks: In the order of a CPU that comes up.
            vetoed: A flag that a veto sets.
        """
        w = self.w
        with self.function("_cpu_down()", CPUHP) as down, self._holding_cpus():
            self._cpus_write_lock()
            self.set(w.active, value=False)
            for reached, hook in reversed(list(enumerate(hooks))):
                with self.if_(hook.registered):
                    self.step(f"{hook.state} teardown")
                    error = self.call(hook.teardown)
                    with self.if_(error != OK):
                        self.note("offline vetoed")
                        if vetoed is not None:
                            self.set(vetoed, value=True)
                        for upper in hooks[reached + 1 :]:
                            with self.if_(upper.registered):
                                self.step(f"{upper.state} startup (rollback)")
                                again = self.call(upper.startup)
                                with self.if_(again != OK):
                                    self._stuck(down)
                        self.set(w.active, value=True)
                        self._cpus_write_unlock()
                        down.returns()
            self.step("CPUHP_OFFLINE")
            self.set(w.online, value=False)
            self.set(w.td_entered, value=False)
            self._cpus_write_unlock()

    def _stuck(self, way: Frame) -> None:
        """cpuhp_thread_fun(), an error in a rollback: no way forward, no way back."""
        self.warn("error in a rollback, the CPU is stuck between two states")
        self._cpus_write_unlock()
        way.returns()

    def _cpus_write_lock(self) -> None:
        """cpus_write_lock(): from the step before, it waits, and keeps new readers out."""
        self.set(self.w.cpus_writer, "waiting")
        self.step("cpus_write_lock()")
        self.await_(self.w.cpus_readers == 0)
        self.set(self.w.cpus_writer, "held")

    def _cpus_write_unlock(self) -> None:
        self._release("cpus_write_unlock()")
        self.set(self.w.cpus_writer, "none")

    # -- who may go offline ------------------------------------------------------------------------------------------

    def last_cpu_of_a_package_with_a_key(self) -> Operand:
        """tdx_offline_cpu(), arch/x86/kvm/vmx/tdx.c: the last online CPU of a package while a key id is configured."""
        return self.w.key_id_in_use & other_package_cpus.none(self.w.online)

    @property
    def another_cpu_online(self) -> Operand:
        """The last online CPU cannot go offline (-EBUSY)."""
        return other_cpus.any(self.w.online)
