"""The fields that kernel mechanics read and write, and how often the environment acts.

Every field is an attribute, so that a type checker knows its name. The declaration of a field says whether it survives kexec,
and whether a CPU loses it when it goes offline. A field that no recorded step assigns is no part of a Program, so that a
protocol pays only for the mechanics it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.linux.lock_order import LockOrder
from tdxexplore.model import Field, Scope, always, cpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tdxexplore.linux.lock_order import Nesting
    from tdxexplore.model import Model
    from tdxexplore.model.expr import Operand

# A budget that never runs out, where the state graph stays finite: it then has cycles.
UNBOUNDED = (1 << 63) - 1

# Budgets that mechanics here spend; a protocol that names one gives it a text.
BUDGETS = ("cpu_up", "cpu_down", "suspend", "smt_on", "smt_off", "kexec", "reboot", "kexec_orderly")

# Fields by name: an initial state sets them before any procedure runs.
ONLINE, ACTIVE, BOOT_CPU = "online", "active", "boot_cpu"
SMP_INIT, SMT_BLOCKED, SIBLING = "started by smp_init()", "smt_blocked", "SMT sibling"

CPUHP_BUG = "cpuhp BUG_ON"
# Readers of cpu_hotplug_lock among the actors of the machine, and among those of one CPU.
_MOST_READERS = 7


class Linux:
    """The kernel: which CPUs are up, who holds its locks, what went wrong. A protocol derives from it and adds its own.

    Fields are declared in this order: the protocol's hardware, the kernel, the protocol's software, budgets. Where several
    causes of a lost response are equally small, the engine names the one whose fields come first, so that a budget, which is
    part of the question, comes last.

    Args:
        model: Where the fields are declared.
        texts: What the environment does, by the name of the budget.
        limits: How often it may do so; ``UNBOUNDED`` for no limit, 0 if not named.
        boot: Something runs before user space does.
        stoppable: Something calls stop_machine(). Every step then waits while it holds the CPUs.
        caches: Which caches hold dirty lines is part of the state.
        oopses: What can end a run besides a BUG_ON of CPU hotplug.
        inverted: Locks that are taken in a circle, from a recording before (`LockOrder.inverted`).

    Attributes:
        model: Where the fields are declared.
        budget_text: What the environment does, by the name of the budget.
        limit: How often an action may happen at most, by the name of its budget.
        largest: The initial value of each budget. One without limit stays at 1.
        budget: How often an action may still happen: a counter for each.
        stoppable: Something calls stop_machine().
        caches: Which caches hold dirty lines is part of the state.
        online: The cpu_online bit.
        active: CPUHP_AP_ACTIVE, from which on tasks run on the CPU.
        boot_cpu: CPU 0, which cannot go offline on x86 since Linux 6.5 (before that only if it was built so), and stays up in
            suspend. It is part of the state where CPUs go offline.
        cpus_readers, cpus_readers_here: How many actors hold the read side of cpu_hotplug_lock. An actor on a CPU counts
            there, so that the number of CPUs is no limit.
        cpus_writer: Nobody writes, a writer waits for the readers and keeps new ones out, or a writer holds cpu_hotplug_lock.
        cpu_add_remove_lock: Somebody takes many CPUs up or down, which keeps the administrator out.
        cpuhp_state_mutex: Somebody installs or removes callbacks of CPU hotplug.
        cpuhp_failed: A startup callback has failed while its state is installed, so that the installation is rolled back.
        cpuhp_done: The CPU has run the startup callback of the state that is being installed.
        smp_init: The CPU waits for smp_init(): it is present, and the boot starts it later.
        sibling: The CPU is not the first thread of its core. It is part of the state where smt/control takes CPUs down.
        smt_blocked: ``nosmt`` keeps the CPU down.
        booted: User space runs.
        frozen: Tasks are frozen, for suspend.
        suspend_error: A callback has vetoed that a CPU goes offline for suspend.
        frozen_cpu: Suspend has taken the CPU offline.
        stop_machine: stop_machine() holds every CPU.
        lock_order: Which locks are taken inside which.
        restarts: The system may shut down in good order, to reboot or for kexec.
        restarting: The system shuts down in good order, up to where the machine restarts or the new kernel starts:
            system_state is not SYSTEM_RUNNING.
        rebooted: The machine has restarted, which ends the run.
        cpu_hotplug_disabled: A shutdown has disabled CPU hotplug.
        syscore_lock: Somebody registers or calls the callbacks of the core system (syscore_ops_lock in older kernels).
        cache_dirty: A line that must not outlive the CPU's work is in its cache. play_dead() writes the cache back in every
            version, so that a CPU loses the flag when it goes offline.
        dirty_at_jump: A new kernel has been started with such a dirty line in a cache.
        oops: What has ended the run.
        online_refused: A callback has refused a CPU that came online.
        suspend_aborted: A callback has refused a suspend without cause.
        warned: The kernel has printed a warning: a WARN_ON(), or a report of lockdep.
        survives_kexec: Fields that kexec leaves as they are.
        lost_offline: Fields that a CPU loses when it goes offline.
    """

    def __init__(
        self,
        model: Model,
        texts: Mapping[str, str],
        limits: Mapping[str, int],
        *,
        boot: bool = False,
        stoppable: bool = False,
        caches: bool = False,
        oopses: Sequence[str] = (),
        inverted: frozenset[Nesting] = frozenset(),
    ) -> None:
        self.model = model
        self.budget_text = dict(texts)
        self.limit = {name: limits.get(name, 0) for name in (*texts, *BUDGETS)}
        self.largest = {name: 1 if limit == UNBOUNDED else limit for name, limit in self.limit.items()}
        self.stoppable = stoppable
        self.caches = caches
        self.restarts = self.has("reboot") or self.has("kexec_orderly")
        self.survives_kexec: set[Field] = set()
        self.lost_offline: list[Field] = []
        self.declare_hardware(model)

        self.online = model.flag(ONLINE, Scope.CPU, initial=True)
        self.active = model.flag(ACTIVE, Scope.CPU, initial=True)
        self.boot_cpu = self.kept(model.flag(BOOT_CPU, Scope.CPU))
        self.cpus_readers = model.counter("cpu_hotplug_lock.readers", _MOST_READERS)
        self.cpus_readers_here = model.counter("cpu_hotplug_lock.readers_here", _MOST_READERS, Scope.CPU)
        self.cpus_writer = model.enum("cpu_hotplug_lock.writer", ["none", "waiting", "held"])
        self.cpu_add_remove_lock = model.flag("cpu_add_remove_lock")
        self.cpuhp_state_mutex = model.flag("cpuhp_state_mutex")
        self.cpuhp_failed = model.flag("cpuhp_failed")
        self.cpuhp_done = model.flag("cpuhp_done", Scope.CPU)
        self.smp_init = self.kept(model.flag(SMP_INIT, Scope.CPU))
        self.sibling = self.kept(model.flag(SIBLING, Scope.CPU))
        self.smt_blocked = self.kept(model.flag(SMT_BLOCKED, Scope.CPU))
        self.frozen = model.flag("frozen")
        self.suspend_error = model.flag("suspend_error")
        self.frozen_cpu = model.flag("frozen_cpus", Scope.CPU)
        self.stop_machine = model.flag("stop_machine")
        self.restarting = model.flag("restarting")
        self.cpu_hotplug_disabled = model.flag("cpu_hotplug_disabled")
        self.syscore_lock = model.flag("syscore_lock")
        self.cache_dirty = self.kept(model.flag("cache_dirty", Scope.CPU))
        if caches:
            self.per_online(self.cache_dirty)
        self.booted = model.flag("booted", initial=not boot)
        self.lock_order = LockOrder(model, inverted)
        # What has gone wrong so far. It decides the outcome whatever happens later, kexec included.
        self.oops = self.kept(model.enum("oops", ["none", *oopses, CPUHP_BUG]))
        self.online_refused = self.kept(model.flag("online_refused"))
        self.suspend_aborted = self.kept(model.flag("suspend_aborted"))
        self.warned = self.kept(model.flag("warned"))
        self.dirty_at_jump = self.kept(model.flag("dirty_at_jump"))
        self.rebooted = self.kept(model.flag("rebooted"))

        self.declare_software(model)
        self.budget = {
            name: self.kept(model.counter(f"budget.{name}", n, initial=n)) for name, n in self.largest.items()
        }

    def declare_hardware(self, model: Model) -> None:
        """Declare what the protocol's hardware holds. For a protocol to override."""

    def declare_software(self, model: Model) -> None:
        """Declare what the protocol's software knows, and what has gone wrong in it. For a protocol to override."""

    def kept(self, field: Field) -> Field:
        """Declare that a field survives kexec: it is hardware, or records for the outcome what has happened."""
        self.survives_kexec.add(field)
        return field

    def per_online(self, field: Field) -> Field:
        """Declare that a CPU's field has its initial value again when the CPU goes offline."""
        self.lost_offline.append(field)
        return field

    @property
    def cpus_read(self) -> Operand:
        """Whether somebody holds the read side of cpu_hotplug_lock."""
        return (self.cpus_readers > 0) | cpus.any(self.cpus_readers_here > 0)

    @property
    def cpus_go_offline(self) -> bool:
        """Whether a CPU may go offline, or the system down: `boot_cpu` is part of the state then."""
        return self.has("cpu_down") or self.has("suspend") or self.restarts

    @property
    def cpu_0(self) -> Operand:
        """Where CPU 0 acts for all. Where no CPU goes offline it is any, as numbers are names."""
        return self.boot_cpu if self.cpus_go_offline else always

    @property
    def names(self) -> list[str]:
        """The attributes that are fields."""
        return [name for name, value in vars(self).items() if isinstance(value, Field)]

    def has(self, budget: str) -> bool:
        """Whether an action of the environment may happen at all."""
        return self.limit[budget] != 0
