"""A1: tdx_enable() runs the per-CPU step itself, and nothing else ever does.

Source: Sean Christopherson, 2024-04-22 and 2024-04-25, as quoted by Kai Huang, 2024-04-26: "have tdx_enable() call an
private/inner version, e.g. __tdx_cpu_enable()".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tdxexplore.model import always
from tdxexplore.tdx.host import tdx_cpu_enable, tdx_enable_locked
from tdxexplore.tdx.kernel import EACCES, EINVAL, EIO, OK, Kernel
from tdxexplore.tdx.kvm import OFFLINE_VETO, Alternative
from tdxexplore.tdx.policy import Knob

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable

MAIL = "Sean Christopherson, 2024-04-22"


class InnerEnable(Alternative):
    """tdx_enable() runs an IPI pass of __tdx_cpu_enable() under cpus_read_lock(); hotplug does VMXON only."""

    name = "inner-enable"
    title = "A1: tdx_enable() runs the LP.INIT pass itself; hotplug does VMXON only"
    source = "Sean Christopherson, 2024-04-22 and 2024-04-25 (A1)"
    lp_init_first = True
    read: ClassVar[tuple[str, ...]] = (
        (
            "A sketch in mails on v19 023/130, never a patch: Sean Christopherson, 2024-04-22 and 2024-04-25, quoted by Kai "
            "Huang, 2024-04-26, who also says that tdx_enable() would repeat the pass on every call."
        ),
    )
    reading: ClassVar[tuple[str, ...]] = (
        "__tdx_cpu_enable() warns and fails where VMX is off, and an error of the pass makes the status ERROR.",
    )
    knobs: ClassVar[tuple[Knob, ...]] = (
        OFFLINE_VETO,
        Knob("pass", ("every-call", "first-call"), "whether tdx_enable() repeats the pass when TDX is up already"),
    )

    def tdx_bringup(self, k: Kernel) -> None:
        error = self.tdx_enable(k)
        with k.if_(error != OK):
            self.tdx_failed(k)
        k.set(k.w.kvm_loaded, value=True)

    def tdx_enable(self, k: Kernel) -> Variable:
        """tdx_enable() with the pass inside: an error of the pass makes the status ERROR."""
        with k.function("tdx_enable()", MAIL, returns=(OK, EINVAL, EIO)) as f:
            with k.cpus_read_lock():
                pass_then_enable(k, f.result, every_call=self.setting["pass"] == "every-call")
                self.enabled_under_lock(k, f.result)
            self.enabled(k, f.result)
        return f.result

    def enabled_under_lock(self, k: Kernel, result: Variable) -> None:
        """After the status switch, cpus_read_lock() still held."""

    def enabled(self, k: Kernel, result: Variable) -> None:
        """After cpus_read_unlock()."""

    def second_user(self, k: Kernel) -> None:
        self.tdx_enable(k)


def pass_then_enable(k: Kernel, result: Variable, *, every_call: bool = True) -> None:
    """tdx_enable() with the pass inside, cpus_read_lock() held: an error of the pass makes the status ERROR."""
    w = k.w
    with k.mutex(w.tdx_module_lock):
        due = always if every_call else w.tdx_status != "INITIALIZED"
        with k.if_(due), k.ipi(w.online, "__tdx_cpu_enable()"):
            error = _inner_tdx_cpu_enable(k)
            with k.if_(error != OK):
                k.set(w.tdx_status, "ERROR")
        tdx_enable_locked(k, result)


def _inner_tdx_cpu_enable(k: Kernel) -> Variable:
    """__tdx_cpu_enable(): WARN and fail on a CPU that is not in VMX operation."""
    w = k.w
    with k.function("__tdx_cpu_enable()", MAIL, returns=(OK, EACCES, EIO)) as f:
        with k.if_(~w.tdx_lp_initialized & ~w.vmx_on):
            k.warn_on(~w.vmx_on, "CR4.VMXE is clear")
            f.returns(EIO)
        f.returns(tdx_cpu_enable(k))
    return f.result
