"""``tdxexplore kernel``: a stock Linux in QEMU, and what it does held against a model."""

from __future__ import annotations

from cyclopts import App

from tdxexplore.cli import exits
from tdxexplore.cli.kernel_options import Cache, Series, tell
from tdxexplore.cli.output import Flag, say
from tdxexplore.kernel import NO_TDX
from tdxexplore.kernel.guest import boot as booted
from tdxexplore.kernel.packages import DEFAULT, find

kernel = App(name="kernel", help="Boot a stock Linux in QEMU, record what it does, and hold that against a model.")


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


kernel.command("tdxexplore.cli.litmus:run", name="run")
