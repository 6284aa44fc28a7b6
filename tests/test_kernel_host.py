"""Recordings of the host's own text on a mock of the TDX module: its model allows each; no other design and module kind does.

No QEMU runs here but in one test, marked `campaign`. No TDX hardware and no SEAMCALL stands behind any of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tdxexplore import cli
from tdxexplore.kernel.conformance import Conformance, conform
from tdxexplore.kernel.host import SCRIPTS, check
from tdxexplore.kernel.packages import Kernel, NoKernel, find
from tdxexplore.kernel.recording import BadTrace, Recording
from tdxexplore.kernel.sources import host_text
from tdxexplore.kernel.toolchain import toolchain
from tdxexplore.model import Topology

FOLDER = Path(__file__).parent / "host_traces"
PAGE = FOLDER.parent.parent / "docs" / "kernel.md"
TRACES = {path.stem: Recording.read(path) for path in sorted(FOLDER.glob("*.jsonl"))}
KINDS = ("strict", "subset")
POLICY_OF = {"6.12": "linux-6.16", "7.3": "linux-7.2-update"}
# Where all CPUs are online when TDX comes up, or no CPU of a package is, the two kinds of module answer alike.
DIFFERS = ("late", "late-boot")
LP_INIT = "TDH.SYS.LP.INIT = TDX_SUCCESS"


def own(trace: Recording) -> Conformance:
    return conform(trace, POLICY_OF[trace.header["series"]])


def test_each_script_was_recorded_on_each_module_kind() -> None:
    names = {f"{series}-{script}-{kind}" for series, scripts in SCRIPTS.items() for script in scripts for kind in KINDS}
    assert set(TRACES) == names
    for name, trace in TRACES.items():
        assert name == "-".join(trace.header[part] for part in ("series", "name", "module"))


@pytest.mark.parametrize("name", TRACES)
def test_the_model_allows_what_the_hosts_text_did_and_the_page_says_so(name: str) -> None:
    answer = own(TRACES[name])
    assert answer.holds, (answer.event, answer.allowed)
    assert len(answer.observations) > 20
    assert any(seen.kind == "SEAMCALL" for seen in answer.observations)
    header = TRACES[name].header
    other = conform(
        TRACES[name], next(policy for policy in POLICY_OF.values() if policy != POLICY_OF[header["series"]])
    )
    words = {
        "6.12": ("accepted", f"rejected after {other.accepted}"),
        "7.3": (f"rejected after {other.accepted}", "accepted"),
    }
    row = f"| {name} | {len(answer.observations)} | {' | '.join(words[header['series']])} |"
    assert not other.holds
    assert row in PAGE.read_text().splitlines()


@pytest.mark.parametrize("name", TRACES)
def test_a_seamcall_left_out_or_twice_or_of_another_cpu_is_rejected(name: str) -> None:
    trace = TRACES[name]
    at = next(i for i, e in enumerate(trace.events) if e.get("says") == LP_INIT)
    moved = {**trace.events[at], "cpu": trace.events[at]["cpu"] + 1}
    before, it, after = trace.events[:at], trace.events[at], trace.events[at + 1 :]
    for instead in ([], [it, it], [moved]):
        assert not own(replace(trace, events=[*before, *instead, *after])).holds


def test_the_calls_of_other_cpus_may_come_inside_the_first_of_an_update() -> None:
    trace = TRACES["7.3-update-strict"]
    first = [i for i, event in enumerate(trace.events) if event.get("says") == "TDH.SYS.INIT = TDX_SUCCESS"][-1]
    own_call, other = trace.events[first + 1 : first + 3]
    assert [own_call["says"], other["says"]] == [LP_INIT, LP_INIT]
    assert own_call["cpu"] == trace.events[first]["cpu"] != other["cpu"]
    events = [*trace.events[: first + 1], other, own_call, *trace.events[first + 3 :]]
    assert own(replace(trace, events=events)).holds


@pytest.mark.parametrize("name", TRACES)
def test_a_recording_on_the_other_module_kind_is_rejected_where_the_kinds_differ(name: str) -> None:
    trace = TRACES[name]
    (other,) = set(KINDS) - {trace.header["module"]}
    answer = own(replace(trace, header={**trace.header, "module": other}))
    assert answer.holds == (trace.header["name"] not in DIFFERS)
    if not answer.holds:
        assert answer.event is not None
        assert answer.event["says"].startswith("TDH.SYS.CONFIG = ")


def says(name: str) -> list[str]:
    return [f"{event['cpu']}: {event['says']}" for event in TRACES[name].events if "says" in event]


def codes(name: str) -> dict[str, int]:
    return {event["action"]: event["code"] for event in TRACES[name].events if event["event"] == "end"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_with_an_offline_cpu_loses_the_td_in_the_hosts_own_text(kind: str) -> None:
    name = f"7.3-update-offline-{kind}"
    assert says(name).count("0: TDH.VP.ENTER = TDX_SUCCESS") == 1
    assert sum("SEAMLDR.INSTALL = TDX_SUCCESS" in line for line in says(name)) == 3
    assert sum("TDH.SYS.INIT = VMfailInvalid" in line for line in says(name)) == 1
    assert "1: TDH.VP.ENTER = VMfailInvalid" in says(name)
    assert {action for action, code in codes(name).items() if code} == {"update", "run 1", "online 3"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_update_after_one_that_failed_ends_where_the_handoff_version_is_read(kind: str) -> None:
    events = TRACES[f"7.3-update-again-{kind}"].events
    begins = [at for at, event in enumerate(events) if event["event"] == "begin" and event["action"] == "update"]
    ends = [at for at, event in enumerate(events) if event["event"] == "end" and event["action"] == "update"]
    assert [events[at]["code"] != 0 for at in ends] == [True, True]
    second = [event["says"] for event in events[begins[1] : ends[1]] if event["event"] == "seamcall"]
    assert second == ["TDH.SYS.RD = VMfailInvalid"]


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_cpus_online_the_td_outlives_the_update(kind: str) -> None:
    name = f"7.3-update-{kind}"
    assert sum("TDH.SYS.UPDATE = TDX_SUCCESS" in line for line in says(name)) == 2
    assert sum("TDH.VP.ENTER = TDX_SUCCESS" in line for line in says(name)) == 3
    assert not any(codes(name).values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_cpu_of_a_package_is_refused_while_there_is_a_td(kind: str) -> None:
    ends = [(e["action"], e["code"]) for e in TRACES[f"7.3-boot-{kind}"].events if e["event"] == "end"]
    assert [code != 0 for action, code in ends if action == "offline 2"] == [True, False]
    assert all(code == 0 for action, code in ends if action != "offline 2")


def test_preemption_is_on_where_the_hosts_text_asserts_that_it_is_off() -> None:
    """The report of 2026-05-11 in docs/known.md."""
    assertion = "lockdep_assert_preemption_disabled() in tdx_cpu_flush_cache()"
    warned = {name for name in TRACES if any(assertion in line for line in says(name))}
    offline = {
        f"7.3-{script}-{kind}" for script in ("boot", "update", "update-offline", "update-again") for kind in KINDS
    }
    assert warned == offline | {"7.3-late-boot-strict"}  # where an error removes the callback


@pytest.mark.parametrize("name", [name for name in TRACES if name.startswith("7.3-")])
def test_7_3_is_told_from_7_1_by_the_update_or_by_who_writes_the_cache_back(name: str) -> None:
    answer = conform(TRACES[name], "linux-7.1")
    assert not answer.holds
    at = answer.observations[answer.accepted]
    assert at.kind == "update" or "tdx_cpu_flush_cache()" in " ".join((at.state, *answer.allowed))


def test_conform_prints_the_note_of_the_recording(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["kernel", "conform", str(FOLDER / "6.12-late-strict.jsonl"), "linux-6.16"]) == 0
    said = capsys.readouterr().out
    assert "the TDX module are a mock" in said
    assert "kvm_amd" not in said
    assert cli.run(["kernel", "conform", str(FOLDER.parent / "kernel_traces/6.12-hotplug.jsonl"), "linux-6.16"]) == 0
    assert "kvm_amd" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "series", "says"),
    [
        ("update", "6.12", "allowed are load, unload, online, offline"),
        ("reboot", "7.3", "allowed are boot, load"),
        ("run", "7.3", "`run` and a CPU from 0 to 3"),
        ("offline 4", "6.12", "`offline` and a CPU from 0 to 3"),
        ("load 1", "6.12", "`load` alone"),
    ],
)
def test_a_line_that_is_no_action_is_refused(line: str, series: str, says: str) -> None:
    with pytest.raises(BadTrace, match=says):
        check([line], series, Topology.of(4, 2))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--module", "relaxed"], "allowed are strict, subset, subset-nocheck"),
        (["--packages", "3"], "packages of one size"),
        (["--series", "5.4"], "allowed are 6.12, 7.3"),
    ],
)
def test_a_recording_that_cannot_be_made_is_refused(
    tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["kernel", "host", str(tmp_path / "trace.jsonl"), "--cache", str(tmp_path), *words]) == 2
    assert says in capsys.readouterr().err


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source package of three files, and an apt that knows it and downloads it by a copy."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    tree = tmp_path / "linux-source-6.12" / "arch/x86/virt"
    (tree / "vmx/tdx").mkdir(parents=True)
    for name in ("hw.c", "svm.c", "vmx/tdx/tdx.c"):
        (tree / name).write_text(f"/* {name} */\n")
    package, bin_ = tmp_path / "package", tmp_path / "bin"
    for folder in (package / "DEBIAN", package / "usr/src", bin_):
        folder.mkdir(parents=True)
    archive = package / "usr/src/linux-source-6.12.tar.xz"
    subprocess.run(["tar", "-cJf", str(archive), "-C", str(tmp_path), "linux-source-6.12"], check=True)
    control = (
        "Package: linux-source-6.12\nVersion: 6.12.117-1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    )
    (package / "DEBIAN/control").write_text(control)
    deb = tmp_path / "it.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(package), str(deb)], check=True, capture_output=True)
    (bin_ / "apt-cache").write_text(
        '#!/bin/sh\nfor v in 6.12.118-1 6.12.117-1~deb12u1 6.12.115-2; do echo "$2 | $v | x"; done\n'
    )
    (bin_ / "apt-get").write_text(
        f'#!/bin/sh\n[ "$1" != download ] || {{ echo "$3" > {tmp_path}/asked; cp {deb} .; }}\n'
    )
    for name in ("apt-cache", "apt-get"):
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setattr("tdxexplore.kernel.sources.INSTALLED", tmp_path / "nowhere")
    return tmp_path


def test_the_source_package_of_the_kernels_version_is_downloaded_once(
    stand_ins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, told = Kernel("6.12", "6.12.117+deb12-amd64", stand_ins), list[str]()
    text = host_text(kernel, stand_ins / "cache", told.append)
    assert {name: content.decode() for name, content in text.items()} == {
        "hw.c": "/* hw.c */\n",
        "tdx.c": "/* vmx/tdx/tdx.c */\n",
    }
    assert (stand_ins / "asked").read_text().strip() == "linux-source-6.12=6.12.117-1~deb12u1"
    assert len(told) == 2
    assert sorted(path.name for path in (stand_ins / "cache/6.12/source").iterdir()) == ["done", "linux-source-6.12"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert host_text(kernel, stand_ins / "cache", told.append) == text
    assert len(told) == 2


def test_a_source_package_of_another_version_is_not_taken(stand_ins: Path) -> None:
    with pytest.raises(NoKernel, match="no Debian archive"):
        host_text(Kernel("6.12", "6.12.9+deb12-amd64", stand_ins), stand_ins / "cache", lambda _: None)
    assert not (stand_ins / "asked").exists()
    assert not (stand_ins / "cache/6.12/source/done").exists()


@pytest.mark.campaign
def test_a_recording_that_is_made_now_conforms(tmp_path: Path) -> None:
    """Compiles tdx.c of 6.12 and boots it in QEMU, once, for about a minute; what is not in the cache is downloaded."""
    programs = ("qemu-system-x86_64", "busybox", "apt-get", "gcc", "make", "modinfo")
    missing = [f"`{name}`" for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"NO KERNEL WAS BOOTED: {', '.join(missing)} is not installed; docs/kernel.md says what brings it")
    try:
        kernel = find("6.12")
        toolchain(kernel, None, None, lambda _: None)
        host_text(kernel, None, lambda _: None)
    except NoKernel as error:
        pytest.skip(f"NO KERNEL WAS BOOTED: {error}")
    path = tmp_path / "trace.jsonl"
    assert cli.run(["kernel", "host", str(path), "--script", "late", "--module", "subset"]) == 0
    assert cli.run(["kernel", "conform", str(path), "linux-6.16"]) == 0
    assert cli.run(["kernel", "conform", str(path), "linux-7.1"]) == 1
    made = Recording.read(path)
    assert not own(replace(made, header={**made.header, "module": "strict"})).holds
