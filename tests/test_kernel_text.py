"""What the text of 6.12 and 7.3 says of the load of KVM and of what warns, asked of the models."""

from __future__ import annotations

import polars as pl

from asking import Asked, warnings
from tdxexplore.model.code import Branch, Label
from tdxexplore.model.scopes import variables

# Who executes VMXON: the pass of v19 and its first VM; the load of KVM; boot. A CPU that comes does in all of them.
EXECUTES = {"v19": {"kvm", "td", "hotplug"}, "linux-6.16": {"kvm", "hotplug"}, "linux-7.1": {"boot", "hotplug"}}


def test_a_vmxon_that_faults_warns_wherever_it_is_executed() -> None:
    for policy, actors in EXECUTES.items():
        answer = Asked(policy, "subset", "fault-vmxon", (2,)).check()
        assert {actor for actor, note in warnings(answer) if note == "WARN: VMXON faulted"} == actors
        refused = answer.rules.filter((pl.col("fired") > 0) & pl.col("notes").str.contains("VMXON fails on a CPU"))
        assert len(refused) > 0
        assert refused["notes"].str.contains("WARN: VMXON faulted", literal=True).all()


def test_a_failed_charge_of_a_key_id_uncharges_what_was_not_charged() -> None:
    """tdx_hkid_free() of 6.16 to 7.3."""
    answer = Asked("linux-7.2-update", "subset", "fault-td-unload", (2,)).check()
    assert warnings(answer) == {("td", "WARN: misc cgroup resource tdx became less than 0")}
    assert set(answer.outcomes["outcome"]) == {"warned", "tdx-up"}


def test_a_td_whose_module_is_gone_is_dead_as_one_without_vmx() -> None:
    """__tdx_handle_exit(): TDX_SW_ERROR is #UD, #GP or VMfailInvalid."""
    answer = Asked("linux-7.2-update", "strict", "update-offline-lp", (2,)).check()
    met = answer.rules.filter((pl.col("fired") > 0) & (pl.col("actor") == "vcpu"))["notes"]
    gone = met.filter(met.str.contains("VMfailInvalid", literal=True))
    assert len(gone) > 0
    assert gone.str.contains("WARN: KVM_BUG_ON(): the VM is dead", literal=True).all()


def test_from_7_1_on_kvm_asks_for_tdx_before_it_enables_virtualization() -> None:
    """vt_init(): vmx_init() comes to tdx_hardware_setup(), kvm_init() is last. In 6.16 it is the other way round."""

    def asked(policy: str, field: str) -> list[str]:
        title, found = "", []
        for code in Asked(policy, "subset", "late-online").model().codes:
            for instruction in code.instructions if code.actor == "kvm" else ():
                if isinstance(instruction, Label):
                    title = instruction.title
                elif isinstance(instruction, Branch) and field in {v.name for v in variables(instruction.condition)}:
                    found.append(title)
        return found

    for policy in ("linux-7.1", "linux-7.2-update", "linux-7.1-rfc-v1"):
        assert asked(policy, "tdx_status")[0] == "modprobe kvm_intel tdx=1"
    assert "modprobe kvm_intel tdx=1" not in asked("linux-6.16", "tdx_status")


def test_rmmod_after_a_late_check_that_failed_turns_vmx_off_before_it_removes_state_0() -> None:
    """vt_exit(): kvm_exit(), then tdx_cleanup()."""
    answer = Asked("linux-6.16", "subset", "no-kvm", (2,), knobs={"late_check": "fails-unfixed"}).check()
    titles = [step.title for step in answer.traces["cpuhp-bug"] if step.actor == "kvm"]
    removed = [i for i, title in enumerate(titles) if "cpuhp_remove_state_nocalls(0)" in title]
    assert removed == [len(titles) - 1]
    assert titles[-2].startswith("CPUHP_AP_KVM_ONLINE teardown")
