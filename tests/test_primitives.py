"""The primitives of ``linux/`` as calls of the kernel's functions: what is generated, what is refused, what was run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kernel_page
from primitive_mutants import FAULTS, contradiction
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.kernel.c_text import Unsupported
from tdxexplore.kernel.campaign import models
from tdxexplore.kernel.gates import without_lockdep
from tdxexplore.kernel.litmus import Litmus, Session
from tdxexplore.kernel.packages import cache_folder, find
from tdxexplore.kernel.primitives import CALLS
from tdxexplore.kernel.toolchain import Toolchain
from tdxexplore.linux import Kernel, Linux, NotifierChain, RwSemaphore, Work, kernel_model, kworker
from tdxexplore.model import Model, Procedure, Scope, always
from tdxexplore.tdx.policy_file import import_file

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
FILE = ROOT / "examples" / "primitives.py"
HEADERS = sorted(Path("/usr/src").glob("linux-headers-6.12*-amd64"))
NAMES = [asked.fields["policy"].rpartition(":")[2] for asked in models(FILE, 1)]


def litmus(name: str) -> Litmus:
    return Litmus(Question.of(f"{FILE}:{name}", cpus=2 if name == "stop_machine" else 1))


def test_every_primitive_has_a_model_and_its_module_calls_the_kernels_function() -> None:
    called: set[str] = set()
    for name in NAMES:
        one = litmus(name)
        functions = kernel_page.functions_of(one.question)
        called |= set(functions)
        for function in functions:
            text = CALLS[function].text if function in CALLS else f"{function}("
            first = text.partition("(")[0].split("{")[0]
            assert first in one.source, (name, function)
    own = {"work begins", "work ends", "stop ends"}
    assert called >= set(CALLS) - own, set(CALLS) - called
    assert called >= {"stop_machine", "blocking_notifier_call_chain"}


def asked(record: Callable[[Linux], None]) -> Litmus:
    def complete(w: Linux) -> None:
        record(w)
        w.model.outcome("stuck", "S1", w.model.stuck())
        w.model.outcome("through", "ok", True)

    return Litmus(Question.of(kernel_model("a use", complete), cpus=1))


def actor(w: Linux, name: str, record: Callable[[Kernel], None], scope: Scope = Scope.GLOBAL) -> None:
    k = Kernel(w, name, scope)
    k.step("begin")
    record(k)
    w.model.add(k)


def unfair(w: Linux) -> None:
    sem = RwSemaphore(w.model, "sem", fair=False)

    def reads(k: Kernel) -> None:
        with k.down_read(sem):
            k.step("read")

    actor(w, "reader", reads)


def spinning_worker(w: Linux) -> None:
    work, lock = Work(w.model, "work"), w.model.flag("lock")

    def run(k: Kernel) -> None:
        with k.spin_lock(lock):
            k.step("work")

    w.model.add(kworker(Kernel(w, "kworker"), work, run))
    actor(w, "owner", lambda k: k.queue_work(work))


def never_called(w: Linux) -> None:
    chain, there = NotifierChain(w.model, "chain"), w.model.flag("there")
    actor(w, "owner", lambda k: k.blocking_notifier_chain_register(chain, there))


def reads_the_kernels(w: Linux) -> None:
    work, seen = Work(w.model, "work"), w.model.flag("seen")

    def looks(k: Kernel) -> None:
        k.queue_work(work)
        with k.if_(work.pending):
            k.set(seen, value=True)

    w.model.add(kworker(Kernel(w, "kworker"), work, lambda k: k.note("works")))
    actor(w, "looks", looks)


def left_from_inside(w: Linux) -> None:
    flag = w.model.flag("flag")

    def stops(k: Kernel) -> None:
        with k.function("f()") as f, k.stop_machine():
            with k.if_(flag):
                f.returns()
            k.step("go on")
            k.set(flag, value=True)

    actor(w, "stops", stops)


def cpus_that_interleave(w: Linux) -> None:
    lit = w.model.flag("lit", Scope.CPU)

    def visits(k: Kernel) -> None:
        with k.on_each_cpu(always, "first"):
            k.set(lit, value=True)
            k.step("second")
            k.set(lit, value=False)

    actor(w, "visitor", visits)


def packages_in_a_loop(w: Linux) -> None:
    lit = w.model.flag("lit", Scope.PACKAGE)

    def visits(k: Kernel) -> None:
        with k.on_each_package(always, "first"):
            k.set(lit, value=True)

    actor(w, "visitor", visits)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (unfair, "`sem` is not generated: no semaphore of the kernel is unfair to writers"),
        (spinning_worker, "kworker: spin_lock is not generated in a thread that the kernel binds"),
        (never_called, "`there` is registered and never called"),
        (reads_the_kernels, "`work.pending` is the kernel's own, which a module cannot read"),
        (left_from_inside, "stops: alone[0-9]+ is left from inside"),
        (cpus_that_interleave, "visitor: the loop over cpus of `first` is not generated"),
        (packages_in_a_loop, "visitor: the loop over packages of `first` is not generated"),
    ],
)
def test_what_is_not_generated_is_refused_in_one_line(record: Callable[[Linux], None], text: str) -> None:
    with pytest.raises(Unsupported, match=text):
        asked(record)


def test_a_model_that_knows_no_kernel_is_generated_too() -> None:
    model = Model("Peterson's ticket")
    turn = model.counter("turn", 2)
    for number in range(2):
        p = Procedure(f"process {number}")
        p.step("wait for the turn")
        p.await_(turn == number)
        p.step("go")
        p.add(turn, 1)
        model.add(p)
    model.outcome("stuck", "S1", model.stuck())
    model.outcome("through", "ok", True)
    one = Litmus(Question.of(model, cpus=1))
    assert [one.planner.plan(s).outcome for s in one.planner.runs] == ["through"]
    assert "a step of who %d is not enabled" in one.source


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "nothing.py"
    file.write_text("def helper() -> None: ...\n")
    with pytest.raises(BadModel, match="has no function that returns a `Model`"):
        list(models(file, 1))


def test_an_actor_that_must_wait_is_let_in_before_its_step_in_the_order_of_the_queue() -> None:
    """Two writers and a reader of a semaphore: whoever queues first is served first, and a writer keeps later readers out."""
    planner, early = litmus("writers").planner, 0
    for schedule in planner.runs:
        words = planner.plan(schedule).text.split()
        entered = [word.split(":")[1] for word in words if word[0] == "E"]
        taken = [word.split(":")[1] for word in words if word[0] == "T"]
        assert entered == taken
        early += len(entered)
    assert early > 10


# -- what was run -------------------------------------------------------------------------------------------------------


def lines() -> list[tuple[str, dict]]:  # type: ignore[type-arg]
    return [(series, line) for series, found in kernel_page.primitives().items() for line in found]


def test_every_interleaving_of_every_model_was_run_and_a_disagreement_has_a_cause() -> None:
    """A model that has changed wants another run; it is seen by its interleavings, their outcomes and who blocks."""
    for name in NAMES:
        one = litmus(name)
        found = [line for _, line in lines() if line["question"]["policy"].endswith(f":{name}")]
        assert found, f"{name} was not run"
        for line in found:
            assert all(row["cause"] for row in line["disagree"])
            run = [
                *(s for found in line["agree"].values() for s in found),
                *(row["schedule"] for row in line["disagree"]),
            ]
            assert len(set(run)) == len(run) == one.planner.runs.total == int(line["interleavings"])
            agreed = {schedule: outcome for outcome, schedules in line["agree"].items() for schedule in schedules}
            plans = {schedule: one.planner.plan(schedule) for schedule in agreed}
            assert {s: plan.outcome for s, plan in plans.items()} == agreed
            assert line["blocks"] == sum(len(one.planner.plan(schedule).waits) for schedule in run)
    assert sum(line["blocks"] for _, line in lines()) > 200
    assert sum(len(line["disagree"]) for _, line in lines()) == 0


@pytest.mark.parametrize(("fault", "name"), FAULTS, ids=lambda value: value if isinstance(value, str) else value.name)
def test_a_fault_of_a_primitive_is_contradicted_by_a_run(fault, name: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    one = litmus(name)
    plans = [one.planner.plan(schedule) for schedule in one.planner.runs]
    assert not [why for plan in plans if (why := contradiction(one, plan, one.planner.model))]
    with fault.planted():
        mutant = without_lockdep(getattr(import_file(FILE), name)())
    assert [why for plan in plans if (why := contradiction(one, plan, mutant))]


# -- in a kernel ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.skipif(not HEADERS, reason="no headers of 6.12: apt-get install linux-headers-6.12.*-amd64 gcc make kmod")
def test_the_modules_compile() -> None:
    assert len(Toolchain(HEADERS[-1]).build([litmus(name).source for name in NAMES])) == len(NAMES)


@pytest.mark.campaign
@pytest.mark.skipif(
    not HEADERS or not shutil.which("qemu-system-x86_64") or not any(cache_folder().glob("*6.12*")),
    reason="no QEMU, headers, or kernel in the cache: tdxexplore kernel boot --download-only",
)
def test_some_schedules_in_a_kernel() -> None:
    ones = [litmus(name) for name in ("completion", "flush", "lost_wake_up")]
    with Session(find("6.12"), Toolchain(HEADERS[-1]), ones) as session:
        for number, one in enumerate(ones):
            for schedule in one.planner.runs.draw(2, seed=1):
                row = session.run(number, one.planner.plan(schedule))
                assert row.agrees, row.differences
