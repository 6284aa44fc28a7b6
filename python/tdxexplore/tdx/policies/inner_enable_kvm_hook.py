"""A1 with a public tdx_cpu_enable() that KVM's hotplug callback calls.

Source: Sean Christopherson, as quoted by Kai Huang, 2024-04-26: "have tdx_enable() call an private/inner version, e.g.
__tdx_cpu_enable(), and then have KVM call a public version".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.policies.inner_enable import InnerEnable

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.kernel import Kernel


class InnerEnableKvmHook(InnerEnable):
    """As inner-enable, and KVM's callback runs the public tdx_cpu_enable() after VMXON."""

    name = "inner-enable-kvm-hook"
    title = "A1 + public tdx_cpu_enable() in KVM's callback after VMXON; an error refuses the CPU"
    source = "Sean Christopherson, 2024-04-25 (A1), quoted by Kai Huang, 2024-04-26"
    read = ('The same mails: "and then have KVM call a public version".',)
    reading = ("The public version runs in KVM's hotplug callback after VMXON, and its error refuses the CPU.",)

    def kvm_online_cpu(self, k: Kernel) -> Variable:
        return self.vmxon_and_tdx_cpu_enable(k)
