"""The Python packages that a user installs, with bounds and licences as docs/trust.md has them; Debian's that the tests want."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("dask", "explore", "report")


def test_every_package_has_a_lower_and_an_upper_bound() -> None:
    named = [*PROJECT["dependencies"], *(one for some in PROJECT["optional-dependencies"].values() for one in some)]
    assert len(named) > 20
    assert [one for one in named if not re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", one)] == []


def test_the_page_names_the_licences_that_the_packages_name() -> None:
    extras = PROJECT["optional-dependencies"]
    named = [*PROJECT["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]
    rows = re.findall(r"^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs" / "trust.md").read_text(), re.MULTILINE)
    licences = dict(row for row in rows if row[0] in {re.split(">=", one)[0] for one in named})
    assert sorted(licences) == sorted(re.split(">=", one)[0] for one in named)
    for name, licence in licences.items():
        about = metadata(name)
        said = [one for key in ("License-Expression", "License", "Classifier") for one in about.get_all(key) or []]
        classified = {f"License :: OSI Approved :: {licence} License", licence}
        assert classified & {str(one) for one in said}, (name, said)


class Debian:
    """A PATH of stand-ins: an apt that cannot install the package `bad`, and what the Makefile calls besides."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.log = folder / "bin", folder / "log"
        self.venv = folder / "venv"
        (self.venv / "bin").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("sh", "make", "find", "id"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.program(self.bin / "apt-get", 'case "$*" in *bad*) exit 100; esac')
        (self.venv / "installed").touch()

    def program(self, path: Path, does: str = "") -> None:
        path.write_text(f'#!/bin/sh\necho "{path.name} $*" >> {self.log}\n{does}\n')
        path.chmod(0o755)

    def long_tools(self, tools: str) -> tuple[list[str], str]:
        """What is called, and what is said on stderr."""
        command = ["make", "--silent", "long-tools", f"VENV={self.venv}", f"LONG_TOOLS={tools}", "SUDO="]
        environment = {**os.environ, "PATH": str(self.bin)}
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
            environment.pop(name, None)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return self.log.read_text().splitlines() if self.log.exists() else [], done.stderr


INSTALL = "apt-get install --yes --no-install-recommends"


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path)


def test_what_is_missing_is_installed_in_one_call(debian: Debian) -> None:
    called, said = debian.long_tools("sh:dash none-a:one none-b:two")
    assert called == [f"{INSTALL} one two"]
    assert "CANNOT BE INSTALLED" not in said


def test_a_package_that_cannot_be_had_keeps_no_other_from_being_installed_and_is_said_loudly(debian: Debian) -> None:
    called, said = debian.long_tools("none-a:good none-b:bad")
    both = f"{INSTALL} good bad"
    assert called == [both, "apt-get update", both, f"{INSTALL} good", f"{INSTALL} bad"]
    assert said.count("CANNOT BE INSTALLED") == said.count("*** bad CANNOT BE INSTALLED") == 1


@pytest.mark.parametrize("there", [(), ("busybox",), ("qemu-system-x86_64", "busybox")])
@pytest.mark.parametrize("downloads", [True, False])
def test_that_no_kernel_is_booted_is_said_loudly(debian: Debian, there: tuple[str, ...], downloads: bool) -> None:
    for name in there:
        debian.program(debian.bin / name)
    debian.program(debian.venv / "bin" / "tdxexplore", "" if downloads else "exit 2")
    called, said = debian.long_tools("")
    assert called == (["tdxexplore kernel boot --download-only"] if len(there) == 2 else [])
    assert ("*** NO KERNEL IS BOOTED" in said) == (len(there) < 2 or not downloads)
