"""A Dask scheduler and its workers, as a user starts them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path


QUIET = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
"""No dashboard, and no port that another cluster may have: without a dashboard Dask opens one all the same."""


class Cluster:
    """A scheduler and worker processes, as a user starts them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack, self.file = stack, folder / "scheduler.json"
        self.scheduler = self.start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *QUIET)
        deadline = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.address: str = json.loads(self.file.read_text())["address"]

    def start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(self.file), *options]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def workers(self, *names: str) -> list[subprocess.Popen[bytes]]:
        options = ("--nthreads", "1", "--no-nanny", *QUIET, "--name")
        return [self.start("dask_worker", *options, name) for name in names]
