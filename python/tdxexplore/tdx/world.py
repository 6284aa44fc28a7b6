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

ModuleKind: TypeAlias = Literal["strict", "subset", "subset-nocheck"]
MODULE_KINDS: tuple[ModuleKind, ...] = get_args(ModuleKind)

BUDGETS = ("kvm_load", "kvm_unload", "cpu_up", "cpu_down", "second_enable")


class World:
    """Every field that the shared mechanics read or write.

    Args:
        model: Where the fields are declared.
        module: The TDX-module behaviour that is assumed (`tdxexplore.tdx.module`).
        budgets: How often each environment action may happen, by the names in ``BUDGETS``.
        up_after_load: CPUs that are offline may come online only once KVM has tried to load.
        boot: Something runs before user space does.
    """

    def __init__(
        self,
        model: Model,
        module: ModuleKind,
        budgets: Mapping[str, int],
        *,
        up_after_load: bool = False,
        boot: bool = False,
    ) -> None:
        self.model = model
        self.module = module
        self.up_after_load = up_after_load

        # TDX module and VMX: changed by instructions only.
        self.sys_state = model.enum("sys_state", ["PENDING", "INIT_DONE", "CONFIG_DONE", "READY"])
        self.lp_is_init = model.flag("lp_is_init", Scope.CPU)
        self.pkg_config = model.flag("pkg_config", Scope.PACKAGE)
        self.vmx_on = model.flag("vmx_on", Scope.CPU)
        self.hkid_live = model.flag("hkid_live")

        # CPU hotplug. `online` is the cpu_online bit; `active` is CPUHP_AP_ACTIVE, from which on tasks run there.
        self.online = model.flag("online", Scope.CPU, initial=True)
        self.active = model.flag("active", Scope.CPU, initial=True)
        self.cpus_readers = model.counter("cpu_hotplug_lock.readers", 4)
        self.cpus_writer = model.enum("cpu_hotplug_lock.writer", ["none", "waiting", "held"])
        self.cpuhp_state_mutex = model.flag("cpuhp_state_mutex")
        self.cpuhp_failed = model.flag("cpuhp_failed")
        self.cpuhp_done = model.flag("cpuhp_done", Scope.CPU)

        # The TDX host library.
        self.tdx_status = model.enum("tdx_status", ["UNINITIALIZED", "INITIALIZED", "ERROR"])
        self.tdx_module_lock = model.flag("tdx_module_lock")
        self.sysinit_ret = model.enum("sysinit_ret", ["not called", "0", "-EACCES", "-EIO"])
        self.tdx_lp_initialized = model.flag("tdx_lp_initialized", Scope.CPU)

        # KVM and its virtual machines.
        self.booted = model.flag("booted", initial=not boot)
        self.kvm_loaded = model.flag("kvm_loaded")
        self.kvm_tried = model.flag("kvm_tried")
        self.kvm_unloading = model.flag("kvm_unloading")
        self.enable_tdx = model.flag("enable_tdx")
        self.td = model.enum("td", ["none", "running", "refused"])
        self.td_entered = model.flag("td_entered", Scope.CPU)

        # What has gone wrong.
        self.oops = model.enum("oops", ["none", "corrupt", "seamcall #UD", "vmxoff #UD", "cpuhp BUG_ON"])
        self.hkid_leaked = model.flag("hkid_leaked")
        self.td_error = model.flag("td_error")
        self.vm_refused = model.flag("vm_refused")
        self.online_refused = model.flag("online_refused")
        self.warned = model.flag("warned")

        self.budget = {name: model.counter(f"budget.{name}", budgets.get(name, 0)) for name in BUDGETS}
        for name, counter in self.budget.items():
            counter.initial = budgets.get(name, 0)

    def has(self, budget: str) -> bool:
        """Whether an environment action may happen at all."""
        return self.budget[budget].initial != 0

    def __getattr__(self, name: str) -> Field:
        # Reached only for names that __init__ did not set.
        if name.startswith("__"):
            raise AttributeError(name)
        known = [n for n, v in vars(self).items() if hasattr(v, "scope")]
        raise BadModel(f"field `{name}` is not defined; {suggest(name, known)}")
