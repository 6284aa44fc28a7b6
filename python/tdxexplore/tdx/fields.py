"""The fields of the TDX family: the hardware, the host library, KVM, and what has gone wrong so far.

Names are those of the kernel and of the TDX module, so that a search in either source finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from tdxexplore.linux.state import UNBOUNDED, Linux
from tdxexplore.linux.sync import Readers
from tdxexplore.model import Scope, always

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.linux.lock_order import Nesting
    from tdxexplore.model import Model
    from tdxexplore.model.expr import Operand

ModuleKind: TypeAlias = Literal["strict", "subset", "subset-nocheck"]
KeyIds: TypeAlias = Literal["counter", "allocator"]
# SEAMCALL outside VMX operation: a status, by an entry in the exception table, or an oops.
SeamcallUd: TypeAlias = Literal["status", "oops"]
MODULE_KINDS: tuple[ModuleKind, ...] = get_args(ModuleKind)
MODULE_TEXTS: dict[ModuleKind, str] = {
    "strict": "the public sources of the module: TDH.SYS.CONFIG needs TDH.SYS.LP.INIT on every LP of the platform, also on "
    "one that Linux keeps offline",
    "subset": "known by mail only: TDH.SYS.CONFIG needs one initialised LP in each package, TDH.SYS.LP.INIT is accepted "
    "later, too, and a TD call on an LP without it is refused",
    "subset-nocheck": "as subset, without that last check: a TD call on an LP without TDH.SYS.LP.INIT goes through, as LP 0 "
    "of package 0",
}

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
    "reboot": "the machine reboots in good order: hotplug is disabled, then KVM and TDX shut down; user tasks go on",
    "kexec_orderly": "kexec in good order: shutdown as for a reboot, then a new kernel",
    "update": "the TDX module is updated at run time, where the design can",
    "tdmr_slice": "TDH.SYS.TDMR.INIT is called again for a further slice",
    "vmxon_fail": "fault: VMXON fails on a CPU",
    "no_entropy": "fault: a SEAMCALL runs out of entropy",
    "sys_busy": "fault: a SEAMCALL finds the module's global lock taken",
    "no_memory": "fault: an allocation fails in tdx_enable()",
    "td_fail": "fault: creating a TD fails half way",
    "install_fail": "fault: P-SEAMLDR refuses the new image, or breaks down while it loads it",
    "second_calls": "a second user of TDX makes a SEAMCALL on some CPU, after tdx_enable()",
    "plain_vm": "a VM without TDX is created, runs on every CPU and is destroyed",
    "kvm_locks": "a memslot, a static key or nx_huge_pages is changed, while a VM without TDX runs",
    "smt_off": "smt/control=off: the second sibling of each core goes offline",
}
# How often an action may happen, unless it may happen without end.
MAX_BUDGET = 8
MAY_BE_UNBOUNDED = ("kvm_load", "kvm_unload", "cpu_up", "cpu_down", "second_enable", "second_user", "suspend", "kexec")

# What can end a run, besides a BUG_ON of CPU hotplug.
CORRUPT, SEAMCALL_UD, VMXOFF_UD = "corrupt", "seamcall #UD", "vmxoff #UD"


@dataclass(frozen=True, slots=True)
class Traits:
    """The facts about a policy on which fields and shared mechanics depend.

    Attributes:
        boot: Something runs before user space does.
        stoppable: Something calls stop_machine().
        key_ids: How the offline veto learns of key ids: a counter of KVM, or the allocator of core.
        seamcall_ud: What #UD is to KVM, see `tdxexplore.tdx.policy.Policy.seamcall_ud`.
    """

    boot: bool = False
    stoppable: bool = False
    key_ids: KeyIds = "counter"
    seamcall_ud: SeamcallUd = "status"


class World(Linux):
    """Every field that the shared mechanics read or write; one that no recorded step assigns is no part of the Program.

    Args:
        model: Where the fields are declared.
        module: The TDX-module behaviour that is assumed (`tdxexplore.tdx.module`).
        limits: How often each action of the environment may happen, by the names in ``BUDGETS``; ``UNBOUNDED`` for no limit.
        traits: Of the policy.
        caches: Which caches hold dirty lines of private memory is part of the state.
        inverted: Locks that are taken in a circle, from a recording before.

    Attributes:
        module: The TDX-module behaviour that is assumed.
        seamcall_ud: What #UD is to KVM, see `tdxexplore.tdx.policy.Policy.seamcall_ud`.
        key_ids: How the offline veto learns of key ids: a counter of KVM, or the allocator of core.
        new_kernel: A new kernel may start on what the module holds.
        contended: Two calls that take the module's global lock can be in flight at once.
        sys_state: How far the module is: TDH.SYS.INIT, TDH.SYS.CONFIG and the last TDH.SYS.TDMR.INIT lead from each state to
            the next.
        lp_is_init: The LP has had TDH.SYS.LP.INIT.
        pkg_config: The package has had TDH.SYS.KEY.CONFIG.
        vmx_on: The CPU is in VMX operation: VMXON was executed there, and no VMXOFF since.
        hkid_live: The key id of the TD is in the hardware's table, and not free.
        td_key: The package has the TD's key: TDH.MNG.KEY.CONFIG was executed there.
        written_back: The package has had TDH.PHYMEM.CACHE.WB since the TD was created.
        vcpu_associated: The TD's vCPU of this CPU is tied to the LP: it ran there and has not been flushed.
        seam_exclusive: A SEAMCALL that is in flight holds the module's global lock alone.
        in_seam: The CPU is inside the module, between the entry and the exit of a SEAMCALL.
        sys_shutdown: The module is shut down, or being disabled: it lets no other call in.
        image_gone: P-SEAMLDR has taken the module's image away and has started no new one.
        installed: The LP has called SEAMLDR.INSTALL in the session that is open.
        handoff_valid: What TDH.SYS.SHUTDOWN has handed over to the next image is there.
        td_build: What the module knows of a build: none, a TD is being built, or an update has broken the measurement.
        td_forgotten: The module was configured anew in place of TDH.SYS.UPDATE, and does not know the TDs of the image before.
        generation: How many new images of the module have been started.
        vmx_users: How many users hold a reference to VMX on the CPU (Linux 7.1).
        tdx_status: What the host library remembers of tdx_enable(): an error stays until reboot.
        tdx_module_lock: The mutex of tdx_enable().
        sysinit_ret: What the host library remembers of TDH.SYS.INIT.
        tdx_lp_initialized: The kernel's flag of the CPU: TDH.SYS.LP.INIT has succeeded here.
        update_failed: An update of the module failed after the old image was shut down.
        virt_rebooting: KVM is shut down: an instruction of VMX or a TD entry may fault, and no BUG or WARN follows. Before
            7.1 it is kvm_rebooting.
        kvm_loaded: KVM is loaded.
        kvm_tried: KVM has been loaded, or has failed to.
        kvm_unloading: rmmod has begun, and no VM is created any more.
        virtualization_enabled: KVM has enabled VMX on the CPU.
        enable_tdx: KVM's parameter ``tdx``: KVM turns it off where bringing TDX up fails.
        td: What has become of the VM with a TD: there is none; the TD is being built, runs or is dead after an error; creating
            it was refused; the VM itself was not created; or it is being destroyed.
        td_entered: The TD has run on the CPU since the CPU came online.
        tdx_lock: KVM's mutex around the calls that assign and free key ids.
        plain_vm: What has become of the VM without a TD.
        plain_entered: The VM without a TD has run on the CPU since the CPU came online.
        kvm_lock: KVM's mutex around the list of VMs.
        kvm_usage_lock: KVM's mutex around kvm_usage_count.
        slots_lock: The mutex of a VM around its memslots.
        srcu: Whether the one reader of kvm->srcu reads, and whether it has begun before synchronize_srcu().
        nr_configured_hkid: How many key ids the kernel believes to be in use.
        td_call_without_lp_init: A TD call was made on an LP that has not had TDH.SYS.LP.INIT.
        seamcall_outside_vmx: A SEAMCALL was made on a CPU that is not in VMX operation.
        vmxoff_outside_vmx: VMXOFF was executed on a CPU that is not in VMX operation.
        hkid_leaked: The TD is gone, and its key id can no longer be freed.
        td_error: A SEAMCALL failed on a TD that KVM created or is creating.
        td_mismeasured: A TD runs with a wrong measurement.
        vm_refused: Creating the first VM failed without cause.
        user_error: A SEAMCALL of a second user of TDX failed.
        tds_lost: An update that failed has taken the running TDs with it.
    """

    def __init__(
        self,
        model: Model,
        module: ModuleKind,
        limits: Mapping[str, int],
        traits: Traits = Traits(),
        *,
        caches: bool = False,
        inverted: frozenset[Nesting] = frozenset(),
    ) -> None:
        self.module = module
        self.seamcall_ud = traits.seamcall_ud
        self.key_ids = traits.key_ids
        oopses = (CORRUPT, SEAMCALL_UD, VMXOFF_UD)
        super().__init__(
            model,
            BUDGETS,
            limits,
            boot=traits.boot,
            stoppable=traits.stoppable,
            caches=caches,
            oopses=oopses,
            inverted=inverted,
        )
        self.new_kernel = self.has("kexec") or self.has("kexec_orderly")
        self.contended = self.has("second_user")

    def declare_hardware(self, model: Model) -> None:
        """The TDX module and VMX: changed by instructions only. Kexec turns VMX off and leaves what is in the module."""
        self.sys_state = self.kept(model.enum("sys_state", ["PENDING", "INIT_DONE", "CONFIG_DONE", "READY"]))
        self.lp_is_init = self.kept(model.flag("lp_is_init", Scope.CPU))
        self.pkg_config = self.kept(model.flag("pkg_config", Scope.PACKAGE))
        self.vmx_on = model.flag("vmx_on", Scope.CPU)
        self.hkid_live = self.kept(model.flag("hkid_live"))
        self.td_key = self.kept(model.flag("td_key", Scope.PACKAGE))
        self.written_back = model.flag("written_back", Scope.PACKAGE)
        self.vcpu_associated = self.kept(model.flag("vcpu_associated", Scope.CPU))
        self.seam_exclusive = model.flag("seam_lock.exclusive")
        self.in_seam = model.flag("in_seam", Scope.CPU)
        self.sys_shutdown = self.kept(model.flag("sys_shutdown"))
        self.image_gone = self.kept(model.flag("image_gone"))
        self.installed = self.kept(model.flag("installed", Scope.CPU))
        self.handoff_valid = self.kept(model.flag("handoff_valid"))
        self.td_build = self.kept(model.enum("td_build", ["none", "building", "broken"]))
        self.td_forgotten = self.kept(model.flag("td_forgotten"))
        self.generation = self.kept(model.counter("generation", self.limit["update"]))

    def declare_software(self, model: Model) -> None:
        """The host library; KVM and its virtual machine with a TD; what has gone wrong so far."""
        self.vmx_users = model.counter("vmx_users", 2, Scope.CPU)
        self.tdx_status = model.enum("tdx_status", ["UNINITIALIZED", "INITIALIZED", "ERROR"])
        self.tdx_module_lock = model.flag("tdx_module_lock")
        self.sysinit_ret = model.enum("sysinit_ret", ["not called", "0", "-EACCES", "-EIO"])
        self.tdx_lp_initialized = model.flag("tdx_lp_initialized", Scope.CPU)
        self.update_failed = model.flag("update_failed")

        self.virt_rebooting = model.flag("virt_rebooting")
        self.kvm_loaded = model.flag("kvm_loaded")
        self.kvm_tried = self.kept(model.flag("kvm_tried"))
        self.kvm_unloading = model.flag("kvm_unloading")
        self.virtualization_enabled = model.flag("virtualization_enabled", Scope.CPU)
        self.enable_tdx = model.flag("enable_tdx", initial=True)
        building = ["building"] if self.td_builds else []
        self.td = model.enum("td", ["none", "running", "refused", "no VM", "dying", "dead", *building])
        self.td_entered = self.per_online(model.flag("td_entered", Scope.CPU))
        self.tdx_lock = model.flag("tdx_lock")
        self.plain_vm = model.enum("VM without TDX", ["none", "begun", "running"])
        self.plain_entered = model.flag("VM without TDX entered", Scope.CPU)
        if self.plain_vm_runs:
            self.per_online(self.plain_entered)
        self.kvm_lock = model.flag("kvm_lock")
        self.kvm_usage_lock = model.flag("kvm_usage_lock")
        self.slots_lock = model.flag("kvm->slots_lock")
        self.srcu = Readers(model, "kvm->srcu")
        # Lower bound: a failed charge decrements without having incremented. Upper bound: one increment a TD, and there is
        # one TD more than there are ends of TDs. Leaked key ids are never decremented, so that unloads without end would
        # pass it; the count then stays there.
        least, most = -self.limit["td_fail"], 1 + self.limit["td_destroy"] + self.largest["kvm_unload"]
        self.nr_configured_hkid = model.counter("nr_configured_hkid", most, smallest=least)

        self.td_call_without_lp_init = self.kept(model.flag("td_call_without_lp_init"))
        self.seamcall_outside_vmx = self.kept(model.flag("seamcall_outside_vmx"))
        self.vmxoff_outside_vmx = self.kept(model.flag("vmxoff_outside_vmx"))
        self.hkid_leaked = self.kept(model.flag("hkid_leaked"))
        self.td_error = self.kept(model.flag("td_error"))
        self.td_mismeasured = self.kept(model.flag("td_mismeasured"))
        self.vm_refused = self.kept(model.flag("vm_refused"))
        self.user_error = self.kept(model.flag("user_error"))
        self.tds_lost = self.kept(model.flag("tds_lost"))

    @property
    def td_in_full(self) -> bool:
        """Whether every call of a TD's life is recorded, as some budget needs it."""
        return self.has("td_destroy") or self.has("td_fail")

    @property
    def td_builds(self) -> bool:
        """Whether an update can meet a TD that is being built, so that the calls which measure its memory are recorded."""
        return self.td_in_full and self.stoppable

    @property
    def plain_vm_runs(self) -> bool:
        """Whether a VM without TDX runs on CPUs. That takes no lock: a matter of scenarios in which nobody else does."""
        return self.has("plain_vm") and not self.has("kvm_locks")

    @property
    def kvm_load_begun(self) -> Operand:
        """Whether KVM is being loaded or has been; where that has no limit, which nothing counts, it is always so."""
        unbounded = self.limit["kvm_load"] == UNBOUNDED
        return always if unbounded else self.budget["kvm_load"] != self.largest["kvm_load"]

    @property
    def td_has_key_id(self) -> Operand:
        """Whether the TD runs, or did until KVM gave its VM up."""
        return self.td.isin(["running", "dead"])

    @property
    def key_id_in_use(self) -> Operand:
        """What the kernel believes; the hardware's view is ``hkid_live``."""
        if self.td_in_full:
            return self.nr_configured_hkid != 0
        # After kexec a key id may be live of which the new kernel knows nothing.
        return self.hkid_live & self.td_has_key_id if self.new_kernel else self.hkid_live


__all__ = ["BUDGETS", "MAX_BUDGET", "MAY_BE_UNBOUNDED", "MODULE_KINDS", "UNBOUNDED", "ModuleKind", "Traits", "World"]
