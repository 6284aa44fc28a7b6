"""Kernel mechanics under a protocol that is not TDX: what a design gets from `tdxexplore.linux` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from tdxexplore import _core
from tdxexplore.errors import BadModel
from tdxexplore.linux import boot
from tdxexplore.linux.cpuhp import Hook, Kernel
from tdxexplore.linux.errno import EBUSY, OK
from tdxexplore.linux.hotplug import hotplug
from tdxexplore.linux.kexec import kexec
from tdxexplore.linux.state import Linux
from tdxexplore.linux.suspend import suspend
from tdxexplore.model import Model, Scope, State, Topology, cpus, lower
from tdxexplore.model.expr import never
from witnesses import compare_all

if TYPE_CHECKING:
    from tdxexplore.model import Field
    from tdxexplore.model.expr import Variable
    from witnesses import Compared

TEXTS = {"cpu_up": "a CPU comes", "cpu_down": "a CPU goes", "suspend": "the system sleeps", "kexec": "a new kernel"}


class Watchdog(Linux):
    """A watchdog of each CPU: the hardware keeps it armed, the kernel knows on which CPUs it has armed it."""

    def __init__(self, model: Model, limits: dict[str, int]) -> None:
        super().__init__(model, TEXTS, limits)

    def declare_hardware(self, model: Model) -> None:
        self.armed = self.kept(model.flag("armed", Scope.CPU))

    def declare_software(self, model: Model) -> None:
        self.known = self.per_online(model.flag("known", Scope.CPU))
        self.registered = model.flag("watchdog registered")


def arm(k: Kernel) -> Variable:
    return _switch(k, on=True)


def disarm(k: Kernel) -> Variable:
    return _switch(k, on=False)


def _switch(k: Kernel, *, on: bool) -> Variable:
    w = k.w
    assert isinstance(w, Watchdog)
    with k.function("watchdog", returns=(OK, EBUSY)) as f:
        k.set(w.armed, value=on)
        if on:
            k.set(w.known, value=True)
        f.returns(OK)
    return f.result


def protocol(limits: dict[str, int], *, vetoes: bool = False) -> tuple[Model, Watchdog]:
    """Register the callbacks at any time, while CPUs come and go as often as the budgets say."""

    def veto(k: Kernel) -> Variable:
        with k.function("veto", returns=(OK, EBUSY)) as f:
            f.returns(EBUSY)
        return f.result

    model = Model("watchdog")
    w = Watchdog(model, limits)
    hook = Hook("CPUHP_AP_WATCHDOG", w.registered, arm, veto if vetoes else disarm)
    k = Kernel(w, "init")
    k.step("start", rest=True)
    k.cpuhp_setup_state(hook)
    model.add(k)
    if w.has("cpu_up") or w.has("cpu_down"):
        model.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (hook,), w.booted, w.booted))
    if w.has("suspend"):
        model.add(suspend(Kernel(w, "suspend"), (hook,), lambda k: k.note("asleep"), excuse=never))
    if w.has("kexec"):
        model.add(kexec(Kernel(w, "kexec")))
    model.settle(boot.varying(w, offline=False, smt_blocked=False, later=False))
    model.outcome("deadlock", "S1", model.stuck())
    model.outcome("aborted", "S2", w.suspend_aborted)
    watched = w.registered & cpus.all(~w.active | w.armed)
    model.outcome("not watched", "S2", ~watched)
    model.outcome("watched", "ok", watched)
    model.invariant("known is armed", cpus.all(~w.active | ~w.known | w.armed))
    model.invariant("no CPU, no knowledge", cpus.all(w.online | ~w.known))
    return model, w


def compared(model: Model, count: int = 2) -> Compared:
    return compare_all(model, initial(model, count), replay=False)


def initial(model: Model, count: int) -> State:
    state = State.initial(model, Topology.of(count))
    boot.starts_with(state, (), smt_blocked=False, later=False)
    return state


@pytest.mark.parametrize("budgets", [{}, {"cpu_down": 1}, {"cpu_down": 2, "cpu_up": 1}, {"suspend": 1}])
def test_callbacks_reach_every_cpu_however_cpus_come_and_go(budgets: dict[str, int]) -> None:
    model, w = protocol(budgets)
    answer = compared(model).answer
    assert set(answer.terminal_states) == {"watched"}
    assert not answer.violating_states
    assert w.lost_offline == [w.known]


def test_a_veto_keeps_a_cpu_online_and_aborts_suspend() -> None:
    model, w = protocol({"cpu_down": 1}, vetoes=True)
    model.expect("offline once registered", w.registered & ~cpus.all(w.online))
    # The CPU that goes before the callbacks are registered is not asked.
    assert compared(model).answer.terminal_states.keys() == {"watched"}
    model, _ = protocol({"suspend": 1}, vetoes=True)
    assert "aborted" in compared(model).answer.terminal_states


def test_after_kexec_the_hardware_is_as_it_was_and_software_knows_nothing() -> None:
    model, w = protocol({"kexec": 1})
    model.expect("armed by the old kernel", cpus.any(w.armed & ~w.known) & ~w.registered)
    answer = compared(model).answer
    assert answer.expected_states["armed by the old kernel"] > 0
    assert set(answer.terminal_states) == {"watched"}


@pytest.mark.parametrize(
    ("boots", "sizes", "down"),
    [
        ("all", (2, 2), set()),
        ("one", (2, 2), {1, 2, 3}),
        ("primaries", (2, 2), {1, 3}),
        ("primaries", (4, 1), {2, 3}),
    ],
)
def test_boot_parameters_keep_cpus_down(boots: boot.Boots, sizes: tuple[int, ...], down: set[int]) -> None:
    topology = Topology(sizes)
    offline = boot.kept_down(boots, topology)
    assert offline == down
    model, w = protocol({"cpu_up": 1})
    model.settle(boot.varying(w, offline=True, smt_blocked=True, later=False))
    state = State.initial(model, topology)
    boot.starts_with(state, offline, smt_blocked=True, later=False)
    assert {n for n, cpu in enumerate(state.cpus) if not cpu["online"]} == down
    assert all(cpu["smt_blocked"] is (not cpu["online"]) for cpu in state.cpus)


def _reads_on_each_cpu(count: int) -> pl.DataFrame:
    model = Model("readers")
    w = Linux(model, {}, {"cpu_down": 1})
    k = Kernel(w, "readers")
    k.step("start", rest=True)
    with k.on_each_cpu(w.online, "read"), k.cpus_read_lock():
        k.step("inside")
        k.note("reads")
    model.add(k)
    model.add(hotplug(Kernel(w, "hotplug", Scope.CPU), (), w.booted, w.booted))
    model.settle(boot.varying(w, offline=False, smt_blocked=False, later=False))
    model.outcome("deadlock", "S1", model.stuck())
    model.outcome("over", "ok", when=True)
    # Not by `cpus_read`, which is what the writer asks.
    reading = (w.cpus_readers > 0) | cpus.any(w.cpus_readers_here > 0)
    model.invariant("readers exclude hotplug", ~(reading & (w.cpus_writer == "held")))
    at_once = cpus.all(w.cpus_readers_here > 0)
    model.expect("all at once", at_once)
    program = lower(model)
    found = _core.Program(program.text).explore(program.pack(State.initial(model, Topology.of(count))), measures=False)
    assert found.complete
    assert pl.DataFrame(found.invariants())["schedule"].null_count() == 1
    return pl.DataFrame(found.expectations())


def test_readers_on_more_cpus_than_any_counter_has_values_exclude_hotplug() -> None:
    assert _reads_on_each_cpu(9)["schedule"].null_count() == 0


def test_a_mutex_lets_in_one_at_a_time_and_both_in_the_end() -> None:
    model = Model("mutex")
    w = Linux(model, {}, {})
    lock, inside = model.flag("lock"), model.counter("inside", 2)
    for name in ("one", "two"):
        k = Kernel(w, name)
        k.step("start", rest=True)
        with k.mutex(lock):
            k.add(inside, 1)
            k.step("inside")
            k.add(inside, -1)
        model.add(k)
    model.settle()
    model.outcome("deadlock", "S1", model.stuck())
    model.outcome("over", "ok", when=True)
    model.invariant("one at a time", inside < 2)
    answer = compared(model, 1).answer
    assert (set(answer.terminal_states), answer.violating_states["one at a time"]) == ({"over"}, 0)


def test_every_field_is_an_attribute_and_a_wrong_name_is_an_attribute_error() -> None:
    model, w = protocol({})
    names = {field.name for field in fields(w)}
    assert names | {f"budget.{name}" for name in w.budget} | {
        pc for code in model.codes for pc in code.counters
    } == set(model.fields)
    with pytest.raises(AttributeError, match="onlin"):
        w.onlin  # type: ignore[attr-defined] # noqa: B018


def fields(w: Linux) -> list[Field]:
    return [getattr(w, name) for name in w.names]


def test_a_budget_that_mechanics_use_is_there_without_a_text() -> None:
    model = Model("none")
    assert not Linux(model, {}, {}).has("kexec")
    with pytest.raises(BadModel, match="defined twice"):
        Linux(model, {}, {})
