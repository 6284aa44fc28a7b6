"""What must stay possible, and what runs cost, on the TDX models; random models check the figures (test_random_models)."""

from __future__ import annotations

import pytest

from tdxexplore import check, replay

ENDLESS = {"kvm_load": (1 << 63) - 1, "kvm_unload": (1 << 63) - 1, "cpu_up": (1 << 63) - 1, "cpu_down": (1 << 63) - 1}


def test_the_sticky_error_of_linux_6_16_is_a_trap_and_the_error_keeps_it_shut() -> None:
    """Hazard B3: loaded while an LP is offline, TDX stays off although all LPs are online later."""
    answer = check("linux-6.16", module="strict", cpus=2, scenario="late-online", budgets=ENDLESS)
    rows = {row["response"]: row for row in answer.responses.iter_rows(named=True)}
    assert answer.verdict == "violated"
    assert int(rows["I8"]["trapped_states"]) > 0
    assert "tdx_status = ERROR" in rows["I8"]["shut"]
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
