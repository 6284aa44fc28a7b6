"""A5: TDH.SYS.LP.INIT inside KVM's own hotplug callback, as KVM owns VMXON.

Source: Kai Huang, 2024-04-26: "VMXON + tdx_cpu_enable() have been done in cpuhp for any new CPU before it goes online".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.kvm import Alternative

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.kernel import Kernel


class KvmHookLpInit(Alternative):
    """KVM_ONLINE: VMXON, tdx_cpu_enable(). The module is present here, so -ENODEV never comes back."""

    name = "kvm-hook-lp-init"
    title = "A5: KVM's callback runs VMXON and LP.INIT on every CPU that is or comes online"
    source = "Kai Huang, 2024-04-26 (A5)"
    lp_init_first = True
    read = (
        (
            "A sketch in a mail on v19 023/130, never a patch: Kai Huang, quoted by Chao Gao, 2024-04-26: -ENODEV is tolerated, "
            "any other error refuses the CPU."
        ),
    )
    reading = ("An error of tdx_cpu_enable() is followed by VMXOFF; the sketch does not show it.",)

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        return self.vmxon_and_tdx_cpu_enable(k)
