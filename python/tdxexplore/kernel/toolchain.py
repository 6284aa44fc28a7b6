"""How modules are compiled: with installed headers, or in a root of its own with another release's headers and compiler.

A kernel of another Debian release wants that release's compiler, and its objtool that release's libraries. Packages of both are
unpacked into the cache, with what they depend on, and ``make`` runs there, in a mount namespace that ends with it.

Rejected: this machine's compiler (gcc 12 has not all flags of 7.3); a container engine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.kernel.machine import guest_file
from tdxexplore.kernel.packages import SERIES, NoKernel, cache_folder, need, private_apt, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.kernel.packages import Kernel

FLAGS = "-g0 -w -Wframe-larger-than=4096"
TOOLS = ("make", "binutils", "dash", "coreutils", "sed", "grep", "mawk", "findutils", "kmod")
MERGED = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Headers, and the root that they and the compiler are in.

    Attributes:
        headers: The folder of the headers, as seen in the root.
        root: None for this system.
    """

    headers: Path
    root: Path | None = None

    def build(self, sources: Mapping[str, str]) -> dict[str, bytes]:
        """Compile modules: each text by the name of its module; the modules by the names of their files.

        Raises:
            NoKernel: Something is missing, or one does not compile.
        """
        with tempfile.TemporaryDirectory() as folder:
            for name, text in sources.items():
                Path(folder, f"{name}.c").write_text(text)
            Path(folder, "litmus.h").write_bytes(guest_file("litmus.h"))
            objects = " ".join(f"{name}.o" for name in sources)
            Path(folder, "Makefile").write_text(f"obj-m := {objects}\nccflags-y := {FLAGS}\n")
            made = subprocess.run(self._command(folder), capture_output=True, text=True, check=False)  # noqa: S603 -- our own
            if made.returncode:
                raise NoKernel(f"a module does not compile: {(made.stderr + made.stdout).strip()[:2000]}")
            return {f"{name}.ko": Path(folder, f"{name}.ko").read_bytes() for name in sources}

    def _command(self, folder: str) -> list[str]:
        make = ["make", "-s", f"-j{os.cpu_count()}", "-C", str(self.headers)]
        if self.root is None:
            need("make", "make")
            return [*make, f"M={folder}", "modules"]
        mounts = "mount --rbind /dev $0/dev && mount --rbind /proc $0/proc && mount --bind $1 $0/work"
        script = f'{mounts} && r=$0 && shift && exec chroot $r "$@"'
        return [
            need("unshare", "util-linux"),
            "-mr",
            "sh",
            "-c",
            script,
            str(self.root),
            folder,
            *make,
            "M=/work",
            "modules",
        ]


def toolchain(kernel: Kernel, cache: Path | None, headers: Path | None, tell: Callable[[str], None]) -> Toolchain:
    """What compiles modules for a kernel.

    Args:
        kernel: The kernel.
        cache: A folder in the place of the user's cache.
        headers: The folder of its headers; default: where its package installs them.
        tell: Is called with each line of progress.

    Raises:
        NoKernel: There are no headers.
    """
    folder = headers or Path(f"/usr/src/linux-headers-{kernel.version}")
    if folder.exists():
        return Toolchain(folder)
    suites = SERIES[kernel.series].build_suites
    if headers is not None or not suites:
        raise NoKernel(f"{folder} is not there; `apt-get install {folder.name} gcc make kmod` brings it")
    root = cache_folder(cache) / kernel.series / "build"
    if not (root / "done").exists():
        _fill(root, kernel.version, suites, tell)
    return Toolchain(folder, root)


def _fill(root: Path, version: str, suites: tuple[str, ...], tell: Callable[[str], None]) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("dev", "proc", "work", "tmp"):
        (root / name).mkdir()
    with tempfile.TemporaryDirectory(dir=root) as folder:
        environment = private_apt(suites, Path(folder))
        tell(f"Linux {version}: downloading its headers, and the compiler of {suites[0]}")
        run(["apt-get", "update", "-q"], environment)
        names = [f"linux-headers-{version}", *TOOLS]
        run(["apt-get", "install", "-q", "-y", "--download-only", "--no-install-recommends", *names], environment)
        for file in sorted(Path(folder).rglob("*.deb")):
            run(["dpkg-deb", "-x", str(file), str(root)], environment)
    (root / "usr/bin/awk").symlink_to("mawk")  # no script of a package has run
    (root / "done").touch()
