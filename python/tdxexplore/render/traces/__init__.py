"""A trace in other forms: for mail, as a Mermaid diagram, for the Perfetto viewer, and as data.

Each form names the command that replays it, and `schedule_in` reads the schedule from any of them.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Literal, get_args

from tdxexplore.errors import BadSchedule
from tdxexplore.render.traces.document import document
from tdxexplore.render.traces.mail import mail
from tdxexplore.render.traces.mermaid import mermaid
from tdxexplore.render.traces.perfetto import perfetto

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.explore.trace import Trace

Form = Literal["mail", "mermaid", "perfetto", "json"]

FORMS: dict[str, Callable[[Trace], str]] = dict(zip(get_args(Form), (mail, mermaid, perfetto, document), strict=True))

_COMMAND = re.compile(r"tdxexplore replay [^\n]*")


def render(trace: Trace, form: Form) -> str:
    """A trace in one of the forms."""
    return FORMS[form](trace)


def schedule_in(text: str) -> str:
    """The schedule of a trace in any form: the last word of the command that replays it.

    Raises:
        BadSchedule: The text names no such command.
    """
    found = _COMMAND.search(text.replace("\\\n", ""))
    if found is None:
        raise BadSchedule("the text has no command `tdxexplore replay ...`")
    # In JSON the command is a string, in which quotes are escaped, and what follows it is no part of it.
    command = found[0].replace('\\"', "'").partition('"')[0] if text.lstrip().startswith("{") else found[0]
    return shlex.split(command)[-1]
