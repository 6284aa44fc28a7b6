"""The names that this project cites, looked up in the kernel's text: ``python tools/citations.py SERIES=FOLDER ...``.

A citation is a function with its parentheses, as ``cpus_read_lock()``, or a C file with its folder: in a string of a model, in a
page that is written by hand, or in the list of known bugs. `tools/citations.toml` has each, with the series of the kernel that
have it, or why none has. A test holds the list against what is cited, and, where the sources are unpacked, against their text.

The sources are those of Debian's packages ``linux-source-6.12`` and ``linux-source-7.3``: ``apt-get download`` and
``dpkg-deb -x`` bring ``usr/src/linux-source-SERIES.tar.xz``, of which the folders of `FOLDERS` are enough. The command writes the
list anew, and keeps the reasons. The test takes its folders from ``TDXEXPLORE_LINUX_SOURCES``, as they stand on the command line.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("citations.toml")
SERIES = ("6.12", "7.3")
FOLDERS = (
    "arch/x86/include",
    "arch/x86/kernel",
    "arch/x86/kvm",
    "arch/x86/virt",
    "drivers/base",
    "drivers/virt",
    "include/linux",
    "kernel",
    "virt",
)
MODELS = ("linux", "tdx")
PAGES = ("README.md", "docs/abstractions.md", "docs/asking.md", "docs/kernel.md", "docs/trust.md", "tools/known.toml")

# A name of Python has a dot, a backquote or a folder before it; what follows the parenthesis shows a call of C.
_FUNCTION = re.compile(r"(?<![\w.`/>:-])([a-z_][a-z0-9_]*)\((?=\)|&)")
_FILE = re.compile(r"(?<![\w/])((?:arch|drivers|include|kernel|virt)/[\w./-]*\w\.[chS])\b")
_PLACE = re.compile(_FILE.pattern + r",? ([a-z_][a-z0-9_]*)\(\)")
_CALL = re.compile(r"\b([a-z_][a-z0-9_]*)\s*\(")
# Files of this repository, which its pages name as well.
_OURS = re.compile(r"kernel/(host|litmus|primitives)[\w.-]*\.[ch]")


def texts() -> Iterator[str]:
    """Every string of the models, and the pages."""
    for folder in MODELS:
        for file in sorted((ROOT / "python/tdxexplore" / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
    for page in PAGES:
        yield (ROOT / page).read_text()


def cited() -> set[str]:
    """Each function and file that is cited, and each file with a function that is said to be there: ``FILE FUNCTION``."""
    found: set[str] = set()
    for text in texts():
        found.update(f"{name}()" for name in _FUNCTION.findall(text))
        found.update(name for name in _FILE.findall(text) if not _OURS.fullmatch(name))
        found.update(f"{file} {name}()" for file, name in _PLACE.findall(text))
    return found


class Source:
    """An unpacked source of the kernel.

    Args:
        folder: It has `FOLDERS`, or some of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()
        for part in FOLDERS:
            for file in (folder / part).rglob("*.[chS]"):
                self._names.update(_CALL.findall(file.read_text(errors="replace")))
        if not self._names:
            raise SystemExit(f"{folder} has no source of Linux")

    def has(self, citation: str) -> bool:
        """Whether the function, the file, or the function in that file is there."""
        file, _, name = citation.rpartition(" ")
        if file:
            path = self._folder / file
            return path.exists() and name.removesuffix("()") in _CALL.findall(path.read_text(errors="replace"))
        if name.endswith("()"):
            return name.removesuffix("()") in self._names
        return (self._folder / name).exists()


def folders(arguments: list[str]) -> dict[str, Path]:
    """The folders of the sources by their series, from ``SERIES=FOLDER``."""
    given = {name: Path(folder) for name, _, folder in (text.partition("=") for text in arguments)}
    if set(given) != set(SERIES):
        raise SystemExit("usage: python tools/citations.py " + " ".join(f"{series}=FOLDER" for series in SERIES))
    return given


def listed() -> tuple[dict[str, list[str]], dict[str, str]]:
    """What the list says: the series in which a citation is, and why one is in none."""
    known = tomllib.loads(LIST.read_text())
    return known["found"], known["elsewhere"]


def found(sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The series in which each citation is."""
    return {
        citation: [series for series, source in sources.items() if source.has(citation)] for citation in sorted(cited())
    }


def main() -> None:
    """Write the list anew; a name in none of the sources that has no reason is an error."""
    sources = {series: Source(folder) for series, folder in folders(sys.argv[1:]).items()}
    reasons = listed()[1]
    places = found(sources)
    lines = ["# Written by tools/citations.py, but for the reasons.", "", "[found]"]
    lines += [f'"{name}" = {list(series)}'.replace("'", '"') for name, series in places.items() if series]
    lines += ["", "[elsewhere]"]
    lines += [f'"{name}" = "{reasons.get(name, "")}"' for name, series in places.items() if not series]
    LIST.write_text("\n".join(lines) + "\n")
    missing = [name for name, series in places.items() if not series and not reasons.get(name)]
    if missing:
        raise SystemExit("in none of the sources, and without a reason: " + ", ".join(missing))


if __name__ == "__main__":
    main()
