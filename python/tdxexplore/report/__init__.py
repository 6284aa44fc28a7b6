"""One HTML file that shows a data set: the worst outcomes as a heat map, and behind each cell its traces step by step.

The flow: `source` reads the tables, `questions` says what each row asks, `drawing` makes a trace into rows and bars, `kept` keeps
these beside the tables, `designs` describes the policies, `content` puts all of it together as data, and `page` writes that into
``browser/page.html``. From the data, the scripts of ``browser`` make what a reader sees. The file asks the network for nothing,
and tells the browser so by its content security policy.

Rejected: HTML from Python, which repeats for each of 2,000 cells what the browser can make from a row, and is ten times as large.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tdxexplore.callable_module import make_callable
from tdxexplore.report.page import Written, write

__all__ = ["Written", "write"]


def run(folder: Path | str, out: Path | str = "report.html", **how: Any) -> Written:  # noqa: ANN401 -- the arguments of `write`
    """Write a data set as one HTML file: ``tdxexplore.report(folder, out)``.

    Args:
        folder: What ``tdxexplore sweep --out`` or ``tdxexplore compare --out`` wrote.
        out: The HTML file.
        how: See `write`.
    """
    return write(Path(folder), Path(out), **how)


make_callable(__name__, run)
