"""Where the points of a data set come from: the sweep file and its revision."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

from tdxexplore.data.files import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    from tdxexplore.sweep.spec import Spec


def origin(spec: Spec) -> dict[str, str]:
    """Name, note, hash and git revision of the sweep file; the revision is empty outside git."""
    content = hashlib.blake2b(spec.path.read_bytes(), digest_size=16).hexdigest()
    values = (spec.name, spec.note, content, _revision(spec.path))
    return dict(zip(ORIGIN, values, strict=True))


def _revision(path: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return ""

    def ask(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 -- git, on the folder that the user named
            [git, "-C", str(path.resolve().parent), *words], capture_output=True, text=True, check=False, timeout=30
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    revision = ask("rev-parse", "HEAD")
    changed = revision and ask("status", "--porcelain", "--", path.name)
    return f"{revision}+modified" if changed else revision
