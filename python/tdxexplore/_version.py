"""The version of this package, in one place for tables and the command line."""

from importlib.metadata import version

__version__ = version("tdxexplore")
