"""An initramfs: busybox, a few kernel modules in the order in which they load, and scripts; as bytes, nothing on disk.

The archive is cpio's *newc* form (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst), which is short
enough to write here; a program for it would be one package more to install.
"""

from __future__ import annotations

import lzma
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.kernel.packages import NoKernel, need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tdxexplore.kernel.packages import Kernel

DIRECTORY, CHARACTER_DEVICE, REGULAR = 0o040755, 0o020600, 0o100755
CONSOLE = (5, 1)
FOLDERS = ("bin", "dev", "proc", "sys", "mods")


def build(kernel: Kernel, modules: Iterable[str], files: Mapping[str, bytes]) -> bytes:
    """Build the archive.

    Args:
        kernel: Whose modules they are.
        modules: Names of modules; what they depend on comes before them. ``/mods/order`` lists all in the order of loading.
        files: Other files by their paths, such as ``init``; all may be executed.

    Raises:
        NoKernel: busybox or a module is missing.
    """
    order = list(_in_order(kernel, modules))
    content = {
        "bin/busybox": Path(need("busybox", "busybox-static")).read_bytes(),
        **{f"mods/{name}.ko": module_text(kernel, name) for name in order},
        "mods/order": "".join(f"{name}\n" for name in order).encode(),
        **files,
    }
    made = [_entry(name, DIRECTORY) for name in FOLDERS]
    made.append(_entry("dev/console", CHARACTER_DEVICE, device=CONSOLE))
    made += [_entry(name, REGULAR, text) for name, text in content.items()]
    return b"".join([*made, _entry("TRAILER!!!", 0)])


def module_text(kernel: Kernel, name: str) -> bytes:
    """The text of a module of the kernel, decompressed.

    Raises:
        NoKernel: The package has no such module.
    """
    for path in sorted(kernel.modules.rglob(f"{name}.ko*")):
        return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    raise NoKernel(f"Linux {kernel.version} has no module `{name}`")


def _in_order(kernel: Kernel, modules: Iterable[str]) -> Iterator[str]:
    """The modules and what they depend on, each once, dependencies first; the .modinfo section names them."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        needs = re.search(rb"\0depends=([^\0]+)\0", module_text(kernel, name))
        for other in needs[1].decode().split(",") if needs else ():
            yield from visit(other.replace("_", "-") if _is_dashed(kernel, other) else other)
        yield name

    for name in modules:
        yield from visit(name)


def _is_dashed(kernel: Kernel, name: str) -> bool:
    """Whether a module's file has dashes where its name has underscores."""
    return "_" in name and not any(kernel.modules.rglob(f"{name}.ko*"))


def _entry(name: str, mode: int, text: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry of the archive: a header of thirteen numbers, the name, the text, each padded to four bytes."""
    path = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(text), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    return _padded(header) + _padded(text)


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (-len(text) % 4)
