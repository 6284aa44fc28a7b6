"""``tdxexplore kernel host``: the kernel's own TDX host library, recorded on a mock of the TDX module."""

from __future__ import annotations

from pathlib import Path

from tdxexplore.cli import exits
from tdxexplore.cli.kernel_options import Cache, Series, lines_of, tell
from tdxexplore.cli.output import say
from tdxexplore.errors import BadModel
from tdxexplore.kernel.host import NOTE, SCRIPTS, check
from tdxexplore.kernel.host import record as recorded
from tdxexplore.kernel.packages import DEFAULT, find
from tdxexplore.kernel.sources import host_text
from tdxexplore.kernel.toolchain import toolchain
from tdxexplore.model import Topology
from tdxexplore.tdx.fields import MODULE_KINDS


def host(
    out: Path,
    *,
    script: str | None = None,
    module: str = "strict",
    cpus: int = 4,
    packages: int = 2,
    series: Series = DEFAULT,
    cache: Cache = None,
    headers: Path | None = None,
) -> int:
    """Run the TDX host library of the kernel's source package under its CPU hotplug; SEAMCALLs go to a mock.

    Args:
        out: The file to write, for `tdxexplore kernel conform`; docs/kernel.md describes its format.
        script: Of 6.12: kvm, late or package; of 7.3: boot, late-boot, update, update-offline or update-again; default: the
            first. Or the path of a file with an action on each line.
        module: TDX-module kind of the mock: strict, subset or subset-nocheck.
        cpus: CPUs of the guest.
        packages: Packages (sockets) that the CPUs are spread over.
        series: The series of the kernel: 6.12 or 7.3.
        cache: The folder that keeps kernels; default: tdxexplore/kernels in the user's cache.
        headers: The folder of the kernel's headers; default: /usr/src/linux-headers-VERSION.
    """
    kinds = {kind: kind for kind in MODULE_KINDS}
    if module not in kinds:
        raise BadModel(f"--module is `{module}`; allowed are {', '.join(kinds)}")
    topology = Topology.of(cpus, packages)
    if len(set(topology.sizes)) > 1:
        raise BadModel(f"--cpus is {cpus} with --packages {packages}; QEMU wants packages of one size")
    found = find(series, cache, tell)
    known = SCRIPTS[found.series]
    name = script if script is not None else known[0]
    if "/" not in name and name not in known:
        raise BadModel(f"--script is `{name}`; allowed are {', '.join(known)} for {found.series}, or a path with a `/`")
    lines = lines_of(name if "/" in name else f"host-{name}")
    check(lines, found.series, topology)
    recording = recorded(
        found,
        toolchain(found, cache, headers, tell),
        host_text(found, cache, tell),
        lines,
        name=Path(name).stem,
        module=kinds[module],
        topology=topology,
        tell=tell,
    )
    recording.write(out)
    say(f"{out}: {len(recording.events)} events of Linux {recording.header['kernel']}, module kind {module}")
    say(f"({NOTE})")
    return exits.HOLDS
