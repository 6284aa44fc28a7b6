"""Context rules: where interrupts and preemption are off, what may sleep there, and locks that nest in a circle."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, ClassVar

import pytest

import tdxexplore
from asking import Asked
from tdxexplore.linux import state
from tdxexplore.linux.lock_order import LockOrder
from tdxexplore.model import Model, Topology
from tdxexplore.tdx.build import build
from tdxexplore.tdx.host import tdx_cpu_enable
from tdxexplore.tdx.kernel import OK, Hook, Kernel
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.policy import Knob, Policy
from tdxexplore.tdx.scenarios import SCENARIOS
from witnesses import compare_all

if TYPE_CHECKING:
    from tdxexplore.linux.lock_order import Nesting
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.fields import World


class Careless(Policy):
    """KVM is loaded, and something runs in a context."""

    name = "careless"
    title = "rules of contexts"
    source = "this test"
    knobs = (
        Knob("context", ("task", "irqs", "preemption", "ipi", "callback", "stop_machine"), "where"),
        Knob("does", ("mutex", "cpus_read_lock", "ipi", "irqs", "preemption", "tdx_cpu_enable"), "which rule is tried"),
    )

    def declare(self, w: World) -> None:
        self.lock = w.model.flag("some_lock")
        self.hooks = (Hook("CPUHP_SOME", w.model.flag("registered"), self.startup, self.startup),)

    def startup(self, k: Kernel) -> Variable:
        with k.function("callback()", returns=(OK,)) as f:
            self.rule(k)
            f.returns(OK)
        return f.result

    def kvm_load(self, k: Kernel) -> None:
        context = self.setting["context"]
        if context == "callback":
            k.cpuhp_setup_state(self.hooks[0])
        elif context == "ipi":
            with k.ipi(k.w.online, "function()"):
                self.rule(k)
        elif context == "stop_machine":
            with k.stop_machine(), k.on_each_cpu(k.w.online, "function()"):
                self.rule(k)
        elif context == "irqs":
            with k.irqs_off():
                self.task(k)
        elif context == "preemption":
            with k.preempt_off():
                self.task(k)
        else:
            self.task(k)
        k.set(k.w.sysinit_ret, "not called")
        k.set(k.w.enable_tdx, value=False)
        k.set(k.w.kvm_loaded, value=True)

    def task(self, k: Kernel) -> None:
        if self.setting["does"] == "tdx_cpu_enable":
            with k.on_any_cpu(k.w.active, "a thread"):
                self.rule(k)
        else:
            self.rule(k)

    def rule(self, k: Kernel) -> None:
        match self.setting["does"]:
            case "mutex":
                with k.mutex(self.lock):
                    pass
            case "cpus_read_lock":
                with k.cpus_read_lock():
                    pass
            case "ipi":
                with k.ipi(k.w.online, "nothing()"):
                    pass
            case "irqs":
                k.lockdep_assert_irqs_disabled()
            case "preemption":
                k.lockdep_assert_preemption_disabled()
            case _:
                k.vmxon()
                tdx_cpu_enable(k)


SLEEPS, NO_IRQS = "sleeping function called from invalid context", "lockdep_assert_irqs_enabled()"
IRQS, PREEMPTION = "lockdep_assert_irqs_disabled()", "lockdep_assert_preemption_disabled()"
# What is reported where; a pass over CPUs cannot be inside another one, nor a registration.
REPORTS: dict[str, dict[str, str]] = {
    "mutex": {"task": "", "irqs": SLEEPS, "preemption": SLEEPS, "ipi": SLEEPS, "callback": "", "stop_machine": SLEEPS},
    "cpus_read_lock": {"task": "", "irqs": SLEEPS, "preemption": SLEEPS, "ipi": SLEEPS},
    "ipi": {"task": "", "irqs": NO_IRQS, "preemption": ""},
    "irqs": {"task": IRQS, "irqs": "", "preemption": IRQS, "ipi": "", "callback": IRQS, "stop_machine": ""},
    "preemption": {
        "task": PREEMPTION,
        "irqs": "",
        "preemption": "",
        "ipi": "",
        "callback": PREEMPTION,
        "stop_machine": "",
    },
    "tdx_cpu_enable": {
        "task": f"{IRQS} in tdx_cpu_enable()",
        "irqs": "",
        "preemption": f"{IRQS} in tdx_cpu_enable()",
        "ipi": "",
        "callback": f"{IRQS} in tdx_cpu_enable()",
        "stop_machine": "",
    },
}


@pytest.mark.parametrize("does", REPORTS)
def test_a_rule_is_broken_in_some_contexts_and_kept_in_others(does: str) -> None:
    for context, report in REPORTS[does].items():
        knobs = {"does": does, "context": context}
        answer = tdxexplore.check(Careless, module="subset", scenario="all-online", cpus=2, knobs=knobs, measures=False)
        assert ("warned" in answer.outcomes["outcome"].to_list()) is bool(report), context
        said = {note for trace in answer.traces.values() for step in trace for note in step.notes if "WARN" in note}
        assert bool(said) is bool(report), (context, said)
        assert all(note.startswith(f"WARN: {report}") for note in said), said


REPORTED = [
    # Kai Huang, 2026-02-17, of RFC v3 of what became Linux 7.1.
    ("linux-7.1", "all-online", {"irq_assertion": "yes"}, f"{IRQS} in try_init_module_global()"),
    ("linux-7.1", "all-online", {"irq_assertion": "no"}, ""),
    # Report of 2026-05-11.
    ("linux-7.1", "offline-mid-enable", {"flush_guard": "none"}, f"{PREEMPTION} in tdx_cpu_flush_cache()"),
    ("linux-7.1", "offline-mid-enable", {"flush_guard": "preempt-off"}, ""),
    ("linux-6.16", "no-kvm", {}, f"{PREEMPTION} in tdx_cpu_flush_cache()"),
    ("linux-6.16", "offline-mid-enable", {}, f"{PREEMPTION} in tdx_cpu_flush_cache()"),
    ("linux-6.16", "no-kvm", {"flush_guard": "preempt-off"}, ""),
    ("linux-6.16", "suspend", {"flush_guard": "preempt-off"}, ""),
    ("linux-6.16", "no-kvm", {"kexec": "no"}, ""),
    # Its hardware_enable() calls tdx_cpu_enable() as it is, also on the thread of the callback; the pass is an IPI.
    ("v17", "late-online", {}, f"{IRQS} in tdx_cpu_enable()"),
    ("v17", "all-online", {}, ""),
]


@pytest.mark.parametrize(("policy", "scenario", "knobs", "report"), REPORTED)
def test_reports_of_contexts_are_found_before_their_fix_and_not_after_it(
    policy: str, scenario: str, knobs: dict[str, str], report: str
) -> None:
    answer = Asked(policy, "subset", scenario, knobs=knobs).check()
    said = {note for trace in answer.traces.values() for step in trace for note in step.notes if "WARN" in note}
    assert said == ({f"WARN: {report}"} if report else set())
    assert ("warned" in answer.outcomes["outcome"].to_list()) is bool(report)


# -- the order of locks ---------------------------------------------------------------------------------------------------

CPUS_LOCK = "cpu_hotplug_lock"
ORDER = {(CPUS_LOCK, "cpuhp_state_mutex"), (CPUS_LOCK, "tdx_module_lock"), (CPUS_LOCK, "tdx_lock")}
# v7 takes the mutex first.
BESIDES: dict[str, set[Nesting]] = {"v7-2022": {("tdx_module_lock", CPUS_LOCK)}}


def orders(monkeypatch: pytest.MonkeyPatch) -> list[LockOrder]:
    """The lock orders of every recording from now on."""
    made: list[LockOrder] = []

    class Spied(LockOrder):
        def __init__(self, model: Model, inverted: frozenset[Nesting] = frozenset()) -> None:
            super().__init__(model, inverted)
            made.append(self)

    monkeypatch.setattr(state, "LockOrder", Spied)
    return made


@pytest.mark.parametrize("policy", BUILT_IN)
def test_locks_nest_as_in_the_kernel_and_callbacks_take_none(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = orders(monkeypatch)
    scenarios = [s for s in SCENARIOS.values() if not s.budgets.get("plain_vm")]
    for scenario in scenarios:
        build(BUILT_IN[policy](), "subset", scenario)
    nested = {pair for order in made for pair in order.nested}
    extra = BESIDES.get(policy, set())
    assert extra | {(CPUS_LOCK, "tdx_lock")} <= nested <= ORDER | extra
    # Each is recorded once: no lock nests in a circle.
    assert len(made) == len(scenarios)
    assert not any(order.inverted() for order in made)


SRCU, SLOTS, KVM_LOCK, USAGE = "kvm->srcu", "kvm->slots_lock", "kvm_lock", "kvm_usage_lock"
# What the tasks of a VM do whatever the design, and what each way to guard the count of VMs adds.
TASKS = {(SLOTS, SRCU), (SRCU, CPUS_LOCK), (KVM_LOCK, SLOTS)}
GUARDS = {"kvm_lock": {(CPUS_LOCK, KVM_LOCK)}, "kvm_usage_lock": {(USAGE, CPUS_LOCK)}}


@pytest.mark.parametrize("guard", GUARDS)
def test_kvm_lock_inside_the_lock_of_hotplug_closes_a_circle_and_a_mutex_of_its_own_does_not(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commit 44d174596260 of Linux 6.12; every task waits for the next, and one for a hotplug writer that waits."""
    made = orders(monkeypatch)
    answer = Asked("v19", "subset", "kvm-locks", (2,), knobs={"usage_lock": guard}).check()
    assert GUARDS[guard] | TASKS <= made[-1].nested <= GUARDS[guard] | TASKS | ORDER
    circle = GUARDS[guard] | TASKS if guard == "kvm_lock" else set()
    assert made[-1].inverted() == circle
    assert {"deadlock", "warned"} & set(answer.outcomes["outcome"]) == ({"deadlock", "warned"} if circle else set())
    if circle:
        trace = answer.traces["deadlock"]
        assert {"memslot", "ioctl", "nx_huge_pages", "hotplug"} <= {step.actor for step in trace}
        # Without the writer nobody waits for ever, and lockdep reports all the same.
        calm = Asked("v19", "subset", "kvm-locks", (2,), budgets={"cpu_down": 0}).check()
        assert set(calm.outcomes["outcome"]) == {"warned", "tdx-up"}


class Circle(Policy):
    """KVM's load and the creation of a VM take locks in orders that make a circle of two or three; or in one order."""

    name = "circle"
    title = "locks in a circle"
    source = "this test"
    knobs = (Knob("vm", ("b-a", "c-a", "a-c", "a-b"), "the order in which the creation of a VM takes locks"),)
    lock_names: ClassVar[tuple[str, ...]] = ("a", "b", "c")

    def declare(self, w: World) -> None:
        self.locks = {name: w.model.flag(name) for name in self.lock_names}

    def kvm_load(self, k: Kernel) -> None:
        k.set(k.w.enable_tdx, value=True)
        for names in ("ab", "bc"):
            with k.mutex(self.locks[names[0]]), k.mutex(self.locks[names[1]]):
                pass
        k.set(k.w.kvm_loaded, value=True)

    def first_vm(self, k: Kernel) -> Variable:
        first, second = self.setting["vm"].split("-")
        with k.mutex(self.locks[first]), k.mutex(self.locks[second]):
            pass
        return super().first_vm(k)


@pytest.mark.parametrize(("vm", "way"), [("b-a", "b -> a -> b"), ("c-a", "c -> a -> b -> c"), ("a-c", ""), ("a-b", "")])
def test_locks_that_a_run_takes_in_a_circle_are_reported_though_nobody_waits(
    vm: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = orders(monkeypatch)
    answer = tdxexplore.check(Circle, module="subset", scenario="all-online", cpus=2, knobs={"vm": vm})
    said = {note for trace in answer.traces.values() for step in trace for note in step.notes if "WARN" in note}
    report = {f"WARN: lockdep: possible circular locking dependency, {way}"}
    assert said == (report if way else set()) | {note for note in said if "SEAMCALL failed" in note}
    assert len(made) == (2 if way else 1)
    # A run that never comes to the second order has no report: where KVM loads, no VM is created.
    model = build(Circle({"vm": vm}), "subset", SCENARIOS["all-online"])
    assert sum(name.startswith("lockdep: ") for name in model.fields) == len(set(way.split(" -> "))) * bool(way)


def test_the_engine_agrees_with_the_reference_where_the_state_remembers_the_order_of_locks() -> None:
    for vm, count in product(("b-a", "c-a"), (2, 3)):
        model = build(Circle({"vm": vm}), "subset", SCENARIOS["no-kvm"])
        compare_all(model, model.initial(Topology((count,))))
