"""Checks that Spin, Rumur, TLC and Stateright find exactly our states, transitions, depth and terminal states.

With their symmetry reduction all but Spin, which has none, must find exactly our orbits, and fire equally many rules: each
CPU's of a stored state. Rumur's reduction is the exhaustive one here, as its heuristic is exact on one package only.

Small models of every kind: known ones, built-in policies in several scenarios and topologies, and random ones that use
every construct of the language. Fails at the first difference, and when a checker is missing (``make peers``).
"""

from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from checkers import UNOPTIMISED, Case, Rumur, Spin, Stateright, Tlc
from models import increment_lock, rotation, two_phase_commit
from processes import Limits
from tdxexplore import _core
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.model import Topology, lower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model import Program, State
    from tdxexplore.tdx.fields import ModuleKind

POLICIES = ("v19", "linux-6.16", "dyn-hook-if-enabled")
SITUATIONS: tuple[tuple[ModuleKind, str, tuple[int, ...]], ...] = (
    ("subset", "kvm-reload", (3,)),
    ("strict", "offline-mid-enable", (2, 1)),
    ("subset-nocheck", "no-kvm", (2,)),
)
RANDOM = 20


def models() -> Iterator[tuple[str, Program, State]]:
    for make in (two_phase_commit, increment_lock, rotation):
        yield f"{make.__name__} 3", *make(3)
    for policy, (module, scenario, sizes) in product(POLICIES, SITUATIONS):
        question = Question(policy, module, scenario, Topology(sizes))
        compiled = question.compile()
        start = compiled.model.initial(question.topology)
        yield f"{policy} {module} {scenario} {question.topology}", compiled.program, start
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    from random_models import Generator  # noqa: PLC0415 -- a module of the tests

    found = seed = 0
    while found < RANDOM:
        seed += 1
        try:
            model, start = Generator(seed).build()
            program = lower(model)
            if _core.Program(program.text).explore(program.pack(start), measures=False).explored < RANDOM:
                continue
        except (BadModel, _core.Trap):
            continue
        found += 1
        yield f"random {seed}", program, start


def main() -> None:
    checkers = (
        Spin(optimise=UNOPTIMISED, count_terminal=True),
        Rumur(optimise=UNOPTIMISED),
        Tlc(workers=1),
        Stateright(),
        Rumur(symmetry="exhaustive", optimise=UNOPTIMISED),
        Tlc(workers=1, symmetry=True),
        Stateright(symmetry=True),
    )
    for checker in checkers[:4]:
        print(f"{checker.name}: {checker.version()}")
    for name, program, start in models():
        with tempfile.TemporaryDirectory() as folder:
            case = Case(name, program, start, Path(folder))
            fired = set()
            for checker in checkers:
                checker.build(case)
                found = checker.find(case, Limits())
                found.check(case.expected, f"{checker.label} on {name}", reduced=checker.reduced)
                if checker.reduced:
                    fired.add(found.transitions)
            assert len(fired) == 1, f"with symmetry reduction they fire {fired} on {name}"
            e = case.expected
            counts = f"{e.states:,} states, {e.transitions:,} transitions, depth {e.depth}, {e.orbits:,} orbits"
            print(f"{name}: {counts}: all agree", flush=True)


if __name__ == "__main__":
    main()
