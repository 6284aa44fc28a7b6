"""How modules are compiled: with installed headers, or in a root of its own with another release's headers and compiler.

A kernel of another Debian release wants that release's compiler, and its objtool that release's libraries. Packages of both are
unpacked into the cache, with what they depend on, and ``make`` runs there, in a mount namespace that ends with it.

Rejected: this machine's compiler (gcc 12 has not all flags of 7.3); a container engine.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.kernel.machine import guest_file
from tdxexplore.kernel.packages import SERIES, NoKernel, cache_folder, need, private_apt, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tdxexplore.kernel.packages import Kernel

FLAGS = "-g0 -w -Wframe-larger-than=4096"
HEADERS = ("litmus.h", "primitives.h", "symbol.h")
TOOLS = ("make", "binutils", "dash", "coreutils", "sed", "grep", "mawk", "findutils", "kmod")
MERGED = ("bin", "sbin", "lib", "lib64")


# The sources come as a tar archive and the modules go as one. The folder is memory, so that nothing is left whatever ends it.
SCRIPT = """
mount -t tmpfs litmus "$0/tmp" && { [ "$0" = / ] || mount --rbind /dev "$0/dev"; } && tar -x -C "$0/tmp" &&
chroot "$0" make -s -j$1 -C "$2" M=/tmp CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2 && cd "$0/tmp" && exec tar -c *.ko
"""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Headers, and the root that they and the compiler are in.

    Attributes:
        headers: The folder of the headers, as seen in the root.
        root: The root; default: this system.
        kept: A folder that keeps modules; None for none.
    """

    headers: Path
    root: Path = Path("/")
    kept: Path | None = None

    def build(self, texts: Iterable[str]) -> dict[str, bytes]:
        """Compile modules, each by the name that `name` gives its text.

        Raises:
            NoKernel: Something is missing, or one does not compile.
        """
        sources = {self.name(text): text for text in texts}
        files = {name: self.kept / f"{name}.ko" for name in sources} if self.kept is not None else {}
        found = {name: file.read_bytes() for name, file in files.items() if file.exists()}
        made = self._made({name: text for name, text in sources.items() if name not in found})
        for name, module in made.items():
            if name in files:
                files[name].parent.mkdir(parents=True, exist_ok=True)
                whole = files[name].with_suffix(f".{os.getpid()}")
                whole.write_bytes(module)
                whole.rename(files[name])
        return found | made

    def name(self, text: str) -> str:
        """The name of a module: a digest of all that it is made of."""
        parts = (str(self.headers), FLAGS, *(guest_file(header).decode() for header in HEADERS), text)
        return "litmus_" + hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()

    def _made(self, sources: Mapping[str, str]) -> dict[str, bytes]:
        files = {f"{name}.c": text.encode() for name, text in sources.items()}
        return self.compile(files | {name: guest_file(name) for name in HEADERS}) if sources else {}

    def compile(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Compile files as they are: each C file beside the Makefile is a module, of its name.

        Raises:
            NoKernel: Something is missing, or one does not compile.
        """
        objects = " ".join(name[:-2] + ".o" for name in files if name.endswith(".c") and "/" not in name)
        files = {**files, "Makefile": f"obj-m := {objects}\nccflags-y := {FLAGS}\n".encode()}
        made = subprocess.run(self._command(), input=_packed(files), capture_output=True, check=False)  # noqa: S603 -- our own
        if made.returncode:
            raise NoKernel(f"a module does not compile: {made.stderr.decode(errors='replace').strip()[:2000]}")
        return _unpacked(made.stdout)

    def _command(self) -> list[str]:
        """In a mount and process namespace that ends with this process."""
        if self.root == Path("/"):
            for program, package in (("make", "make"), ("gcc", "gcc"), ("modinfo", "kmod"), ("tar", "tar")):
                need(program, package)
        alone = [
            need("unshare", "util-linux"),
            "-r",
            "-p",
            "--fork",
            "--kill-child",
            f"--mount-proc={self.root / 'proc'}",
        ]
        shell = ["sh", "-c", SCRIPT, str(self.root), str(os.cpu_count()), str(self.headers)]
        return [need("setpriv", "util-linux"), "--pdeathsig", "KILL", "--", *alone, *shell]


def _packed(files: Mapping[str, bytes]) -> bytes:
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return text.getvalue()


def _unpacked(text: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(text)) as archive:
        for entry in archive:
            content = archive.extractfile(entry)
            assert content is not None
            found[entry.name.removesuffix(".ko")] = content.read()
    return found


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
    kept = cache_folder(cache) / kernel.series / "modules"
    if folder.exists():
        return Toolchain(folder, kept=kept)
    if headers is not None:
        raise NoKernel(f"--headers: {folder} is not there")
    root = cache_folder(cache) / kernel.series / "build"
    if not (root / "done").exists():
        _fill(root, kernel.version, SERIES[kernel.series].build_suites, tell)
    return Toolchain(folder, root, kept)


def _fill(root: Path, version: str, suites: tuple[str, ...], tell: Callable[[str], None]) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("dev", "proc", "tmp"):
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
