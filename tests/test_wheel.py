"""A wheel installs and answers in an environment of its own, without Rust and without this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

import licences
from tdxexplore import __version__, check

ROOT = Path(__file__).parent.parent


@pytest.mark.long
def test_the_licences_are_those_of_the_crates_that_are_linked() -> None:
    assert len(licences.linked()) > 30
    assert licences.PAGE.read_text() == licences.page()


@pytest.mark.long
def test_a_wheel_runs_in_a_clean_environment_without_rust(tmp_path: Path) -> None:
    maturin = [str(Path(sys.executable).parent / "maturin")]
    cargo = os.environ.get("CARGO_HOME", f"{Path.home()}/.cargo")
    flags = f"--remap-path-prefix={cargo}=cargo --remap-path-prefix={ROOT}=tdxexplore"  # as `make wheel` has them
    for words in (["build", "--release"], ["sdist"]):
        subprocess.run(
            [*maturin, *words, "--out", str(tmp_path)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            env={**os.environ, "RUSTFLAGS": flags},
        )
    (wheel,) = tmp_path.glob("*.whl")
    assert f"-{__version__}-cp311-abi3-" in wheel.name
    names = ZipFile(wheel).namelist()
    starts = {f"tdxexplore/cli/starts/{kind}.txt" for kind in ("model", "policy")}
    assert {"tdxexplore/py.typed", "tdxexplore/_core.pyi", *starts} <= set(names)
    browser = {path.name for path in (ROOT / "python/tdxexplore/report/browser").iterdir()}
    assert {f"tdxexplore/report/browser/{name}" for name in browser} <= set(names)
    assert len(browser) >= 7
    assert not [name for name in names if name.startswith(("tests/", "tools/", "benches/"))]
    assert sum(name.endswith(("/licenses/LICENSE", "/licenses/LICENSE-crates.txt")) for name in names) == 2
    engine = ZipFile(wheel).read("tdxexplore/_core.abi3.so")
    assert len(engine) < 25_000_000  # without symbols
    assert b"panicked" in engine
    for place in (str(ROOT), cargo, str(Path.home())):
        assert place == "/" or place.encode() not in engine
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        assert f"tdxexplore-{__version__}/rust/core/Cargo.toml" in archive.getnames()

    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean/bin/python")
    # No Rust on the path; how pip reaches its index is the machine's affair.
    kept = {
        name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")
    }
    environment = {**kept, "HOME": os.environ.get("HOME", str(tmp_path)), "PATH": "/usr/bin:/bin", "COLUMNS": "100"}
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", str(wheel)], cwd=tmp_path, env=environment, check=True, timeout=500
    )
    tool = str(tmp_path / "clean/bin/tdxexplore")
    said = subprocess.run(
        [tool, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(f"tdxexplore {__version__}, engine {__version__} (release, ")
    asked = [tool, "check", "v19", "--module", "subset", "--scenario", "late-online", "--cpus", "3"]
    done = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    here = check("v19", module="subset", scenario="late-online", cpus=3)
    (count,) = here.outcomes["interleavings"]
    assert f"{int(count):,}" in done.stdout
