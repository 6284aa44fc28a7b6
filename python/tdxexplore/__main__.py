"""The process: ``tdxexplore`` and ``python -m tdxexplore``."""

from __future__ import annotations

import signal
import sys

from tdxexplore.system import other_system


def main() -> None:
    """Load the command line and run it. Until it is loaded there is nothing to keep, and Ctrl-C ends the process at once."""
    if other := other_system():
        sys.stderr.write(f"tdxexplore: error: {other}\n")
        sys.exit(2)  # bad input: `tdxexplore.cli.exits`, which does not load here
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tdxexplore import cli  # noqa: PLC0415 -- takes a moment

    signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
