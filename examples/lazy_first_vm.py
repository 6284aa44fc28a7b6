"""A policy that is not built in: KVM loads without touching TDX, and brings it up when the first VM is created.

Run it with ``tdxexplore check examples/lazy_first_vm.py:LazyFirstVm``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore import KvmPolicy
from tdxexplore.tdx.host import tdx_cpu_enable, tdx_enable
from tdxexplore.tdx.kernel import EACCES, EBUSY, EIO, OK, Hook, Kernel

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World


class LazyFirstVm(KvmPolicy):
    """The first VM enables VMX and TDX on every CPU; while a VM exists, KVM's callback does so for each new CPU."""

    name = "lazy-first-vm"
    title = "TDX comes up with the first VM; KVM's callback runs LP.INIT while a VM exists"
    source = "an example"

    def declare(self, w: World) -> None:
        self.kvm_online = Hook(
            "CPUHP_AP_KVM_ONLINE", w.model.flag("KVM_ONLINE registered"), self.kvm_online_cpu, self.kvm_offline_cpu
        )
        self.hooks = (self.kvm_online,)

    def kvm_load(self, k: Kernel) -> None:
        """kvm_init(): nothing of TDX."""
        k.set(k.w.kvm_loaded, value=True)

    def first_vm(self, k: Kernel) -> Variable:
        """Register the callback, which runs on every online CPU; then tdx_enable()."""
        with k.function("kvm_enable_virtualization()", self.source, returns=(OK, EBUSY)) as f:
            error = k.cpuhp_setup_state(self.kvm_online)
            with k.if_(error != OK):
                f.returns(EBUSY)
            with k.cpus_read_lock():
                failed = tdx_enable(k)
                with k.if_(failed != OK):
                    f.returns(EBUSY)
            f.returns(OK)
        return f.result

    def last_vm(self, k: Kernel) -> None:
        """VMX off everywhere."""
        with k.if_(self.kvm_online.registered):
            k.cpuhp_remove_state(self.kvm_online)

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        """VMXON, tdx_cpu_enable(); an error refuses the CPU."""
        with k.function("kvm_online_cpu()", self.source, returns=(OK, EBUSY, EACCES, EIO)) as f:
            vmx = k.vmxon()
            with k.if_(vmx != OK):
                f.returns(EBUSY)
            with k.irqs_off():
                f.returns(tdx_cpu_enable(k))
        return f.result

    def kvm_offline_cpu(self, k: Kernel) -> Variable:
        """VMXOFF, unless a key id would be stuck."""
        with k.function("kvm_offline_cpu()", self.source, returns=(OK, EBUSY)) as f:
            error = self.veto(k)
            with k.if_(error != OK):
                f.returns(EBUSY)
            self.flush_vcpus(k)
            k.vmxoff()
            f.returns(OK)
        return f.result
