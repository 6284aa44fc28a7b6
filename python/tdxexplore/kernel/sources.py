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
    name = f"linux-source-{kernel.series}"
    for program, package in (("tar", "tar"), ("xz", "xz-utils"), ("dpkg-deb", "dpkg"), ("apt-get", "apt")):
        need(program, package)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        archive = INSTALLED / f"{name}.tar.xz"
        if not archive.exists():
            archive = _download(kernel, name, Path(temporary), tell)
        tell(f"Linux {kernel.version}: unpacking arch/x86/virt of {archive.name}")
        run(["tar", "-xJf", str(archive), "-C", str(folder), f"{name}/arch/x86/virt"], os.environ)
    (folder / "done").touch()


def _download(kernel: Kernel, name: str, folder: Path, tell: Callable[[str], None]) -> Path:
    environment: Mapping[str, str] = os.environ
    if not run(["apt-cache", "pkgnames", name], environment).split():
        environment = private_apt((SERIES[kernel.series].suite,), folder / "apt")
        run(["apt-get", "update", "-q"], environment)
    tell(f"Linux {kernel.version}: downloading {name}")
    run(["apt-get", "download", "-q", name], environment, folder)
    (package,) = folder.glob("*.deb")
    _same_version(kernel, run(["dpkg-deb", "-f", str(package), "Version"], environment).strip())
    run(["dpkg-deb", "-x", str(package), str(folder / "root")], environment)
    return folder / "root" / "usr/src" / f"{name}.tar.xz"


def _same_version(kernel: Kernel, version: str) -> None:
    if version.partition("-")[0] != kernel.version.partition("+")[0]:
        raise NoKernel(f"the source package is of {version}, and the kernel in the cache is {kernel.version}")
