"""Imports between the wings of the house go one way: down. In Python and in the Rust core.

An import counts wherever it stands: at the top, in a function, for the type checker only, or as a name in a string that is
imported when it is used. Whoever writes an annotation knows the other wing as well, and a picture of the house with
exceptions would have to be read twice.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tdxexplore

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(tdxexplore.__file__).parent
CORE = Path(__file__).parent.parent / "rust" / "core" / "src"

# From the roof to the cellar. Wings of one row do not know each other.
PYTHON = (
    ("__main__", "__init__"),
    ("cli",),
    ("report",),
    ("render",),
    ("sweep", "export", "kernel"),
    ("data",),
    ("explore",),
    ("tdx",),
    ("linux", "charts"),
    ("model",),
    ("markup",),
    ("visible",),
    ("bounded", "errors", "quantities", "replacing", "callable_module", "system", "_version", "_core"),
)
RUST = (
    ("bench",),
    ("search", "walk"),
    ("exploration", "options"),
    ("measure",),
    ("graph", "orders", "space"),
    ("labelled",),
    ("program",),
    ("store",),
    ("number", "limits", "columns"),
    ("progress", "error"),
    ("sync",),
)

# The native module has one door.
DOOR = "explore.engine"


def modules_of(package: Path) -> dict[str, Path]:
    """The modules of a package by their names below it; a folder by the name of the folder."""
    paths = {".".join(path.relative_to(package).with_suffix("").parts): path for path in sorted(package.rglob("*.py"))}
    return {"_core": package / "_core.pyi"} | {name.removesuffix(".__init__"): path for name, path in paths.items()}


def imports(module: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a module imports, by their names below it."""
    for node in ast.walk(ast.parse(module.read_text())):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                assert node.level == 0, f"{module}: a relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            case ast.Constant(value=str(text)) if re.fullmatch(r"tdxexplore(\.\w+)+:\w+", text):
                names = [text.partition(":")[0]]
        for name in names:
            root, _, below = name.partition(".")
            if root == "tdxexplore":
                # What is no module is a name in one; what is in none of the wings is a name of the roof.
                yield next((m for m in (below, below.rpartition(".")[0]) if m in known), "__init__")


def python_arrows(package: Path) -> list[tuple[str, str]]:
    """Who imports whom, as modules."""
    known = modules_of(package)
    return [(name, target) for name, path in known.items() for target in imports(path, known)]


def rust_arrows(core: Path) -> list[tuple[str, str]]:
    """Which file of the core names which wing by ``crate::wing``."""
    found = []
    for path in sorted(core.rglob("*.rs")):
        if path.name == "lib.rs":
            continue  # declares the wings and chooses what is public
        text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
        name = ".".join(path.relative_to(core).with_suffix("").parts)
        for used in re.findall(r"\bcrate::(\{[^;]*\}|\w+)", text):
            found += [(name, wing) for wing in re.findall(r"\w+", without_inner(used))]
    return found


def without_inner(used: str) -> str:
    """``graph, number`` of ``{graph::{Graph, layers}, number::count}``."""
    flat = re.sub(r"::(\w+|\{[^{}]*\})", "", used)
    return flat if flat == used else without_inner(flat)


def uphill(arrows: list[tuple[str, str]], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """The arrows that do not go down; a wing that has no place yet is an arrow up."""
    height = {wing: -at for at, row in enumerate(rows) for wing in row}
    wrong = []
    for source, target in arrows:
        here, there = source.partition(".")[0], target.partition(".")[0]
        if here != there and not height.get(here, -len(rows)) > height.get(there, 0):
            wrong.append(f"{source} -> {target}")
    return wrong


def circle(arrows: list[tuple[str, str]]) -> list[str]:
    """The modules of a circle of imports, if there is one."""
    graph: dict[str, set[str]] = {}
    for source, target in arrows:
        if source != target:
            graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_python_imports_go_down() -> None:
    arrows = python_arrows(PACKAGE)
    assert uphill(arrows, PYTHON) == []
    assert len(arrows) > 350
    assert len({source.partition(".")[0] for source, _ in arrows}) >= 10


def test_no_python_module_imports_itself_through_others() -> None:
    arrows = python_arrows(PACKAGE)
    assert circle(arrows) == []
    assert len({source for source, _ in arrows}) > 60


def test_the_native_module_has_one_door() -> None:
    assert {source for source, target in python_arrows(PACKAGE) if target == "_core"} == {DOOR}


def test_rust_imports_go_down() -> None:
    arrows = rust_arrows(CORE)
    assert uphill(arrows, RUST) == []
    assert len(arrows) > 180
    assert len({source.partition(".")[0] for source, _ in arrows}) >= 10


AGAIN = ("graph/backward.rs", "graph/open.rs", "search/bits/row.rs", "store/interner.rs")
"""The files of the core that `rust/loom` compiles again, with loom's types: all in which threads share more than a barrier."""


def test_what_threads_share_has_one_door_and_is_on_the_page() -> None:
    texts = {path.relative_to(CORE).as_posix(): path.read_text() for path in sorted(CORE.rglob("*.rs"))}
    shares = re.compile(r"\bstd::sync::|\bstatic mut\b|\bthread_local!")
    assert [path for path, text in texts.items() if shares.search(text)] == ["sync.rs"]
    users = {path for path, text in texts.items() if "use crate::sync::" in text.partition("#[cfg(test)]")[0]}
    assert len(users) > 12
    page = (CORE.parents[2] / "docs" / "trust.md").read_text()
    table = page.partition("## What threads share")[2].partition("\n## ")[0]
    assert [path for path in sorted(users) if f"`{path}`" not in table] == []
    loom = "".join(path.read_text() for path in (CORE.parents[1] / "loom" / "src").rglob("*.rs"))
    assert [path for path in AGAIN if f"core/src/{path}" not in loom] == []


# -- these tests can fail --------------------------------------------------------------------------------------------

LINES = {
    "at the top": "from tdxexplore.cli.output import table",
    "as a module": "import tdxexplore.cli.output",
    "of a module": "from tdxexplore.cli import output",
    "for the type checker": "if TYPE_CHECKING:\n    from tdxexplore.cli.output import Table",
    "in a function": "def f():\n    from tdxexplore.cli import output",
    "by name": "LATER = 'tdxexplore.cli.output:table'",
    "of the roof": "from tdxexplore import check",
}


@pytest.mark.parametrize("line", LINES)
def test_an_import_upwards_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / "model").mkdir()
    for path in ("_core.pyi", "cli/__init__.py", "cli/output.py", "model/__init__.py"):
        (tmp_path / path).write_text("")
    (tmp_path / "model" / "expr.py").write_text(LINES[line])
    arrows = python_arrows(tmp_path)
    assert uphill(arrows, PYTHON) == [f"model.expr -> {'__init__' if 'roof' in line else 'cli.output'}"]
    assert circle(arrows) == []
    (tmp_path / "cli" / "output.py").write_text("from tdxexplore.model.expr import Expr")
    assert set(circle(python_arrows(tmp_path))) == (set() if "roof" in line else {"cli.output", "model.expr"})


def test_an_import_sideways_and_a_wing_without_a_place_are_found() -> None:
    assert uphill([("sweep.run", "export.tla"), ("new.room", "model.expr"), ("cli.check", "new.room")], PYTHON) == [
        "sweep.run -> export.tla",
        "new.room -> model.expr",
        "cli.check -> new.room",
    ]


def test_an_import_upwards_is_found_in_rust(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "table.rs").write_text(
        "//! As in `crate::search::trace`.\n"
        "use crate::{graph::{Graph, layers::{Layers}}, number::count};\n"
        "use crate::search::Options;\n"
        "fn f() { crate::measure::all() }\n"
    )
    assert [target for _, target in rust_arrows(tmp_path)] == ["graph", "number", "search", "measure"]
    assert len(uphill(rust_arrows(tmp_path), RUST)) == 3
