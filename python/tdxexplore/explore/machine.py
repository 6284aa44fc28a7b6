"""The memory that this process may still use: what the machine has, what its cgroup allows, and what ``ulimit -v`` leaves.

A search without ``--max-memory`` stops before the system refuses memory or kills it: its answer is then incomplete, and all that
was found is there. With it, ``ulimit -v`` still counts: the engine looks at its limit after each batch of states and cannot
answer once an allocation has failed. What is free is an estimate, and somebody who says how much may know better.
"""

from __future__ import annotations

import os
import resource
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINE = "memory of this machine,"
"""How the reason of an answer begins that the default limit cut short; the limit follows, in bytes."""

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")

_USED = 0.8
"""The part of the free memory that a search may take: batches and tables grow between two looks at the limit."""

_THREAD = 80 << 20
"""Bytes of addresses that a thread reserves: its stack, and a heap of 64 MiB, of which most is never touched."""

_LEAST = 64 << 20
"""Bytes of addresses below which a search is not begun."""

_ANSWER = 512 << 20
"""Bytes of addresses that the tables and the traces of an answer take; 350 MiB are those of Polars, once it starts."""


def free_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Bytes of memory that this process could still use, if the system says so."""
    known = [room for room in (_of_the_machine(proc), *_of_cgroups(proc, cgroups)) if room is not None]
    return max(0, min(known)) if known else None


def memory_limit(threads: int, share: float = 1.0, asked: int | None = None) -> int | None:
    """The limit on memory of a search.

    Args:
        threads: That it starts.
        share: Its part of what is free, where several searches run at once.
        asked: The limit that it was given.

    Returns:
        Bytes; None where nothing is known.

    Raises:
        MemoryError: The limit on addresses (``ulimit -v``) leaves too few for the threads.
    """
    free = free_memory()
    limit = asked
    if asked is None and free is not None:
        limit = int(free * _USED * share)
    addresses = _addresses()
    if addresses is not None:
        kept = (threads + 1) * _THREAD + max(0, _taken_at_first() + _ANSWER - _taken())
        if (left := addresses - kept) < _LEAST:
            raise MemoryError(
                f"`ulimit -v` leaves {addresses >> 20:,} MiB of addresses; {_LEAST + kept >> 20:,} MiB are needed for {threads} "
                "threads"
            )
        room = int(left * _USED / 2 * share)  # a table that grows is there twice
        limit = room if limit is None else min(limit, room)
    return None if limit is None else max(1, limit)


def load_within_addresses() -> None:
    """Under ``ulimit -v`` load NumPy now. Where OpenBLAS, in it, is refused memory later, it exits with 1, which says *violated*.

    Each thread of OpenBLAS and of Polars takes addresses, and tables of answers are small.
    """
    if _addresses() is not None:
        for name in ("OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
            os.environ.setdefault(name, "1")
        import_module("numpy")


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int((_PROC / "self" / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _addresses() -> int | None:
    """Bytes of addresses that this process may still take; None without a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else max(0, limit - _taken())


def _taken() -> int:
    """Bytes of addresses that this process has."""
    return int((_PROC / "self" / "statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@cache
def _taken_at_first() -> int:
    """The same, before the first answer."""
    return _taken()


def _of_the_machine(proc: Path) -> int | None:
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return None


def _of_cgroups(proc: Path, cgroups: Path) -> Iterator[int]:
    """The bytes that each cgroup above this process leaves, of either version."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = cgroups / "memory" if controllers else cgroups
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        folder = top / inside.lstrip("/")
        for place in (folder, *folder.parents):
            if not place.is_relative_to(top):
                break
            try:
                limit, used = (int((place / name).read_text()) for name in names)
            except (OSError, ValueError):  # there is none, or it is `max`
                continue
            yield limit - used + _reclaimable(place)


def _reclaimable(place: Path) -> int:
    """Bytes of files that a cgroup keeps in memory and gives up when asked."""
    try:
        words = (line.split() for line in (place / "memory.stat").read_text().splitlines())
        return sum(int(number) for name, number in words if name == "inactive_file")
    except (OSError, ValueError):
        return 0
