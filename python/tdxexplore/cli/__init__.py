"""The command line. stdout carries the result, stderr progress and messages; `exits` has the exit codes.

0 holds, 1 violated, 2 usage or bad input, 3 incomplete, 4 internal error, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import cyclopts
from cyclopts import App

from tdxexplore._version import __version__
from tdxexplore.cli import data, exits, explore
from tdxexplore.errors import InternalError, TdxExploreError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = App(
    name="tdxexplore",
    help="Which TDX bring-up policy survives CPU hotplug? Explores every interleaving and answers exactly.",
    version=__version__,
    help_format="plaintext",
)
for command in (
    explore.policies,
    explore.check,
    explore.compare,
    explore.diff,
    explore.replay,
    explore.export,
    data.sweep,
    data.compact,
    data.analyze,
):
    app.command(command)


def main() -> None:
    """Entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; every error is one line on stderr."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        return exits.complain(" ".join(str(error).split()), exits.USAGE)
    except InternalError as error:
        return exits.complain(f"internal: {error}", exits.INTERNAL)
    except TdxExploreError as error:
        return exits.complain(str(error), exits.USAGE)
    except OSError as error:
        return exits.complain(f"{error.filename or 'output'}: {error.strerror or error}", exits.USAGE)
    except KeyboardInterrupt:
        return exits.complain("interrupted", exits.INTERRUPTED)
    return code if isinstance(code, int) else exits.HOLDS
