"""What CPU hotplug does when a callback fails on the way back, and what lockdep says of cpu_hotplug_lock."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import pytest

import tdxexplore
from tdxexplore.tdx.host import tdx_enable
from tdxexplore.tdx.kernel import EBUSY, EIO, OK, Hook
from tdxexplore.tdx.policy import Knob, Policy
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World
    from tdxexplore.tdx.kernel import Kernel

CPUS = 3


class Failing(Policy):
    """Two callbacks, one above the other: coming up, the upper one fails; going down, the lower one vetoes.

    With ``way_back`` = fails, so does the other callback when it is called to undo.
    """

    name = "failing"
    title = "callbacks that fail"
    source = "this test"
    knobs = (Knob("way_back", ("works", "fails"), "the other callback, when it is called to undo"),)

    def declare(self, w: World) -> None:
        lower, upper = (w.model.flag(f"{name} registered") for name in ("lower", "upper"))
        self.hooks = (
            Hook("CPUHP_LOWER", lower, self.works, self.vetoes),
            Hook("CPUHP_UPPER", upper, self.undoes, self.works),
        )

    def boot(self, k: Kernel) -> None:
        for hook in self.hooks:
            k.cpuhp_setup_state_nocalls(hook)

    def kvm_load(self, k: Kernel) -> None:
        k.set(k.w.enable_tdx, value=False)
        k.set(k.w.kvm_loaded, value=True)

    def works(self, k: Kernel) -> Variable:
        return self.returns(k, OK)

    def vetoes(self, k: Kernel) -> Variable:
        return self.returns(k, EBUSY)

    def undoes(self, k: Kernel) -> Variable:
        return self.returns(k, EIO if self.setting["way_back"] == "fails" else OK)

    def returns(self, k: Kernel, value: str) -> Variable:
        with k.function("a callback", returns=(OK, EBUSY, EIO)) as f:
            f.returns(value)
        return f.result


class FailingUp(Failing):
    """Coming up, the upper callback fails; the lower one is called to undo."""

    name = "failing-up"
    dynamic = False

    def declare(self, w: World) -> None:
        super().declare(w)
        lower, upper = self.hooks
        back = self.vetoes if self.setting["way_back"] == "fails" else self.works
        self.hooks = (
            Hook(lower.state, lower.registered, self.works, back, self.dynamic),
            Hook(upper.state, upper.registered, self.vetoes, self.works),
        )


class FailingUpDynamic(FailingUp):
    """The same in dynamic states."""

    name = "failing-up-dynamic"
    dynamic = True


STUCK = "WARN: error in a rollback, the CPU is stuck between two states"
TAKEN_DOWN = "WARN: error in a rollback, the control CPU takes the CPU down"


@pytest.mark.parametrize(
    ("policy", "scenario", "up", "outcomes"),
    [
        (Failing, "offline-mid-enable", True, {"works": "clean-refusal", "fails": "warned"}),
        (FailingUp, "late-online", False, {"works": "online-refused", "fails": "online-refused"}),
        (FailingUpDynamic, "late-online", False, {"works": "online-refused", "fails": "online-refused"}),
    ],
)
def test_an_error_on_the_way_back_is_a_warn_and_the_cpu_stays_where_it_is_or_ends_offline(
    policy: type[Policy], scenario: str, up: bool, outcomes: dict[str, str]
) -> None:
    for way_back, outcome in outcomes.items():
        answer = tdxexplore.check(policy, scenario=scenario, cpus=CPUS, knobs={"way_back": way_back})
        assert answer.worst == outcome
        last = [s for s in answer.traces[outcome] if s.actor == "hotplug" and "rollback" in s.title][-1]
        active = {(name.partition("[")[0], new) for name, _, new in last.changes}
        if way_back == "works":
            assert not {STUCK, TAKEN_DOWN} & set(last.notes)
            assert (("active", True) if up else ("online", False)) in active
        elif up or policy is FailingUpDynamic:
            # cpuhp_thread_fun() gives up, or workqueue_offline_cpu() refuses: the CPU is online, and no task runs on it.
            assert last.notes[-1] == STUCK
            assert not active & {("active", True), ("online", False)}
        else:
            # cpuhp_up_callbacks() goes on down.
            assert TAKEN_DOWN in last.notes
            assert ("online", False) in active
        assert ("cpu_hotplug_lock.writer", "none") in active


class Registers(Failing):
    """Startup works on the first CPU and fails on the second: what is done is undone."""

    name = "registers"

    def declare(self, w: World) -> None:
        lower = w.model.flag("lower registered")
        back = self.vetoes if self.setting["way_back"] == "fails" else self.works
        self.hooks = (Hook("CPUHP_LOWER", lower, self.once, back),)
        self.called = w.model.flag("called")

    def once(self, k: Kernel) -> Variable:
        with k.function("startup", returns=(OK, EIO)) as f:
            with k.if_(self.called):
                f.returns(EIO)
            k.set(self.called, value=True)
            f.returns(OK)
        return f.result

    def boot(self, k: Kernel) -> None:
        k.cpuhp_setup_state(self.hooks[0])


@pytest.mark.parametrize(("way_back", "outcome"), [("works", "clean-refusal"), ("fails", "cpuhp-bug")])
def test_an_error_from_a_teardown_that_undoes_a_registration_is_a_bug(way_back: str, outcome: str) -> None:
    answer = tdxexplore.check(Registers, scenario="all-online", cpus=CPUS, knobs={"way_back": way_back})
    assert answer.outcomes["outcome"].to_list() == [outcome]
    undone = [s for s in answer.traces[outcome] if s.title == "CPUHP_LOWER teardown (rollback)"]
    assert len(undone) == 1


class Unlocked(Policy):
    """tdx_enable() without cpus_read_lock(), in user space or before it."""

    name = "unlocked"
    title = "tdx_enable() without cpus_read_lock()"
    source = "this test"
    knobs = (Knob("when", ("load", "boot"), "who calls it"),)

    def boot(self, k: Kernel) -> None:
        if self.setting["when"] == "boot":
            tdx_enable(k)

    def kvm_load(self, k: Kernel) -> None:
        if self.setting["when"] == "load":
            tdx_enable(k)
        k.set(k.w.kvm_loaded, value=True)


def test_lockdep_misses_the_lock_that_tdx_enable_wants_held_but_not_at_boot() -> None:
    for when, expected in (("load", True), ("boot", False)):
        answer = tdxexplore.check(Unlocked, scenario="all-online", cpus=CPUS, knobs={"when": when})
        notes = [note for step in answer.traces[str(answer.worst)] for note in step.notes]
        assert ("WARN: lockdep_assert_cpus_held()" in notes) is expected


def test_the_second_lp_gets_its_shutdown_through_too() -> None:
    answer = tdxexplore.check("v7-2022", scenario="fault-seamcall", cpus=CPUS, budgets={"sys_busy": 0})
    trace = answer.traces[str(answer.worst)]
    calls = [note for step in trace for note in step.notes if note.startswith("TDH.SYS.LP.SHUTDOWN")]
    assert calls == ["TDH.SYS.LP.SHUTDOWN = TDX_SUCCESS"] * CPUS


def test_after_kexec_every_actor_starts_again_within_its_budget() -> None:
    for scenario, policy in zip(SCENARIOS, cycle(["v19", "linux-7.2-update"]), strict=False):
        answer = tdxexplore.check(policy, cpus=2, scenario=scenario, budgets={"kexec": 1}, measures=False)
        assert answer.complete
        assert "kexec" in set(answer.rules.filter(answer.rules["fired"] > 0)["actor"])
