"""Questions to a data set: each is one function from lazy frames to a lazy frame, sorted by its key.

Most read the *answers* (`tdxexplore.data.reading.Dataset.answers`): a row for each point and outcome with the verdict of its
run. Questions about prices read `Dataset.prices`, `growth` reads `Dataset.runs`. The columns that say what was asked are in
`keys`.

An incomplete search knows only what it saw until it was cut short. It is shown where a row is a single search, and left out
where searches are compared or summed up.

Floats are summed in a fixed order, as Polars does not fix the order of rows within a group: the same data set gives the same
bytes.

Example:
    >>> from pathlib import Path
    >>> from tdxexplore.data import analysis
    >>> from tdxexplore.data.reading import Dataset
    >>> def worst_of(folder):
    ...     return analysis.worst(Dataset(Path(folder)).answers).collect()

Frames that were collected have their chart: ``frame.tdx.plot()``.
"""

import polars as pl

from tdxexplore.charts import Plots
from tdxexplore.data.analysis.differences import compared, differences
from tdxexplore.data.analysis.domination import COMPARED, domination
from tdxexplore.data.analysis.growth import growth
from tdxexplore.data.analysis.keys import KEY, POLICY, QUESTION, SERIES
from tdxexplore.data.analysis.prices import prices
from tdxexplore.data.analysis.ranking import ranking
from tdxexplore.data.analysis.shares import shares
from tdxexplore.data.analysis.smallest import smallest
from tdxexplore.data.analysis.worst import WORST, worst

__all__ = (
    "COMPARED",
    "KEY",
    "POLICY",
    "QUESTION",
    "SERIES",
    "WORST",
    "compared",
    "differences",
    "domination",
    "growth",
    "prices",
    "ranking",
    "shares",
    "smallest",
    "worst",
)

pl.api.register_dataframe_namespace("tdx")(Plots)
