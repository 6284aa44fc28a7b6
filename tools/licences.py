"""The licences of what is linked into the engine: ``python tools/licences.py``, or ``make licences``, writes LICENSE-crates.txt.

A wheel contains the compiled crates, whose licences ask that their texts go with them. Equal texts are written once.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "LICENSE-crates.txt"
_TREE = ("cargo", "tree", "--locked", "-p", "tdxexplore-python", "-e", "normal,no-proc-macro", "--prefix", "none")
_TARGET = "x86_64-unknown-linux-gnu"
_HEAD = "The engine of tdxexplore links these crates. Their licences follow; where a crate offers a choice, all texts are here.\n"


def linked() -> list[str]:
    """Name and version of each crate that is linked, but for our own."""
    words = [*_TREE, "--target", _TARGET, "--format", "{p}"]
    lines = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    crates = {" ".join(line.split()[:2]) for line in lines if line and "tdxexplore" not in line.split()[0]}
    return sorted(crates)


def page() -> str:
    """The file as text."""
    words = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)[
        "packages"
    ]
    known = {f"{package['name']} v{package['version']}": package for package in packages}
    texts: dict[str, list[str]] = {}
    lines = []
    for crate in linked():
        package = known[crate]
        lines.append(f"{crate}: {package['license']}")
        folder = Path(package["manifest_path"]).parent
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name.upper().startswith(
                ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")
            ):
                texts.setdefault("\n".join(line.rstrip() for line in path.read_text().splitlines()), []).append(crate)
    parts = [_HEAD, "\n".join(lines)]
    parts += [f"{'-' * 80}\n{', '.join(dict.fromkeys(crates))}\n\n{text.strip()}" for text, crates in texts.items()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
