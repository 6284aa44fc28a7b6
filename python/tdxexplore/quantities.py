"""Quantities as people write them, and what they must be told about those that they read."""

from __future__ import annotations

RANGES = "a number, a list or a range, as 4, 2,4 or 2-6"
MEMORY = "bytes, or a number with K, M or G, as 2G"

SHARE_AND_PROBABILITY = (
    "share counts each maximal run once; probability lets each enabled step be equally likely, so that runs with fewer choices "
    "on their way weigh more"
)
"""What is said once wherever a share and a probability stand side by side, as they may differ by orders of magnitude."""

COUNTS = {
    "interleavings": "maximal runs that end so, with labelled CPUs, each counted once: an exact integer of any size; two "
    "runs differ if some step differs, or the CPU that takes it",
    "share": "interleavings that end so, over all interleavings",
    "probability": "the chance of ending so if, in each state, every enabled step is equally likely to be next",
    "terminal states": "states in which runs end so, with labelled CPUs: an exact integer; of runs that never end, the "
    "states from which no end can be reached",
    "shortest": "steps of the shortest run that ends so, which is the trace that is shown",
    "concrete states, transitions": "of the whole search, with labelled CPUs: exact integers",
    "stored, generated": "what the search kept, and the transitions that it made between these: states up to the names of "
    "CPUs and packages that start out equal",
    "an invariant fails in ... states": "concrete states that violate it; runs through them are not counted",
    "`-`": "not measured: with `--no-measures`, with `--space bits`, in a search that a limit cut short; interleavings and "
    "their share also where a run may pass through a cycle any number of times and still end. In a comparison: the scenario "
    "cannot happen there",
    "`1.234e17`": "an exact integer with too many digits for the line: `--json` and the tables have all of them",
    "`10^19728.30`": "an integer that is too large to be kept exactly: a line below says how exact the logarithm is",
}
"""What the figures of an answer count."""

LONG, SHORT = 15, 9
"""So many digits are written out: where a line has room for them, and where many counts stand side by side."""

_UNITS = {
    "": 1,
    "K": 2**10,
    "M": 2**20,
    "G": 2**30,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}


_MOST = 4096  # more than any number that is allowed anywhere, so that a range is never too long to be written out


def whole_numbers(text: str) -> tuple[int, ...]:
    """The numbers of ``4``, ``2,4`` or ``2-6``, as written.

    Raises:
        ValueError: It is something else, or an empty range.
        OverflowError: A range has larger numbers than are allowed anywhere.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (dash and first):
            numbers.append(int(part))
            continue
        ends = int(first), int(last)
        if ends[1] > _MOST:
            raise OverflowError(f"no number is allowed to be above {_MOST}")
        numbers += range(ends[0], ends[1] + 1)
    if not numbers:
        raise ValueError(text)
    return tuple(numbers)


def memory(text: str) -> int:
    """The bytes of ``2G``.

    Raises:
        ValueError: It is something else.
    """
    digits = text.rstrip("KMGIBkmgib")
    unit = text[len(digits) :].upper()
    if not digits.isdecimal() or unit not in _UNITS:
        raise ValueError(text)
    return int(digits) * _UNITS[unit]


def integer(decimal: str | None, log10: float | None = None, digits: int = LONG) -> str:
    """An exact count, or its power of ten when it has too many digits to read; ``-`` when it was not measured."""
    if decimal is None:
        return "-" if log10 is None else f"10^{log10:.2f}"
    if len(decimal) <= digits:
        return f"{int(decimal):,}"
    return f"{decimal[0]}.{decimal[1:4]}e{len(decimal) - 1}"


def fraction(value: float | None) -> str:
    """A share or a probability; ``-`` when it was not measured."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 1e-4 or value == 0 else f"{value:.2e}"  # noqa: PLR2004 -- the digits shown
