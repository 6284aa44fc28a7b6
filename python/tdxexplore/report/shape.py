"""Whether what a folder keeps of a trace is a drawing.

The folder may be a stranger's. What has another shape is no drawing, as if nothing were kept; and a command is shown only if a
shell runs nothing but ``tdxexplore`` where somebody pastes it.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from tdxexplore.report.drawing import Drawing

_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_ -]+")  # a shell takes it as it is

_TEXT, _NUMBER, _FLAG, _NONE = {str}, {int}, {bool}, {type(None)}
_ROW = {
    "n": _TEXT,
    "actor": _NUMBER,
    "cpus": [_NUMBER],
    "where": _TEXT,
    "said": _TEXT,
    "inside": [_TEXT],
    "title": _TEXT,
    "notes": [_TEXT],
    "source": _TEXT,
    "picked": _TEXT,
    "changes": [(_TEXT, _TEXT, _TEXT)],
    "more": _NUMBER,
    "held": [(_TEXT, _FLAG, _TEXT, _TEXT)],
    "others": [(_TEXT, _TEXT, _TEXT)],
}
_WHY = {"blocks": [(_TEXT, [(_TEXT, _TEXT)], _NUMBER)], "limit": {int, float}}
_DRAWING = {
    "check": _TEXT,
    "replay": _TEXT,
    "ending": _TEXT,
    "waits": [_TEXT],
    "why": _NONE,
    "actors": [_TEXT],
    "rows": [_ROW],
    "bars": [(_NUMBER, _NUMBER, _TEXT, _FLAG, _TEXT, _NUMBER, _NUMBER | _NONE)],
}
"""What `drawing` says that it returns, but for ``why``, which may be missing: a set is that of the types of a value, a list has
items of one shape, a tuple is a list of so many, a dictionary has these keys."""


def is_drawing(data: object) -> TypeGuard[Drawing]:
    """Whether data from a folder has the shape of a drawing, and its commands are of this package."""
    if not isinstance(data, dict) or "why" not in data or not _like({**data, "why": None}, _DRAWING):
        return False
    actors = range(len(data["actors"]))
    acting = [*(row["actor"] for row in data["rows"]), *(bar[0] for bar in data["bars"])]
    return (
        (data["why"] is None or _like(data["why"], _WHY))
        and all(actor in actors for actor in acting)
        and _runs(data["check"], "check")
        and _runs(data["replay"], "replay")
    )


def _like(data: Any, shape: Any) -> bool:  # noqa: ANN401 -- anything may be in JSON
    if type(shape) is set:
        return type(data) in shape
    if type(shape) is dict:
        if type(data) is not dict or data.keys() != shape.keys():
            return False
        for key, of in shape.items():  # a loop, as most of the time goes here
            value = data[key]
            if (
                type(value) not in of
                if type(of) is set
                else ((value != [] or type(of) is not list) and not _like(value, of))
            ):
                return False
        return True
    if type(data) is not list:
        return False
    if type(shape) is tuple:
        return len(data) == len(shape) and all(map(_like, data, shape))
    (of,) = shape
    if type(of) is set:
        return of.issuperset(map(type, data))
    return all(_like(item, of) for item in data)


def _runs(text: str, command: str) -> bool:
    """Whether a text is a command of this package, and nothing besides in the eyes of a shell."""
    if not text.startswith(f"tdxexplore {command} "):
        return False
    if _PLAIN.fullmatch(text):
        return True
    try:
        return shlex.join(shlex.split(text)) == text
    except ValueError:
        return False
