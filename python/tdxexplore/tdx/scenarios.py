"""Scenarios: what happens around bring-up, and how often.

In every scenario a TD user runs TD calls on any online CPU whenever the kernel would allow it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from tdxexplore.errors import BadModel
from tdxexplore.linux.boot import kept_down

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdxexplore.linux.boot import Boots
    from tdxexplore.model import Topology
    from tdxexplore.tdx.policy import Policy

# When CPUs go offline: at any time; before KVM is loaded, which waits for them; or from then on.
Down: TypeAlias = Literal["any-time", "before-load", "from-load-on"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens around bring-up.

    Attributes:
        name: On the command line.
        text: In a sentence.
        budgets: How often each environment action may happen; 0 if not named.
        offline: CPUs that are offline at first: the last ones.
        up_after_load: Offline CPUs may come online only once KVM has tried to load.
        down: When CPUs go offline.
        boots: Which CPUs the boot brings up besides the ``offline`` ones: ``all``; ``one`` (``maxcpus=1``); or
            ``primaries`` (``nosmt``): the first half of each package, and siblings wait for smt/control.
        caches: Which caches hold dirty lines of private memory is part of the state.
    """

    name: str
    text: str
    budgets: Mapping[str, int] = field(default_factory=dict)
    offline: int = 0
    up_after_load: bool = False
    down: Down = "any-time"
    boots: Boots = "all"
    caches: bool = False

    @property
    def least_cpus(self) -> int:
        """The smallest number of CPUs with which it can be asked: CPU 0 stays online."""
        return 1 + max(self.offline, self.budgets.get("cpu_down", 0) if self.down == "before-load" else 0)

    def offline_at_first(self, topology: Topology) -> frozenset[int]:
        """The CPUs that are offline at first.

        Raises:
            BadModel: No CPU would be online, or none could go offline that must.
        """
        if topology.cpus < self.least_cpus:
            raise BadModel(f"--cpus is {topology.cpus}; scenario `{self.name}` needs at least {self.least_cpus}")
        last = range(topology.cpus - self.offline, topology.cpus)
        return kept_down(self.boots, topology) | frozenset(last)

    def cannot_happen(self, policy: Policy) -> str:
        """What a design does not do, so that this cannot happen to it; empty if it can happen."""
        if self.budgets.get("update") and not policy.has_update:
            return "does not update the module at run time"
        if (self.budgets.get("kexec") or self.budgets.get("kexec_orderly")) and not policy.has_kexec:
            return "does not start another kernel by kexec"
        return ""


def _late(name: str, text: str, budgets: Mapping[str, int]) -> Scenario:
    """An LP stays offline until KVM has tried to load."""
    return Scenario(name, text, budgets, offline=1, up_after_load=True)


# CPU hotplug before, during and after bring-up, which the mails are about.
HOTPLUG = (
    Scenario("all-online", "all CPUs are online and stay so", {"kvm_load": 1}),
    _late(
        "late-online",
        "an LP that was never brought up comes online after KVM was loaded",
        {"kvm_load": 1, "cpu_up": 1},
    ),
    Scenario(
        "offline-before-load",
        "a CPU goes offline; then KVM is loaded",
        {"kvm_load": 1, "cpu_down": 1},
        down="before-load",
    ),
    Scenario(
        "offline-mid-enable",
        "a CPU goes offline at any time from the load of KVM on",
        {"kvm_load": 1, "cpu_down": 1},
        down="from-load-on",
    ),
    Scenario("online-mid-enable", "an offline CPU comes online at any time", {"kvm_load": 1, "cpu_up": 1}, offline=1),
    _late(
        "kvm-reload",
        "KVM is loaded, unloaded and loaded again; an offline CPU comes online after the first load",
        {"kvm_load": 2, "kvm_unload": 1, "cpu_up": 1},
    ),
    _late(
        "no-kvm",
        "KVM is loaded and unloaded for good; an offline CPU comes online after the load",
        {"kvm_load": 1, "kvm_unload": 1, "cpu_up": 1},
    ),
    _late(
        "second-enable",
        "a second user calls tdx_enable() when TDX is up; an offline CPU comes online after KVM was loaded",
        {"kvm_load": 1, "cpu_up": 1, "second_enable": 1},
    ),
)

# How the machine boots, sleeps and goes on; other users; the life of a TD.
SYSTEM = (
    Scenario(
        "maxcpus", "maxcpus=1: three CPUs come online by hand, at any time", {"kvm_load": 1, "cpu_up": 3}, boots="one"
    ),
    Scenario(
        "nosmt",
        "nosmt: the siblings stay down until smt/control=on brings them up, at any time",
        {"kvm_load": 1, "smt_on": 1},
        boots="primaries",
    ),
    Scenario(
        "smt-off",
        "smt/control=off takes the siblings down at any time, and smt/control=on may bring them up again",
        {"kvm_load": 1, "smt_off": 1, "smt_on": 1},
    ),
    Scenario(
        "suspend",
        "the system suspends and resumes at any time that finds no task in the kernel",
        {"kvm_load": 1, "suspend": 1},
    ),
    Scenario(
        "kexec",
        "a new kernel starts at any time, on what the old one left in the hardware",
        {"kvm_load": 2, "kexec": 1, "tdmr_slice": 1},
    ),
    Scenario(
        "reboot",
        "the machine reboots at any time; a CPU goes offline and comes back at any time",
        {"kvm_load": 1, "reboot": 1, "cpu_down": 1, "cpu_up": 1},
    ),
    Scenario(
        "kexec-orderly",
        "an orderly shutdown at any time, then a new kernel; a CPU goes offline at any time",
        {"kvm_load": 2, "kexec_orderly": 1, "cpu_down": 1},
        caches=True,
    ),
    Scenario(
        "second-user",
        "a second user enables TDX at any time, also while KVM does",
        {"kvm_load": 1, "second_user": 1, "tdmr_slice": 1},
    ),
    _late(
        "second-tdx-user",
        "a second user makes SEAMCALLs on any CPU once TDX is up, while KVM is unloaded and loaded; a CPU comes online",
        {"kvm_load": 2, "kvm_unload": 1, "cpu_up": 1, "second_calls": 2},
    ),
    Scenario(
        "plain-vm",
        "a VM without TDX is created, runs and is destroyed, beside one with a TD; an offline CPU comes online at any time",
        {"kvm_load": 1, "plain_vm": 1, "cpu_up": 1},
        offline=1,
    ),
    Scenario(
        "kvm-locks",
        "tasks of KVM take their locks while VMs are created and a CPU goes offline",
        {"kvm_load": 1, "plain_vm": 1, "kvm_locks": 3, "cpu_down": 1},
        down="from-load-on",
    ),
    Scenario(
        "td-life",
        "a VM is created, runs, is destroyed and created again, call by call; a CPU goes offline from the load of KVM on",
        {"kvm_load": 1, "td_destroy": 1, "cpu_down": 1},
        down="from-load-on",
    ),
    Scenario(
        "td-life-caches",
        "as td-life, and which caches hold dirty lines of private memory",
        {"kvm_load": 1, "td_destroy": 1, "cpu_down": 1},
        down="from-load-on",
        caches=True,
    ),
    Scenario(
        "update",
        "the module is updated at any time that TDX is up",
        {"kvm_load": 1, "update": 1},
    ),
    Scenario(
        "update-offline-lp",
        "the module is updated at any time that TDX is up; a CPU goes offline and comes back at any time",
        {"kvm_load": 1, "update": 1, "cpu_down": 1, "cpu_up": 1},
    ),
    Scenario(
        "update-suspend",
        "the module is updated at any time that TDX is up; the system suspends, which does not wait for an update",
        {"kvm_load": 1, "update": 1, "suspend": 1},
    ),
    Scenario(
        "update-td",
        "the module is updated at any time that TDX is up; a VM is built, runs, is destroyed and built again, call by call",
        {"kvm_load": 1, "update": 1, "td_destroy": 1},
    ),
)

# Things that fail: each once, at any place that it can.
FAULTS = (
    Scenario(
        "fault-vmxon",
        "VMXON fails once; a CPU comes online at any time",
        {"kvm_load": 1, "cpu_up": 1, "vmxon_fail": 1},
        offline=1,
    ),
    Scenario(
        "fault-seamcall",
        "one SEAMCALL finds no entropy and one TDX_SYS_BUSY",
        {"kvm_load": 1, "no_entropy": 1, "sys_busy": 1},
    ),
    Scenario(
        "fault-memory",
        "an allocation in tdx_enable() fails once, and KVM is loaded again",
        {"kvm_load": 2, "kvm_unload": 1, "no_memory": 1},
    ),
    Scenario(
        "fault-td",
        "creating a TD fails half way, once; then others; a CPU goes offline from the load of KVM on",
        {"kvm_load": 1, "td_destroy": 2, "td_fail": 1, "no_entropy": 1, "cpu_down": 1},
        down="from-load-on",
    ),
    Scenario(
        "fault-td-suspend",
        "creating a TD fails half way, once; the system suspends",
        {"kvm_load": 1, "td_destroy": 1, "td_fail": 1, "suspend": 1},
    ),
    Scenario(
        "fault-td-unload",
        "creating a TD fails half way, once; KVM is unloaded",
        {"kvm_load": 1, "kvm_unload": 1, "td_fail": 1},
    ),
    Scenario(
        "fault-resume", "VMXON fails once, also when the system resumes", {"kvm_load": 1, "suspend": 1, "vmxon_fail": 1}
    ),
    Scenario(
        "fault-resume-vm",
        "VMXON fails once, also when the system resumes, and a VM without TDX runs",
        {"kvm_load": 1, "plain_vm": 1, "suspend": 1, "vmxon_fail": 1},
    ),
    Scenario(
        "fault-update", "TDX_SYS_BUSY hits one SEAMCALL, also of an update", {"kvm_load": 1, "update": 1, "sys_busy": 1}
    ),
    Scenario(
        "fault-install",
        "P-SEAMLDR refuses an image once, or breaks down while it loads it; an image is written a second time",
        {"kvm_load": 1, "update": 2, "install_fail": 1},
    ),
)

SCENARIOS = {s.name: s for s in (*HOTPLUG, *SYSTEM, *FAULTS)}
