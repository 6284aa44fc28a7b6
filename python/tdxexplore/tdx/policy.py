"""The interface of a policy: who runs VMXON and TDH.SYS.LP.INIT, when, under which locks, and in which callbacks.

A policy is a subclass of `Policy` that can be read beside the kernel source or mail it stands for. It contains only what is
particular to it. Locks, CPU hotplug and VMX are methods of the `Kernel` that records it. SEAMCALLs and the host library are
functions of `tdxexplore.tdx.module` and `tdxexplore.tdx.host`. `tdxexplore.tdx.kvm` has the parts of KVM that designs share,
`tdxexplore.tdx.environment` and `tdxexplore.tdx.td` the actors around a policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from tdxexplore.errors import BadModel
from tdxexplore.linux.errno import OK
from tdxexplore.model.knob import Knob, setting
from tdxexplore.tdx.host import tdx_enable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.model.expr import Operand, Variable
    from tdxexplore.tdx.fields import KeyIds, SeamcallUd, World
    from tdxexplore.tdx.kernel import Hook, Kernel

__all__ = ["Knob", "Policy"]


class Policy:
    """One design under study.

    Subclasses set the class attributes, create their hooks in `declare`, and override the procedures they have.

    Args:
        knobs: Values by name; the others are at their default.

    Attributes:
        name: On the command line.
        title: One line.
        source: The mail or the source it stands for.
        knobs: What its source leaves open.
        key_ids: How its offline veto learns of key ids: a counter of KVM (Linux 6.16), or the allocator of core.
        seamcall_ud: #UD of a TD call is a status for KVM (``status``): since Linux 6.8 the SEAMCALL wrapper has an entry in the
            exception table, and KVM of 6.16 and later gives up the VM with a WARN, or fails the ioctl with -EIO. Or it is an
            oops: the KVM series of 2023 and 2024 answered TDX_SEAMCALL_UD with kvm_spurious_fault(), which is BUG() unless KVM
            has been shut down; the call then counts as successful.
        read: What was read for this class: file, function and version of merged code, or subject, author and date of a mail.
        reading: What no source says, so that it is our reading, or an assumption.
        abstracted: What this class leaves out, and why that hides no outcome. The documentation lists these three with those of
            the base classes (`said`), and with what the shared mechanics leave out.
        lp_init_first: It makes no SEAMCALL but TDH.SYS.INIT and TDH.SYS.LP.INIT before both have succeeded in this kernel,
            and none while KVM is not loaded and no callback is registered. The normal form of states reads it
            (`tdxexplore.tdx.normal_form`).
        has_boot: Whether `boot` runs something before user space.
        has_update: Whether `update` does anything.
        has_kexec: Whether kexec can start another kernel while TDX is built in.
        freezes_hotplug: Whether a shutdown disables CPU hotplug before anything else, as every version does.
        boots_aps: Whether `boot` begins with one CPU, and starts the others itself.
        hooks: Its cpuhp states, in the order of a CPU that comes up; set by `declare`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    knobs: ClassVar[tuple[Knob, ...]] = ()
    key_ids: ClassVar[KeyIds] = "counter"
    seamcall_ud: SeamcallUd = "status"
    lp_init_first: ClassVar[bool] = False
    read: ClassVar[tuple[str, ...]] = (
        "The TDX module: intel/tdx-module, branch tdx_1.5 @72d8cffb (1.5.01), and @1666adc4 where a newer one differs.",
        "kernel/cpu.c of 6.12.117, 7.2.12 and 7.3.4: hotplug, its locks, vetoes and rollbacks.",
        "arch/x86/kvm/vmx/tdx.c, 6.16 to 7.0, __tdx_td_init() and tdx_mmu_release_hkid(): the life of a TD.",
    )
    reading: ClassVar[tuple[str, ...]] = (
        (
            "Module kinds subset and subset-nocheck: no source of such a module is public; mails of Kai Huang, 2023-06-05 and "
            "2024-04-23, say that there is one."
        ),
    )
    abstracted: ClassVar[tuple[str, ...]] = ()
    has_kexec: bool = True
    freezes_hotplug: bool = True

    @classmethod
    def said(cls, attribute: Literal["read", "reading", "abstracted"]) -> list[str]:
        """What this class and its bases say under that name, its own first."""
        return [text for base in cls.__mro__ for text in vars(base).get(attribute, ())]

    def __init__(self, knobs: Mapping[str, str] | None = None) -> None:
        self.setting = setting(f"policy `{self.name}`", self.knobs, knobs or {})
        self.hooks: tuple[Hook, ...] = ()

    @property
    def has_boot(self) -> bool:
        """Whether `boot` does anything."""
        return type(self).boot is not Policy.boot

    @property
    def has_update(self) -> bool:
        """Whether the module can be updated at run time."""
        return type(self).update is not Policy.update

    @property
    def boots_aps(self) -> bool:
        """Whether `boot` begins with one CPU, and starts the others itself."""
        return False

    def off_for_good(self, w: World) -> Operand | bool:
        """The states in which TDX stays off in this kernel, so that no step reads which LPs have had TDH.SYS.LP.INIT.

        The normal form of states reads it, once every procedure is recorded.
        """
        return False

    # -- what a policy may override -----------------------------------------------------------------------------------

    def declare(self, w: World) -> None:
        """Declare the fields of this policy, and set its hooks."""

    def boot(self, k: Kernel) -> None:
        """Initcalls: before user space runs, with the CPUs of the scenario online."""

    def kvm_load(self, k: Kernel) -> None:
        """``modprobe kvm_intel``; sets ``kvm_loaded`` unless loading fails."""
        raise BadModel(f"policy `{self.name}` does not say what `kvm_load` does")

    def kvm_unload(self, k: Kernel) -> None:
        """``rmmod kvm_intel``, when no virtual machine is left."""

    def first_vm(self, k: Kernel) -> Variable:
        """The first virtual machine is created; returns 0 or an error."""
        with k.function("kvm_enable_virtualization() at the first VM", returns=(OK,)) as f:
            f.returns(OK)
        return f.result

    def last_vm(self, k: Kernel) -> None:
        """The last virtual machine is gone."""

    def second_user(self, k: Kernel) -> None:
        """Another in-kernel user calls tdx_enable(), after the steps that this design requires of a caller."""
        with k.cpus_read_lock():
            tdx_enable(k)

    def update(self, k: Kernel) -> None:
        """The administrator updates the TDX module."""

    def syscore_suspend(self, k: Kernel) -> None:
        """System suspend on the last CPU, interrupts off."""

    def syscore_resume(self, k: Kernel) -> None:
        """System resume on the CPU that stayed, interrupts off."""

    def syscore_shutdown(self, k: Kernel) -> None:
        """Shutdown, on the boot CPU, interrupts on; it may send IPIs."""
