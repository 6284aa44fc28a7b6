"""A chart in the HTML of a result: a picture that opens when it is clicked, and needs no script and no network."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tdxexplore.charts.files import svg
from tdxexplore.errors import BadModel, MissingExtra
from tdxexplore.markup import Html, folded, picture

if TYPE_CHECKING:
    from collections.abc import Callable


def embedded(plot: Callable[[], Any]) -> Html | None:
    """The chart of a result, folded; None without the extra ``report``, or if there is nothing to draw.

    Args:
        plot: Makes the chart.
    """
    try:
        drawn = svg(plot())
    except (BadModel, MissingExtra):
        return None
    return folded("chart", picture("image/svg+xml", base64.b64encode(drawn).decode(), "chart"))
