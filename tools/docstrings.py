"""Docstrings as Markdown, for the reference pages of the manual; a public name without one is an error."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):$")
# What is read without a call.
_COMPUTED = (property, cached_property)
_ENUM = re.compile(r"<(\w+\.\w+): [^>]*>")
_ENTRY = re.compile(r"^ {4}(\*{0,2}\w+(?:, \w+)*): (.*)$")


class Undocumented(Exception):
    """A public name has no docstring."""


def documented(value: object, name: str) -> str:
    """The docstring of a value, of its own and not inherited.

    Raises:
        Undocumented: There is none.
    """
    # A dataclass without a docstring gets its signature for one.
    text = value.__dict__.get("__doc__") if isinstance(value, type) else getattr(value, "__doc__", None)
    if not text or (isinstance(value, type) and text.startswith(f"{value.__name__}(")):
        raise Undocumented(f"`{name}` has no docstring, and would be missing in the manual")
    return inspect.cleandoc(text)


def attributes(owner: type) -> dict[str, str]:
    """What the docstring of a class says of its attributes, by name."""
    _, sections = _split(documented(owner, owner.__qualname__))
    found: dict[str, str] = {}
    for names, text in _entries(sections.get("Attributes", [])):
        found |= dict.fromkeys(names.split(", "), text)
    return found


def markdown(text: str) -> list[str]:
    """The lines of a docstring as Markdown, with an empty one at the end."""
    body, sections = _split(text)
    lines = [*_body(body)]
    told_apart = {"Args", "Attributes"} <= sections.keys()
    for title, found in sections.items():
        if told_apart and title in ("Args", "Attributes"):
            lines += ["Arguments:" if title == "Args" else "Attributes:", ""]
        if title == "Example":
            lines += ["```pycon", *inspect.cleandoc("\n" + "\n".join(found)).splitlines(), "```"]
        elif title == "Returns":
            lines += [f"Returns: {_inline(' '.join(line.strip() for line in found))}"]
        else:
            first = "Raises " if title == "Raises" else ""
            lines += [f"- {first}`{names}`: {_inline(said)}" for names, said in _entries(found)]
        lines.append("")
    return lines


def summary(text: str) -> str:
    """The first paragraph of a docstring, in one line."""
    return _inline(" ".join(text.partition("\n\n")[0].split()))


def method(owner: type, name: str) -> str | None:
    """The docstring of a method or property; None of an override that adds nothing to what it overrides.

    Raises:
        Undocumented: There is none, and it overrides nothing that has one.
    """
    function, *overridden = (_function(vars(base)[name]) for base in owner.__mro__ if name in vars(base))
    if not function.__doc__ and any(other.__doc__ for other in overridden):
        return None
    return documented(function, f"{owner.__name__}.{name}")


def entry(place: str, value: object, text: str) -> list[str]:
    """A function, method or property: its heading, how it is written, and what it does."""
    name = place.rpartition(".")[2]
    written = place if isinstance(value, _COMPUTED) else _call(place, _function(value))
    # In a line, as the formatter of code blocks wants bodies and folds what is long.
    return [f"### {name}", "", f"`{written}`", "", *markdown(text)]


def public(owner: type) -> dict[str, object]:
    """The methods and properties that a class itself declares, in order, and those of its abstract bases, which have no page."""
    declared = dict(vars(owner))
    for base in owner.__mro__[1:]:
        if inspect.isabstract(base):
            declared |= {name: value for name, value in vars(base).items() if name not in declared}
    callables = {
        n: v for n, v in declared.items() if isinstance(v, (*_COMPUTED, staticmethod, classmethod)) or callable(v)
    }
    return {name: value for name, value in callables.items() if not name.startswith("_")}


def _function(value: object) -> Callable[..., object]:
    """What was written with `def`, without what decorators make of it."""
    made = value.fget if isinstance(value, property) else getattr(value, "__func__", getattr(value, "func", value))
    function: Callable[..., object] = inspect.unwrap(made)  # type: ignore[arg-type]
    return function


def _call(place: str, function: Callable[..., object]) -> str:
    """How a function is called: names and defaults; a block of a recording with its `with`."""
    signature = inspect.signature(function)
    shown = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name not in ("self", "cls")]
    written = str(signature.replace(parameters=shown, return_annotation=signature.empty))
    call = place + _ENUM.sub(r"\1", written).replace("'", '"')
    gives = str(signature.return_annotation)
    if not gives.startswith("Iterator[") or gives == "Iterator[Operand]":
        return call
    return f"with {call}:" if gives == "Iterator[None]" else f"with {call} as {_given(gives)}:"


def _given(annotation: str) -> str:
    """What code calls the object that a block gives."""
    given = annotation.removeprefix("Iterator[").removesuffix("]")
    return {"Frame": "f", "Region": "each", "Seamcall": "call"}.get(given, given.lower())


def _split(text: str) -> tuple[list[str], dict[str, list[str]]]:
    body: list[str] = []
    sections: dict[str, list[str]] = {}
    into = body
    for line in text.splitlines():
        if match := _SECTION.match(line):
            into = sections.setdefault(match[1], [])
        elif line.strip() or into is body:
            into.append(line)
    return body, sections


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    names, said = "", ""
    for line in lines:
        if match := _ENTRY.match(line):
            if names:
                yield names, said
            names, said = match[1], match[2]
        else:
            said += f" {line.strip()}"
    if names:
        yield names, said


def _body(lines: list[str]) -> Iterator[str]:
    """Paragraphs in a line each; a block after `::` as code."""
    paragraphs = "\n".join(lines).strip().split("\n\n")
    code = False
    for paragraph in paragraphs:
        if code and paragraph.startswith("    "):
            yield from ("```python", *inspect.cleandoc(paragraph).splitlines(), "```", "")
            continue
        code = paragraph.endswith("::")
        if paragraph.startswith("- "):
            items = re.split(r"\n(?=- )", paragraph)
            yield from (*(_inline(" ".join(item.split())) for item in items), "")
        else:
            yield from (
                _inline(" ".join(paragraph.split())).replace("::", ":")
                if code
                else _inline(" ".join(paragraph.split())),
                "",
            )


def _inline(text: str) -> str:
    """Literals of reStructuredText as those of Markdown."""
    return text.replace("``", "`")
