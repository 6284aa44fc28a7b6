"""The version of this package, for tables and the command line: that of the engine, which Cargo.toml gives.

`importlib.metadata` would cost a third of the start of a small check.
"""

from tdxexplore._core import __version__

__all__ = ["__version__"]
