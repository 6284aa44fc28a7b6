"""Each guard matters: taking one out of the models changes an answer, or the test says why it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from asking import Asked
from tdxexplore.model.code import Add, Await, Branch, Label, SetEach
from tdxexplore.model.expr import Const, Expr
from tdxexplore.model.scopes import variables

if TYPE_CHECKING:
    from tdxexplore.model import Model


@dataclass(frozen=True)
class Mutation:
    """A guard to remove: the wait of a step, or a check by what it reads; and what must change, or why nothing does."""

    name: str
    question: Asked
    step: str = ""
    reads: frozenset[str] = frozenset()
    taken: bool = False
    actor: str = ""
    only_first: bool = False
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    why_not: str = ""


def reads(expr: Expr) -> frozenset[str]:
    return frozenset(variable.name for variable in variables(expr))


def remove(model: Model, mutation: Mutation) -> int:
    """Take the guard out; returns in how many places."""
    places = 0
    for code in model.codes:
        if mutation.actor not in ("", code.actor):
            continue
        title = ""
        for instruction in code.instructions:
            if isinstance(instruction, Label):
                title = instruction.title
            elif isinstance(instruction, Await) and not mutation.reads and title == mutation.step:
                instruction.condition = Const(value=True)
                places += 1
            elif isinstance(instruction, Branch) and mutation.reads == reads(instruction.condition):
                wanted = not mutation.step or title == mutation.step
                if wanted and not (mutation.only_first and places):
                    instruction.condition = Const(mutation.taken)
                    places += 1
    return places


# Without the report of tdx_cpu_flush_cache() at each offline, which would hide that nothing else is wrong.
QUIET = {"flush_guard": "preempt-off"}


def names(*words: str) -> frozenset[str]:
    return frozenset(words)


# An update of online LPs only; the rule of contexts that a CPU breaks when it goes offline is another matter.
SOME_LPS = {"seamldr_all_lps": "no", "flush_guard": "preempt-off"}

MUTATIONS = [
    Mutation(
        "cpus_read_lock() does not wait for a writer that holds the lock",
        Asked("linux-6.16", "strict", "offline-mid-enable", knobs=QUIET),
        step="cpus_read_lock()",
        before=names("lp-missing", "tdx-up"),
        after=names("lp-missing", "off-until-reboot", "kvm-not-loaded", "tdx-up"),
    ),
    Mutation(
        "cpus_write_lock() does not wait for readers",
        Asked("dyn-hook-if-enabled", "subset", "offline-mid-enable"),
        step="cpus_write_lock()",
        before=names("deadlock", "warned"),
        after=names("sticky-error", "off-until-reboot", "warned", "clean-refusal"),
    ),
    Mutation(
        "mutex_lock(&tdx_module_lock) does not wait",
        Asked("inner-enable-kvm-hook", "subset", "second-enable"),
        step="mutex_lock(&tdx_module_lock)",
        why_not="a second user calls only once TDX is up, and then the status switch does nothing",
    ),
    Mutation(
        "mutex_lock(&cpuhp_state_mutex) does not wait",
        Asked("hook-after-kvm", "subset", "second-enable"),
        step="mutex_lock(&cpuhp_state_mutex)",
        why_not="only KVM's loader registers states: the second user finds the hook registered",
    ),
    Mutation(
        "TDH.SYS.CONFIG does not ask whether every LP is initialised",
        Asked("v19", "strict", "late-online"),
        step="config_tdx_module()",
        reads=names("sys_state", "lp_is_init"),
        before=names("sticky-error"),
        after=names("corrupt"),
    ),
    Mutation(
        "TDH.SYS.LP.INIT is accepted in every state of a strict module",
        Asked("kvm-hook-lp-init", "strict", "online-mid-enable"),
        reads=names("sys_state"),
        step="tdx_cpu_enable()",
        why_not="CONFIG has passed only with every LP initialised, and before that the state is INIT_DONE",
    ),
    Mutation(
        "TDH.SYS.LP.INIT does not refuse a second time",
        Asked("linux-6.16", "subset", "kvm-reload"),
        reads=names("lp_is_init"),
        step="CPUHP_AP_ONLINE_DYN startup",
        why_not="tdx_lp_initialized keeps the kernel from calling it a second time",
    ),
    Mutation(
        "tdx_cpu_enable() does not look at tdx_lp_initialized",
        Asked("linux-6.16", "subset", "kvm-reload", knobs=QUIET),
        reads=names("tdx_lp_initialized"),
        before=names("tdx-up"),
        after=names("kvm-not-loaded"),
    ),
    Mutation(
        "tdx_cpu_enable() calls TDH.SYS.INIT every time",
        Asked("kvm-hook-lp-init", "subset", "all-online"),
        reads=names("sysinit_ret"),
        taken=True,
        before=names("tdx-up"),
        after=names("clean-refusal"),
    ),
    Mutation(
        "tdx_enable() forgets that it failed",
        Asked("linux-6.16", "strict", "kvm-reload", knobs=QUIET),
        reads=names("tdx_status"),
        before=names("sticky-error"),
        after=names("tdx-up", "sticky-error"),
    ),
    Mutation(
        "the offline veto is missing",
        Asked("linux-6.16", "strict", "offline-mid-enable", (1, 1), budgets={"kvm_unload": 1}, knobs=QUIET),
        reads=names("hkid_live", "online"),
        before=names("lp-missing", "tdx-up"),
        after=names("key-id-lost", "lp-missing", "tdx-up"),
    ),
    Mutation(
        "KVM is unloaded while a VM exists",
        Asked("inner-enable", "subset", "no-kvm", budgets={"cpu_up": 0}),
        step="wait until no VM is left",
        before=names("tdx-up"),
        after=names("seamcall-oops", "tdx-up"),
    ),
    Mutation(
        "a TD is created without asking whether TDX is on",
        Asked("v19", "strict", "late-online"),
        step="KVM_CREATE_VM",
        before=names("sticky-error"),
        after=names("td-error", "vm-refused"),
    ),
    Mutation(
        "a vCPU runs on a CPU that is not active yet",
        Asked("kvm-hook-lp-init", "subset", "late-online"),
        step="KVM_RUN",
        before=names("tdx-up"),
        after=names("seamcall-oops", "diverges"),
    ),
    Mutation(
        "hook-after-kvm does not skip a CPU that is not in VMX operation",
        Asked("hook-after-kvm", "subset", "no-kvm"),
        step="CPUHP_AP_TDX (after KVM) startup",
        reads=names("vmx_on"),
        actor="hotplug",
        only_first=True,
        before=names("latent-lp", "tdx-up"),
        after=names("online-refused", "tdx-up"),
    ),
    Mutation(
        "TDH.SYS.LP.INIT does not look at the global lock",
        Asked("linux-6.16", "subset", "second-user"),
        reads=names("seam_lock.exclusive"),
        before=names("sticky-error", "off-until-reboot", "kvm-not-loaded", "tdx-up"),
        after=names("deadlock", "sticky-error", "off-until-reboot", "tdx-up"),
    ),
    Mutation(
        "a call that takes the global lock alone does not look at it",
        Asked("linux-6.16", "subset", "second-user"),
        reads=names("seam_lock.exclusive", "in_seam"),
        before=names("sticky-error", "off-until-reboot", "kvm-not-loaded", "tdx-up"),
        after=names("deadlock", "sticky-error", "off-until-reboot", "kvm-not-loaded", "tdx-up"),
    ),
    Mutation(
        "KVM does not flush the vCPUs of a CPU that goes offline",
        Asked("linux-6.16", "subset", "td-life", knobs=QUIET),
        reads=names("vcpu_associated"),
        actor="hotplug",
        before=names("tdx-up"),
        after=names("key-id-lost", "tdx-up"),
    ),
    Mutation(
        "TDH.MNG.VPFLUSHDONE does not ask whether a vCPU is tied to an LP",
        Asked("linux-6.16", "subset", "td-life"),
        reads=names("vcpu_associated"),
        step="TDH.MNG.VPFLUSHDONE",
        why_not="KVM flushes a vCPU when its CPU goes offline, and the others when the VM goes",
    ),
    Mutation(
        "TDH.MNG.KEY.FREEID does not ask whether every package is written back",
        Asked("linux-6.16", "strict", "fault-td", (2, 1)),
        reads=names("written_back"),
        step="TDH.MNG.KEY.FREEID",
        before=names("key-id-lost", "lp-missing", "off-until-reboot", "kvm-not-loaded", "warned", "tdx-up"),
        after=names("lp-missing", "off-until-reboot", "kvm-not-loaded", "warned", "tdx-up"),
    ),
    Mutation(
        "mutex_lock(&tdx_lock) does not wait",
        Asked("linux-6.16", "subset", "td-life"),
        step="mutex_lock(&tdx_lock)",
        why_not="one VM is created and destroyed at a time",
    ),
    Mutation(
        "TDH.SYS.UPDATE does not ask whether every LP is initialised",
        Asked("linux-7.2-update", "subset", "update-offline-lp", knobs=SOME_LPS),
        reads=names("sys_state", "lp_is_init"),
        step="MODULE_UPDATE_RUN_UPDATE: tdx_module_run_update()",
        before=names("tds-lost", "td-error", "off-until-reboot", "tdx-up"),
        after=names("tdx-up"),
    ),
    Mutation(
        "TDH.SYS.UPDATE does not ask for handoff data",
        Asked("linux-7.2-update", "subset", "update-offline-lp", knobs=SOME_LPS),
        reads=names("handoff_valid"),
        why_not="TDH.SYS.SHUTDOWN has written them, or the update has ended there",
    ),
    Mutation(
        "TDH.SYS.SHUTDOWN does not ask whether a TD is being built",
        Asked("linux-7.2-update", "subset", "update-td", knobs={"avoid_compat_sensitive": "on"}),
        reads=names("td_build"),
        step="MODULE_UPDATE_SHUTDOWN: tdx_module_shutdown()",
        before=names("tdx-up"),
        after=names("td-mismeasured", "tdx-up"),
    ),
    Mutation(
        "the kernel's check of an update does not ask whether a CPU is offline",
        Asked("linux-7.2-update", "subset", "update-suspend", knobs={**QUIET, "offline_check": "kernel"}),
        reads=names("online"),
        step="cpus_read_lock()",
        actor="update",
        before=names("tdx-up"),
        after=names("tds-lost", "td-error", "online-refused", "tdx-up"),
    ),
    Mutation(
        "SEAMLDR.INSTALL does not ask whether this LP has called it in this session",
        Asked("linux-7.2-update", "subset", "update-offline-lp", (2,), budgets={"update": 2}),
        reads=names("installed"),
        step="MODULE_UPDATE_CPU_INSTALL",
        only_first=True,
        why_not="a second update fails in MODULE_UPDATE_SHUTDOWN while the session is open",
    ),
    Mutation(
        "kvm_disable_virtualization_cpu() does not ask whether KVM has enabled VMX here",
        Asked("linux-6.16", "subset", "fault-resume", budgets={"suspend": 2}),
        reads=names("virtualization_enabled"),
        taken=True,
        before=names("td-error", "online-refused", "warned", "tdx-up"),
        after=names("vmxoff-bug", "td-error", "online-refused", "warned", "tdx-up"),
    ),
    Mutation(
        "kvm_enable_virtualization_cpu() does not ask whether KVM has enabled VMX here",
        Asked("linux-6.16", "subset", "fault-resume", budgets={"suspend": 2}),
        reads=names("virtualization_enabled"),
        step="CPUHP_AP_KVM_ONLINE startup",
        taken=True,
        why_not="KVM enables it where it is off: with the registration, and as a CPU comes",
    ),
    Mutation(
        "synchronize_srcu() does not wait for a reader that has begun before",
        Asked("v19", "subset", "kvm-locks", (2,)),
        step="synchronize_srcu(&kvm->srcu): the grace period ends",
        before=names("deadlock", "warned", "tdx-up"),
        after=names("warned", "tdx-up"),
    ),
    Mutation(
        "mutex_lock(&kvm_lock) does not wait: two VMs are created at once",
        Asked("v19", "subset", "plain-vm", (2,), budgets={"cpu_up": 0}),
        step="mutex_lock(&kvm_lock)",
        before=names("tdx-up"),
        after=names("seamcall-oops", "vmxoff-bug", "tdx-up"),
    ),
    Mutation(
        "KVM is unloaded while a VM without TDX exists",
        Asked("linux-6.16", "subset", "plain-vm", (2,), budgets={"kvm_unload": 1, "cpu_up": 0}, knobs=QUIET),
        step="wait until no VM is left",
        before=names("tdx-up"),
        after=names("vmxoff-bug", "td-error", "tdx-up"),
    ),
    Mutation(
        "v7-2022 does not ask whether every LP is online",
        Asked("v7-2022", "strict", "late-online"),
        step="cpus_read_lock()",
        reads=names("online"),
        before=names("clean-refusal"),
        after=names("off-until-reboot"),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_guard_that_is_removed_changes_an_answer_or_cannot(mutation: Mutation) -> None:
    question = mutation.question
    before = question.outcomes(question.model())
    mutant = question.model()
    assert remove(mutant, mutation) > 0, "the guard was not found"
    after = question.outcomes(mutant)
    if mutation.why_not:
        assert after == before
    else:
        assert (before, after) == (set(mutation.before), set(mutation.after))


def test_the_boot_cpu_may_go_offline_when_nothing_forbids_it() -> None:
    question = Asked("linux-6.16", "subset", "offline-mid-enable", (1,))
    assert question.outcomes(question.model()) == {"tdx-up"}
    mutant = question.model()
    places = 0
    for code in mutant.codes:
        for instruction in code.instructions:
            if (
                isinstance(instruction, Await)
                and code.actor == "hotplug"
                and "boot_cpu" in reads(instruction.condition)
            ):
                instruction.condition = mutant["active"] & (mutant["budget.cpu_down"] > 0)
                places += 1
    assert places == 1
    assert question.outcomes(mutant) == {"deadlock", "tdx-up"}


def test_a_waiting_writer_that_does_not_block_readers_hides_the_deadlock() -> None:
    question = Asked("dyn-hook-if-enabled", "subset", "offline-mid-enable")
    assert question.outcomes(question.model()) == {"deadlock", "warned"}
    unfair = question.model()
    places = 0
    for code in unfair.codes:
        for instruction in code.instructions:
            if isinstance(instruction, Await) and reads(instruction.condition) == {"cpu_hotplug_lock.writer"}:
                instruction.condition = unfair["cpu_hotplug_lock.writer"] != "held"
                places += 1
    assert places >= 3
    assert question.outcomes(unfair) == {"warned"}


def test_an_update_that_forgets_to_forget_the_initialised_lps_breaks_i3() -> None:
    question = Asked("linux-7.2-update", "strict", "update")
    assert question.broken(question.model()) == set()
    mutant = question.model()
    forgets = [
        instruction
        for code in mutant.codes
        if code.actor == "update"
        for instruction in code.instructions
        if isinstance(instruction, SetEach) and mutant["tdx_lp_initialized"] in dict(instruction.values)
    ]
    assert len(forgets) == 1
    forgets[0].where = Const(value=False)
    assert question.broken(mutant) == {"I3"}


def test_a_failed_reference_that_stays_counted_breaks_i7() -> None:
    question = Asked("linux-7.1", "strict", "fault-vmxon")
    assert question.broken(question.model()) == set()
    mutant = question.model()
    undone = 0
    for code in mutant.codes:
        for at, instruction in enumerate(code.instructions):
            if (
                isinstance(instruction, Branch)
                and "VMXON.return" in reads(instruction.condition)
                and isinstance(following := code.instructions[at + 1], Add)
            ):
                assert following.delta == -1
                following.delta = 0
                undone += 1
    assert undone > 0
    assert "I7" in question.broken(mutant)


def test_a_suspend_that_does_not_wait_for_tasks_in_the_kernel_meets_them() -> None:
    question = Asked("linux-6.16", "subset", "suspend", (2, 2), knobs=QUIET)
    assert question.outcomes(question.model()) == {"tdx-up"}
    hasty = question.model()
    places = 0
    for code in hasty.codes:
        for instruction in code.instructions:
            if isinstance(instruction, Await) and code.actor == "suspend" and "pc.kvm" in reads(instruction.condition):
                instruction.condition = (hasty["budget.suspend"] > 0) & (hasty["cpu_hotplug_lock.writer"] == "none")
                places += 1
    assert places == 1
    assert question.outcomes(hasty) > {"tdx-up"}


def test_an_update_that_does_not_stop_the_machine_is_seen_by_tds() -> None:
    question = Asked("linux-7.2-update", "strict", "update")
    assert question.outcomes(question.model()) == {"tdx-up"}
    running = question.model()
    places = 0
    for code in running.codes:
        for instruction in code.instructions:
            if isinstance(instruction, Await) and reads(instruction.condition) == {"stop_machine"}:
                instruction.condition = Const(value=True)
                places += 1
    assert places > 10
    assert question.outcomes(running) > {"tdx-up"}
