"""The kernel as policies know it: Linux, VMX, and CPUs that may be inside the TDX module.

A policy file needs this module, `tdxexplore.tdx.host` and `tdxexplore.tdx.policy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tdxexplore.linux import cpuhp
from tdxexplore.linux.errno import EACCES, EBUSY, EFAULT, EINVAL, EIO, OK
from tdxexplore.model import Scope, block, cpus
from tdxexplore.tdx.vmx import VMXON, Vmx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.code import Label
    from tdxexplore.model.expr import Operand


class Kernel(Vmx):
    """A procedure of a policy or of its environment.

    Where two calls of the module can be in flight at once, such a call is two steps, and a CPU takes no other step in between.
    """

    def waits_for(self, step: Label) -> Iterator[Operand]:
        yield from super().waits_for(step)
        if self.w.contended and step.scope is Scope.CPU:
            yield ~self.w.in_seam

    @property
    def every_cpu_answers(self) -> Operand:
        return cpus.none(self.w.in_seam)

    @block
    def seam_exit(self, call: str) -> Iterator[None]:
        """The second step of a SEAMCALL, on the CPU that it was made on."""
        title = f"{call}: exit"
        if self.acting is not Scope.GLOBAL:
            with self.undisturbed():
                self.step(title)
            yield
        else:
            before, self._alone = self._alone, True
            with self.on_any_cpu(self.w.in_seam, title, picked=""):
                self._alone = before
                yield


Hook: TypeAlias = cpuhp.Hook[Kernel]

__all__ = ["EACCES", "EBUSY", "EFAULT", "EINVAL", "EIO", "OK", "VMXON", "Hook", "Kernel"]
