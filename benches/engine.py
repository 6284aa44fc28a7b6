"""The engine alone in a process of its own, as the other checkers are: ``engine.py FOLDER SPACE SYMMETRY THREADS``.

Reads program.json and initial.json; prints one JSON line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal, cast

from tdxexplore import _core


def main() -> None:
    folder, space, symmetry, threads = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    found = _core.Program((folder / "program.json").read_text()).explore(
        (folder / "initial.json").read_text(),
        space=cast("Literal['orbit', 'concrete', 'bits']", space),
        symmetry=cast("Literal['start', 'all']", symmetry),
        threads=threads,
        measures=False,
    )
    assert found.complete, found.reason
    figures = {
        "states": int(found.states),
        "transitions": int(found.transitions),
        "explored": found.explored,
        "generated": found.generated,
        "depth": found.depth,
        "seconds": found.seconds,
        "state_bits": found.state_bits,
        "memory_bytes": found.memory_bytes,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
