"""Kernels from Debian's packages: found by name, downloaded and checked by apt, unpacked into a cache, never installed.

A series that the machine's own suites do not have comes from another suite of the same archive, through an apt configuration of
its own, so that the system's stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore.errors import TdxExploreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEFAULT = "6.12"


class NoKernel(TdxExploreError, OSError):
    """Something that a kernel run needs is not there, or went wrong outside the package."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of kernels, and where its packages are.

    Attributes:
        name: As in ``uname -r``.
        suite: The suite that has it, if the machine's own have not.
        packages: Patterns of the packages to unpack; ``VERSION`` stands for the version of the newest.
        build_suites: The suites of its headers and compiler, for a machine on which its headers are not installed; see
            `tdxexplore.kernel.toolchain`.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    build_suites: tuple[str, ...]


SERIES = {
    "6.12": Series("6.12", "trixie", ("linux-image-VERSION",), ("trixie",)),
    "7.3": Series(
        "7.3", "trixie-backports", ("linux-binary-VERSION", "linux-modules-VERSION"), ("trixie", "trixie-backports")
    ),
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel.

    Attributes:
        series: The series it was asked for by.
        version: As in ``uname -r``.
        root: The folder that the packages were unpacked into.
    """

    series: str
    version: str
    root: Path

    @property
    def image(self) -> Path:
        """The bzImage."""
        places = (f"boot/vmlinuz-{self.version}", f"usr/lib/modules/{self.version}/vmlinuz")
        return next(path for place in places if (path := self.root / place).exists())

    @property
    def modules(self) -> Path:
        """The folder of its modules."""
        places = (f"lib/modules/{self.version}", f"usr/lib/modules/{self.version}")
        return next(path for place in places if (path := self.root / place).exists())


def need(program: str, package: str) -> str:
    """The path of a program.

    Raises:
        NoKernel: It is not installed.
    """
    found = shutil.which(program)
    if found is None:
        raise NoKernel(f"`{program}` is not installed; `apt-get install {package}` brings it")
    return found


def cache_folder(given: Path | None = None) -> Path:
    """Where kernels are kept: a folder of the user's cache, unless another is given."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return given if given is not None else Path(home) / "tdxexplore" / "kernels"


def find(series: str = DEFAULT, cache: Path | None = None, tell: Callable[[str], None] = lambda _: None) -> Kernel:
    """Find a kernel of a series in the cache, or download it.

    Args:
        series: One of `SERIES`.
        cache: A folder in the place of the user's cache.
        tell: Is called with each line of progress.

    Raises:
        NoKernel: There is no such series, or it cannot be downloaded.
    """
    if series not in SERIES:
        raise NoKernel(f"--series is `{series}`; allowed are {', '.join(SERIES)}")
    folder = cache_folder(cache) / series
    done = folder / "version"
    if not done.exists():
        _download(SERIES[series], folder, tell)
    return Kernel(series, done.read_text().strip(), folder / "root")


def _download(series: Series, folder: Path, tell: Callable[[str], None]) -> None:
    """Fill a folder of the cache; its ``version`` is written last, so that a half-filled one is filled again."""
    for program, package in (("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg"), ("dpkg", "dpkg")):
        need(program, package)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment: Mapping[str, str] = os.environ
    version = _newest(series, environment)
    if version is None:
        tell(f"Linux {series.name}: reading the package lists of {series.suite}")
        environment = private_apt((series.suite,), folder / "apt")
        run(["apt-get", "update", "-q"], environment)
        version = _newest(series, environment)
    if version is None:
        raise NoKernel(f"no package `{series.packages[0]}` of series {series.name}; `apt-get update` may bring it")
    names = [package.replace("VERSION", version) for package in series.packages]
    tell(f"Linux {version}: downloading {', '.join(names)}")
    with tempfile.TemporaryDirectory(dir=folder) as downloads:
        run(["apt-get", "download", "-q", *names], environment, Path(downloads))
        for file in sorted(Path(downloads).glob("*.deb")):
            tell(f"Linux {version}: unpacking {file.name}")
            run(["dpkg-deb", "-x", str(file), str(folder / "root")], environment)
    (folder / "version").write_text(version + "\n")


def _newest(series: Series, environment: Mapping[str, str]) -> str | None:
    """The newest version of a series for which every package is there, as in ``uname -r``."""
    prefix, _, _ = series.packages[0].partition("VERSION")
    names = run(["apt-cache", "pkgnames", prefix + series.name], environment).split()
    number = re.compile(re.escape(prefix) + rf"({re.escape(series.name)}\.(\d+)\+deb(\d+)-amd64)")
    found = [match for name in names if (match := number.fullmatch(name))]
    return max(found, key=lambda m: (int(m[2]), int(m[3])))[1] if found else None


def private_apt(suites: tuple[str, ...], folder: Path) -> Mapping[str, str]:
    """The environment of an apt that knows some suites only, of the archive that the machine's own Debian line names.

    It takes no package for installed.
    """
    targets = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"],
        os.environ,
    )
    lines = [line.split() for line in targets.splitlines()]
    archive = next((uri for uri, suite, part in lines if part == "main" and suite.isalpha()), None)
    if archive is None or not Path(KEYRING).exists():
        raise NoKernel(
            "apt knows no Debian archive with a keyring here; `apt-get install debian-archive-keyring`, a Debian line in "
            "sources.list and `apt-get update` bring both"
        )
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(
        "".join(f"deb [signed-by={KEYRING}] {archive} {suite} main\n" for suite in suites)
    )
    (folder / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::Lists "{folder}/lists";\nDir::State::status "{folder}/status";\nDir::Cache "{folder}/cache";\n'
        'Acquire::Languages "none";\nDebug::NoLocking "true";\n'
    )
    return {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}


def run(command: list[str], environment: Mapping[str, str], folder: Path | None = None) -> str:
    """What a command prints.

    Raises:
        NoKernel: It fails; the message has the last line of what it says.
    """
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise NoKernel(f"`{' '.join(command[:2])}` fails: {said}")
    return done.stdout
