"""The guest of recordings: kvm_amd and what it needs, and the shell functions of ``kernel/guest.sh``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.kernel import initramfs
from tdxexplore.kernel.machine import Machine, guest_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.kernel.packages import Kernel

MODULES = ("kvm-amd",)


def boot(
    kernel: Kernel, *, cpus: int, packages: int = 1, files: Mapping[str, bytes] | None = None, parameters: str = ""
) -> Machine:
    """A machine that is about to boot a kernel, with kvm_amd's modules in its initramfs; enter it to boot.

    Args:
        kernel: The kernel.
        cpus: CPUs of the guest.
        packages: Packages that share them evenly.
        files: Further files of the initramfs.
        parameters: Further words of the kernel's command line.
    """
    scripts = {"init": guest_file("init"), "guest.sh": guest_file("guest.sh")}
    archive = initramfs.build(kernel, MODULES, {**scripts, **(files or {})})
    return Machine(kernel, archive, cpus=cpus, packages=packages, parameters=parameters)
