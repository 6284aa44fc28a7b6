"""Every outcome class and invariant of the modelled world is reached somewhere; or it is proved not to be."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import tdxexplore
from asking import Asked, explore
from tdxexplore.model import Topology, cpus, reference
from tdxexplore.tdx.build import build
from tdxexplore.tdx.fields import BUDGETS, MODULE_KINDS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

ABSTRACTIONS = (Path(__file__).parent.parent / "docs" / "abstractions.md").read_text()


# The rows of the table of outcomes: severity, what is meant, its name, a point that reaches it, and a note of the
# shortest trace to it.
OUTCOMES: list[tuple[str, str, str, Asked, str]] = [
    (
        "S0",
        "CORRUPT",
        "corrupt",
        Asked("v19", "subset-nocheck", "late-online"),
        "TDH.MNG.CREATE = runs on an uninitialised LP",
    ),
    (
        "S0",
        "#UD oops: SEAMCALL without VMXON",
        "seamcall-oops",
        Asked("inner-enable", "strict", "fault-resume"),
        " = #UD",
    ),
    (
        "S0",
        "BUG: VMXOFF without VMXON",
        "vmxoff-bug",
        Asked("v7-2022", "strict", "fault-resume", budgets={"suspend": 2}),
        "VMXOFF: #UD",
    ),
    (
        "S0",
        "BUG: a VM without TDX without VMXON",
        "vmxoff-bug",
        Asked("linux-6.16", "strict", "fault-resume-vm", (2,)),
        "VMPTRLD: #UD, kvm_spurious_fault()",
    ),
    (
        "S0",
        "BUG_ON in cpuhp removal: a state is removed twice",
        "cpuhp-bug",
        Asked("linux-6.16", "subset", "no-kvm", (2,), {"late_check": "fails-unfixed"}),
        "BUG_ON(cpuhp_cb_check(0))",
    ),
    (
        "S0",
        "BUG_ON in cpuhp removal",
        "cpuhp-bug",
        Asked("inner-enable", "strict", "fault-td-unload", sizes=(2, 1)),
        "tdx_offline_cpu(): last CPU of a package with a key id, -EBUSY",
    ),
    ("S1", "deadlock", "deadlock", Asked("dyn-hook-if-enabled", "strict", "offline-mid-enable"), "echo 0"),
    (
        "S1",
        "key id irreclaimable though the TD is freed",
        "key-id-lost",
        Asked("linux-6.16", "strict", "fault-td", sizes=(2, 1)),
        "TDH.MNG.KEY.FREEID = TDX_WBCACHE_NOT_COMPLETE",
    ),
    (
        "S1",
        "live TDs lost by update",
        "tds-lost",
        Asked("linux-7.2-update", "strict", "update-offline-lp"),
        "the update failed half way",
    ),
    (
        "S2",
        "CPU online refused without cause",
        "online-refused",
        Asked("linux-7.2-update", "strict", "update-offline-lp", knobs={"seamldr_all_lps": "yes"}),
        "online refused",
    ),
    (
        "S2",
        "suspend aborted without cause",
        "suspend-aborted",
        Asked("linux-6.16", "strict", "fault-td-suspend", sizes=(2, 1)),
        "offline vetoed",
    ),
    (
        "S2",
        "SEAMCALL error on a running TD",
        "td-error",
        Asked("v19", "subset", "online-mid-enable"),
        "TDH.MNG.CREATE = TDX_SYS_LP_INIT_NOT_DONE",
    ),
    (
        "S2",
        "a TD that attestation refuses",
        "td-mismeasured",
        Asked("linux-7.2-update", "subset", "update-td"),
        "the measurement is wrong: attestation will fail",
    ),
    (
        "S2",
        "SEAMCALL error of a second user",
        "user-error",
        Asked("linux-6.16", "subset", "second-tdx-user", (2,), budgets={"kvm_load": 1, "cpu_up": 0}),
        "TDH.IOMMU.SETUP = #UD",
    ),
    (
        "S2",
        "the first VM is refused",
        "vm-refused",
        Asked("v19", "strict", "second-user"),
        "VMXON: CR4.VMXE is set already, -EBUSY",
    ),
    (
        "S3",
        "TDX unavailable though hardware could retry",
        "sticky-error",
        Asked("linux-6.16", "strict", "fault-memory"),
        "fault: an allocation fails in tdx_enable()",
    ),
    (
        "S3",
        "TDX unavailable with an offline LP on STRICT",
        "lp-missing",
        Asked("linux-6.16", "strict", "late-online", budgets={"cpu_up": 0}),
        "TDH.SYS.CONFIG = TDX_SYS_CONFIG_NOT_PENDING",
    ),
    (
        "S3",
        "TDX unavailable, as bringing it up broke half way",
        "off-until-reboot",
        Asked("linux-7.1", "strict", "fault-seamcall"),
        "TDH.SYS.KEY.CONFIG = TDX_KEY_GENERATION_FAILED",
    ),
    (
        "S3",
        "KVM does not load because of TDX",
        "kvm-not-loaded",
        Asked("linux-6.16", "strict", "fault-seamcall"),
        "TDH.SYS.LP.INIT = TDX_RND_NO_ENTROPY",
    ),
    (
        "S4",
        "WARN",
        "warned",
        Asked("linux-7.1", "strict", "fault-resume", knobs={"flush_guard": "preempt-off"}),
        "WARN: tdx_resume()",
    ),
    (
        "S4",
        "report of a context",
        "warned",
        Asked("linux-7.1", "strict", "all-online", knobs={"irq_assertion": "yes"}),
        "WARN: lockdep_assert_irqs_disabled() in try_init_module_global()",
    ),
    (
        "S4",
        "locks in a circle",
        "warned",
        Asked("v19", "strict", "kvm-locks", (2,), budgets={"cpu_down": 0}),
        "WARN: lockdep: possible circular locking dependency, ",
    ),
    (
        "S4",
        "lockdep report",
        "warned",
        Asked("dyn-hook-if-enabled", "strict", "all-online"),
        "WARN: lockdep: possible recursive locking, cpu_hotplug_lock",
    ),
    ("S4", "an LP that nobody may use", "latent-lp", Asked("v19", "subset", "no-kvm"), "online"),
    ("ok", "TDX up, every CPU can run it", "tdx-up", Asked("linux-7.1", "subset", "update"), "VMXON"),
    (
        "ok",
        "clean refusal, KVM works without TDX",
        "clean-refusal",
        Asked("v7-2022", "strict", "late-online"),
        "an LP is offline: -EINVAL, no SEAMCALL made",
    ),
]

INVARIANTS: dict[str, Asked] = {
    "I1": Asked("v19", "subset", "late-online"),
    "I2": Asked("hook-after-kvm", "subset", "no-kvm", knobs={"skip_if_vmx_off": "no"}),
    "I4": Asked("linux-6.16", "strict", "fault-td", sizes=(2, 1)),
    "I5": Asked("v19", "subset", "late-online"),
    "I7": Asked("linux-7.1-rfc-v1", "subset", "suspend"),
}
NEVER = ("I3",)


@pytest.mark.parametrize(("severity", "meaning", "name", "point", "note"), OUTCOMES, ids=[row[1] for row in OUTCOMES])
def test_every_outcome_class_is_reached(severity: str, meaning: str, name: str, point: Asked, note: str) -> None:
    answer = point.check()
    assert dict(answer.outcomes.select("outcome", "severity").iter_rows())[name] == severity, meaning
    assert any(note in said for step in answer.traces[name] for said in (*step.notes, step.title)), meaning


def test_the_table_has_every_outcome_that_models_declare() -> None:
    model = build(BUILT_IN["linux-7.2-update"](), "strict", SCENARIOS["update"])
    # No built-in design diverges; tests/test_divergence.py has one that does.
    assert {(p.severity, p.name) for p in model.outcomes} == {(row[0], row[2]) for row in OUTCOMES} | {
        ("S1", "diverges")
    }
    assert [p.name for p in model.invariants] == sorted({*INVARIANTS, *NEVER})


def test_a_machine_that_restarts_is_an_outcome_where_it_may_restart() -> None:
    answer = tdxexplore.check("linux-7.1", scenario="reboot", cpus=2)
    assert dict(answer.outcomes.select("outcome", "severity").iter_rows()) == {"rebooted": "ok", "warned": "S4"}
    assert list(answer.traces["rebooted"])[-1].title == "machine_restart()"


@pytest.mark.parametrize("name", INVARIANTS)
def test_every_other_invariant_fails_somewhere(name: str) -> None:
    assert name in INVARIANTS[name].check().traces


@pytest.mark.parametrize("name", NEVER)
def test_what_never_fails_is_proved_in_the_documentation(name: str) -> None:
    assert f"**{name} never fails**" in ABSTRACTIONS


def test_deadlock_is_i6_and_a_sticky_error_is_i8() -> None:
    assert "**I6** (no deadlock) is the outcome `deadlock`" in ABSTRACTIONS
    assert "**I8** (enabling is possible again) fails in the outcome `sticky-error`" in ABSTRACTIONS


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_budget_is_used_by_a_scenario_and_changes_its_answer(budget: str) -> None:
    users = [s.name for s in SCENARIOS.values() if s.budgets.get(budget)]
    assert users
    if budget == "kvm_load":
        return

    def states(policy: str, budgets: dict[str, int]) -> int:
        answer = tdxexplore.check(policy, module="subset", scenario=users[0], cpus=2, budgets=budgets)
        return int(answer.runs["states"][0])

    assert any(states(policy, {}) != states(policy, {budget: 0}) for policy in ("linux-6.16", "linux-7.2-update"))


# -- the hazards that were worked out by hand -------------------------------------------------------------------------


def test_b1_late_online_on_v19() -> None:
    for module, outcome in (("subset", "td-error"), ("subset-nocheck", "corrupt")):
        kind = next(m for m in MODULE_KINDS if m == module)
        answer = tdxexplore.check("v19", module=kind, scenario="late-online", cpus=4)
        assert answer.outcomes["outcome"].to_list() == [outcome]
        assert {"I1", "I5"} <= set(answer.traces)
        trace = answer.traces[outcome]
        late = [step for step in trace if step.cpu == 3]
        # CPU 3 is not in the pass, comes online, gets VMXON only, and then the TD is on it.
        assert late[0].actor == "hotplug"
        assert [note for step in late for note in step.notes if note == "VMXON"] == ["VMXON"]
        assert not any("TDH.SYS.LP.INIT" in note for step in late for note in step.notes)
        assert late[-1].actor in ("td", "vcpu")


def test_b3_a_sticky_error_on_linux_6_16() -> None:
    answer = tdxexplore.check("linux-6.16", module="strict", scenario="kvm-reload", cpus=4)
    assert answer.outcomes.select("severity", "outcome").rows() == [("S3", "sticky-error")]
    # The schedule of the hazard: the load fails at CONFIG; CPU 3 comes online; KVM is loaded again, and its callback
    # runs LP.INIT there, so that no LP is left without; and yet tdx_enable() gives -EINVAL. This reads the LPs after all.
    model = build(BUILT_IN["linux-6.16"](), "strict", SCENARIOS["kvm-reload"])
    model.forgotten.clear()
    retry = (model["sys_state"] == "INIT_DONE") & cpus.all(model["lp_is_init"])
    model.invariant("asked", ~(retry & (model["budget.kvm_load"] == 0) & ~model["enable_tdx"]))
    initial = model.initial(Topology((4,)))
    found = pl.DataFrame(explore(model, (4,)).invariants())
    notes = [note for step in reference.replay(model, initial, found["schedule"][-1]) for note in step.notes]
    refused = notes.index("TDH.SYS.CONFIG = TDX_SYS_CONFIG_NOT_PENDING")
    assert notes[:refused].count("TDH.SYS.LP.INIT = TDX_SUCCESS") == 3
    assert notes.index("echo 1") > refused
    assert notes[refused:].count("TDH.SYS.LP.INIT = TDX_SUCCESS") == 1
    assert "tdx_enable(): the module failed before, -EINVAL until reboot" in notes[refused:]


@pytest.mark.parametrize(("count", "outcome"), [(1, "tdx-up"), (2, "sticky-error"), (4, "sticky-error")])
def test_b4_enabling_before_the_aps(count: int, outcome: str) -> None:
    answer = tdxexplore.check("linux-7.1-rfc-v1", module="strict", scenario="all-online", cpus=count)
    assert answer.outcomes["outcome"].to_list() == [outcome]
    notes = [note for step in answer.traces[outcome] for note in step.notes]
    assert notes.count("TDH.SYS.LP.INIT = TDX_SUCCESS") == 1
    assert ("TDH.SYS.CONFIG = TDX_SYS_CONFIG_NOT_PENDING" in notes) is (count > 1)
    assert notes.count("CPU starts") == count - 1
    assert tdxexplore.check("linux-7.1", module="strict", cpus=count).outcomes["outcome"].to_list() == ["tdx-up"]
    relaxed = tdxexplore.check("linux-7.1-rfc-v1", module="subset", cpus=count)
    assert relaxed.outcomes["outcome"].to_list() == ["tdx-up"]
    if count == 4:  # the boot CPU is in one package only
        relaxed = tdxexplore.check("linux-7.1-rfc-v1", module="subset", cpus=count, packages=2)
        assert relaxed.outcomes["outcome"].to_list() == ["sticky-error"]
