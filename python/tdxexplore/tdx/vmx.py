"""VMXON and VMXOFF, as the kernel runs them; and the references of Linux 7.1, which count who needs VMX."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from tdxexplore.linux import cpuhp
from tdxexplore.linux.errno import EBUSY, EFAULT, OK
from tdxexplore.model import Event
from tdxexplore.tdx.fields import VMXOFF_UD

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World

HW = "arch/x86/virt/hw.c @0eaed89c"

# What VMXON may return.
VMXON = (OK, EBUSY, EFAULT)

# What prices count. VMXON that is refused and VMXOFF that is a BUG are events of their own: they turn nothing on or off.
VMXON_DONE, VMXON_REFUSED = Event("vmxon", "VMXON"), Event("vmxon refused", "VMXON")
VMXOFF_DONE, VMXOFF_BUG = Event("vmxoff", "VMXOFF"), Event("vmxoff bug", "VMXOFF")


class Vmx(cpuhp.Kernel):
    """An actor that turns VMX on and off on the CPU on which it acts."""

    w: World

    def vmxon(self) -> Variable:
        """VMXON on the acting CPU; refused when CR4.VMXE is set already (arch/x86/virt/hw.c @0eaed89c).

        A VMXON that faults is a WARN: kvm_cpu_vmxon() of 6.12 and x86_virt_cpu_vmxon() of 7.3 say WARN_ONCE().
        """
        with self.function("VMXON", returns=VMXON) as f:
            with self.if_(self.w.vmx_on):
                self.note("VMXON: CR4.VMXE is set already, -EBUSY", VMXON_REFUSED)
                f.returns(EBUSY)
            if self.w.has("vmxon_fail"):
                with self.fault("vmxon_fail"):
                    self.warn("VMXON faulted")
                    f.returns(EFAULT)
            self.set(self.w.vmx_on, value=True)
            self.note("VMXON", VMXON_DONE)
            f.returns(OK)
        return f.result

    def vmxoff(self) -> None:
        """VMXOFF on the acting CPU; outside VMX operation it is #UD and a BUG, unless the system is rebooting.

        kvm_spurious_fault() is BUG_ON(!kvm_rebooting), since 7.1 x86_virt_put_ref() tests virt_rebooting.
        """
        with self.if_(~self.w.vmx_on):
            self.note("VMXOFF: #UD", VMXOFF_BUG)
            if self.w.restarts:
                self.set(self.w.vmxoff_outside_vmx, value=True)
            with self.if_(~self.w.virt_rebooting) if self.w.restarts else nullcontext():
                self.set(self.w.oops, VMXOFF_UD)
        with self.else_():
            self.set(self.w.vmx_on, value=False)
            self.note("VMXOFF", VMXOFF_DONE)

    def get_ref(self, *, preemptible: bool = False) -> Variable:
        """x86_virt_get_ref(VMX): VMXON with the first reference; a failure undoes the count.

        Args:
            preemptible: The task may be preempted between the count and VMXON, which then are two steps. Linux 7.1 has
                preemption off there; its first posting, where the function is x86_virt_get_cpu(), had not.
        """
        w = self.w
        with self.function("x86_virt_get_ref()", HW, returns=VMXON) as f:
            self.add(w.vmx_users, 1)
            with self.if_(w.vmx_users == 1):
                if preemptible:
                    self.step("VMXON of the first reference")
                error = self.vmxon()
                with self.if_(error != OK):
                    self.add(w.vmx_users, -1)
                f.returns(error)
            f.returns(OK)
        return f.result

    def put_ref(self, *, preemptible: bool = False, counts_at_reboot: bool = True) -> None:
        """x86_virt_put_ref(VMX): VMXOFF with the last reference; WARN if there is none.

        Args:
            preemptible: As for `get_ref`.
            counts_at_reboot: The count decides while the system reboots too, as merged. In the first posting each call turns
                VMX off then, whoever else has a reference.
        """
        w = self.w
        last = w.vmx_users == 0
        if not counts_at_reboot and w.restarts:
            last |= w.virt_rebooting
        with self.if_(w.vmx_users == 0):
            self.warn_on(w.vmx_users == 0, "x86_virt_put_ref() without a reference")
        with self.else_():
            self.add(w.vmx_users, -1)
            with self.if_(last):
                if preemptible:
                    self.step("VMXOFF with the last reference")
                self.vmxoff()
