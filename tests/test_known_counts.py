"""The engine finds the counts that others have published for five small models, in both spaces."""

from __future__ import annotations

from math import perm
from pathlib import Path

import pytest

import tdxexplore
from models import increment_lock, two_phase_commit
from tdxexplore import _core
from tdxexplore.model import Topology, reference

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


# From the comments in Murphi's distribution (release 2.73S to 2.9S), ex/mux/n_peterson.m and ex/sym/mcslock2.m: distinct
# states without symmetry reduction, where they are given, and with it.
CLASSICS = Path(__file__).parent.parent / "examples" / "classics.py"
N_PETERSON = {3: (882, 172), 5: (628_868, 6_770), 6: (None, 35_159), 7: (None, 163_298)}
MCS_LOCK = (1_098, 552)


def classic(name: str, cpus: int, space: str = "orbit", **knobs: bool | int) -> tdxexplore.Exploration:
    return tdxexplore.check(f"{CLASSICS}:{name}", cpus=cpus, knobs=knobs, space=space, measures=False)


@pytest.mark.parametrize("processes", [3, 5, 6, pytest.param(7, marks=pytest.mark.long)])
def test_n_peterson_has_its_published_counts(processes: int) -> None:
    states, orbits = N_PETERSON[processes]
    answer = classic("n_peterson", processes, n=processes)
    assert answer.verdict == "holds"
    assert answer.runs["explored"][0] == orbits
    assert states in (None, int(answer.runs["states"][0]))
    if states is not None and states <= CONCRETE:
        assert classic("n_peterson", processes, "concrete", n=processes).runs["explored"][0] == states


def test_the_mcs_lock_of_two_cpus_has_its_published_counts() -> None:
    states, orbits = MCS_LOCK
    answer = classic("mcs_lock", 2)
    assert answer.verdict == "holds"
    assert (int(answer.runs["states"][0]), answer.runs["explored"][0]) == (states, orbits)
    assert classic("mcs_lock", 2, "concrete").runs["explored"][0] == states


# From the manifest of the TLA+ examples, specifications/ewd840: distinct states of EWD840 (3 nodes when it was written) and of
# EWD840_json (4 nodes).
EWD840 = {3: 302, 4: 1_566}


@pytest.mark.parametrize("nodes", EWD840)
def test_ewd840_has_its_published_counts(nodes: int) -> None:
    answer = classic("ewd840", nodes, n=nodes)
    assert answer.verdict == "holds"
    assert answer.outcomes["outcome"].to_list() == ["detected"]
    assert int(answer.expectations.filter(expectation="begun")["states"][0]) == EWD840[nodes]
    # Before it begins, each of the choices of what is active and what is black has been made or not.
    assert int(answer.runs["states"][0]) == EWD840[nodes] + 2 ** (2 * nodes + 1) - 1
    assert classic("ewd840", nodes, "concrete", n=nodes).runs["states"][0] == answer.runs["states"][0]


def test_german_is_coherent_if_it_is_careful() -> None:
    """Its counts are ours: both spaces and the plain interpreter agree."""
    answer = classic("german", 3)
    assert answer.verdict == "holds"
    states = int(answer.runs["states"][0])
    assert classic("german", 3, "concrete").runs["explored"][0] == states > answer.runs["explored"][0]
    model = classic("german", 2).question.compile().model
    plain = reference.explore(model, model.initial(Topology.of(2)))
    assert plain.states == int(classic("german", 2).runs["states"][0])
    careless = classic("german", 2, careful=False)
    assert careless.verdict == "violated"
    assert careless.invariants.filter(invariant="coherence")["shortest_steps"][0] > 0
