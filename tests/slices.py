"""Large sets of cases in two parts: a slice for ``make test``, all others for ``make test-long``.

The slice is fixed, so that a failure comes again. A case is never in both: ``.ci/run`` makes both and runs each test once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.mark.structures import ParameterSet


def every(nth: int, cases: Iterable[object]) -> list[ParameterSet]:
    """The cases as parameters of a test; all but every `nth` have the mark ``long``.

    Of a product of axes the slice meets every value of each axis, if `nth` has no divisor in common with their lengths.
    """
    parameters = []
    for at, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        parameters.append(pytest.param(*values, marks=[pytest.mark.long] if at % nth else []))
    assert len(parameters) > 1
    return parameters
