"""The command line: one file for each command, which is imported when it is asked for.

stdout carries the result; stderr carries progress, warnings and errors. Errors become exit codes here (`run`), and `exits`
lists the codes. `output` has the forms of results and messages, `options` the options that several commands share.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import traceback
from typing import TYPE_CHECKING

import cyclopts
from cyclopts import App

from tdxexplore._version import __version__
from tdxexplore.cli import exits, streams
from tdxexplore.errors import InternalError, TdxExploreError, TimeUp, TooLarge
from tdxexplore.explore.machine import load_within_addresses
from tdxexplore.visible import speaks_ascii

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


def _version() -> str:
    """Name the package and the engine that it runs, as a stale build of the engine gives stale answers."""
    from tdxexplore.explore.engine import BUILD  # noqa: PLC0415 -- the engine loads only if it is asked for

    return f"tdxexplore {__version__}, engine {BUILD}"


app = App(
    name="tdxexplore",
    help="Which TDX bring-up policy survives CPU hotplug? Explores every interleaving and answers exactly.",
    version=_version,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `run` says where it stopped
)
# The lines of `tdxexplore --help`, which imports no command. Each is the first line of the command's docstring; a test compares.
COMMANDS = {
    "policies": "List the designs with their sources and knobs, scenarios and budgets; or what was read for one design.",
    "describe": "Print a policy or a model as a page: its knobs, and its steps beside what they stand for.",
    "check": "Explore every interleaving of one policy or model.",
    "compare": "Show the worst outcome in each cell of policies × module kinds × scenarios × CPU counts.",
    "new": "Write a commented file to start from: a model of any protocol, or a TDX policy; `check` explores it as it is.",
    "diff": "Show which outcomes B adds and removes against A, and the shortest schedule that only A survives.",
    "why": "Explain an outcome: which steps have to come before which, and after which step it cannot be avoided.",
    "replay": "Run one interleaving, step by step.",
    "explore": "Walk through the interleavings in the terminal: choose each step, see locks and state, go back.",
    "sample": "Draw runs at random: uniformly by exact counts, or by random steps or priorities where there are too many states.",
    "export": "Write the same model for another checker, which must find the same states and transitions.",
    "sweep": "Explore the points of a sweep file into a data set; run again to continue. Exits with 3 if a limit cut one short.",
    "compact": "Merge the files of a data set: one for each table and partition instead of one for each point.",
    "analyze": "Ask a data set a question. Exits with 3 if damaged files were left out.",
    "help": "Explain a topic, such as outcomes, counts or exit codes, or a name that an answer shows.",
    "report": "Write a data set as one HTML file: a heat map, and behind each cell its traces, step by step.",
    "kernel": "Boot a stock Linux in QEMU, record what it does, and hold that against a model.",
}
for name, summary in COMMANDS.items():
    app.command(f"tdxexplore.cli.{name}:{name}", name=name, help=summary, sort_key=list(COMMANDS).index(name))


_NARROWEST, _WIDEST = 40, 1 << 16
"""Columns: the help of commands does not end in one, and its frames take all that there are, however many."""

_REFUSED = frozenset(
    (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EPIPE,
        errno.EBADF,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    )
)
"""Errors of the machine, for which no name that the user gave is at fault."""

_NO_THREAD = ("can't start new thread", os.strerror(errno.EAGAIN))
"""The words with which Python, the engine and Polars say that a thread is refused."""


def main() -> None:
    """Entry point."""
    streams.prepare()
    load_within_addresses()
    code = run(sys.argv[1:])
    streams.end()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; an error is one line on stderr.

    Whatever is raised ends here, SystemExit too: Python's exit code of a crash, 1, says `violated`, and that of an exit, 0, says
    `holds`.
    """
    columns = shutil.get_terminal_size().columns
    if not _NARROWEST <= columns <= _WIDEST:
        os.environ["COLUMNS"] = str(min(max(columns, _NARROWEST), _WIDEST))
    if any(word == "" or (word.startswith("--") and word.endswith("=")) for word in arguments):
        return exits.complain("an argument is empty; is a variable not set?", exits.USAGE)
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value", console=_console())
        streams.flush()
    except BaseException as error:  # noqa: BLE001
        if isinstance(error, SystemExit) and isinstance(error.__context__, OSError):
            error = error.__context__  # rich exits when it finds a closed pipe
        if isinstance(error, OSError) and error.errno in _REFUSED:
            streams.give_up(sys.stdout)
        said, code = _explained(error)
        return exits.complain(said, code) if said else code
    return code if isinstance(code, int) else exits.HOLDS


def _console() -> Console | None:
    """Where help is printed. In most locales cyclopts makes one itself, once it is needed."""
    if not speaks_ascii():
        return None
    from tdxexplore.render.terminal import Screen, plain  # noqa: PLC0415 -- Rich loads only where it is used

    return plain(Screen())


def _explained(error: BaseException) -> tuple[str, int]:
    """The line that is said about an error, and the exit code. A defect prints its traceback besides."""
    match error:
        case KeyboardInterrupt():
            said = " ".join(["interrupted", *map(str, error.args)]), exits.INTERRUPTED
        case _ if any(words in str(error) for words in _NO_THREAD):
            said = "the system starts no more threads: `ulimit -u`, or `pids.max` of a cgroup", exits.INCOMPLETE
        case TimeUp() | TooLarge():
            said = str(error), exits.INCOMPLETE
        case cyclopts.CycloptsError():
            said = " ".join(str(error).split()), exits.USAGE
        case InternalError():
            said = f"internal: {error}", exits.INTERNAL
        case TdxExploreError():
            said = str(error), exits.USAGE
        case BrokenPipeError():
            said = "", exits.INTERNAL  # whoever read the result has ended, as `head` does
        case MemoryError():
            said = f"not enough memory: {error}".removesuffix(": "), exits.INCOMPLETE
        case OSError():
            code = exits.INTERNAL if error.errno in _REFUSED else exits.USAGE
            said = f"{error.filename or 'output'}: {error.strerror or error}", code
        case _:
            traceback.print_exception(error)
            said = f"internal: {type(error).__name__}: {error}", exits.INTERNAL
    return said
