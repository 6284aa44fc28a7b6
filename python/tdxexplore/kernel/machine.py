"""QEMU with a kernel and an initramfs: a shell in the guest that runs lines, and the end of QEMU in every case.

The console of the kernel is the guest's first serial port, the shell is on the second, which is QEMU's standard input and output.
No file is left behind because none is made: the initramfs and the console are files in memory. QEMU ends with the context
manager; if this process is killed before that, the system ends QEMU with it (``setpriv --pdeathsig``).

Rejected: a virtio port, whose driver is a module in Debian's kernels; a socket, which is a file.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tdxexplore.errors import TdxExploreError
from tdxexplore.kernel.packages import NoKernel, need

if TYPE_CHECKING:
    from types import TracebackType

    from tdxexplore.kernel.packages import Kernel

END = b"\x1e"
"""What the shell of the guest prints before the exit code of a line (ASCII's record separator)."""

GUEST = Path(__file__).parents[3] / "kernel"
"""The guest's scripts, in the source tree: they are not part of the installed package, as their licence differs."""


def guest_file(name: str) -> bytes:
    """The text of a file for the guest.

    Raises:
        NoKernel: This is an installed package, without the source tree.
    """
    path = GUEST / name
    if not path.exists():
        raise NoKernel(f"{path} is not there; kernel runs need the source tree (`git clone`, then `make kernel`)")
    return path.read_bytes()


class GuestFailed(TdxExploreError, OSError):
    """The guest did not boot, did not answer in time, or crashed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a line printed in the guest, and its exit code."""

    text: str
    code: int


class Machine:
    """A running guest. Use it as a context manager.

    Args:
        kernel: The kernel to boot.
        initramfs: From `tdxexplore.kernel.initramfs.build`; its init must be ``kernel/init``.
        cpus: How many CPUs it has.
        packages: How many packages share them evenly.
        memory: In MiB.
        parameters: Further words of the kernel's command line.
        boot_time: Seconds to wait for the shell.
    """

    def __init__(
        self,
        kernel: Kernel,
        initramfs: bytes,
        *,
        cpus: int = 4,
        packages: int = 1,
        memory: int = 1024,
        parameters: str = "",
        boot_time: float = 240,
    ) -> None:
        self.kernel, self.cpus = kernel, cpus
        self._boot_time = boot_time
        self._initramfs = os.memfd_create("initramfs")
        self._console = os.memfd_create("console")
        with os.fdopen(os.dup(self._initramfs), "wb") as file:
            file.write(initramfs)
        self._command = [
            *(need("setpriv", "util-linux"), "--pdeathsig", "KILL", "--"),
            *(need("qemu-system-x86_64", "qemu-system-x86"), "-M", "q35", "-cpu", "max,+svm"),
            *("-accel", "tcg,thread=multi", "-smp", f"{cpus},sockets={packages}", "-m", str(memory)),
            *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"),
            *("-serial", f"file:/proc/self/fd/{self._console}"),
            *("-chardev", "stdio,id=shell,signal=off", "-serial", "chardev:shell"),
            *("-kernel", str(kernel.image), "-initrd", f"/proc/self/fd/{self._initramfs}"),
            # On a busy host the emulated timer comes too late for the kernel's check of it, which then panics.
            *("-append", f"console=ttyS0 quiet panic=-1 nokaslr no_timer_check {parameters}"),
        ]
        self._qemu: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Boot, and wait for the shell."""
        self._qemu = subprocess.Popen(  # noqa: S603 -- our own
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._initramfs, self._console),
        )
        try:
            self._answer("the boot", self._boot_time)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End QEMU, and free what it used; a second call does nothing."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.communicate()
            self._qemu = None
        for name in ("_initramfs", "_console"):
            if (number := getattr(self, name)) >= 0:
                os.close(number)
                setattr(self, name, -1)

    def run(self, line: str, timeout: float = 60) -> Answer:
        """Run a line in the guest's shell, which keeps its variables and functions from line to line.

        Raises:
            GuestFailed: The guest does not answer in time, or is gone.
        """
        if "\n" in line:
            raise ValueError("the shell of the guest reads lines")
        if self._qemu is None or self._qemu.stdin is None:
            raise GuestFailed("the guest is not running")
        try:
            self._qemu.stdin.write(line.encode() + b"\n")
            self._qemu.stdin.flush()
        except BrokenPipeError:
            raise self._failed(f"`{line}`: QEMU has ended") from None
        return self._answer(f"`{line}`", timeout)

    def console(self) -> str:
        """What the kernel has printed on its console."""
        size = os.fstat(self._console).st_size
        return os.pread(self._console, size, 0).decode(errors="replace").replace("\r", "")

    def _answer(self, asked: str, timeout: float) -> Answer:
        """Read up to the mark that ends an answer."""
        assert self._qemu is not None
        assert self._qemu.stdout is not None
        out, text, until = self._qemu.stdout.fileno(), bytearray(), time.monotonic() + timeout
        with selectors.DefaultSelector() as ready:
            ready.register(out, selectors.EVENT_READ)
            while not (text.endswith(b"\n") and END in text[-8:]):
                left = until - time.monotonic()
                if left <= 0 or not ready.select(left):
                    raise self._failed(f"{asked}: no answer after {timeout:g} s")
                more = os.read(out, 1 << 16)
                if not more:
                    raise self._failed(f"{asked}: QEMU has ended")
                text += more
        said, _, code = bytes(text).rpartition(END)
        return Answer(said.decode(errors="replace").replace("\r", ""), int(code))

    def _failed(self, text: str) -> GuestFailed:
        """The error, with the line of a panic, or the last line of the console."""
        lines = [line for line in self.console().splitlines() if line.strip()] or ["nothing"]
        last = next((line for line in lines if "Kernel panic" in line), lines[-1])
        return GuestFailed(f"{text}; the console says last: {last}")
