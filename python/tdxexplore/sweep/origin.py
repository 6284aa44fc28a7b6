"""Where the points of a data set come from: the sweep file and its revision."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tdxexplore.data.files import ORIGIN

if TYPE_CHECKING:
    from tdxexplore.sweep.spec import Spec


PATIENCE = 5.0
"""Seconds that git may take."""


def origin(spec: Spec) -> dict[str, str]:
    """Name, note, hash and git revision of the sweep file; the revision is empty outside git."""
    content = hashlib.blake2b(spec.content, digest_size=16).hexdigest()
    values = (spec.name, spec.note, content, _revision(spec))
    return dict(zip(ORIGIN, values, strict=True))


def _revision(spec: Spec) -> str:
    """The commit of the folder of a sweep file, and whether the file differs from it.

    The folder may be a stranger's, and its configuration may name commands that git runs: to look for changes, to filter
    contents, to fetch what is missing. So git is asked for nothing that needs the index or a filter, and no transport is
    allowed. A git that fails or takes long is no git.
    """
    git = shutil.which("git")
    if git is None:
        return ""
    path = spec.path.resolve()
    folder, env = str(path.parent), {**os.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}

    def ask(*words: str) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 -- git, on the folder that the user named
                [git, "-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit", "-C", folder, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=PATIENCE,
                env=env,
            )
        except (OSError, subprocess.TimeoutExpired):
            return b""
        return done.stdout if done.returncode == 0 else b""

    revision = ask("rev-parse", "--verify", "HEAD").decode("ascii", "replace").strip()
    if not revision:
        return ""
    same = ask("cat-file", "blob", f"HEAD:./{path.name}") == spec.content
    return revision if same else f"{revision}+modified"
