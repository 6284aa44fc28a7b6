"""What docs/abstractions.md says that the models leave out changes no outcome: where it can be put back, it is."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import polars as pl
import pytest

import tdxexplore
from asking import Asked, explore
from slices import every
from tdxexplore.model.code import Await, Label
from tdxexplore.tdx.build import build
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.model import Model
    from tdxexplore.tdx.fields import ModuleKind


def wrong(model: Model) -> set[str]:
    """What goes wrong in some state: runs that go on for ever have no outcome."""
    for name in ("hkid_leaked", "td_error", "vm_refused", "online_refused", "warned"):
        model.expect(name, model[name])
    for oops in model["oops"].values[1:]:
        model.expect(str(oops), model["oops"] == oops)
    met = pl.DataFrame(explore(model, (2,), measures=False).expectations())["schedule"].is_not_null()
    return {p.name for p, here in zip(model.expectations, met, strict=True) if here}


@pytest.mark.parametrize("policy", BUILT_IN)
def test_more_slices_of_tdmr_init_reach_no_other_outcome(policy: str) -> None:
    for scenario in ("online-mid-enable", "second-user"):
        least = SCENARIOS[scenario].budgets.get("tdmr_slice", 0)
        few, more = (
            set(tdxexplore.check(policy, scenario=scenario, cpus=2, budgets={"tdmr_slice": n}).outcomes["outcome"])
            for n in (least, least + 2)
        )
        assert few == more, scenario


@pytest.mark.parametrize("policy", every(7, BUILT_IN))
def test_vcpus_that_run_again_and_again_meet_nothing_else(policy: str) -> None:
    kinds: tuple[ModuleKind, ...] = ("subset", "subset-nocheck")
    for module, scenario in product(kinds, ("offline-mid-enable", "kvm-reload")):
        once, again = (build(BUILT_IN[policy](), module, SCENARIOS[scenario]) for _ in range(2))
        code = next(code for code in again.codes if code.actor == "vcpu")
        at = next(i for i, found in enumerate(code.instructions) if isinstance(found, Label)) + 1
        wait = code.instructions[at]
        assert isinstance(wait, Await)
        # As in `td.vcpu`, without the flag that it has run.
        wait.condition = (again["td"] == "running") & ~again["frozen"] & ~again["kvm_unloading"] & again["active"]
        assert wrong(once) == wrong(again) >= {"kvm-tried"}, (module, scenario)


def test_sys_rd_fails_where_config_would_pass() -> None:
    """A second user calls tdx_enable() on a CPU that KVM has not come to: why SYS.RD, which changes nothing, is modelled."""
    question = {"module": "subset", "cpus": 2, "scenario": "second-user"}
    refused = tdxexplore.check("kvm-hook-lp-init", **question).rules.filter(  # type: ignore[arg-type]
        pl.col("notes").str.contains("TDH.SYS.RD = TDX_SYS_LP_INIT_NOT_DONE", literal=True) & (pl.col("fired") > 0)
    )
    assert set(refused["actor"]) == {"second"}
    # Who calls it after LP.INIT on every online CPU never meets that.
    ready = tdxexplore.check("linux-7.1", **question).rules  # type: ignore[arg-type]
    read = ready.filter(pl.col("notes").str.contains("TDH.SYS.RD = ") & (pl.col("fired") > 0))
    assert {note.partition(";")[0] for note in read["notes"]} == {"TDH.SYS.RD = TDX_SUCCESS"}


@pytest.mark.parametrize("policy", BUILT_IN)
def test_lp_init_never_runs_again_on_an_lp_that_has_had_it(policy: str) -> None:
    """Wasted re-initialisation is a price, and nobody pays it: tdx_lp_initialized, and after kexec TDH.SYS.INIT fails."""
    for scenario in ("kvm-reload", "suspend", "kexec"):
        answer = tdxexplore.check(policy, module="subset", cpus=2, scenario=scenario, prices=True)
        paid = answer.prices.filter(pl.col("price") == "lp-init-again")
        assert len(paid) == len(answer.outcomes) > 0
        assert paid["most"].max() == 0, scenario


def test_what_is_forgotten_cuts_the_states_of_a_server() -> None:
    answer = tdxexplore.check("linux-6.16", scenario="kexec", cpus=64, packages=2, measures=False)
    assert answer.runs["explored"][0] == 14_043


# Where LPs are forgotten: kexec, a boot or a load of KVM that fails; and what could still read them.
FORGETFUL: list[tuple[ModuleKind, str, dict[str, int]]] = [
    *(
        ("subset", scenario, {})
        for scenario in ("kexec", "second-user", "fault-vmxon", "fault-seamcall", "fault-resume")
    ),
    ("strict", "kexec-orderly", {"cpu_down": 0}),
    *(("strict", "kexec", {budget: 1}) for budget in ("second_user", "cpu_down", "suspend")),
    *(("strict", "fault-vmxon", {budget: 1}) for budget in ("kexec", "cpu_down", "second_user")),
    ("strict", "fault-vmxon", {"kvm_load": 2, "kvm_unload": 1}),
    ("strict", "fault-resume", {"sys_busy": 1}),
    ("strict", "second-user", {"sys_busy": 1}),
]


@pytest.mark.parametrize("policy", every(13, BUILT_IN))
def test_lps_that_are_forgotten_are_not_read(policy: str) -> None:
    """A model that forgets nothing has the same outcomes, as often, as likely, as soon and at the same price."""

    def answer(asked: Asked, model: Model) -> tuple[list[pl.DataFrame], int]:
        found = explore(model, asked.sizes, prices=True)
        outcomes = pl.DataFrame(found.outcomes()).select("outcome", "interleavings", "shortest_steps")
        chances = pl.DataFrame(found.outcomes())["probability"].round(12).to_frame()
        broken = pl.DataFrame(found.invariants()).select("invariant", "shortest_steps")
        return [outcomes, chances, broken, pl.DataFrame(found.prices())], int(found.states)

    fewer = 0
    for module, scenario, budgets in FORGETFUL:
        asked = Asked(policy, module, scenario, (2,), budgets=budgets)
        forgetting, few = answer(asked, asked.model())
        remembers = asked.model()
        remembers.forgotten.clear()
        remembering, more = answer(asked, remembers)
        for one, other in zip(forgetting, remembering, strict=True):
            assert one.equals(other), (module, scenario, budgets)
        fewer += more - few
    assert (fewer > 0) == BUILT_IN[policy].lp_init_first
