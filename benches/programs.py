"""Writes the fixed Programs of the Rust benches to benches/programs, so that a figure there changes with the engine only.

They are data once written: run this again only to change what is measured, and measure again. Notes and sources of steps
are left out, as the engine does not look at them.
"""

from __future__ import annotations

import json

from peers import FAMILIES
from processes import HERE

MODELS = {"v19": ("v19, second-enable", (6, 7)), "two-phase-commit": ("two-phase commit", (6,))}


def main() -> None:
    folder = HERE / "programs"
    folder.mkdir(exist_ok=True)
    for name, (family, sizes) in MODELS.items():
        for cpus in sizes:
            program, start = FAMILIES[family][0](cpus)
            (folder / f"{name}-{cpus}.json").write_text(program.pack(start) + "\n")
        document = json.loads(program.text)
        for rule in document["rules"]:
            del rule["notes"], rule["source"]
        (folder / f"{name}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
