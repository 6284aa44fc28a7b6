"""KVM TDX v17 and v18: the pass at KVM load, and LP.INIT in KVM's hardware_enable() for the CPUs that come later.

Source: [PATCH v17 005/116] KVM: TDX: Initialize the TDX module when loading the KVM intel kernel module, Isaku Yamahata,
2023-11-07.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.host import tdx_cpu_enable
from tdxexplore.tdx.kernel import EACCES, EIO, OK, VMXON, Kernel
from tdxexplore.tdx.policies.v19 import V19

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable


class V17(V19):
    """As v19, and hardware_enable() runs tdx_cpu_enable() after VMXON."""

    name = "v17"
    title = "KVM load: one IPI pass of VMXON + LP.INIT, tdx_enable(), VMXOFF; hardware_enable() does VMXON + LP.INIT"
    source = "KVM TDX v17 005/116, Isaku Yamahata, 2023-11-07"
    read = (
        (
            "Posted, not merged: [PATCH v17 005/116] KVM: TDX: Initialize the TDX module when loading the KVM intel kernel "
            "module, Isaku Yamahata, 2023-11-07; the same in v18."
        ),
        "[PATCH v18 027/121] KVM: TDX: Refuse to unplug the last cpu on the package, Isaku Yamahata, 2024-01-22: the veto.",
    )

    def arch_enable_cpu(self, k: Kernel) -> Variable:
        """vt_hardware_enable(): VMXON, then tdx_cpu_enable() if TDX is on; on an error VMXOFF."""
        with k.function("vt_hardware_enable()", self.source, returns=(*VMXON, EACCES, EIO)) as f:
            vmx = k.vmxon()
            with k.if_((vmx == OK) & k.w.enable_tdx):
                error = tdx_cpu_enable(k)
                with k.if_(error != OK):
                    k.vmxoff()
                f.returns(error)
            f.returns(vmx)
        return f.result
