"""Tests the package with the oldest, or the newest, Python packages that ``pyproject.toml`` allows.

Resolves them with ``uv``, installs them into a virtual environment of their own, and runs there a part of the tests that uses
each: tables, data sets, the command line, charts, reports, the walk in the terminal, Dask. The engine is that of the checkout.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
EXTRAS = ("dask", "explore", "report")
TOOLS = ("duckdb", "pandas", "pytest", "pytest-timeout", "syrupy")
"""What these tests need besides; they come from the extra `dev`, whose bounds hold."""

TESTS = (
    "tests/test_api.py",
    "tests/test_analyze.py",
    "tests/test_charts.py",
    "tests/test_checked.py",
    "tests/test_cli.py",
    "tests/test_dask.py",
    "tests/test_dataset.py",
    "tests/test_render.py",
    "tests/test_report.py",
    "tests/test_walk.py",
)
NOT_INSTALLED = "tests/test_api.py::test_the_version_is_the_same_everywhere"
"""It asks for the installed package, and here that of the checkout is imported."""

LEAST = 150
"""Tests that have to pass, so that an environment in which none is found does not."""


def main() -> int:
    """Resolve, install and test; the exit code of the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=RESOLUTIONS)
    which = parser.parse_args().which
    with tempfile.TemporaryDirectory() as folder:
        wanted, python = Path(folder) / "wanted.txt", Path(folder) / "venv" / "bin" / "python"
        uv = (sys.executable, "-m", "uv")
        extras = [word for extra in (*EXTRAS, "dev") for word in ("--extra", extra)]
        how = (
            "--resolution",
            RESOLUTIONS[which],
            "--python",
            sys.executable,
            "--quiet",
            "--no-header",
            "--no-annotate",
        )
        subprocess.run(
            [*uv, "pip", "compile", "pyproject.toml", *extras, *how, "-o", str(wanted)], cwd=ROOT, check=True
        )
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(python.parent.parent)], check=True)
        text = wanted.read_text()
        print(text)
        # Of the tools only those that run tests are installed, in the versions that were found.
        only = Path(folder) / "only.txt"
        extras = [word for extra in EXTRAS for word in ("--extra", extra)]
        pinned = ("--constraint", str(wanted), *how)
        subprocess.run(
            [*uv, "pip", "compile", "pyproject.toml", *extras, *pinned, "-o", str(only)], cwd=ROOT, check=True
        )
        install = (*uv, "pip", "install", "--quiet", "--python", str(python))
        subprocess.run([*install, "-r", str(only), *TOOLS, "--constraint", str(wanted)], check=True)
        places = os.pathsep.join(str(ROOT / name) for name in ("python", "tests"))
        words = (
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not long and not campaign",
            "--deselect",
            NOT_INSTALLED,
            *TESTS,
        )
        done = subprocess.run(
            [str(python), *words],
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": places},
            stdout=subprocess.PIPE,
            text=True,
        )
    print(done.stdout)
    last = done.stdout.splitlines()[-1]
    passed = int(last.split(" passed")[0].split()[-1]) if " passed" in last else 0
    print(f"{which}: {passed} passed, at least {LEAST} are needed")
    return done.returncode or int(passed < LEAST)


if __name__ == "__main__":
    sys.exit(main())
