"""What must stay possible, and what runs cost, on the TDX models; random models check the figures (test_random_models)."""

from __future__ import annotations

import re

import polars as pl
import pytest

from asking import explore, outcomes
from tdxexplore import check, replay
from tdxexplore.cli import run
from tdxexplore.model import Model, Procedure, State, Topology, lower
from tdxexplore.tdx.build import build
from tdxexplore.tdx.fields import UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS
from witnesses import compare_all

ENDLESS = dict.fromkeys(("kvm_load", "kvm_unload", "cpu_up", "cpu_down"), UNBOUNDED)


def test_the_sticky_error_of_linux_6_16_loses_tdx_and_is_the_cause() -> None:
    """Hazard B3: loaded while an LP is offline, TDX stays off although all LPs are online later."""
    answer = check("linux-6.16", module="strict", cpus=2, scenario="late-online", budgets=ENDLESS)
    rows = {row["response"]: row for row in answer.responses.iter_rows(named=True)}
    assert answer.verdict == "violated"
    assert int(rows["I8"]["lost_states"]) > 0
    assert "tdx_status = ERROR" in rows["I8"]["cause"]
    last = answer.traces["I8"].steps[-1]
    assert "_cpu_up()" in str(last)
    assert replay(answer.question, rows["I8"]["schedule"]).schedule == rows["I8"]["schedule"]
    finished = [row for name, row in rows.items() if name.endswith("-finishes")]
    assert len(finished) >= 3
    assert all(row["shortest_steps"] is None for row in finished)


def test_with_all_cpus_online_and_a_module_that_takes_a_subset_enabling_stays_possible() -> None:
    answer = check("linux-6.16", module="subset", cpus=2, scenario="late-online", budgets=ENDLESS)
    assert answer.runs["cyclic"][0]
    assert answer.responses["shortest_steps"].null_count() == len(answer.responses) >= 4
    assert answer.verdict == "holds"


def test_a_deadlock_loses_the_end_of_both_who_wait_and_the_answer_says_where(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = check("dyn-hook-if-enabled", module="subset", cpus=2, scenario="late-online", budgets=ENDLESS)
    causes = {row["response"]: row["cause"] for row in answer.responses.drop_nulls("schedule").iter_rows(named=True)}
    assert set(causes) == {"kvm-finishes", "hotplug-finishes"}
    loader, hotplug = "cpuhp_setup_state(CPUHP_AP_ONLINE_DYN): cpus_read_lock()", "_cpu_up(): cpus_write_lock()"
    assert set(causes.values()) == {f"cpu_hotplug_lock.writer = waiting; kvm in {loader}"}
    assert answer.traces["deadlock"].waiting == (("kvm", loader, None), ("hotplug", hotplug, 1))
    assert answer.outcomes["probability"].sum() == pytest.approx(1, abs=1e-9)
    budgets = [word for name in ENDLESS for word in ("--budget", f"{name}=unbounded")]
    asked = ["check", "dyn-hook-if-enabled", "--module", "subset", "--cpus", "2", "--scenario", "late-online", *budgets]
    assert run(asked) == 1
    text = capsys.readouterr().out
    assert "shortest trace that loses kvm-finishes, hotplug-finishes (25 steps)" in text
    said = " ".join(text.split())
    since, of_kvm = r", since step \d+; ", re.escape(f"waiting for ever: kvm in {loader}")
    assert re.search(rf"{of_kvm}{since}hotplug on CPU 1 has queued for cpu_hotplug_lock since step \d+", said)
    of_hotplug = re.escape(f"waiting for ever: hotplug on CPU 1 in {hotplug}")
    assert re.search(rf"{of_hotplug}{since}kvm holds cpu_hotplug_lock since step \d+", said)


def test_the_cause_may_be_written_after_the_goal_went_out_of_reach() -> None:
    budgets = {**ENDLESS, "second_user": UNBOUNDED}
    second = check("linux-6.16", module="subset", cpus=2, scenario="second-user", budgets=budgets)
    row = second.responses.row(0, named=True)
    assert (row["response"], row["cause"]) == ("I8", "tdx_status = ERROR")
    assert all(after != "ERROR" for step in second.traces["I8"].steps for _, _, after in step.changes)


def test_two_values_may_be_a_cause_only_together() -> None:
    """After kexec TDH.SYS.INIT is refused, as the module is READY; when TDX is up it is READY, too."""
    answer = check("linux-7.1", cpus=2, scenario="kexec", budgets={**ENDLESS, "kexec": UNBOUNDED})
    row = answer.responses.row(0, named=True)
    assert (row["response"], row["cause"]) == ("I8", "sys_state = READY; sysinit_ret = not called or -EIO")


def test_what_an_oops_cuts_off_is_not_lost() -> None:
    model = build(BUILT_IN["v19"](), "subset-nocheck", SCENARIOS["late-online"], ENDLESS)
    (kvm,) = (code for code in model.codes if code.actor == "kvm")
    model.expect("rmmod has begun when the TD oopses", model.busy(kvm) & (model["oops"] == "corrupt"))
    found = explore(model, (2,))
    assert int(pl.DataFrame(found.expectations())["states"][-1]) > 0
    assert outcomes(model, found) == {"corrupt", "endless"}
    lost = pl.DataFrame(found.responses())["lost_states"].to_list()
    assert lost == ["0"] * len(model.responses)
    assert len(lost) >= 4


@pytest.mark.parametrize(("escapes", "lost", "steps"), [(False, 0, None), (True, 3, 0)])
def test_nothing_is_due_only_where_an_oops_is_certain(escapes: bool, lost: int, steps: int | None) -> None:
    """An oops that other runs escape excuses nothing: they go on without an end of what was begun."""
    model = Model("certain")
    at = model.enum("at", ["start", "worse", "oops", "lost"])
    p = Procedure("actor")
    ways = [("start", "worse"), ("worse", "oops"), ("lost", "lost"), *([("worse", "lost")] if escapes else [])]
    with p.loop():
        p.step("go on")
        with p.either() as choice:
            for before, after in ways:
                with choice.branch():
                    p.await_(at == before)
                    p.set(at, after)
    model.add(p)
    model.outcome("oops", "S0", at == "oops", fatal=True)
    model.outcome("other", "ok", True)
    model.response("ends", True, False)
    program = compare_all(model, State.initial(model, Topology.of(1))).program
    row = pl.DataFrame(program.explore(lower(model).pack(State.initial(model, Topology.of(1)))).responses()).row(
        0, named=True
    )
    assert (int(row["lost_states"]), row["shortest_steps"]) == (lost, steps)


def test_a_run_that_goes_on_for_ever_is_absorbed_with_the_probability_of_each_end() -> None:
    budgets = {**ENDLESS, "second_user": UNBOUNDED}
    answer = check("dyn-hook-if-enabled", module="subset", cpus=2, scenario="second-user", budgets=budgets)
    assert answer.runs["cyclic"][0]
    assert answer.outcomes["outcome"].to_list() == ["deadlock", "endless"]
    assert 0 < answer.outcomes["probability"][0] < 1
    assert answer.outcomes["probability"].sum() == pytest.approx(1, abs=1e-12)
    assert answer.outcomes["interleavings"].null_count() == 2


def test_after_kexec_a_key_id_of_the_old_kernel_keeps_no_cpu_and_no_package_online() -> None:
    for policy in ("inner-enable", "linux-6.16"):
        answer = check(policy, cpus=2, packages=2, scenario="kexec", budgets={"cpu_down": 1, "kvm_unload": 1})
        assert "cpuhp-bug" not in answer.outcomes["outcome"]
        assert answer.traces["I4"].steps[-1].title == "CPUHP_OFFLINE"
        assert "kexec" in [step.title for step in answer.traces["I4"]]


def test_without_endless_budgets_nothing_has_to_stay_possible() -> None:
    assert check("linux-6.16", cpus=2, scenario="kvm-reload").responses.is_empty()


@pytest.mark.parametrize("cpus", [1, 2, 3, 5])
def test_prices_are_those_that_one_counts_by_hand(cpus: int) -> None:
    """v19 with all CPUs online: SYS.INIT, LP.INIT each, CONFIG, KEY.CONFIG, TDMR.INIT, and the life of one TD."""
    answer = check("v19", module="strict", cpus=cpus, scenario="all-online", prices=True)
    price = {row["price"]: row for row in answer.prices.iter_rows(named=True)}
    assert answer.outcomes["outcome"].to_list() == ["tdx-up"]
    steps = price["steps"]
    assert (steps["least"], steps["most"]) == (answer.runs["depth"][0],) * 2
    assert steps["mean"] == steps["least"]
    trace = [note for step in answer.traces["tdx-up"].steps for note in step.notes]
    calls = sum(note.startswith("TDH.") for note in trace)
    assert (price["seamcalls"]["least"], price["seamcalls"]["most"]) == (calls, calls)
    assert price["lp-init-again"]["most"] == 0
    # VMXON and VMXOFF for the pass, and VMXON again for KVM.
    assert price["vmxon"]["most"] == sum(note == "VMXON" for note in trace) >= cpus
    # vmx_tdx_on() and vmx_off() of the pass; hardware_enable_nolock() for the first VM, whose CPUs then stay so.
    assert (price["ipis"]["least"], price["ipis"]["most"]) == (3 * cpus, 3 * cpus)
    assert 0 < price["steps-under-cpus-lock"]["mean"] < steps["mean"]


def test_prices_are_none_unless_asked_for() -> None:
    assert check("v19", cpus=2).prices.is_empty()
