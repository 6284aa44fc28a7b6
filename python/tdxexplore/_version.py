"""The version of this package, for tables, files and the command line.

It is written out so that reading a data set needs neither the engine, which takes longer to load than most tables take to
read, nor `importlib.metadata`, which takes a third of the start of a small check. A test compares it with Cargo.toml,
pyproject.toml and the engine.
"""

__version__ = "0.2.0"
