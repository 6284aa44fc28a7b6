"""The host's own text of a series: the files of arch/x86/virt that `tdxexplore.kernel.host` compiles.

They come from the distribution's source package of the same version, installed or downloaded, and are kept in the cache. Nothing
of them is in this repository.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.kernel.packages import SERIES, NoKernel, cache_folder, need, private_apt, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.kernel.packages import Kernel

FOLDERS = ("arch/x86/virt/vmx/tdx", "arch/x86/virt")
INSTALLED = Path("/usr/src")


def host_text(kernel: Kernel, cache: Path | None, tell: Callable[[str], None]) -> dict[str, bytes]:
    """The C files and headers of the host library, by their names.

    Args:
        kernel: The kernel; its source package has the same version.
        cache: A folder in the place of the user's cache.
        tell: Is called with each line of progress.

    Raises:
        NoKernel: The source package is neither installed nor can be downloaded, or has another version.
    """
    folder = cache_folder(cache) / kernel.series / "source"
    if not (folder / "done").exists():
        _unpack(kernel, folder, tell)
    root = folder / f"linux-source-{kernel.series}"
    return {
        file.name: file.read_bytes()
        for place in FOLDERS
        for file in sorted((root / place).glob("*.[ch]"))
        if place != "arch/x86/virt" or file.name == "hw.c"
    }


def _unpack(kernel: Kernel, folder: Path, tell: Callable[[str], None]) -> None:
    """Fill a folder of the cache; ``done`` is written last, so that a half-filled one is filled again."""
    name = f"linux-source-{kernel.series}"
    for program, package in (("tar", "tar"), ("xz", "xz-utils"), ("dpkg-deb", "dpkg"), ("apt-get", "apt")):
        need(program, package)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        archive = _installed(kernel, name) or _downloaded(kernel, name, Path(temporary), tell)
        tell(f"Linux {kernel.version}: unpacking arch/x86/virt of {archive.name}")
        run(["tar", "-xJf", str(archive), "-C", str(folder), f"{name}/arch/x86/virt"], os.environ)
    (folder / "done").touch()


def _installed(kernel: Kernel, name: str) -> Path | None:
    """The archive of the installed package, if that is of the kernel's version."""
    archive = INSTALLED / f"{name}.tar.xz"
    if not archive.exists():
        return None
    version = run(["dpkg-query", "--show", "--showformat", "${Version}", name], os.environ)
    return archive if _of(kernel, version) else None


def _downloaded(kernel: Kernel, name: str, folder: Path, tell: Callable[[str], None]) -> Path:
    environment: Mapping[str, str] = os.environ
    version = _version(kernel, name, environment)
    if version is None:
        suite = SERIES[kernel.series].suite
        tell(f"Linux {kernel.version}: reading the package lists of {suite}")
        environment = private_apt((suite,), folder / "apt")
        run(["apt-get", "update", "-q"], environment)
        version = _version(kernel, name, environment)
    if version is None:
        raise NoKernel(f"no package `{name}` of {kernel.version}, which the cache has; `apt-get update` may bring it")
    tell(f"Linux {kernel.version}: downloading {name} {version}")
    run(["apt-get", "download", "-q", f"{name}={version}"], environment, folder)
    (package,) = folder.glob("*.deb")
    run(["dpkg-deb", "-x", str(package), str(folder / "root")], environment)
    return folder / "root" / "usr/src" / f"{name}.tar.xz"


def _version(kernel: Kernel, name: str, environment: Mapping[str, str]) -> str | None:
    """The newest version of the package that is the kernel's, among those that apt knows."""
    lines = run(["apt-cache", "madison", name], environment).splitlines()
    versions = (line.split("|")[1].strip() for line in lines)
    return next((version for version in versions if _of(kernel, version)), None)


def _of(kernel: Kernel, version: str) -> bool:
    """Whether a version of the source package, as 6.12.117-1~deb12u1, is that of a kernel, as 6.12.117+deb12-amd64."""
    return version.partition("-")[0] == kernel.version.partition("+")[0]
