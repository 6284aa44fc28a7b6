"""Seeded faults: do the tests notice? ``python tools/mutants.py [WORD ...]``, or ``make mutants ONLY="WORD ..."``.

``faults.toml`` is a table of faults. Each is a text that occurs once in a file, what it is replaced by, and the tests that
should kill it. This program copies the tree, puts one fault at a time into the copy, builds it when the fault is in Rust,
and runs these tests. A fault that survives them is a gap in the tests, or in the table.

Rejected: running all other tests on a fault that survives. A fault that some distant test happens to notice is one that
nobody finds in time, and the search takes half an hour.

Nothing counts as a kill but a test that fails. A fault whose text is gone or has become ambiguous, that does not build or
import, or tests that do not pass without it, are errors of the table and end the campaign with exit code 2.

Words choose the faults whose names, areas or files contain one of them; without words all are tried. ``docs/mutants.md`` is
written after each: a fault that was not tried keeps its row, so that a campaign that was cut short can be continued.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "faults.toml"
PAGE = ROOT / "docs" / "mutants.md"
KEYS = {"name", "area", "file", "find", "replace", "tests"}
AREAS = ("engine", "lowering", "mechanics", "data", "analysis", "report")
# The test binaries of the core; the last is that of `rust/loom`, which compiles some of its files again.
BINARIES = ("lib", "suite", "resident", "orders")
# A fault changes one file of the core. At this level that is compiled again in seconds, and the tests take no longer.
QUICK = [f"--config=profile.dev.package.tdxexplore-core.{setting}" for setting in ("opt-level=1", "debug=0")]
# A fault may keep a test busy for ever. Then it is seen, too.
SECONDS = 900
LOAD = """
import pkgutil, tdxexplore
for module in pkgutil.walk_packages(tdxexplore.__path__, "tdxexplore."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
"""

HEAD = """# Seeded faults and the tests that kill them

`make mutants` puts each of these faults into a copy of the tree, one at a time, and runs the tests that
[tools/faults.toml](../tools/faults.toml) names for it; there the faults are text. Chosen are those whose survival would mean a
false *holds*, a wrong count, a lost row or a wrong exit code. *Killed by* is the first test that failed.
"""
COLUMNS = ("fault", "area", "file", "killed by")
ALIVE = "nothing: it lives"
UNTRIED = "not tried"


class BadTable(Exception):
    """The table of faults does not fit the tree."""


@dataclass(frozen=True)
class Fault:
    """One mistake to make.

    Attributes:
        name: The mistake in a sentence.
        area: The part of the project.
        file: Path below the root.
        find: A text that occurs once in the file.
        replace: What stands there instead.
        tests: Who should notice: node ids of pytest, or ``cargo BINARY FILTER`` for tests of the core.
    """

    name: str
    area: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]

    @property
    def in_rust(self) -> bool:
        """Whether the tree has to be built again."""
        return self.file.startswith("rust/")

    def applied(self, root: Path) -> str:
        """The text of the file with the fault.

        Raises:
            BadTable: The text to replace does not occur exactly once.
        """
        path = root / self.file
        if not path.is_file():
            raise BadTable(f"fault `{self.name}`: there is no file {self.file}")
        text = path.read_text()
        places = text.count(self.find)
        if places != 1:
            raise BadTable(f"fault `{self.name}`: its text occurs {places} times in {self.file}, not once")
        if self.find == self.replace:
            raise BadTable(f"fault `{self.name}` changes nothing")
        return text.replace(self.find, self.replace)


def read_faults() -> list[Fault]:
    """The table.

    Raises:
        BadTable: A key is missing or unknown, an area is, or two faults have one name.
    """
    faults: list[Fault] = []
    for entry in tomllib.loads(TABLE.read_text())["fault"]:
        name = entry.get("name", "without a name")
        if entry.keys() != KEYS or entry["area"] not in AREAS or not entry["tests"]:
            raise BadTable(f"fault `{name}`: needs {', '.join(sorted(KEYS))}; areas are {', '.join(AREAS)}")
        if any(name == other.name for other in faults):
            raise BadTable(f"fault `{name}` is there twice")
        faults.append(Fault(**{**entry, "tests": tuple(entry["tests"])}))
    return sorted(faults, key=lambda fault: AREAS.index(fault.area))


class Tree:
    """A copy of the tree.

    Args:
        target: The folder of cargo's builds. It has those of the dependencies, and gets the copy.
    """

    def __init__(self, target: Path) -> None:
        self.root, self.target = target / "mutants" / "tree", target
        self.built = False
        self.log = (target / "mutants" / "log.txt").open("w")
        self.environment = os.environ | {
            "CARGO_TARGET_DIR": str(self.target),
            "PYTHONPATH": str(self.root / "python"),
            # A cached module is told from a later one by size and full seconds, and a fault may change neither.
            "PYTHONDONTWRITEBYTECODE": "1",
            # That a property fails is enough; the smallest case that fails is of no use.
            "PROPTEST_MAX_SHRINK_ITERS": "0",
        }

    def copy(self) -> None:
        """Bring the copy up to date; files that are the same keep their times, so that cargo builds only what changed."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True, text=True,
        )  # fmt: skip
        wanted = {path for path in listed.stdout.splitlines() if (ROOT / path).is_file()}
        for copy in self.root.rglob("*") if self.root.exists() else ():
            if copy.is_file() and copy.relative_to(self.root).as_posix() not in wanted:
                copy.unlink()
        for path in sorted(wanted):
            source, copy = ROOT / path, self.root / path
            if not copy.is_file() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)

    @contextmanager
    def faulty(self, fault: Fault) -> Iterator[None]:
        """Put a fault into the copy, and take it out again."""
        path = self.root / fault.file
        text = path.read_text()
        path.write_text(fault.applied(self.root))
        self.built = self.built and not fault.in_rust
        try:
            yield
        finally:
            path.write_text(text)
            self.built = self.built and not fault.in_rust

    def _build_extension(self) -> None:
        """Build the extension if that of the copy is not of its source: with the profile of the tests, for they share it."""
        if not self.built:
            self._must_run("cargo", "build", "--quiet", *QUICK, "--package", "tdxexplore-python")
            shutil.copyfile(
                self.target / "debug" / "lib_core.so", self.root / "python" / "tdxexplore" / "_core.abi3.so"
            )
            self.built = True
        # All of the command line can be loaded, or a test would fail for that reason.
        self._must_run(sys.executable, "-c", LOAD)

    def first_failure(self, tests: Collection[str]) -> str | None:
        """A test of these that fails, or none; those of the core come first.

        Raises:
            BadTable: There are no such tests, or the copy does not build or import.
        """
        for binary in BINARIES:
            names = [test.partition(f"cargo {binary} ")[2] for test in tests if test.startswith(f"cargo {binary} ")]
            if names and (failed := self._cargo(binary, names)):
                return failed
        names = [test for test in tests if not test.startswith("cargo ")]
        return self._pytest(names) if names else None

    def _cargo(self, target: str, names: list[str]) -> str | None:
        package = "tdxexplore-loom" if target == "orders" else "tdxexplore-core"
        which = [*QUICK, "--package", package, *(["--lib"] if target == "lib" else ["--test", target])]
        self._must_run("cargo", "test", "--quiet", "--no-run", *which)
        code, output = self._output("cargo", "test", *which, "--", *names)
        if code is None:
            return f"core, {target}: does not end"
        # Threads finish in any order.
        if found := re.findall(r"^test (\S+) (?:- should panic )?\.\.\. FAILED$", output, re.MULTILINE):
            return f"core, {target}: {min(found)}"
        if code == 0 and re.search(r"^test result: ok\. [1-9]", output, re.MULTILINE):
            return None
        if "SIGABRT" in output or "SIGSEGV" in output:
            return f"core, {target}: aborts"
        raise BadTable(f"`cargo {target} {' '.join(names)}` names no test of the core; see {self.log.name}")

    def _pytest(self, names: list[str]) -> str | None:
        self._build_extension()
        words = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-rfE", f"--timeout={SECONDS}"]
        code, output = self._output(sys.executable, "-m", "pytest", *words, *names)
        if code is None:
            return f"{names[0]} does not end"
        if found := re.search(r"^(?:FAILED|ERROR) (?:tests/)?(.+?)(?: - .*)?$", output, re.MULTILINE):
            return found[1]
        if code == 0:
            return None
        raise BadTable(f"`pytest {' '.join(names)}` runs no test, exit code {code}; see {self.log.name}")

    def _must_run(self, *command: str) -> None:
        if self._output(*command)[0] != 0:
            raise BadTable(f"the tree does not build or import, `{command[0]} {command[1]}` fails; see {self.log.name}")

    def _output(self, *command: str) -> tuple[int | None, str]:
        """Exit code, none if it did not end in time, and what was printed."""
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=2 * SECONDS)
        except subprocess.TimeoutExpired:
            # Also what it has started.
            os.killpg(process.pid, signal.SIGKILL)
            return None, ""
        self.log.write(f"$ {' '.join(command)}\n{output}\n")
        self.log.flush()
        return process.returncode, output


def campaign(tree: Tree, faults: list[Fault]) -> Iterator[tuple[Fault, str]]:
    """Who kills each fault.

    Raises:
        BadTable: A fault or a test of the table does not fit the tree.
    """
    for fault in faults:
        fault.applied(ROOT)
    tree.copy()
    if failed := tree.first_failure(dict.fromkeys(test for fault in faults for test in fault.tests)):
        raise BadTable(f"{failed} fails without a fault; see {tree.log.name}")
    for number, fault in enumerate(faults, 1):
        started = time.monotonic()
        with tree.faulty(fault):
            killer = tree.first_failure(fault.tests)
        end = f"killed by {killer}" if killer else "LIVES"
        print(f"{number}/{len(faults)} {time.monotonic() - started:.0f} s, {fault.name}: {end}", flush=True)
        yield fault, killer or ALIVE


def page(faults: list[Fault], killers: Mapping[str, str]) -> str:
    """The table of who kills whom."""
    ends = [killers.get(fault.name, UNTRIED) for fault in faults]
    alive, untried = ends.count(ALIVE), ends.count(UNTRIED)
    tests = len({*ends} - {ALIVE, UNTRIED})
    rows = [
        (f.name, f.area, f"`{f.file}`", end if end in (ALIVE, UNTRIED) else f"`{end}`")
        for f, end in zip(faults, ends, strict=True)
    ]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (COLUMNS, *rows)]
    lines.insert(1, "|---" * len(COLUMNS) + "|")
    counts = f"{len(faults)} faults, of which {alive} live and {untried} were not tried; {tests} tests kill the others."
    return "\n".join([HEAD, counts, "", *lines, ""])


def read_page() -> dict[str, str]:
    """Who kills each fault, as the page says."""
    cells = [re.split(r"(?<!\\)\|", line) for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.replace("\\|", "|").strip().strip("`") for cell in row[1:-1]] for row in cells]
    return {name: killer for name, *_, killer in rows[1:]}


def chosen(words: list[str]) -> list[Fault]:
    """The faults that contain one of the words; all without words.

    Raises:
        BadTable: There are none.
    """
    faults = [f for f in read_faults() if not words or any(w in f"{f.name} {f.area} {f.file}" for w in words)]
    if not faults:
        raise BadTable(f"no fault contains {' or '.join(map(repr, words))}")
    return faults


def main() -> int:
    """Entry point; 1 if a fault lives, 2 if the table is wrong."""
    parser = argparse.ArgumentParser(description="Do the tests notice seeded faults?")
    parser.add_argument("words", nargs="*", help="only faults whose name, area or file contains one of them")
    words = parser.parse_args().words
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    (target / "mutants").mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    tried: dict[str, str] = {}
    try:
        for fault, killer in campaign(Tree(target), chosen(words)):
            tried[fault.name] = killer
            known = read_page() if PAGE.exists() else {}
            PAGE.write_text(page(read_faults(), known | tried))
    except BadTable as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    alive = [*tried.values()].count(ALIVE)
    print(f"{len(tried)} faults, {alive} alive, {time.monotonic() - started:.0f} s")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
