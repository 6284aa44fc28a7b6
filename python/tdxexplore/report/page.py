"""Writing the page: the template, its style, its scripts and the data, in one file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from tdxexplore.explore.question import no_collection
from tdxexplore.explore.subject import NONE
from tdxexplore.markup import page as shown_page
from tdxexplore.markup import paragraph, table
from tdxexplore.replacing import replacing
from tdxexplore.report import source
from tdxexplore.report.content import content
from tdxexplore.report.questions import Subjects
from tdxexplore.report.traces import shown
from tdxexplore.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tdxexplore.data.reading import Skipped
    from tdxexplore.explore.finding import About

TITLE, TITLE_OF_MODELS = "Which policy survives CPU hotplug?", "Which model holds?"

# Characters that turn the direction of a text (`tdxexplore.visible`), as JSON has them; an escaped backslash may stand before.
_TURNS = re.compile(r"(?<!\\)((?:\\\\)*)\\(u(?:061c|200[ef]|202[89a-e]|206[6-9]|feff))")

_SCRIPTS = ("base.js", "trace.js", "cell.js", "heat.js", "start.js")
"""In the order in which they stand in the page: each uses only what those before it define."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a report holds.

    Attributes:
        path: The file.
        size: Its bytes.
        points: Points that are shown.
        traces: Traces that are shown.
        left_out: Traces that did not fit.
        unknown: Policies that are not built in and whose file was not given: they have only traces that were kept.
        changed: Policies that are not what they were when their points were explored, likewise.
        skipped: Files of the data set that were left out.
    """

    path: Path
    size: int
    points: int
    traces: int
    left_out: int
    unknown: tuple[str, ...]
    changed: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    def _repr_html_(self) -> str:
        rows = [("points", f"{self.points:,}"), ("traces", f"{self.traces:,}"), ("size", f"{self.size / 1e6:.1f} MB")]
        return shown_page(paragraph(f"{self.path}: open it in a browser"), table(("", ""), rows))


def write(
    folder: Path,
    out: Path,
    *,
    policies: Sequence[About] = (),
    traces: bool = True,
    why: float | None = None,
    title: str = "",
    progress: Callable[[int, int], object] | None = None,
) -> Written:
    """Write the report of a data set, or of the folder of a comparison. No reader sees a part of the file.

    Args:
        folder: What ``tdxexplore sweep --out`` or ``tdxexplore compare --out`` wrote.
        out: The HTML file.
        policies: The user's own policies and models in it, as ``path/to/file.py:NAME`` or as Python has them.
        traces: Whether traces are drawn that are not kept beside the tables yet; each needs the model of its question.
        why: Explain each trace of an outcome of S0 to S3, for so many seconds at most; None: show the explanations that are kept.
        title: Of the page; default: the name of the sweep, or `TITLE`.
        progress: Called with how many new traces of how many are drawn.

    Raises:
        BadDataset: It is neither of the two, or cannot be read.
        BadModel: There is no such policy.
        OSError: The file cannot be written.
    """
    subjects = Subjects(policies)
    with no_collection():
        tables = source.read(folder)
    drawn = shown(tables, subjects, new=traces, why=why, progress=progress)
    policies_only = NONE not in tables.runs["module"].unique()
    title = title or tables.origin.get("spec", "") or (TITLE if policies_only else TITLE_OF_MODELS)
    with no_collection():
        data = content(tables, drawn, subjects, title)
        size = _write(out, page(data, title))
    return Written(
        out,
        size,
        len(data["points"]),
        len(data["traces"]),
        data["left_out"],
        drawn.unknown,
        drawn.changed,
        tables.skipped,
    )


def page(data: dict[str, object], title: str) -> str:
    """The page as text.

    Args:
        data: See `tdxexplore.report.content.content`.
        title: Its title.
    """
    parts = {
        "title": escape(visible(title)),
        "style": _resource("page.css"),
        "data": _harmless(json.dumps(data, separators=(",", ":"))),
        "script": "".join(_resource(name) for name in _SCRIPTS),
    }
    # In one pass, so that nothing that is put in is looked at again.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _resource("page.html"))


def _harmless(data: str) -> str:
    """JSON in ASCII in which no HTML parser sees a tag, a comment or an entity, and no text turns the direction of others."""
    turned = _TURNS.sub(lambda found: f"{found[1]}\\\\{found[2]}", data)
    return turned.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _resource(name: str) -> str:
    return (files("tdxexplore.report") / "browser" / name).read_text(encoding="utf-8")


def _write(out: Path, text: str) -> int:
    encoded = text.encode()
    with replacing(out) as temporary:
        temporary.write_bytes(encoded)
    return len(encoded)
