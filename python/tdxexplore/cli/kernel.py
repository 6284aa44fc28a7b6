"""``tdxexplore kernel``: a stock Linux in QEMU, and what it does held against a model."""

from __future__ import annotations

import json
from pathlib import Path

from cyclopts import App

from tdxexplore.cli import exits
from tdxexplore.cli.kernel_options import Cache, Series, lines_of, tell
from tdxexplore.cli.output import Flag, Json, print_json, say
from tdxexplore.kernel import NO_TDX
from tdxexplore.kernel.conformance import conform as conformed
from tdxexplore.kernel.guest import boot as booted
from tdxexplore.kernel.packages import DEFAULT, find
from tdxexplore.kernel.recording import Recording
from tdxexplore.kernel.recording import record as recorded

kernel = App(name="kernel", help="Boot a stock Linux in QEMU, record what it does, and hold that against a model.")


CONTEXT = 6
"""How many observations are shown before the one that does not fit."""


@kernel.command
def boot(*, series: Series = DEFAULT, cache: Cache = None, cpus: int = 4, download_only: Flag = False) -> int:
    """Boot a kernel once with kvm_amd, and say what it is.

    Args:
        series: The series of the kernel: 6.12 or 7.3.
        cache: The folder that keeps kernels; default: tdxexplore/kernels in the user's cache.
        cpus: CPUs of the guest.
        download_only: Fill the cache, and boot nothing.
    """
    found = find(series, cache, tell)
    if download_only:
        say(f"Linux {found.version}: {found.image}")
        return exits.HOLDS
    tell(f"Linux {found.version}: booting")
    with booted(found, cpus=cpus) as machine:
        loaded = machine.run("load_modules && lsmod | cut -d' ' -f1 | tail -n +2 | tr '\\n' ' '")
        online = machine.run("cat /sys/devices/system/cpu/online").text.strip()
    say(f"Linux {found.version}: CPUs {online} online; modules {loaded.text.strip()}")
    say(f"({NO_TDX})")
    return exits.HOLDS if loaded.code == 0 else exits.VIOLATED


@kernel.command
def record(out: Path, *, script: str = "hotplug", series: Series = DEFAULT, cache: Cache = None, cpus: int = 4) -> int:
    """Run a script of hotplug, loads of KVM and callbacks that fail, and write down what the kernel did.

    Args:
        out: The file to write; docs/kernel.md describes its format.
        script: hotplug, failures or races; or the path of a file with lines for the guest's shell.
        series: The series of the kernel: 6.12 or 7.3.
        cache: The folder that keeps kernels; default: tdxexplore/kernels in the user's cache.
        cpus: CPUs of the guest.
    """
    recording = recorded(find(series, cache, tell), lines_of(script), cpus=cpus, name=Path(script).stem, tell=tell)
    recording.write(out)
    say(f"{out}: {len(recording.events)} events of Linux {recording.header['kernel']}")
    say(f"({NO_TDX})")
    return exits.HOLDS


@kernel.command
def conform(trace: Path, policy: str, *, as_json: Json = False) -> int:
    """Say whether a policy's model allows what a kernel did. Exits with 1 if it does not.

    Args:
        trace: A file of `tdxexplore kernel record`, or of `tdxexplore kernel host`.
        policy: A built-in name, or path/to/file.py:NAME.
        as_json: Print one JSON document.
    """
    recording = Recording.read(trace)
    answer = conformed(recording, policy)
    kernel_version, total = recording.header["kernel"], len(answer.observations)
    note = recording.header["note"]
    if as_json:
        print_json(
            {
                "holds": answer.holds,
                "kernel": kernel_version,
                "policy": policy,
                "accepted": answer.accepted,
                "observations": total,
                "event": answer.event,
                "allowed": list(answer.allowed),
                "note": note,
            }
        )
        return exits.HOLDS if answer.holds else exits.VIOLATED
    if answer.holds:
        say(f"accepted: {policy} allows all {total} observations of Linux {kernel_version}")
    else:
        say(f"rejected: {policy} allows {answer.accepted} of {total} observations of Linux {kernel_version}")
        for seen in answer.observations[max(0, answer.accepted - CONTEXT) : answer.accepted]:
            say(f"            {seen}")
        say(f"  kernel:   {answer.observations[answer.accepted]}")
        say(f"  event:    {json.dumps(answer.event)}")
        for number, allowed in enumerate(answer.allowed or ("nothing that can be observed",)):
            say(f"  {'model:   ' if number == 0 else '         '} {allowed}")
    say(f"({note})")
    return exits.HOLDS if answer.holds else exits.VIOLATED


# Each is the first line of the command's docstring, as in `tdxexplore.cli`.
COMMANDS = {
    "litmus:run": "Run schedules of a policy in a real kernel, and compare what it does with what the model predicts.",
    "litmus:campaign": "Run the schedules of docs/kernel.md: many designs and scenarios. A question that the file has already "
    "is not run.",
    "kernel_host:host": "Run the TDX host library of the kernel's source package under its CPU hotplug; SEAMCALLs go to a mock.",
}
for place, summary in COMMANDS.items():
    kernel.command(f"tdxexplore.cli.{place}", name=place.partition(":")[2], help=summary)
