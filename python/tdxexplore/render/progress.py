"""Progress on stderr: counters, twice a second, while someone watches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def shown(what: str, *, quiet: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Yield a callback that shows counters, or None when nobody watches.

    Args:
        what: The command.
        quiet: Show nothing.
    """
    if quiet:
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 -- only when someone watches

    with Console(stderr=True).status(f"{what} ...") as status:

        def show(counters: dict[str, Any]) -> None:
            status.update(_line(what, counters))

        yield show


def _line(what: str, c: dict[str, Any]) -> str:
    if "total" in c:
        return f"{what}: {c['done']} of {c['total']} explorations done, last: {c['last']}"
    rate = c["explored"] / max(c["seconds"], 1e-9)
    expected = "" if c["expected_states"] is None else f" of {c['expected_states']:,}"
    return (
        f"{what}: {c['state_bits']} bits and {c['bytes_per_state']} bytes a state; depth {c['depth']}, "
        f"{c['explored']:,}{expected} states stored, {c['generated']:,} generated, {rate:,.0f} states/s, "
        f"frontier {c['frontier']:,}, {c['memory_bytes'] / 2**20:,.0f} MiB, {c['seconds']:.0f} s"
    )
