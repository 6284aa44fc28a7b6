"""Seeded faults: do the tests notice? ``python tools/mutants.py [WORD ...]``, or ``make mutants ONLY="WORD ..."``.

``faults.toml`` is a table of faults. Each is a text that occurs once in a file, what it is replaced by, and the tests that
should kill it. This program copies the tree, puts one fault at a time into the copy, builds it when the fault is in Rust,
and runs these tests; if they pass, it runs all others. A fault that survives is a gap in the tests.

Nothing counts as a kill but a test that fails. A fault whose text is gone or has become ambiguous, that does not build or
import, or tests that do not pass without it, are errors of the table and end the campaign with exit code 2.

Words choose the faults whose names, areas or files contain one of them; without words all are tried, and
``docs/mutants.md`` is written.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "faults.toml"
PAGE = ROOT / "docs" / "mutants.md"
KEYS = {"name", "area", "file", "find", "replace", "tests"}
AREAS = ("engine", "lowering", "mechanics", "data", "analysis")
# A fault may keep a test busy for ever. Then it is seen, too.
SECONDS = 900

HEAD = """# Seeded faults and the tests that kill them

`make mutants` puts each of these faults into a copy of the tree and runs the tests; `tools/faults.toml` has the faults as
text. Chosen are those whose survival would mean a false "holds", a wrong count or a lost row. *killed by* is the first test
that failed.
"""


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
        tests: Who should notice: node ids of pytest, or ``cargo FILTER`` for tests of the Rust core.
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
        self.log = (target / "mutants" / "log.txt").open("w")
        self.environment = os.environ | {
            "CARGO_TARGET_DIR": str(self.target),
            "PYTHONPATH": str(self.root / "python"),
            # A cached module is told from a later one by size and full seconds, and a fault may change neither.
            "PYTHONDONTWRITEBYTECODE": "1",
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

    def build(self) -> bool:
        """Build the tests of the core and the extension, with one profile so that they share the core."""
        built = self._run("cargo", "test", "--quiet", "--no-run", "--package", "tdxexplore-core") == 0
        built = built and self._run("cargo", "build", "--quiet", "--package", "tdxexplore-python") == 0
        if built:
            shutil.copyfile(
                self.target / "debug" / "lib_core.so", self.root / "python" / "tdxexplore" / "_core.abi3.so"
            )
        return built

    def imports(self) -> bool:
        """Whether the command line can be loaded, all of it."""
        return self._run(sys.executable, "-c", "import pkgutil, tdxexplore as t\n"
            "for m in pkgutil.walk_packages(t.__path__, 'tdxexplore.'):\n"
            "    m.name.endswith('__main__') or __import__(m.name)") == 0  # fmt: skip

    def first_failure(self, tests: tuple[str, ...]) -> str | None:
        """The first of these tests that fails, or none.

        Raises:
            BadTable: There are no such tests.
        """
        for test in tests:
            kind, _, names = test.partition(" ")
            failed = self._cargo(names) if kind == "cargo" else self._pytest(test)
            if failed:
                return failed
        return None

    def _cargo(self, names: str) -> str | None:
        code, output = self._output(
            "cargo", "test", "--package", "tdxexplore-core", "--lib", "--tests", "--", *names.split()
        )
        if code is None:
            return "a test of the core that does not end"
        if found := re.search(r"^test (\S+) (?:- should panic )?\.\.\. FAILED$", output, re.MULTILINE):
            return f"core: {found[1]}"
        if code == 0 and re.search(r"^test result: ok\. [1-9]", output, re.MULTILINE):
            return None
        if "SIGABRT" in output or "SIGSEGV" in output:
            return "a test of the core that aborts"
        raise BadTable(f"`cargo {names}` names no test of the core that runs; see {self.log.name}")

    def _pytest(self, *names: str) -> str | None:
        words = [
            "-q",
            "-x",
            "-n",
            "0",
            "-m",
            "",
            "-p",
            "no:cacheprovider",
            "--no-header",
            "-rfE",
            f"--timeout={SECONDS}",
        ]
        # Its faults are in this tree.
        words += ["--ignore", "tests/test_mutants.py"]
        code, output = self._output(sys.executable, "-m", "pytest", *words, *names)
        if code is None:
            return f"{' '.join(names)} does not end"
        if found := re.search(r"^(?:FAILED|ERROR) (?:tests/|python/)?(\S+?\.py(?:::\S+)?)", output, re.MULTILINE):
            return found[1]
        if code == 0:
            return None
        raise BadTable(f"`pytest {' '.join(names)}` runs no test, exit code {code}; see {self.log.name}")

    def _run(self, *command: str) -> int | None:
        return self._output(*command)[0]

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


def campaign(tree: Tree, faults: list[Fault]) -> dict[Fault, str | None]:
    """Who kills each fault.

    Raises:
        BadTable: A fault or a test of the table does not fit the tree.
    """
    for fault in faults:
        fault.applied(ROOT)
    tree.copy()
    if not tree.build():
        raise BadTable(f"the tree does not build without a fault; see {tree.log.name}")
    clean = (tree.root / "python" / "tdxexplore" / "_core.abi3.so").read_bytes()
    named = tuple(dict.fromkeys(test for fault in faults for test in fault.tests))
    if failed := tree.first_failure(named):
        raise BadTable(f"{failed} fails without a fault; see {tree.log.name}")
    killers = {}
    for fault in faults:
        path = tree.root / fault.file
        text = path.read_text()
        path.write_text(fault.applied(tree.root))
        try:
            killers[fault] = _killer(tree, fault)
        finally:
            path.write_text(text)
            (tree.root / "python" / "tdxexplore" / "_core.abi3.so").write_bytes(clean)
        killer = killers[fault]
        print(f"killed {fault.name}: {killer}" if killer else f"LIVES  {fault.name}", flush=True)
    return killers


def _killer(tree: Tree, fault: Fault) -> str | None:
    if fault.in_rust and not tree.build():
        raise BadTable(f"fault `{fault.name}` does not build; see {tree.log.name}")
    if not tree.imports():
        raise BadTable(f"fault `{fault.name}` does not import; see {tree.log.name}")
    everything = ("cargo", "tests") if fault.in_rust else ("tests",)
    return tree.first_failure(fault.tests) or tree.first_failure(everything)


def page(killers: dict[Fault, str | None]) -> str:
    """The table of who kills whom."""
    lines = [HEAD]
    for area, faults in groupby(killers, key=lambda fault: fault.area):
        lines += [f"## {area.capitalize()}", "", "| fault | where | killed by |", "|---|---|---|"]
        lines += [
            f"| {f.name} | `{f.file}` | {f'`{killers[f]}`' if killers[f] else 'nothing: it lives'} |" for f in faults
        ]
        lines += [""]
    alive = sum(killer is None for killer in killers.values())
    return "\n".join([*lines, f"{len(killers)} faults, {alive} alive.", ""])


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
    try:
        killers = campaign(Tree(target), chosen(words))
    except BadTable as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    if not words:
        PAGE.write_text(page(killers))
    return int(None in killers.values())


if __name__ == "__main__":
    sys.exit(main())
