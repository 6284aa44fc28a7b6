"""The file of a user's policy is code of somebody else: it gives an answer or one line, whatever it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tdxexplore
from tdxexplore import cli
from tdxexplore.errors import BadModel
from tdxexplore.tdx.catalogue import find_policy

if TYPE_CHECKING:
    from pathlib import Path

# Where code of the file runs: when it is imported, when a policy is made, and when it is recorded.
PLACES = ("import", "init", "declare", "kvm_load")

POLICY = """
from tdxexplore.tdx.policies.v19 import V19
{import}

class Mine(V19):
    name = "mine"

    def __init__(self, knobs):
        super().__init__(knobs)
        {init}

    def declare(self, w):
        super().declare(w)
        {declare}

    def kvm_load(self, k):
        {kvm_load}
        super().kvm_load(k)
"""


def policy_file(folder: Path, **code: str) -> str:
    """A file with a policy like v19 that runs a line of code in some places."""
    folder.mkdir(exist_ok=True)
    path = folder / "mine.py"
    path.write_text(POLICY.format(**dict.fromkeys(PLACES, "pass") | code))
    return f"{path}:Mine"


def refused(policy: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr about a policy that cannot be explored."""
    assert cli.run(["check", policy, "--cpus", "2", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("tdxexplore: error: ")
    return captured.err


def loads_as(policy: str) -> str:
    """What the policy's attribute ``found`` says."""
    found = find_policy(policy).found  # type: ignore[attr-defined]
    assert isinstance(found, str)
    return found


# -- the process and its output --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("code", ["", "0", "'no more'"])
def test_a_file_that_exits_is_a_mistake_in_the_file(
    place: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(policy_file(tmp_path, **{place: f"import sys; sys.exit({code})"}), capsys)
    number = POLICY[: POLICY.index(f"{{{place}}}")].count("\n") + 1
    assert f"line {number}: it calls sys.exit({code})" in line
    assert str(tmp_path / "mine.py") in line


def test_the_exit_code_of_the_process_is_that_of_bad_input(tmp_path: Path) -> None:
    policy = policy_file(tmp_path, **{"import": "import sys; sys.exit()"})
    done = subprocess.run([sys.executable, "-m", "tdxexplore", "check", policy], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_what_a_file_prints_is_no_part_of_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prints = {place: f"print('in {place}')" for place in PLACES}
    assert cli.run(["check", policy_file(tmp_path, **prints), "--cpus", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["run"]["policy"] == "mine"
    for place in PLACES:
        assert f"in {place}\n" in captured.err


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_is_no_mistake_of_the_file(place: str, tmp_path: Path) -> None:
    policy = policy_file(tmp_path, **{place: "raise KeyboardInterrupt"})
    before = (sys.stdout, list(sys.meta_path))
    with pytest.raises(KeyboardInterrupt):
        tdxexplore.check(policy, cpus=2)
    assert (sys.stdout, list(sys.meta_path)) == before


def test_a_policy_of_the_library_that_exits_is_a_mistake_too() -> None:
    class Exits(find_policy("v19")):  # type: ignore[misc]
        def declare(self, w: object) -> None:
            sys.exit(1)

    with pytest.raises(BadModel, match=r"test_policy_files.py: line \d+: it calls sys.exit\(1\)"):
        tdxexplore.check(Exits, cpus=2)


# -- neighbours ------------------------------------------------------------------------------------------------------

FINDS = {"import": "from neighbour import found as mine", "declare": "import neighbour"}


def folder_with(folder: Path, found: str, **code: str) -> str:
    """A policy that imports its neighbour when it is imported, and again when it is recorded."""
    policy = policy_file(folder, **(FINDS | code))
    path = folder / "mine.py"
    path.write_text(path.read_text() + "\n    found = mine\n")
    (folder / "neighbour.py").write_text(f"found = {found!r}\n")
    return policy


def test_a_neighbour_is_imported_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = folder_with(tmp_path / "policies", "here")
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    assert loads_as(policy) == loads_as("policies/mine.py:Mine") == "here"
    assert tdxexplore.check(policy, cpus=2).verdict == "holds"
    assert str(tmp_path / "policies") not in sys.path
    assert "neighbour" not in set(sys.modules) - before


def test_folders_with_neighbours_of_one_name_do_not_mix(tmp_path: Path) -> None:
    records = {"declare": "import neighbour; assert neighbour.found == self.found"}
    one, two = (folder_with(tmp_path / name, name, **records) for name in ("one", "two"))
    assert [loads_as(policy) for policy in (one, two, one)] == ["one", "two", "one"]
    for policy in (two, one):
        assert tdxexplore.check(policy, cpus=2).verdict == "holds"


def test_a_neighbour_comes_before_a_module_of_that_name_which_the_program_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = type(sys)("neighbour")
    monkeypatch.setitem(sys.modules, "neighbour", theirs)
    assert loads_as(folder_with(tmp_path, "here")) == "here"
    assert sys.modules["neighbour"] is theirs


def test_a_neighbour_can_be_a_package_and_import_its_own_neighbours(tmp_path: Path) -> None:
    policy = folder_with(tmp_path, "")
    (tmp_path / "neighbour.py").write_text("from package.inner import found\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner.py").write_text("from . import other\nfound = other.found\n")
    (tmp_path / "package" / "other.py").write_text("found = 'inside'\n")
    assert loads_as(policy) == "inside"
    (tmp_path / "package" / "other.py").write_text("found = 'edited'\n")
    assert loads_as(policy) == "edited"


def test_a_neighbour_never_replaces_the_standard_library(tmp_path: Path) -> None:
    policy = policy_file(tmp_path, **{"import": "import json; assert json.loads('1') == 1"})
    (tmp_path / "json.py").write_text("raise ValueError\n")
    (tmp_path / "tdxexplore.py").write_text("raise ValueError\n")
    assert tdxexplore.check(policy, cpus=2).verdict == "holds"
    assert sys.modules["json"] is json


def test_edited_files_are_seen_anew(tmp_path: Path) -> None:
    policy = folder_with(tmp_path, "one")
    first = find_policy(policy)
    assert find_policy(policy) is first
    # As long, and in the same second: a cached `.pyc` would still be valid.
    times = (tmp_path / "neighbour.py").stat()
    (tmp_path / "neighbour.py").write_text("found = 'two'\n")
    os.utime(tmp_path / "neighbour.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert loads_as(policy) == "two"
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace("found = mine", "found = mine + '!'"))
    assert loads_as(policy) == "two!"
    assert list(tmp_path.glob("**/__pycache__")) == []
    # Who holds the class of before keeps it.
    assert tdxexplore.check(first, cpus=2).verdict == "holds"
    assert first.found == "one"  # type: ignore[attr-defined]


def test_a_mistake_in_a_neighbour_is_said_with_its_name_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = folder_with(tmp_path, "here")
    for text, line in (("\n1 / 0\n", 2), ("\n\nnot python\n", 3)):
        (tmp_path / "neighbour.py").write_text(text)
        assert f"line {line} of `neighbour.py`: " in refused(policy, capsys)
    (tmp_path / "neighbour.py").unlink()
    assert "line 3: ModuleNotFoundError: No module named 'neighbour'" in refused(policy, capsys)


# -- files that are none -----------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "nul.py").write_bytes(b"found = 1\0\n")
    (tmp_path / "latin.py").write_bytes(b"found = '\xe9'\n")
    (tmp_path / "text.txt").write_text("found = 1\n")
    (tmp_path / "loop.py").symlink_to("loop.py")
    # Reading it is an error even for root, to whom every mode is readable.
    (tmp_path / "unreadable.py").symlink_to("/proc/self/mem")
    expected = {
        "folder.py": "is a folder",
        "pipe.py": "device",
        "nul.py": "null bytes",
        "latin.py": "does not import: ",
        "text.txt": "must end in `.py`",
        "loop.py": "cannot be read: Too many levels",
        "unreadable.py": "cannot be read: Input/output error",
        "absent.py": "does not exist",
        f"{'long' * 100}.py": "cannot be read: File name too long",
        "nul\0name.py": "one line of at most 2,000 printable characters is needed",
    }
    for name, reason in expected.items():
        line = refused(f"{tmp_path / name}:Mine", capsys)
        assert reason in line, (name, line)
        assert "line None" not in line


def test_a_name_without_a_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for policy in (":", ":Mine", "mine.py:", "mine.py", "."):
        line = refused(policy, capsys)
        assert "policy" in line or "file" in line, policy


@pytest.mark.parametrize("place", PLACES)
def test_what_a_file_prints_is_not_in_the_result_of_a_comparison(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = policy_file(tmp_path, **{place: "print('noise')"})
    words = ["compare", policy, "--cpus", "2", "--module", "strict", "--scenario", "all-online", "--json"]
    assert cli.run(words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["matrix"][0]["verdict"] == "holds"
    assert "noise" in captured.err
