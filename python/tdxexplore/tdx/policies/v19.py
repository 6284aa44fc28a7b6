"""KVM TDX v19: one pass over the online CPUs when KVM is loaded, and no TDX step in hotplug.

Source: [PATCH v19 023/130] KVM: TDX: Initialize the TDX module when loading the KVM intel kernel module, Isaku Yamahata,
2024-02-26; the mail that this project began with replies to it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar

from tdxexplore.model import Scope, block
from tdxexplore.tdx.host import tdx_cpu_enable, tdx_enable
from tdxexplore.tdx.kernel import EACCES, EBUSY, EIO, OK, VMXON, Hook, Kernel
from tdxexplore.tdx.kvm import OFFLINE_VETO, KvmPolicy
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model import Field
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World

PATCH = "KVM TDX v19 023/130, Isaku Yamahata, 2024-02-26"
KVM_MAIN = "virt/kvm/kvm_main.c, v6.8"


class V19(KvmPolicy):
    """Pass at KVM load only: VMXON, tdx_cpu_enable(), later VMXOFF; hardware_enable() is plain VMXON."""

    name = "v19"
    title = "KVM load: one IPI pass of VMXON + LP.INIT, tdx_enable(), VMXOFF; hotplug does VMXON only"
    source = PATCH
    lp_init_first = True
    seamcall_ud = "oops"
    knobs: ClassVar[tuple[Knob, ...]] = (
        OFFLINE_VETO,
        Knob(
            "vmx_off",
            ("where-vmxon", "every-cpu"),
            "which CPUs the pass turns VMX off on: those on which its VMXON succeeded, or all, as in v13 and v14",
        ),
        Knob(
            "usage_lock",
            ("kvm_lock", "kvm_usage_lock"),
            "what guards kvm_usage_count: kvm_lock, taken with cpus_read_lock() held, or a mutex of its own that is taken before "
            "(44d174596260, Linux 6.12)",
        ),
    )
    read: ClassVar[tuple[str, ...]] = (
        (
            "Posted, not merged: [PATCH v19 023/130] KVM: TDX: Initialize the TDX module when loading the KVM intel kernel "
            "module, Isaku Yamahata, 2024-02-26."
        ),
        "[PATCH v19 041/130] KVM: TDX: Refuse to unplug the last cpu on the package, Isaku Yamahata, 2024-02-26: the veto.",
        "KVM of the series v17 and v19 for TDX_SEAMCALL_UD: kvm_spurious_fault(), which is BUG().",
        (
            "Re: [PATCH v14 004/113], Isaku Yamahata, 2023-06-07, which quotes the pass of v14 and Kai Huang's review of it: "
            "the knob vmx_off."
        ),
    )
    reading: ClassVar[tuple[str, ...]] = (
        (
            "kvm_usage_count under kvm_lock inside cpus_read_lock(): from the message of commit 44d174596260, which changed it, "
            "and not from the tree of the series."
        ),
        "A second user brings VMX and TDH.SYS.LP.INIT with it, as KVM does: no mail has one.",
    )
    abstracted: ClassVar[tuple[str, ...]] = (
        (
            "kvm_lock, where the VM with a TD is the only one: it takes the lock inside cpus_read_lock(), a callback under the "
            "write lock. It excludes no actor that the outer lock does not exclude, so that no order of steps is lost. With "
            "other VMs (budgets `plain_vm` and `kvm_locks`) it is there."
        ),
        (
            "Registering and removing KVM's callbacks is one step: they do not run then, so that no actor observes an "
            "intermediate state."
        ),
    )

    def declare(self, w: World) -> None:
        self.kvm_usage = w.model.counter("kvm_usage_count", 2 if w.has("plain_vm") else 1)
        self.vmx_enabled = w.model.flag("tdx_hardware_setup.vmx_enabled", Scope.CPU)
        self.setup_error = w.model.flag("tdx_hardware_setup.error")
        self.vmx_enabled_by_second = w.model.flag("second user.vmx_enabled", Scope.CPU)
        self.second_error = w.model.flag("second user.error")
        self.vm_error = w.model.flag("hardware_enable_all.error")
        self.kvm_online = Hook(
            "CPUHP_AP_KVM_ONLINE", w.model.flag("KVM_ONLINE registered"), self.kvm_online_cpu, self.kvm_offline_cpu
        )
        self.hooks = (self.kvm_online,)

    def kvm_load(self, k: Kernel) -> None:
        """vt_init(): tdx_hardware_setup(), then kvm_init() registers KVM's callbacks."""
        w = k.w
        with k.function("tdx_hardware_setup()", PATCH):
            self.enable_with_pass(k, self.vmx_enabled, self.setup_error)
            with k.if_(self.setup_error):
                k.set(self.setup_error, value=False)
                k.set(w.enable_tdx, value=False)
        with k.function("kvm_init()", KVM_MAIN):
            k.cpuhp_setup_state_nocalls(self.kvm_online)
            k.set(w.kvm_loaded, value=True)

    def enable_with_pass(self, k: Kernel, mask: Field, failed: Field) -> None:
        """cpus_read_lock(); vmx_tdx_on() everywhere; tdx_enable(); vmx_off() where the mask says so; unlock."""
        w = k.w
        with k.cpus_read_lock():
            with k.ipi(w.online, "vmx_tdx_on()"):
                vmx = k.vmxon()
                with k.if_(vmx == OK):
                    k.set(mask, value=True)
                    error = tdx_cpu_enable(k)
                    with k.if_(error != OK):
                        k.set(failed, value=True)
                with k.else_():
                    k.set(failed, value=True)
            with k.if_(~failed):
                error = tdx_enable(k)
                with k.if_(error != OK):
                    k.set(failed, value=True)
            everywhere = self.setting["vmx_off"] == "every-cpu"
            with k.ipi(w.online if everywhere else mask, "vmx_off()"):
                k.set(mask, value=False)
                k.vmxoff()

    def second_user(self, k: Kernel) -> None:
        """A caller of tdx_enable() brings VMX and LP.INIT with it, as KVM does."""
        with k.function("second user", "this design's duties of a caller"):
            self.enable_with_pass(k, self.vmx_enabled_by_second, self.second_error)
            k.set(self.second_error, value=False)

    def kvm_unload(self, k: Kernel) -> None:
        """kvm_exit(): no VM is left, so the callbacks have nothing to do."""
        with k.function("kvm_exit()", KVM_MAIN):
            k.cpuhp_remove_state_nocalls(self.kvm_online)

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        """kvm_online_cpu(): hardware_enable_nolock() while a VM exists."""
        with k.function("kvm_online_cpu()", KVM_MAIN, returns=(*VMXON, EACCES, EIO)) as f:
            with self.inside(k, "kvm_lock"):
                with k.if_(self.kvm_usage > 0):
                    f.returns(self.kvm_enable_cpu(k, callback=True))
                f.returns(OK)
        return f.result

    def kvm_offline_cpu(self, k: Kernel) -> Variable:
        """kvm_offline_cpu(): hardware_disable_nolock() while a VM exists."""
        with k.function("kvm_offline_cpu()", KVM_MAIN, returns=(OK, EBUSY)) as f:
            error = self.veto(k)
            with k.if_(error != OK):
                f.returns(EBUSY)
            with self.inside(k, "kvm_lock"), k.if_(self.kvm_usage > 0):
                self.kvm_disable_cpu(k, callback=True)
            f.returns(OK)
        return f.result

    def first_vm(self, k: Kernel) -> Variable:
        """hardware_enable_all(): with the first VM, VMXON on every online CPU.

        It refuses while the system goes down, which it asks once, before it takes the locks.
        """
        w = k.w
        with k.function("hardware_enable_all()", KVM_MAIN, returns=(OK, EBUSY)) as f:
            if w.restarts:
                with k.if_(w.restarting):
                    f.returns(EBUSY)
            with self.usage_locked(k):
                self.count_vm(k, self.kvm_usage, 1)
                if w.has("plain_vm"):
                    with k.if_(self.kvm_usage > 1):
                        f.returns(OK)
                with k.ipi(w.online, "hardware_enable_nolock()"):
                    error = self.kvm_enable_cpu(k)
                    with k.if_(error != OK):
                        k.set(self.vm_error, value=True)
                with k.if_(self.vm_error):
                    k.set(self.vm_error, value=False)
                    self._hardware_disable_all(k)
                    f.returns(EBUSY)
                f.returns(OK)
        return f.result

    def last_vm(self, k: Kernel) -> None:
        """hardware_disable_all(): with the last VM, VMXOFF on every online CPU."""
        with k.function("hardware_disable_all()", KVM_MAIN), self.usage_locked(k):
            self._hardware_disable_all(k)

    def _hardware_disable_all(self, k: Kernel) -> None:
        with k.if_(self.kvm_usage > 0):
            self.count_vm(k, self.kvm_usage, -1)
        with k.if_(self.kvm_usage == 0) if k.w.has("plain_vm") else nullcontext():
            with k.ipi(k.w.online, "hardware_disable_nolock()"):
                self.kvm_disable_cpu(k)

    @block
    def usage_locked(self, k: Kernel) -> Iterator[None]:
        """cpus_read_lock(), and what guards kvm_usage_count before or inside it."""
        with self.inside(k, "kvm_usage_lock"), k.cpus_read_lock(), self.inside(k, "kvm_lock"):
            yield

    def inside(self, k: Kernel, lock: str) -> AbstractContextManager[None]:
        """The lock of that name, if it guards kvm_usage_count; not where one VM is all that there is."""
        w = k.w
        if self.setting["usage_lock"] != lock or not (w.has("plain_vm") or w.has("kvm_locks")):
            return nullcontext()
        return k.mutex(w.kvm_lock if lock == "kvm_lock" else w.kvm_usage_lock)

    def syscore_suspend(self, k: Kernel) -> None:
        """kvm_suspend() while a VM exists."""
        self.kvm_suspend(k, self.kvm_usage > 0)

    def syscore_resume(self, k: Kernel) -> None:
        """kvm_resume() while a VM exists."""
        self.kvm_resume(k, self.kvm_usage > 0)

    def syscore_shutdown(self, k: Kernel) -> None:
        """kvm_shutdown(), from load on."""
        self.kvm_shutdown(k, self.kvm_online.registered)
