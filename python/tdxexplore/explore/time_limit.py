"""A limit on the time that Python code may take, whoever wrote it.

Recording a policy runs code of its author, and lowering may multiply it: neither looks at a clock. A second thread therefore
raises an exception in the one that works, which is the means of CPython for this: it reaches any thread, also a worker of a
sweep, where a signal reaches only the main thread. The exception arrives between two bytecodes. A call into C is not cut,
but for `time.sleep` and its like in the main thread, which an empty signal handler wakes.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tdxexplore.errors import TimeIsUp, TimeUp

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """Cut what runs inside after a time.

    Args:
        seconds: How long it may take; None for no limit.
        what: What takes the time, for the message.

    Raises:
        TimeUp: It took longer.
    """
    if seconds is None:
        yield
        return
    worker = threading.get_ident()
    asleep = threading.current_thread() is threading.main_thread()
    over, fired = False, False
    lock = threading.Lock()  # held while the exception is sent, so that none is sent when the work is over

    def fire() -> None:
        nonlocal fired
        with lock:
            if not over:
                fired = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker), ctypes.py_object(TimeIsUp))
                if asleep:
                    signal.pthread_kill(worker, signal.SIGALRM)

    timer = threading.Timer(seconds, fire)
    timer.daemon = True
    before = signal.signal(signal.SIGALRM, lambda *_: None) if asleep else None
    try:
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with lock:
                over = True
            if fired:  # and has perhaps not arrived: then it must not arrive later, elsewhere
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker), None)
            if before is not None:
                signal.signal(signal.SIGALRM, before)
    except TimeIsUp:
        raise TimeUp(f"--timeout is {seconds:g} s, and {what} takes longer") from None
