"""Updates of the module at run time: what they meet, what refuses them, and what is left when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from asking import Asked
from slices import every
from tdxexplore.model import Model, State, Topology, always, cpus, reference
from tdxexplore.model.code import Await, Label
from tdxexplore.model.scopes import variables
from tdxexplore.tdx import module
from tdxexplore.tdx.build import build
from tdxexplore.tdx.catalogue import find_policy
from tdxexplore.tdx.fields import Traits, World
from tdxexplore.tdx.kernel import Kernel
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS
from witnesses import compare_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POLICY = "linux-7.2-update"
# Without the report of tdx_cpu_flush_cache() at each offline.
QUIET = {"flush_guard": "preempt-off"}
FAILED = {"tds-lost", "td-error", "off-until-reboot"}

# A knob that refuses, retries or adds a point of failure: what is reached without it, and with it.
KNOBS: list[tuple[str, dict[str, str], dict[str, int], set[str], set[str]]] = [
    (
        "update-suspend",
        {"offline_check": "kernel"},
        {},
        {"tds-lost", "td-error", "online-refused", "tdx-up"},
        {"tdx-up"},
    ),
    (
        "update-offline-lp",
        {"offline_check": "kernel"},
        {},
        {"tds-lost", "td-error", "online-refused", "tdx-up"},
        {"tdx-up"},
    ),
    # The tool looks some time before the write, so that a CPU may go offline in between.
    (
        "update-offline-lp",
        {"offline_check": "userspace"},
        {},
        {"tds-lost", "td-error", "online-refused", "tdx-up"},
        {"tds-lost", "td-error", "online-refused", "tdx-up"},
    ),
    # Where CPUs only come back, what the tool saw stays true.
    ("update", {"offline_check": "userspace"}, {}, {"tdx-up"}, {"tdx-up"}),
    ("update-td", {"avoid_compat_sensitive": "on"}, {}, {"td-mismeasured", "tdx-up"}, {"tdx-up"}),
    ("update", {"module_extensions": "v2"}, {}, {"tdx-up"}, {"tdx-up"}),
    (
        "fault-update",
        {"module_extensions": "v2"},
        {},
        {*FAILED, "sticky-error", "tdx-up"},
        {*FAILED, "sticky-error", "warned", "tdx-up"},
    ),
]


@pytest.mark.parametrize(("scenario", "knobs", "budgets", "without", "with_it"), KNOBS)
def test_what_a_knob_of_the_update_changes(
    scenario: str, knobs: dict[str, str], budgets: dict[str, int], without: set[str], with_it: set[str]
) -> None:
    for setting, expected in (({}, without), (knobs, with_it)):
        asked = Asked(POLICY, "subset", scenario, (2,), knobs={**QUIET, **setting}, budgets=budgets)
        assert asked.outcomes(asked.model()) == expected


def test_configuring_again_brings_tdx_up_without_the_tds() -> None:
    """Without a TD nothing is lost; a TD of the old image is unknown to the new one."""
    retry = {**QUIET, "seamldr_all_lps": "no", "retry": "config"}
    asked = Asked(POLICY, "subset", "update-offline-lp", (2,), knobs=retry)
    assert asked.outcomes(asked.model()) == {"tds-lost", "td-error", "tdx-up"}
    asked = Asked(POLICY, "subset", "update-offline-lp", (2,), knobs={**QUIET, "seamldr_all_lps": "no"})
    assert asked.outcomes(asked.model()) == {"tds-lost", "td-error", "off-until-reboot", "tdx-up"}
    model = Asked(POLICY, "subset", "update-offline-lp", (2,), knobs=retry).model()
    model.expect("unknown", (model["td"] == "running") & model["td_forgotten"] & (model["sys_state"] == "READY"), "")
    initial = model.initial(Topology((2,)))
    answer = reference.explore(model, initial)
    assert answer.expected_states["unknown"] > 0


def test_suspend_waits_for_every_task_but_not_for_an_update() -> None:
    model = build(BUILT_IN[POLICY](), "subset", SCENARIOS["update-suspend"])
    title, waits = "", set()
    for instruction in model.code("suspend").instructions:
        if isinstance(instruction, Label):
            title = instruction.title
        elif isinstance(instruction, Await) and title == "echo > /sys/power/state":
            waits |= {variable.name for variable in variables(instruction.condition)}
    assert {"pc.kvm", "pc.td"} <= waits
    assert "pc.update" not in waits
    model.expect("asleep", model["frozen"] & model.busy(model.code("update")) & ~cpus.all(model["online"]), "")
    answer = reference.explore(model, model.initial(Topology((2,))))
    assert answer.expected_states["asleep"] > 0


def test_after_an_update_that_failed_every_cpu_online_fails_and_a_second_update_is_refused() -> None:
    model = build(BUILT_IN[POLICY](), "subset", SCENARIOS["update-offline-lp"], {"update": 2})
    failed = model["update_failed"]
    came_back = failed & (model["budget.cpu_up"] == 0) & (model["cpu_hotplug_lock.writer"] == "none")
    model.invariant("refused", ~came_back | model["online_refused"] | cpus.all(model["online"]))
    model.invariant("second", ~(failed & (model["tdx_status"] == "INITIALIZED")))
    model.expect("written again", failed & (model["budget.update"] == 0), "")
    answer = reference.explore(model, model.initial(Topology((2,))))
    assert answer.violating_states["refused"] == answer.violating_states["second"] == 0
    assert answer.expected_states["written again"] > 0


@pytest.mark.parametrize(
    ("scenario", "read", "shut_down"),
    [
        ("update", set(), set()),
        ("update-offline-lp", {module.VMFAIL_INVALID}, set()),
        ("fault-install", {module.VMFAIL_INVALID, module.SHUTDOWN}, set()),
        # CPU 0 has had TDH.SYS.LP.INIT of the new image, and another CPU has not.
        ("fault-update", {module.LP_INIT_NOT_DONE}, {module.NOT_READY, module.BUSY}),
    ],
)
def test_an_update_reads_the_handoff_version_first_and_ends_where_it_cannot(
    scenario: str, read: set[str], shut_down: set[str]
) -> None:
    rules = Asked(POLICY, "subset", scenario, (2,), budgets={"update": 2}).check().rules
    own = rules.filter(
        (pl.col("actor") == "update") & (pl.col("label") == "MODULE_UPDATE_SHUTDOWN: tdx_module_shutdown()")
    )
    met = [note.split("; ") for note in own.filter(pl.col("fired") > 0)["notes"]]
    first, then = "TDH.SYS.RD = ", "TDH.SYS.SHUTDOWN = "
    assert {calls[0].removeprefix(first) for calls in met} == {module.SUCCESS, *read}
    assert {calls[-1].removeprefix(then) for calls in met if len(calls) > 1} == {module.SUCCESS, *shut_down}
    assert all((len(calls) > 1) == (calls[0] == first + module.SUCCESS) for calls in met)


# -- P-SEAMLDR --------------------------------------------------------------------------------------------------------


def install(k: Kernel) -> None:
    module.seamldr_install(k, all_lps=True)


READY = (module.sys_init, module.sys_lp_init, module.sys_config, module.sys_key_config)


def statuses(calls: Sequence[Callable[[Kernel], object]], cpus_: int, **limits: int) -> set[tuple[str, ...]]:
    """What the calls return, in every way; all come to the first CPU."""
    w = World(Model("calls"), "subset", {"update": 2, **limits}, Traits(stoppable=True))
    k = Kernel(w, "caller")
    k.step("begin", rest=True)
    k.set_each(cpus, where=always, values={w.vmx_on: True})
    for call in calls:
        with k.on_any_cpu(w.online, "call"):
            call(k)
    k.step("end", rest=True)
    w.model.add(k)
    found = set()
    waiting: list[tuple[State, tuple[str, ...]]] = [(State.initial(w.model, Topology((cpus_,))), ())]
    while waiting:
        state, said = waiting.pop()
        steps = [s for s in reference.transitions(w.model, state) if s.cpu in (-1, 0)]
        if not steps:
            found.add(said)
        for step in steps:
            returned = [note.partition(" = ")[2] for note in step.notes if " = " in note]
            waiting.append((step.target, (*said, *returned[-1:])))
    return found


def test_an_lp_calls_install_once_in_a_session_and_the_old_image_is_gone_from_the_first_call_on() -> None:
    calls = [*READY, install, module.sys_rd, install, module.sys_rd]
    ok = module.SUCCESS
    gone = module.VMFAIL_INVALID
    assert statuses(calls, 2) == {(ok, ok, ok, ok, ok, gone, module.BAD_CALL, gone)}


def test_an_error_on_the_last_lp_lets_the_old_image_in_again_or_leaves_none_and_closes_the_session() -> None:
    calls = [*READY, module.sys_shutdown, install, module.sys_rd, install]
    before = (module.SUCCESS,) * 5
    failed = module.INSTALL_FAILED
    new = module.LP_INIT_NOT_DONE
    assert statuses(calls, 1, install_fail=1) == {
        (*before, failed, module.SHUTDOWN, module.SUCCESS),
        (*before, failed, module.VMFAIL_INVALID, module.SUCCESS),
        (*before, module.SUCCESS, new, failed),
        (*before, module.SUCCESS, new, module.SUCCESS),
    }


# -- the engine and the reference -------------------------------------------------------------------------------------

COMPARED = [
    ("update-suspend", {}, (2,)),
    ("update-suspend", {"offline_check": "userspace"}, (1, 1)),
    ("update-offline-lp", {"offline_check": "kernel"}, (2, 1)),
    ("update-offline-lp", {"seamldr_all_lps": "no", "retry": "config"}, (2,)),
    ("update-td", {}, (2,)),
    ("update-td", {"avoid_compat_sensitive": "on"}, (1, 1)),
    ("fault-update", {"module_extensions": "v2"}, (3,)),
    ("fault-install", {"retry": "config"}, (2, 1)),
]


@pytest.mark.parametrize(("scenario", "knobs", "sizes"), every(3, COMPARED))
def test_the_engine_and_the_reference_agree_on_updates(
    scenario: str, knobs: dict[str, str], sizes: tuple[int, ...]
) -> None:
    model = build(BUILT_IN[POLICY](knobs), "subset", SCENARIOS[scenario])
    assert compare_all(model, model.initial(Topology(sizes))).traces > 0


def test_linux_7_3_is_another_name_of_the_design() -> None:
    assert find_policy("linux-7.3") is BUILT_IN[POLICY]
    assert "linux-7.3" not in BUILT_IN
