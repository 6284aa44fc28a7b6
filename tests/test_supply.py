"""The Python packages that a user installs: bounds on both sides, and licences as docs/trust.md has them."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

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
