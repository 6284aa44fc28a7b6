"""Recorded kernels and the models: each conforms to its own, no wrong pairing does, and no fault in the mechanics goes unseen.

No QEMU runs here but in one test, marked `long`. No TDX hardware and no SEAMCALL stands behind any of it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest

from kernel_mutants import FAULTS, Fault
from tdxexplore.errors import BadModel
from tdxexplore.kernel.conformance import Conformance, conform, follow
from tdxexplore.kernel.machine import GuestFailed, Machine
from tdxexplore.kernel.observations import observe
from tdxexplore.kernel.packages import Kernel, NoKernel, find, need
from tdxexplore.kernel.recording import BadTrace, Recording, record
from tdxexplore.kernel.watched import Watched

FOLDER = Path(__file__).parent / "kernel_traces"
PAGE = FOLDER.parent.parent / "docs" / "kernel.md"
POLICY_OF = {"6.12": "linux-6.16", "7.3": "linux-7.1"}
TRACES = {path.stem: Recording.read(path) for path in sorted(FOLDER.glob("*.jsonl"))}


@cache
def answer_of(name: str, policy: str) -> Conformance:
    return conform(TRACES[name], policy)


def of(policy: str) -> list[Recording]:
    return [trace for trace in TRACES.values() if POLICY_OF[trace.header["series"]] == policy]


def test_both_kernels_were_recorded_with_every_script() -> None:
    assert len(TRACES) == 6
    assert sum(len(observe(trace)) for trace in TRACES.values()) > 1500


@pytest.mark.parametrize("name", TRACES)
def test_a_kernel_does_not_conform_to_the_model_of_another(name: str) -> None:
    trace = TRACES[name]
    (wrong,) = set(POLICY_OF.values()) - {POLICY_OF[trace.header["series"]]}
    answer = answer_of(name, wrong)
    assert not answer.holds
    assert answer.event is not None
    assert answer.event["event"] == "cpuhp_exit"
    assert answer.event["state"] == "kvm/cpu:online"
    assert any("reference" in allowed for allowed in answer.allowed) == (wrong == "linux-7.1")


@pytest.mark.parametrize("name", TRACES)
def test_a_kernel_conforms_to_its_model_and_the_page_says_so(name: str) -> None:
    trace = TRACES[name]
    own = POLICY_OF[trace.header["series"]]
    answers = {policy: answer_of(name, policy) for policy in POLICY_OF.values()}
    assert answers[own].holds, (answers[own].observations[answers[own].accepted], answers[own].allowed)
    count = len(answers[own].observations)
    assert count > 60
    words = [f"rejected after {answer.accepted}" if not answer.holds else "accepted" for answer in answers.values()]
    row = f"| {name} | {trace.header['kernel']} | {count} | {' | '.join(words)} |"
    assert row in PAGE.read_text().splitlines()
    assert f"has {len(FAULTS)} faults" in PAGE.read_text()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_in_the_mechanics_is_seen(fault: Fault) -> None:
    """Some recording is rejected; without the fault all are accepted, as another test says."""
    policy = fault.policy or "linux-6.16"
    with fault.planted():
        watched = Watched(policy, 4)
    assert any(not follow(trace, watched).holds for trace in of(policy))


def test_there_are_faults_of_every_kind() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 30
    assert {fault.name.partition(":")[0] for fault in FAULTS} >= {"up", "down", "registration", "removal", "lock"}


def test_tasks_were_seen_to_sleep_at_the_lock() -> None:
    kinds = [seen.kind for trace in TRACES.values() for _, seen in observe(trace)]
    assert kinds.count("reader sleeps") >= 2
    assert kinds.count("writer sleeps") >= 2


def test_a_rejection_says_how_far_it_came_and_what_the_model_allows() -> None:
    trace = TRACES["6.12-hotplug"]
    at = next(i for i, event in enumerate(trace.events) if event["event"] == "cpuhp_exit")
    answer = conform(Recording(trace.header, [*trace.events[:at], *trace.events[at + 1 :]]), "linux-6.16")
    assert not answer.holds
    assert 0 < answer.accepted < len(answer.observations)
    assert answer.allowed != ()


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    for text in ("no json", '{"format": "another"}\n'):
        path.write_text(text)
        with pytest.raises(BadTrace, match=r"trace\.jsonl"):
            Recording.read(path)


def test_a_policy_without_a_callback_of_kvm_is_refused() -> None:
    with pytest.raises(BadModel, match="KVM_ONLINE"):
        conform(TRACES["6.12-hotplug"], "v19")


HEAD = (FOLDER / "7.3-races.jsonl").read_text().partition("\n")[0]
FINE: tuple[dict[str, object], ...] = ({}, {"task": "x"}, {"event": "x"}, {"online": []})
EVENT: dict[str, object] = {"t": 1, "cpu": 0, "task": "a-1", "event": "mask", "online": [0]}


@pytest.mark.parametrize("change", [{}, *({name: value} for name in EVENT for value in (None, [], "x", [9], 10**40))])
def test_a_strangers_recording_is_held_against_a_model_or_refused_in_a_line(
    change: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(f"{HEAD}\n{json.dumps(EVENT | change)}\n")
    with pytest.raises(BadTrace, match=r"trace\.jsonl: line 2: `\w+` is") if change not in FINE else nullcontext():
        conform(Recording.read(path), "linux-7.1")
    document = json.loads(HEAD)
    heads: list[object] = [
        5,
        [],
        None,
        *({**document, **wrong} for wrong in ({"cpus": "x"}, {"cpus": 10**9}, {"module": 5})),
    ]
    for header in heads:
        path.write_text(f"{json.dumps(header)}\n{json.dumps(EVENT)}\n")
        with pytest.raises(BadTrace, match=r"trace\.jsonl"):
            Recording.read(path)
    path.write_text("[" * 5000)
    with pytest.raises(BadTrace, match=r"trace\.jsonl"):
        Recording.read(path)


@pytest.mark.long
def test_a_kernel_that_is_booted_now_conforms(tmp_path: Path) -> None:
    """Boots Linux 6.12 in QEMU, once, for about a minute; it downloads the kernel unless it is in the cache."""
    missing = [f"`{name}`" for name in ("qemu-system-x86_64", "busybox", "apt-get") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"NO KERNEL WAS BOOTED: {', '.join(missing)} is not installed; `make long-tools` installs it")
    try:
        kernel = find("6.12")
    except NoKernel as error:
        pytest.skip(f"NO KERNEL WAS BOOTED: {error}")
    recording = record(kernel, ["load", "offline 1", "online 1", "unload", "mask"], cpus=2)
    path = tmp_path / "trace.jsonl"
    recording.write(path)
    answer = conform(Recording.read(path), "linux-6.16")
    assert answer.holds, (answer.event, answer.allowed)
    assert answer.accepted > 15


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a QEMU that says nothing, and a kernel: for what is about processes only."""
    fake = tmp_path / "qemu-system-x86_64"
    fake.write_text(
        f'#!/bin/sh\necho "$*" > {tmp_path}/words\necho $$ > {tmp_path}/pid.new\n'
        f"mv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 600\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-1").touch()
    return tmp_path


def ends(folder: Path, within: float = 20) -> bool:
    """Whether the stand-in ends, within some seconds."""
    process = Path(f"/proc/{(folder / 'pid').read_text().strip()}")
    until = time.monotonic() + within
    while process.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return not process.exists()


def test_qemu_ends_where_it_does_not_answer(stand_in: Path) -> None:
    with pytest.raises(GuestFailed, match="the boot: no answer"), Machine(Kernel("1", "1", stand_in), b"", boot_time=2):
        pytest.fail("it has not booted")
    assert ends(stand_in)


def test_the_guest_does_not_panic_where_its_timer_comes_late(stand_in: Path) -> None:
    """One of some boots on a busy host did: "IO-APIC + timer doesn't work!"."""
    with pytest.raises(GuestFailed), Machine(Kernel("1", "1", stand_in), b"", boot_time=1):
        pass
    assert "no_timer_check" in (stand_in / "words").read_text().partition("-append ")[2].split()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_qemu_ends_with_a_process_that_is_killed(stand_in: Path, how: signal.Signals) -> None:
    code = (
        "from pathlib import Path; from tdxexplore.kernel.machine import Machine; from tdxexplore.kernel.packages import Kernel;"
        f"Machine(Kernel('1', '1', Path({str(stand_in)!r})), b'').__enter__()"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 60
    while not (stand_in / "pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not ends(stand_in, within=0.2)
    process.send_signal(how)
    process.wait()
    assert ends(stand_in)
    assert sorted(path.name for path in stand_in.iterdir()) == ["boot", "pid", "qemu-system-x86_64", "words"]


def test_what_is_missing_is_said_in_a_line_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoKernel, match=r"`apt-get install qemu-system-x86` brings it"):
        need("qemu-system-x86_64", "qemu-system-x86")
    with pytest.raises(NoKernel, match=r"--series is `5\.4`"):
        find("5.4")
