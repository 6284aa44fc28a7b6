"""kexec: a new kernel on the hardware as the old one left it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tdxexplore.linux.cpuhp import Kernel
from tdxexplore.model import Scope, cpus, packages

if TYPE_CHECKING:
    from tdxexplore.model import Field

K = TypeVar("K", bound=Kernel)


def kexec(k: K) -> K:
    """A kexec that shuts nothing down, as after a panic: every actor vanishes where it stands.

    Kexec resets the actors that were added to the model before it.
    """
    w = k.w
    with k.loop():
        k.step("kexec", "kernel/kexec_core.c kernel_kexec()", rest=True)
        k.await_(w.booted & (w.budget["kexec"] > 0))
        k.spend("kexec")
        new_kernel(k)
    return k


def new_kernel(k: Kernel) -> None:
    """A new kernel boots on all CPUs.

    Software starts from its initial state. `Linux.kept` declares the fields that survive.
    """
    w = k.w
    lost = [f for f in w.model.assigned(k) if f not in w.survives_kexec]
    for f in lost:
        if f.scope is Scope.GLOBAL:
            k.set(f, f.initial)
    for group, scope in ((packages, Scope.PACKAGE), (cpus, Scope.CPU)):
        values: dict[Field, bool | int | str] = {f: f.initial for f in lost if f.scope is scope}
        if values:
            k.set_each(group, where=True, values=values)
    k.set_each(cpus, where=w.smp_init | w.smt_blocked, values={w.online: False, w.active: False})
