"""A5: TDH.SYS.LP.INIT inside KVM's own hotplug callback, as KVM owns VMXON.

Source: Kai Huang, 2024-04-26: "VMXON + tdx_cpu_enable() have been done in cpuhp for any new CPU before it goes online".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.host import tdx_enable
from tdxexplore.tdx.kernel import OK, Kernel
from tdxexplore.tdx.policy import VirtAtLoad

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable


class KvmHookLpInit(VirtAtLoad):
    """KVM_ONLINE: VMXON, tdx_cpu_enable(). The module is present here, so -ENODEV never comes back."""

    name = "kvm-hook-lp-init"
    title = "A5: KVM's callback runs VMXON and LP.INIT on every CPU that is or comes online"
    source = "Kai Huang, 2024-04-26 (A5)"

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        return self.vmxon_and_tdx_cpu_enable(k)

    def tdx_bringup(self, k: Kernel) -> None:
        with k.cpus_read_lock():
            error = tdx_enable(k)
            with k.if_(error != OK):
                self.tdx_failed(k)
            k.set(k.w.kvm_loaded, value=True)
