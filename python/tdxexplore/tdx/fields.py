"""The fields of the TDX family: hardware, kernel, and what has gone wrong so far.

Names are those of the kernel and of the TDX module, so that a search in either source finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from tdxexplore.errors import BadModel, suggest
from tdxexplore.model import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model import Field, Model
    from tdxexplore.model.expr import Operand

ModuleKind: TypeAlias = Literal["strict", "subset", "subset-nocheck"]
KeyIds: TypeAlias = Literal["counter", "allocator"]
MODULE_KINDS: tuple[ModuleKind, ...] = get_args(ModuleKind)

BUDGETS = {
    "kvm_load": "KVM is loaded",
    "kvm_unload": "KVM is unloaded, when its VMs are gone",
    "cpu_up": "an offline CPU is brought online",
    "cpu_down": "a CPU is taken offline",
    "second_enable": "a second user calls tdx_enable() once TDX is up",
    "second_user": "a second user enables TDX at any time, also while KVM does",
    "td_destroy": "the VM is destroyed and another one created: all calls of a TD's life",
    "suspend": "system suspend: all CPUs but one go offline and come back",
    "smt_on": "smt/control=on: the siblings that nosmt kept down come online",
    "kexec": "kexec: a new kernel on the module and CPUs that the old one left",
    "update": "the TDX module is updated at run time, where the design can",
    "tdmr_slice": "TDH.SYS.TDMR.INIT is called again for a further slice",
    "vmxon_fail": "fault: VMXON fails on a CPU",
    "no_entropy": "fault: a SEAMCALL runs out of entropy",
    "sys_busy": "fault: a SEAMCALL finds the module's global lock taken",
    "no_memory": "fault: an allocation fails in tdx_enable()",
    "td_fail": "fault: creating a TD fails half way",
}
# A budget that never runs out, where the state graph stays finite: it then has cycles.
UNBOUNDED = (1 << 63) - 1
MAY_BE_UNBOUNDED = ("kvm_load", "kvm_unload", "cpu_up", "cpu_down", "second_enable", "second_user", "suspend", "kexec")


class World:
    """Every field that the shared mechanics read or write; one that no recorded step assigns is no part of the Program.

    Args:
        model: Where the fields are declared.
        module: The TDX-module behaviour that is assumed (`tdxexplore.tdx.module`).
        budgets: How often each environment action may happen, by the names in ``BUDGETS``; ``UNBOUNDED`` for no limit.
        up_after_load: CPUs that are offline may come online only once KVM has tried to load.
        boot: Something runs before user space does.
        stoppable: Something calls stop_machine().
        key_ids: How the offline veto learns of key ids: a counter of KVM, or the allocator of core.
    """

    def __init__(
        self,
        model: Model,
        module: ModuleKind,
        budgets: Mapping[str, int],
        *,
        up_after_load: bool = False,
        boot: bool = False,
        stoppable: bool = False,
        key_ids: KeyIds = "counter",
    ) -> None:
        self.model = model
        self.module = module
        self.up_after_load = up_after_load
        self.stoppable = stoppable
        self.key_ids = key_ids

        self.limit = {name: budgets.get(name, 0) for name in BUDGETS}
        self.largest = {name: 1 if limit == UNBOUNDED else limit for name, limit in self.limit.items()}
        # Mechanics whose steps are recorded only where a budget asks for them.
        self.td_in_full = self.has("td_destroy") or self.has("td_fail")
        self.contended = self.has("second_user")
        self._declare_hardware(model)
        self._declare_hotplug(model)
        self._declare_users(model, boot=boot)
        self._declare_wrong(model)
        self.budget = {name: model.counter(f"budget.{name}", n, initial=n) for name, n in self.largest.items()}

    def has(self, budget: str) -> bool:
        """Whether an environment action may happen at all."""
        return self.limit[budget] != 0

    def _declare_hardware(self, model: Model) -> None:
        """TDX module and VMX: changed by instructions only."""
        self.sys_state = model.enum("sys_state", ["PENDING", "INIT_DONE", "CONFIG_DONE", "READY"])
        self.lp_is_init = model.flag("lp_is_init", Scope.CPU)
        self.pkg_config = model.flag("pkg_config", Scope.PACKAGE)
        self.vmx_on = model.flag("vmx_on", Scope.CPU)
        self.hkid_live = model.flag("hkid_live")
        self.td_key = model.flag("td_key", Scope.PACKAGE)
        self.written_back = model.flag("written_back", Scope.PACKAGE)
        self.vcpu_associated = model.flag("vcpu_associated", Scope.CPU)
        self.seam_exclusive = model.flag("seam_lock.exclusive")
        self.in_seam = model.flag("in_seam", Scope.CPU)
        self.sys_shutdown = model.flag("sys_shutdown")
        self.image_gone = model.flag("image_gone")
        self.installed = model.flag("installed", Scope.CPU)
        self.handoff_valid = model.flag("handoff_valid")
        self.generation = model.counter("generation", self.limit["update"])

    def _declare_hotplug(self, model: Model) -> None:
        """The kernel. ``online`` is the cpu_online bit; ``active`` is CPUHP_AP_ACTIVE, from which on tasks run there."""
        self.online = model.flag("online", Scope.CPU, initial=True)
        self.active = model.flag("active", Scope.CPU, initial=True)
        self.cpus_readers = model.counter("cpu_hotplug_lock.readers", 7)
        self.cpus_writer = model.enum("cpu_hotplug_lock.writer", ["none", "waiting", "held"])
        self.cpu_add_remove_lock = model.flag("cpu_add_remove_lock")
        self.cpuhp_state_mutex = model.flag("cpuhp_state_mutex")
        self.cpuhp_failed = model.flag("cpuhp_failed")
        self.cpuhp_done = model.flag("cpuhp_done", Scope.CPU)
        self.smp_init = model.flag("started by smp_init()", Scope.CPU)
        self.smt_blocked = model.flag("smt_blocked", Scope.CPU)
        self.frozen = model.flag("frozen")
        self.suspend_error = model.flag("suspend_error")
        self.frozen_cpu = model.flag("frozen_cpus", Scope.CPU)
        self.stop_machine = model.flag("stop_machine")
        self.vmx_users = model.counter("vmx_users", 2, Scope.CPU)

    def _declare_users(self, model: Model, *, boot: bool) -> None:
        """The TDX host library; KVM and its virtual machines."""
        self.tdx_status = model.enum("tdx_status", ["UNINITIALIZED", "INITIALIZED", "ERROR"])
        self.tdx_module_lock = model.flag("tdx_module_lock")
        self.sysinit_ret = model.enum("sysinit_ret", ["not called", "0", "-EACCES", "-EIO"])
        self.tdx_lp_initialized = model.flag("tdx_lp_initialized", Scope.CPU)
        self.update_failed = model.flag("update_failed")
        self.booted = model.flag("booted", initial=not boot)
        self.kvm_loaded = model.flag("kvm_loaded")
        self.kvm_tried = model.flag("kvm_tried")
        self.kvm_unloading = model.flag("kvm_unloading")
        self.virtualization_enabled = model.flag("virtualization_enabled", Scope.CPU)
        self.enable_tdx = model.flag("enable_tdx")
        self.td = model.enum("td", ["none", "running", "refused", "dying"])
        self.td_entered = model.flag("td_entered", Scope.CPU)
        self.tdx_lock = model.flag("tdx_lock")
        # Lower bound: a failed charge decrements without having incremented. Upper bound: one increment a TD, and there is
        # one TD more than there are ends of TDs. Leaked key ids are never decremented, so that unloads without end would
        # pass it; the count then stays there.
        least, most = -self.limit["td_fail"], 1 + self.limit["td_destroy"] + self.largest["kvm_unload"]
        self.nr_configured_hkid = model.counter("nr_configured_hkid", most, smallest=least)

    def _declare_wrong(self, model: Model) -> None:
        """What has gone wrong so far."""
        self.oops = model.enum("oops", ["none", "corrupt", "seamcall #UD", "vmxoff #UD", "cpuhp BUG_ON"])
        self.td_call_without_lp_init = model.flag("td_call_without_lp_init")
        self.seamcall_outside_vmx = model.flag("seamcall_outside_vmx")
        self.hkid_leaked = model.flag("hkid_leaked")
        self.td_error = model.flag("td_error")
        self.vm_refused = model.flag("vm_refused")
        self.online_refused = model.flag("online_refused")
        self.suspend_aborted = model.flag("suspend_aborted")
        self.tds_lost = model.flag("tds_lost")
        self.warned = model.flag("warned")

    @property
    def survives_kexec(self) -> frozenset[Field]:
        """What the hardware holds; and, for the outcome, what has gone wrong and what may still happen."""
        hardware = (self.sys_state, self.lp_is_init, self.pkg_config, self.hkid_live, self.td_key, self.vcpu_associated)
        image = (self.sys_shutdown, self.image_gone, self.installed, self.handoff_valid, self.generation)
        wrong = (self.oops, self.hkid_leaked, self.td_error, self.vm_refused, self.online_refused, self.warned)
        worse = (self.suspend_aborted, self.tds_lost, self.td_call_without_lp_init, self.seamcall_outside_vmx)
        boot = (self.smp_init, self.smt_blocked, self.kvm_tried)
        return frozenset((*hardware, *image, *wrong, *worse, *boot, *self.budget.values()))

    @property
    def key_id_in_use(self) -> Operand:
        """What the kernel believes; the hardware's view is ``hkid_live``."""
        if self.td_in_full:
            return self.nr_configured_hkid != 0
        # After kexec a key id may be live of which the new kernel knows nothing.
        return self.hkid_live & (self.td == "running") if self.has("kexec") else self.hkid_live

    def __getattr__(self, name: str) -> Field:
        # Reached only for names that __init__ did not set.
        if name.startswith("__"):
            raise AttributeError(name)
        known = [n for n, v in vars(self).items() if hasattr(v, "scope")]
        raise BadModel(f"field `{name}` is not defined; {suggest(name, known)}")
