"""The engine finds the counts that others have published for two small models, in both spaces."""

from __future__ import annotations

from math import perm

import pytest

from models import increment_lock, two_phase_commit
from tdxexplore import _core

# managers: distinct, generated, orbits, orbit transitions. Up to 7 by plain search (3, 5, 7 also by Rumur), beyond
# from orbit sizes.
TWO_PHASE_COMMIT = {
    2: (56, 153, 34, 79),
    3: (288, 1_145, 80, 235),
    4: (1_568, 8_257, 166, 572),
    5: (8_832, 58_145, 314, 1_215),
    6: (50_816, 402_305, 553, 2_337),
    7: (296_448, 2_744_705, 920, 4_167),
    10: (61_515_776, 817_760_257, 3_300, 17_203),
    16: (2_825_404_940_288, 60_256_693_518_337, 21_335, 128_298),
}
CONCRETE = 400_000


@pytest.mark.parametrize("managers", TWO_PHASE_COMMIT)
def test_two_phase_commit_has_its_published_counts(managers: int) -> None:
    states, transitions, orbits, kinds = TWO_PHASE_COMMIT[managers]
    program, start = two_phase_commit(managers)
    engine = _core.Program(program.text)
    orbit = engine.explore(program.pack(start), space="orbit", measures=False)
    assert (orbit.states, orbit.transitions) == (str(states), str(transitions))
    assert (orbit.explored, orbit.generated) == (orbits, kinds)
    if states <= CONCRETE:
        concrete = engine.explore(program.pack(start), space="concrete", measures=False)
        assert (concrete.explored, concrete.generated, concrete.depth) == (states, transitions, orbit.depth)


@pytest.mark.parametrize("threads", range(2, 11))
def test_increment_lock_has_its_published_counts(threads: int) -> None:
    # Stateright's example; in each state some k threads have had or have the lock, in one of n!/(n-k)! orders.
    states = 1 + 4 * sum(perm(threads, k) for k in range(1, threads + 1))
    program, start = increment_lock(threads)
    engine = _core.Program(program.text)
    orbit = engine.explore(program.pack(start), space="orbit", measures=False)
    assert (orbit.states, orbit.transitions) == (str(states), str(states - 1))
    assert (orbit.explored, orbit.generated) == (4 * threads + 1, 4 * threads)
    if states <= CONCRETE:
        concrete = engine.explore(program.pack(start), space="concrete", measures=False)
        assert (concrete.explored, concrete.generated, concrete.depth) == (states, states - 1, 4 * threads)
