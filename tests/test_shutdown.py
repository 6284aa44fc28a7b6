"""Shutdown in good order: what hotplug disabled is for, TDH.SYS.DISABLE, and caches that are written back in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from asking import Asked, warnings
from slices import every
from tdxexplore.linux import boot
from tdxexplore.linux.cpuhp import Hook, Kernel
from tdxexplore.linux.errno import OK
from tdxexplore.linux.hotplug import hotplug
from tdxexplore.linux.shutdown import kexec_orderly, reboot
from tdxexplore.linux.state import Linux
from tdxexplore.model import Model, Scope, State, Topology, cpus
from tdxexplore.model.code import Await, Branch, Label, Set, SetEach
from tdxexplore.model.expr import Const
from tdxexplore.model.scopes import variables
from tdxexplore.tdx.build import build
from tdxexplore.tdx.kvm import VirtAtLoad
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS
from witnesses import compare_all

if TYPE_CHECKING:
    import tdxexplore
    from tdxexplore.model.code import Instruction
    from tdxexplore.model.expr import Expr, Variable
    from tdxexplore.tdx.fields import ModuleKind

NO_FREEZE = {"freeze_hotplug": "no"}


def reads(expr: Expr) -> set[str]:
    return {variable.name for variable in variables(expr)}


def steps(model: Model) -> list[tuple[str, Instruction]]:
    """The instructions, each with the title of its step."""
    found: list[tuple[str, Instruction]] = []
    title = ""
    for code in model.codes:
        for instruction in code.instructions:
            if isinstance(instruction, Label):
                title = instruction.title
            found.append((title, instruction))
    return found


# -- the mechanics, under a protocol that is not TDX ------------------------------------------------------------------


def lamps(budgets: dict[str, int], *, freeze_hotplug: bool) -> Model:
    """A lamp of each CPU that is lit by a callback, and switched off by hotplug or by the shutdown."""
    model = Model("lamps")
    w = Linux(model, {}, budgets)
    lit = model.flag("lit", Scope.CPU, initial=True)
    w.kept(lit)

    def switch(k: Kernel, *, on: bool) -> Variable:
        with k.function("lamp", returns=(OK,)) as f:
            k.set(lit, value=on)
            f.returns(OK)
        return f.result

    def syscore(k: Kernel) -> None:
        with k.ipi(w.online, "off"):
            k.set(lit, value=False)

    hook: Hook[Kernel] = Hook(
        "lamp", model.flag("registered", initial=True), lambda k: switch(k, on=True), lambda k: switch(k, on=False)
    )
    model.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), w.booted, w.booted))
    for name, actor in (("reboot", reboot), ("kexec_orderly", kexec_orderly)):
        if w.has(name):
            model.add(actor(Kernel(w, name), syscore, freeze_hotplug=freeze_hotplug))
    model.settle(boot.varying(w, offline=False, smt_blocked=False, later=False))
    model.outcome("deadlock", "S1", model.stuck() & ~w.rebooted)
    model.outcome("rebooted", "ok", w.rebooted, fatal=True)
    model.outcome("over", "ok", when=True)
    model.invariant("nothing comes or goes while syscore shuts down", ~w.syscore_lock | (w.cpus_writer == "none"))
    model.expect("dark", cpus.all(~lit))
    return model


@pytest.mark.parametrize("freeze_hotplug", [True, False])
@pytest.mark.parametrize("budget", ["reboot", "kexec_orderly"])
def test_no_cpu_comes_or_goes_while_syscore_shuts_down_because_hotplug_is_disabled(
    budget: str, *, freeze_hotplug: bool
) -> None:
    model = lamps({budget: 1, "cpu_down": 1, "cpu_up": 1}, freeze_hotplug=freeze_hotplug)
    state = State.initial(model, Topology.of(3))
    boot.starts_with(state, (), smt_blocked=False, later=False)
    answer = compare_all(model, state).answer
    assert set(answer.terminal_states) == {"rebooted" if budget == "reboot" else "over"}
    assert bool(sum(answer.violating_states.values())) is not freeze_hotplug
    assert answer.expected_states["dark"] > 0


# -- TDX: the engine answers as the reference does --------------------------------------------------------------------

COMPARED: list[tuple[str, ModuleKind, str, tuple[int, ...], dict[str, str], dict[str, int]]] = [
    ("linux-6.16", "subset", "reboot", (2,), NO_FREEZE, {}),
    ("linux-7.1", "strict", "reboot", (2, 1), {"callback_irqs": "off"}, {}),
    ("linux-7.2-update", "subset", "reboot", (2,), NO_FREEZE, {}),
    ("linux-7.2-update", "subset", "nosmt", (2,), {}, {"reboot": 1}),
    ("linux-7.2-update", "subset", "kexec-orderly", (2, 1), {}, {}),
    ("linux-7.2-update", "strict", "kexec-orderly", (2,), {"sys_disable": "no"}, {"sys_busy": 1}),
    ("linux-7.2-update", "subset", "reboot", (2,), {}, {"suspend": 1, "cpu_down": 0, "cpu_up": 0}),
    ("linux-7.2-update", "subset", "td-life-caches", (2,), {}, {"reboot": 1}),
    ("v17", "subset", "td-life-caches", (2, 1), {}, {}),
    ("v19", "subset-nocheck", "reboot", (2,), {}, {}),
]


@pytest.mark.parametrize(("policy", "module", "scenario", "sizes", "knobs", "budgets"), every(5, COMPARED))
def test_engine_and_reference_agree_on_shutdowns_and_caches(
    policy: str,
    module: ModuleKind,
    scenario: str,
    sizes: tuple[int, ...],
    knobs: dict[str, str],
    budgets: dict[str, int],
) -> None:
    model = build(BUILT_IN[policy](knobs), module, SCENARIOS[scenario], budgets)
    assert compare_all(model, model.initial(Topology(sizes))).traces > 0


# -- a second VMXOFF --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(2,), (2, 1)])
def test_a_second_vmxoff_needs_hotplug_beside_the_shutdown_and_callbacks_with_interrupts_on(
    sizes: tuple[int, ...],
) -> None:
    def second(**knobs: str) -> bool:
        return "I10" in Asked("linux-6.16", "subset", "reboot", sizes, knobs=knobs).check().traces

    assert not second()
    assert not second(callback_irqs="off")
    assert second(freeze_hotplug="no")
    assert not second(freeze_hotplug="no", callback_irqs="off")


def test_a_second_vmxoff_is_no_bug_as_the_system_reboots() -> None:
    answer = Asked("linux-6.16", "subset", "reboot", (2,), knobs=NO_FREEZE).check()
    assert set(answer.outcomes["outcome"]) == {"warned", "rebooted"}
    question = Asked("linux-6.16", "subset", "reboot", (2,), knobs=NO_FREEZE)
    mutant, places = question.model(), 0
    for code in mutant.codes:
        for instruction in code.instructions:
            if isinstance(instruction, Branch) and reads(instruction.condition) == {"virt_rebooting"}:
                instruction.condition = Const(value=True)
                places += 1
    assert places > 0
    assert "vmxoff-bug" in question.outcomes(mutant)


def test_the_shutdown_waits_for_the_hotplug_operation_that_runs() -> None:
    question = Asked("linux-6.16", "subset", "reboot", (2,))
    assert question.broken(question.model()) == set()
    hasty, places = question.model(), 0
    for title, instruction in steps(hasty):
        if isinstance(instruction, Await) and title == "cpu_hotplug_disable()":
            instruction.condition = Const(value=True)
            places += 1
    assert places == 1
    assert question.broken(hasty) == {"I10"}


def test_references_make_the_second_vmxoff_a_warning_which_also_smt_control_reaches() -> None:
    missing = "WARN: x86_virt_put_ref() without a reference"

    def actors(answer: tdxexplore.Exploration) -> set[str]:
        return {actor for actor, note in warnings(answer) if note == missing}

    for policy in ("linux-7.1", "linux-7.2-update"):
        assert actors(Asked(policy, "subset", "reboot", (2,)).check()) == set()
        assert actors(Asked(policy, "subset", "reboot", (2,), knobs=NO_FREEZE).check()) == {"hotplug", "reboot"}
        # cpuhp_smt_enable() does not ask whether hotplug is disabled.
        assert actors(Asked(policy, "subset", "nosmt", (2,)).check()) == set()
        assert "reboot" in actors(Asked(policy, "subset", "nosmt", (2,), budgets={"reboot": 1}).check())
        # kexec enables hotplug again before it stops the other CPUs.
        assert actors(Asked(policy, "subset", "kexec-orderly", (2,)).check()) == {"hotplug"}


# -- user tasks go on -------------------------------------------------------------------------------------------------


def test_a_vcpu_that_enters_while_the_system_goes_down_meets_no_bug_and_a_creation_warns() -> None:
    for policy in ("linux-6.16", "linux-7.2-update"):
        answer = Asked(policy, "subset", "reboot", (2,), budgets={"cpu_down": 0, "cpu_up": 0}).check()
        assert set(answer.outcomes["outcome"]) == {"warned", "rebooted"}
        assert ("td", "WARN: SEAMCALL failed") in warnings(answer)
        assert "vcpu" not in {actor for actor, _ in warnings(answer)}
        late = answer.rules.filter((pl.col("fired") > 0) & (pl.col("actor") == "vcpu"))["notes"].to_list()
        assert any(note != "TDH.VP.ENTER = TDX_SUCCESS" for note in late)


def test_the_kvm_series_of_2024_takes_a_seamcall_without_vmx_for_successful_while_the_system_goes_down() -> None:
    """tdx_seamcall() of v17 and v19: kvm_spurious_fault(), which is no BUG() then, and return 0."""
    answer = Asked("v19", "subset", "reboot", (2,), budgets={"cpu_down": 0, "cpu_up": 0}).check()
    assert answer.outcomes["outcome"].to_list() == ["rebooted"]
    assert warnings(answer) == set()
    fired = answer.rules.filter(pl.col("fired") > 0)
    for actor in ("td", "vcpu"):
        assert fired.filter(pl.col("actor") == actor)["notes"].str.contains("= #UD", literal=True).any(), actor


def test_nothing_of_a_vm_without_tdx_or_of_a_second_user_is_blamed_while_the_system_goes_down() -> None:
    for policy in ("v19", "linux-6.16", "linux-7.2-update"):
        plain = Asked(policy, "subset", "plain-vm", (2,), budgets={"cpu_up": 0, "reboot": 1}).check()
        assert set(plain.outcomes["severity"]) <= {"S4", "ok"}
    # In v19 VMX is on only while KVM is loaded or has a VM, so that a second user fails in any case.
    for policy in ("linux-6.16", "linux-7.2-update"):
        other = Asked(policy, "subset", "second-tdx-user", (2,), budgets={"cpu_up": 0, "kvm_unload": 0, "reboot": 1})
        assert "user-error" not in set(other.check().outcomes["outcome"])


def test_smt_off_is_refused_while_hotplug_is_disabled() -> None:
    """cpu_down_maps_locked() asks cpu_hotplug_disabled; with references a CPU that went down then would be a WARN."""
    answer = Asked("linux-7.2-update", "subset", "smt-off", (2,), budgets={"smt_on": 0, "reboot": 1}).check()
    assert "smt-off" not in {actor for actor, note in warnings(answer) if "without a reference" in note}
    met = answer.rules.filter((pl.col("fired") > 0) & (pl.col("actor") == "smt-off"))["notes"]
    assert met.str.contains("-EBUSY", literal=True).any()


def test_the_first_vm_asks_system_state_before_it_takes_a_lock() -> None:
    """hardware_enable_all() of 6.8; later kernels ask when virtualization is on, and turn it off again."""
    model = Asked("v19", "subset", "reboot").model()
    asked = {
        title
        for title, instruction in steps(model)
        if isinstance(instruction, Branch) and reads(instruction.condition) == {"restarting"}
    }
    assert "KVM_CREATE_VM" in asked
    assert "cpus_read_lock()" not in asked


def test_kvm_that_is_loaded_while_the_system_goes_down_undoes_it_and_a_shutdown_turns_vmx_off() -> None:
    loads = [name for name, policy in BUILT_IN.items() if issubclass(policy, VirtAtLoad)]
    assert len(loads) > 8
    for policy in loads:
        early = {"enable_phase": "subsys"} if policy == "linux-7.1-rfc-v1" else {}
        answer = Asked(policy, "subset", "reboot", (2,), knobs=early).check()
        fired = answer.rules.filter(pl.col("fired") > 0)
        met = fired.filter(pl.col("actor") == "kvm")["notes"]
        assert met.str.contains("system_state: the system goes down, -EBUSY", literal=True).any(), policy
        down = fired.filter(
            (pl.col("actor") == "reboot")
            & pl.col("label").str.contains("kvm_disable_virtualization_cpu()", literal=True)
        )
        assert len(down) > 0, policy


def test_a_reference_that_does_not_count_at_reboot_is_a_second_vmxoff() -> None:
    """RFC v1 2/4 of the VMXON series: Chao Gao's and Sean Christopherson's mails of 2025-10-17."""
    for put, fails in (("vmx-off", {"I7", "I10"}), ("counted", set())):
        knobs = {"enable_phase": "subsys", "preempt_guard": "on", "put_at_reboot": put}
        answer = Asked("linux-7.1-rfc-v1", "strict", "reboot", (2,), knobs=knobs).check()
        assert answer.traces.keys() & {"I7", "I10"} == fails
    assert "waiting for ever" not in answer.traces["warned"].to_text()


# -- TDH.SYS.DISABLE --------------------------------------------------------------------------------------------------


def test_the_kernel_after_kexec_has_tdx_again_where_the_old_one_called_sys_disable() -> None:
    def answer(policy: str, **knobs: str) -> tdxexplore.Exploration:
        return Asked(policy, "strict", "kexec-orderly", (2,), knobs=knobs, budgets={"cpu_down": 0}).check()

    for again in (answer("linux-7.2-update"), answer("linux-7.2-update", sys_disable="yes")):
        assert set(again.outcomes["outcome"]) == {"tdx-up", "warned"}
    for off in (answer("linux-7.2-update", sys_disable="no"), answer("linux-7.1")):
        assert off.outcomes["outcome"].to_list() == ["off-until-reboot"]
    refused = answer("linux-7.2-update", sys_disable="no").traces["off-until-reboot"]
    notes = [note for step in refused for note in step.notes]
    assert "TDH.SYS.DISABLE = TDX_OPERAND_INVALID" in notes
    assert "TDH.SYS.INIT = TDX_SYS_INIT_NOT_PENDING" in notes


def test_sys_disable_is_called_again_while_it_is_interrupted_or_busy() -> None:
    asked = Asked("linux-7.2-update", "subset", "kexec-orderly", (2,), budgets={"cpu_down": 0, "sys_busy": 1})
    met = asked.check().rules.filter((pl.col("fired") > 0) & pl.col("notes").str.contains("TDH.SYS.DISABLE"))
    assert {notes.rpartition("; ")[2] for notes in met["notes"]} == {
        f"TDH.SYS.DISABLE = {status}" for status in ("TDX_INTERRUPTED_RESUMABLE", "TDX_SYS_BUSY", "TDX_SUCCESS")
    }


@pytest.mark.parametrize("scenario", ["kexec", "kexec-orderly"])
def test_where_kexec_is_excluded_it_cannot_happen(scenario: str) -> None:
    answer = Asked("linux-6.16", "subset", scenario, (2,), knobs={"kexec": "no"}).check()
    assert answer.verdict == "vacuous"
    assert SCENARIOS[scenario].cannot_happen(BUILT_IN["linux-6.16"]()) == ""
    assert "kexec" in SCENARIOS[scenario].cannot_happen(BUILT_IN["linux-6.16"]({"kexec": "no"}))


# -- caches -----------------------------------------------------------------------------------------------------------


def without_play_dead(model: Model) -> int:
    """play_dead() does not write the cache back; returns in how many places."""
    places = 0
    for title, instruction in steps(model):
        if isinstance(instruction, Set) and instruction.target is model["cache_dirty"] and title == "CPUHP_OFFLINE":
            instruction.value = model["cache_dirty"]
            places += 1
    return places


def without_stop_this_cpu(model: Model) -> int:
    """stop_this_cpu() and machine_kexec() do not write the cache back; returns in how many places."""
    places = 0
    for title, instruction in steps(model):
        if (
            isinstance(instruction, SetEach)
            and title == "machine_shutdown(); machine_kexec()"
            and [field for field, _ in instruction.values] == [model["cache_dirty"]]
        ):
            instruction.where = Const(value=False)
            places += 1
    return places


POLICIES_OF_CACHES = {
    # What KVM writes back behind VP.FLUSH; what core writes back before it; designs in which nobody else does.
    # KVM of 6.16 does so while TDX is on, so that a load whose TDX part fails leaves a dirty cache.
    "linux-6.16": (False, True),
    "linux-7.1": (True, True),
    "linux-7.2-update": (True, False),
    "v19": (True, True),
    "kvm-hook-lp-init": (True, True),
}


@pytest.mark.parametrize("policy", POLICIES_OF_CACHES)
def test_play_dead_and_stop_this_cpu_write_back_what_is_left(policy: str) -> None:
    saves = POLICIES_OF_CACHES[policy]
    for scenario, remove, saved in zip(
        ("td-life-caches", "kexec-orderly"), (without_play_dead, without_stop_this_cpu), saves, strict=True
    ):
        question = Asked(policy, "subset", scenario, (2,))
        assert "I9" not in question.broken(question.model())
        mutant = question.model()
        assert remove(mutant) == 1
        assert ("I9" in question.broken(mutant)) is saved, scenario


def test_the_writeback_of_linux_7_2_comes_before_vp_flush_which_dirties_the_cache_again() -> None:
    """Dave Hansen, 2026-04-01: play_dead() is the last word."""
    core = offline_notes("linux-7.2-update")
    assert any("TDH.VP.FLUSH" in notes and "WBINVD" not in notes for notes in core)
    assert any("WBINVD" in notes and "TDH.VP.FLUSH" not in notes for notes in core)
    # Linux 7.1 wrote back in KVM, behind the flush.
    for notes in offline_notes("linux-7.1"):
        assert "TDH.VP.FLUSH" not in notes or notes.index("TDH.VP.FLUSH") < notes.index("WBINVD")


def offline_notes(policy: str) -> list[str]:
    """What happens in the steps of a CPU that goes offline; the notes of a step as one text."""
    rules = Asked(policy, "subset", "td-life-caches", (2,)).check().rules
    done = rules.filter((pl.col("actor") == "hotplug") & (pl.col("fired") > 0))["notes"].to_list()
    assert any("TDH.VP.FLUSH" in notes for notes in done)
    return done
