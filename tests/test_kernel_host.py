"""Recordings of the host's own tdx.c of 6.12 on a mock of the TDX module: the model allows each, and no other module kind's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tdxexplore.kernel.conformance import conform
from tdxexplore.kernel.recording import Recording

TRACES = {path.stem: Recording.read(path) for path in sorted((Path(__file__).parent / "host_traces").glob("*.jsonl"))}


@pytest.mark.parametrize("name", TRACES)
def test_the_model_allows_what_the_hosts_text_did(name: str) -> None:
    answer = conform(TRACES[name], "linux-6.16")
    assert answer.holds, answer.allowed
    assert len(answer.observations) > 20
    assert any(seen.kind == "SEAMCALL" for seen in answer.observations)


@pytest.mark.parametrize("name", TRACES)
def test_a_seamcall_left_out_or_of_another_cpu_is_rejected(name: str) -> None:
    trace = TRACES[name]
    at = next(i for i, e in enumerate(trace.events) if e.get("says") == "TDH.SYS.LP.INIT = TDX_SUCCESS")
    moved = {**trace.events[at], "cpu": trace.events[at]["cpu"] + 1}
    for events in (trace.events[:at] + trace.events[at + 1 :], [*trace.events[:at], moved, *trace.events[at + 1 :]]):
        assert not conform(replace(trace, events=events), "linux-6.16").holds


def test_three_scripts_were_recorded() -> None:
    assert len(TRACES) == 3
