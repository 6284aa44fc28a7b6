"""A limit on the time and the memory that Python code may take, whoever wrote it.

Recording a policy runs code of its author, and lowering may multiply it: neither looks at a clock. A second thread therefore
raises an exception in the one that works, which is the means of CPython for this: it reaches any thread, also a worker of a
sweep, where a signal reaches only the main thread. The exception arrives between two bytecodes. A call into C is not cut,
but for `time.sleep` and its like in the main thread, which an empty signal handler wakes.
"""

from __future__ import annotations

import ctypes
import math
import signal
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from tdxexplore.errors import TimeIsUp, TimeUp
from tdxexplore.explore.machine import resident

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


_LEAST = 256 << 20
"""Bytes that recording and lowering may take whatever the limit, which is one for searches."""

_POLL = 0.05  # seconds


def limited(call: Callable[[], T], seconds: float | None, what: str, memory: int | None = None) -> T:
    """Call something, and cut it after a time, or when it takes too much memory.

    It is a function and no context manager, as CPython also raises such an exception at the beginning of ``__exit__``, where
    nothing could catch it.

    Args:
        call: What is called.
        seconds: How long it may take; None for no limit.
        what: What takes the time, for the message.
        memory: By how many bytes the resident memory of the process may grow, but at least `_LEAST`; None for no limit.

    Raises:
        TimeUp: It took longer, or more.
    """
    if seconds is None and memory is None:
        return call()
    worker = threading.get_ident()
    target, cut = ctypes.c_ulong(worker), ctypes.py_object(TimeIsUp)  # no call is left between `last` and the last one
    send = ctypes.pythonapi.PyThreadState_SetAsyncExc
    asleep = threading.current_thread() is threading.main_thread()
    over, sent, last = False, False, False
    ended = threading.Event()
    lock = threading.Lock()  # held while the exception is sent, so that none is sent when the work is over
    allowed = None if memory is None else resident() + max(memory, _LEAST)
    began = time.monotonic()
    message = ""

    def watch() -> None:
        nonlocal message, sent
        while True:
            left = math.inf if seconds is None else began + seconds - time.monotonic()
            if ended.wait(min(left, threading.TIMEOUT_MAX) if allowed is None else max(0, min(left, _POLL))):
                return
            late = seconds is not None and time.monotonic() - began >= seconds
            if late or (allowed is not None and resident() > allowed):
                limit = f"--timeout is {seconds:g} s" if late else f"--max-memory is {memory:,} bytes"
                message = f"{limit}, and {what} takes {'longer' if late else 'more'}"
                break
        with lock:
            if not over:
                sent = True
                send(target, cut)
                if asleep:
                    signal.pthread_kill(worker, signal.SIGALRM)

    watching = threading.Thread(target=watch, daemon=True)
    before = signal.signal(signal.SIGALRM, lambda *_: None) if asleep else None
    try:
        watching.start()
        try:
            return call()
        finally:
            # One that was sent may still be on its way, to any line from here on. The last one takes its place, and is waited
            # for. To take it back by sending nothing leaves CPython 3.11 looking for it: all that follows is slower, and under
            # cProfile it looks for ever.
            while not last:
                try:
                    with lock:
                        over = True
                    last = True
                    while sent:
                        send(target, cut)
                except TimeIsUp:
                    continue
            ended.set()
            if before is not None:
                signal.signal(signal.SIGALRM, before)
    except TimeIsUp:
        raise TimeUp(message) from None
