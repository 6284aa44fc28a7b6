"""Recorded kernels and the models: each conforms to its own, no wrong pairing does, and no fault in the mechanics goes unseen.

No QEMU runs here but in the last test. No TDX hardware and no SEAMCALL stands behind any of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_mutants import FAULTS, Fault
from tdxexplore.errors import BadModel
from tdxexplore.kernel.conformance import conform, follow
from tdxexplore.kernel.observations import observe
from tdxexplore.kernel.recording import BadTrace, Recording
from tdxexplore.kernel.watched import Watched

FOLDER = Path(__file__).parent / "kernel_traces"
POLICY_OF = {"6.12": "linux-6.16", "7.3": "linux-7.1"}
TRACES = {path.stem: Recording.read(path) for path in sorted(FOLDER.glob("*.jsonl"))}


def of(policy: str) -> list[Recording]:
    return [trace for trace in TRACES.values() if POLICY_OF[trace.header["series"]] == policy]


def test_both_kernels_were_recorded_with_every_script() -> None:
    assert len(TRACES) == 6
    assert sum(len(observe(trace)) for trace in TRACES.values()) > 1500


@pytest.mark.parametrize("name", TRACES)
def test_a_kernel_conforms_to_its_model(name: str) -> None:
    trace = TRACES[name]
    answer = conform(trace, POLICY_OF[trace.header["series"]])
    assert answer.holds, (answer.observations[answer.accepted], answer.event, answer.allowed)
    assert answer.accepted == len(answer.observations) > 60


@pytest.mark.parametrize("name", TRACES)
def test_a_kernel_does_not_conform_to_the_model_of_another(name: str) -> None:
    trace = TRACES[name]
    (wrong,) = set(POLICY_OF.values()) - {POLICY_OF[trace.header["series"]]}
    answer = conform(trace, wrong)
    assert not answer.holds
    assert answer.event is not None
    assert answer.event["event"] == "cpuhp_exit"
    assert answer.event["state"] == "kvm/cpu:online"
    assert any("reference" in allowed for allowed in answer.allowed) == (wrong == "linux-7.1")


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
