"""Large sets of cases in three parts: a slice for ``make test``, another for ``make test-long``, the rest for ``make campaign``.

The slices are fixed, so that a failure comes again. A case is in one part only: ``.ci/run`` makes the first two and runs each
test once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.mark.structures import ParameterSet


def every(nth: int, cases: Iterable[object], *, long: int = 1) -> list[ParameterSet]:
    """The cases as parameters of a test: every `nth` for ``make test``, those after it ``long``, the others ``campaign``.

    Of a product of axes each slice meets every value of each axis, if `nth` has no divisor in common with their lengths.

    Args:
        nth: How many cases come between two of a slice.
        cases: The cases; a tuple is several parameters.
        long: How many cases after each of those are ``long``.
    """
    parameters = []
    for at, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        if at % nth == 0:
            marks = []
        elif at % nth <= long:
            marks = [pytest.mark.long]
        else:
            marks = [pytest.mark.campaign]
        parameters.append(pytest.param(*values, marks=marks))
    assert len(parameters) > 1
    return parameters
