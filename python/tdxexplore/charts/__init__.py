"""Charts of the tables, with altair: an extra, which is loaded when a chart is made and not before.

`plot` looks at the columns of a frame and makes the chart that fits; every frame of `tdxexplore.data.analysis` has it as
``frame.tdx.plot()``, and results have ``plot()``. This wing knows tables and severities only, so that any other may use it.
"""

from tdxexplore.charts.choice import Plots, plot
from tdxexplore.charts.files import FORMATS, save

__all__ = ["FORMATS", "Plots", "plot", "save"]
