"""``python -m tdxexplore``."""

from tdxexplore.cli import main

main()
