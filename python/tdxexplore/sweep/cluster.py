"""Dask as an executor; an optional extra."""

from __future__ import annotations

import logging
import signal
import threading
import time
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from tdxexplore.errors import InternalError, TdxExploreError
from tdxexplore.explore.engine import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from distributed import Client

T = TypeVar("T")

LOCAL = "local"
_PATIENCE = "10s"
_WORKERS = 30  # seconds


@contextmanager
def _children_ignore_ctrl_c() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; the parent alone decides what it means."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def dask(address: str) -> Iterator[Executor]:
    """An executor on a Dask scheduler.

    Args:
        address: Of the scheduler, as ``tcp://host:8786``; or ``local`` for a process for each core of this machine.

    Raises:
        TdxExploreError: The extra is not installed, no scheduler answers, or it has no worker.
    """
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415 -- an extra, and slow to load
    except ImportError:
        raise TdxExploreError("--dask needs the extra `dask`: pip install 'tdxexplore[dask]'") from None
    for noisy in (
        "distributed",
        "distributed.client",
        "tornado.application",
    ):  # what they say of a dying cluster helps nobody
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    if address == LOCAL:
        with ExitStack() as stack:
            with _children_ignore_ctrl_c():
                # Without a dashboard Dask still opens its port, for all of the network, and warns where another cluster has it.
                quiet = {
                    "dashboard_address": "127.0.0.1:0",
                    "scheduler_kwargs": {"dashboard": False},
                    "silence_logs": logging.CRITICAL,
                }
                cluster = stack.enter_context(LocalCluster(n_workers=usable_cpus(), threads_per_worker=1, **quiet))
            client = stack.enter_context(Client(cluster))
            yield _with_workers(client, address)
        return
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise TdxExploreError(f"--dask is `{address}`; no scheduler answers there: {error}") from None
    with client:
        yield _with_workers(client, address)


def _with_workers(client: Client, address: str) -> Executor:
    """The executor, once a worker is there: without any it would wait for ever, and say nothing."""
    try:
        client.wait_for_workers(1, timeout=_WORKERS)
    except TimeoutError:
        raise TdxExploreError(
            f"--dask is `{address}`; no worker has joined the scheduler within {_WORKERS} s"
        ) from None
    return _Watched(client)


class _Watched(Executor):
    """An executor that notices when its last worker is gone: Dask waits for another one for ever.

    Args:
        client: Of the scheduler.
    """

    def __init__(self, client: Client) -> None:
        self._client, self._executor = client, client.get_executor(pure=False)
        self._there = time.monotonic()

    def submit(self, fn: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        return future

    def look(self) -> None:
        """Called from time to time while no call ends; see `tdxexplore.sweep.batch`.

        Raises:
            InternalError: No worker has been there for `_WORKERS` seconds.
        """
        with suppress(
            OSError, RuntimeError, TimeoutError
        ):  # of a scheduler that ends, of which the calls themselves tell
            if self._client.nthreads():
                self._there = time.monotonic()
        if time.monotonic() - self._there > _WORKERS:
            raise InternalError(f"the executor lost all workers, and none has joined within {_WORKERS} s")
