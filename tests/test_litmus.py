"""Policies as modules of a real kernel: what is generated, how schedules become plans, and one run where QEMU is there."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import kernel_page
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.explore.trace import replay
from tdxexplore.kernel.campaign import DESIGNS, questions
from tdxexplore.kernel.litmus import BOOTS, Litmus, NoGuest, Session
from tdxexplore.kernel.machine import GuestFailed
from tdxexplore.kernel.packages import Kernel, NoKernel, cache_folder, find
from tdxexplore.kernel.plan import INSIDE
from tdxexplore.kernel.toolchain import Toolchain, toolchain
from tdxexplore.model import reference
from tdxexplore.model.expr import Scope
from tdxexplore.model.schedule import decode

ROOT = Path(__file__).parent.parent

HEADERS = sorted(Path("/usr/src").glob("linux-headers-6.12*-amd64"))
SNAPSHOT = Path(__file__).parent / "__snapshots__" / "litmus.c"
DEADLOCK, GOOD = "0000000000001", "00000000000000000000000000"


@pytest.fixture(scope="module")
def litmus() -> Litmus:
    return Litmus(Question.of("dyn-hook-if-enabled", cpus=2, scenario="offline-mid-enable"))


def test_generated_module_is_the_snapshot(litmus: Litmus) -> None:
    """A change here is a change of what runs in the kernel; write the file anew after reading the difference."""
    assert litmus.source == SNAPSHOT.read_text()


def test_the_kernels_functions_are_called(litmus: Litmus) -> None:
    for call in ("cpus_read_lock();", 'cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "litmus:0"', "mutex_lock(&m"):
        assert call in litmus.source
    assert 'cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "litmus:1"' in litmus.source
    locked = Question.of(
        "dyn-hook-if-enabled", cpus=2, scenario="offline-mid-enable", knobs={"register_call": "_cpuslocked"}
    )
    assert "cpuhp_setup_state_cpuslocked(CPUHP_AP_ONLINE_DYN" in Litmus(locked).source


def test_deadlock_ends_inside_the_kernel(litmus: Litmus) -> None:
    """kvm enters the nested read lock, and the writer stands inside _cpu_down(): neither may come to a gate."""
    plan = litmus.planner.plan(DEADLOCK)
    assert plan.outcome == "deadlock"
    assert plan.text.split()[-1].startswith("E:15:")
    stuck = [who for who, place in plan.places.items() if place == INSIDE]
    assert stuck == [15, 49]


def test_an_actor_enters_a_lock_that_is_not_free_before_its_step(litmus: Litmus) -> None:
    """It must be seen to block: where the lock's step follows the release, the actor is let in before."""
    plans = [litmus.planner.plan(schedule) for schedule in litmus.planner.runs.draw(60, seed=2)]
    entered = [plan for plan in plans if " E:" in plan.text and plan.outcome != "deadlock"]
    assert entered
    for plan in entered:
        words = plan.text.split()
        for at, word in enumerate(words):
            if word.startswith("E:"):
                assert "H" + word[1:] in words[at + 1 :]


def test_the_writer_of_a_cpu_that_comes_stands_where_it_has_the_lock_until_a_reader_has_blocked() -> None:
    """Without that the writer is over before the reader is seen, as 4 of the first 211 runs were."""
    planner = Litmus(Question.of("hook-after-kvm", cpus=2, scenario="kvm-reload")).planner
    texts = [planner.plan(schedule).text.split() for schedule in planner.runs]
    assert len(texts) > 40
    blocks = 0
    for words in texts:
        arrives = [at for at, word in enumerate(words) if word[0] == "A"]
        for at in arrives:
            takes = words.index("S" + words[at][1:])
            assert at < takes
            blocks += any(word[0] == "E" for word in words[at:takes])
    assert blocks > 10


def test_a_schedule_is_found_by_how_it_ends_and_by_a_step_and_ends_in_the_kernels_bug() -> None:
    shown = {asked.shows: asked for asked in questions() if asked.shows}
    assert len(shown) == 7
    for name, asked in shown.items():
        litmus = Litmus(asked.question())
        (schedule,) = asked.schedules(litmus)
        plan = litmus.planner.plan(schedule)
        assert (plan.text.split()[-1][0] == "F") == (plan.before is not None) == (plan.outcome == "cpuhp-bug")
        assert name.startswith("BUG_ON") == (plan.outcome == "cpuhp-bug")
    with pytest.raises(BadModel, match="ends in cpuhp-bug"):
        Litmus(Question.of("v19", cpus=2, scenario="late-online")).planner.first("cpuhp-bug")


def test_a_stack_that_is_not_of_the_lock_disagrees(litmus: Litmus) -> None:
    plan = litmus.planner.plan(DEADLOCK)
    for stack, differs in (("percpu_rwsem_wait __cpuhp_setup_state", False), ("wait_for_completion", True)):
        row = litmus.compare(plan, f"wrong -\n#15 {stack}\n", ())
        assert any("percpu_rwsem_wait" in text for text in row.differences) == differs
        assert row.blocks == 1


def test_a_module_is_named_by_all_that_it_is_made_of() -> None:
    names = {Toolchain(Path(headers)).name(text) for headers in ("/a", "/b") for text in ("x", "y")}
    assert len(names) == 4
    with pytest.raises(NoKernel, match=r"/none/headers is not there"):
        toolchain(Kernel("6.12", "6.12.0", Path("/nowhere")), None, Path("/none/headers"), print)


def test_a_kernel_that_does_not_boot_is_no_disagreement(litmus: Litmus, monkeypatch: pytest.MonkeyPatch) -> None:
    boots = []

    def boot(*_: object, **options: object) -> None:
        boots.append(options)
        raise GuestFailed("the boot: QEMU has ended")

    monkeypatch.setattr("tdxexplore.kernel.litmus.boot", boot)
    monkeypatch.setattr(Toolchain, "build", lambda *_: {})
    kernel = Kernel("6.12", "6.12.0", Path("/nowhere"))
    with Session(kernel, Toolchain(Path("/a")), [litmus]) as session, pytest.raises(NoGuest, match="QEMU has ended"):
        session.run(0, litmus.planner.plan(GOOD))
    assert len(boots) == BOOTS


def test_every_schedule_that_is_run_replays(litmus: Litmus) -> None:
    for schedule in litmus.planner.runs.draw(20, seed=3):
        # The model of `replay` has lockdep, which Debian's kernels have not: only there a recursive read lock is a warning.
        outcomes = {litmus.planner.plan(schedule).outcome, "warned"}
        assert replay(litmus.question, schedule).outcome in outcomes


def test_loops_of_the_kernel_go_by_number() -> None:
    planner = Litmus(Question.of("linux-6.16", cpus=3, scenario="all-online")).planner
    for schedule in planner.runs.draw(20, seed=1):
        steps = [step for step in planner.plan(schedule).steps if "KVM_ONLINE startup" in step]
        assert [step.split(":")[0] for step in steps] == ["kvm CPU 0", "kvm CPU 1", "kvm CPU 2"]


def test_a_loop_of_the_model_over_cpus_goes_in_the_order_of_the_schedule() -> None:
    """In `linux-7.1-rfc-v1` TDX is enabled before the APs are started, by the actor that boots: its gate says which is next."""
    litmus = Litmus(Question.of("linux-7.1-rfc-v1", cpus=3, scenario="all-online"))
    orders = set()
    for schedule in litmus.planner.runs.draw(20, seed=1):
        plan = litmus.planner.plan(schedule)
        started = [at for at, step in enumerate(plan.steps) if step.endswith(": start an AP")]
        orders.add(tuple(plan.steps[at].partition(":")[0] for at in started))
        words = [plan.text.split()[plan.entries[at]] for at in started]
        assert [word.rpartition(":")[0] for word in words] == [f"S:15:{plan.steps[at][9]}" for at in started]
    assert orders == {("boot CPU 1", "boot CPU 2"), ("boot CPU 2", "boot CPU 1")}
    (boot,) = (text for text in litmus.source.split("static int ") if text.startswith("actor0(void"))
    assert boot.index("x->left++;") < boot.index("hotplug(x, cpu, 1)") < boot.index("x->left--;")


@pytest.mark.parametrize("scenario", ["update", "fault-update"])
def test_in_stop_machine_one_cpu_takes_the_steps_of_all_in_the_order_of_the_schedule(scenario: str) -> None:
    litmus = Litmus(Question.of("linux-7.2-update", cpus=2, scenario=scenario))
    orders = set()
    for schedule in litmus.planner.runs.draw(20, seed=1):
        plan = litmus.planner.plan(schedule)
        at_title = {
            step.partition(": ")[2].partition(" -> ")[0].partition(":")[0]: at for at, step in enumerate(plan.steps)
        }
        if "MODULE_UPDATE_RUN_UPDATE" not in at_title:
            continue
        first, last = at_title["MODULE_UPDATE_SHUTDOWN"], at_title["MODULE_UPDATE_RUN_UPDATE"]
        # Nobody else acts while the machine is stopped.
        within = [plan.steps[at].partition(":")[0] for at in range(first, last + 1)]
        assert {word[0] for word in plan.text.split()[plan.entries[first] : plan.entries[last] + 1]} == {"S"}
        orders.add(tuple(within))
    assert len(orders) > 4
    assert "stop_locked(stop" in litmus.source
    assert '#include "primitives.h"' in litmus.source  # which has it


def test_no_task_runs_on_a_cpu_that_spins_in_a_handler_and_handlers_come_in_the_order_of_sending() -> None:
    """16 of 72 runs with a second user were late where these did not hold. The one left had both actors send from one CPU."""
    litmus = Litmus(Question.of("v19", cpus=2, scenario="second-user"))
    planner, overlaps = litmus.planner, 0
    assert len(litmus.generator.senders) == 3
    assert litmus.cpus == 6
    for schedule in planner.runs.draw(60, seed=1):
        state, sent = planner.initial, list[int]()
        for index in decode(schedule):
            step = reference.transitions(planner.plain, state)[index]
            before = {(actor, cpu) for actor, cpu, _ in planner.interrupted(state)}
            here = [actor for actor in sent if (actor, step.cpu) in before]
            if step.label.scope is Scope.CPU:
                assert not here or here[0] == step.actor
            overlaps += len(here) > 1
            state = step.target
            after = [actor for actor, _, _ in planner.interrupted(state)]
            sent = [actor for actor in dict.fromkeys([*sent, *after]) if actor in after]
    assert overlaps > 20


@pytest.mark.long
@pytest.mark.skipif(not HEADERS, reason="no headers of 6.12: apt-get install linux-headers-6.12.*-amd64 gcc make kmod")
@pytest.mark.parametrize("design", DESIGNS)
def test_generated_modules_compile(design: str) -> None:
    source = Litmus(Question.of(design, cpus=2, scenario="kvm-reload")).source
    assert all(Toolchain(HEADERS[-1]).build([source]).values())


@pytest.mark.long
@pytest.mark.skipif(not HEADERS, reason="no headers of 6.12: apt-get install linux-headers-6.12.*-amd64 gcc make kmod")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_nothing_is_left_of_a_build_that_is_killed(how: signal.Signals) -> None:
    """The headers are a stand-in whose `make` never ends. A build has a /tmp of its own, so that they are not there."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as headers, ExitStack() as stack:
        left = Path("/tmp", Path(headers).name)
        Path(headers, "Makefile").write_text(f"modules:\n\ttouch {headers}/runs {left}; sleep 600\n")
        code = f"from pathlib import Path; from tdxexplore.kernel.toolchain import *; Toolchain(Path({headers!r})).build(['x'])"
        process = stack.enter_context(subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL))
        stack.callback(process.kill)
        until = time.monotonic() + 60
        while not Path(headers, "runs").exists() and time.monotonic() < until:
            time.sleep(0.05)
        started = [p for p in Path("/proc").glob("[0-9]*") if headers.encode() in _command_line(p)]
        assert len(started) >= 3
        process.send_signal(how)
        process.wait()
        while any(p.exists() for p in started) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(p.exists() for p in started)
        assert not left.exists()


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.campaign
@pytest.mark.skipif(
    not HEADERS or not shutil.which("qemu-system-x86_64") or not any(cache_folder().glob("*6.12*")),
    reason="no QEMU, headers, or kernel in the cache: tdxexplore kernel boot --download-only",
)
def test_good_schedule_and_deadlock_in_a_kernel(litmus: Litmus) -> None:
    with Session(find("6.12"), Toolchain(HEADERS[-1]), [litmus]) as session:
        for schedule in (GOOD, DEADLOCK):
            row = session.run(0, litmus.planner.plan(schedule))
            assert row.agrees, row.differences


@pytest.mark.parametrize("series", sorted(kernel_page.results()))
def test_each_schedule_that_was_run_is_one_of_the_model_and_ends_as_it_says(series: str) -> None:
    """The slice takes some schedules of each question; a model that has changed wants another campaign."""
    lines = kernel_page.results()[series]
    schedules = [schedule for line in lines for found in line["agree"].values() for schedule in found]
    assert len({(json.dumps(line["question"]), s) for line in lines for f in line["agree"].values() for s in f}) >= 1000
    assert len({line["question"]["policy"] for line in lines}) >= 8
    assert sum(int(line["interleavings"]) == len(s) > 3 for line in lines for s in line["agree"].values()) >= 3
    looked = 0
    for number, line in enumerate(lines):
        planner = None
        for outcome, found in line["agree"].items():
            if number % 7 == 0 or "shows" in line:
                planner = planner or Litmus(Question.of(**line["question"])).planner
                for schedule in found[:2]:
                    assert planner.plan(schedule).outcome == outcome
                    looked += 1
    assert looked >= len(schedules) // 100


def test_every_disagreement_has_a_cause() -> None:
    rows = [row for lines in kernel_page.results().values() for line in lines for row in line["disagree"]]
    assert all(row.get("cause") for row in rows), rows


def test_the_page_of_results_is_what_the_files_say() -> None:
    assert (ROOT / "docs/kernel-results.md").read_text() == kernel_page.page()
