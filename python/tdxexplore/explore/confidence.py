"""This module says what a number of runs that were drawn proves, and with which confidence."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
"""Of all statements that are made with this confidence, so many are true at least."""

_HALVINGS = 60


def interval(met: int, drawn: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """An interval for the chance of something that some of the runs drawn have met.

    It is Chernoff's bound on both sides: simple, true for any number of runs, and a little wider than the exact interval.

    Args:
        met: How many runs have met it.
        drawn: How many runs were drawn, at least 1, each independent of the others.
        confidence: How likely the interval holds the chance, at least.

    Returns:
        The least and the most that the chance may be.

    Source: Chernoff, "A measure of asymptotic efficiency for tests of a hypothesis based on the sum of observations", 1952.
    """
    share, allowed = met / drawn, math.log(2 / (1 - confidence)) / drawn
    least = 0.0 if met == 0 else _where(share, 0.0, allowed)
    most = 1.0 if met == drawn else _where(share, 1.0, allowed)
    return least, most


def unseen(drawn: int, confidence: float = CONFIDENCE) -> float:
    """The most that the chance of something may be that none of the runs has met, with this confidence: about 3 of all runs."""
    return -math.expm1(math.log(1 - confidence) / drawn)


def found(actors: int, steps: int, depth: int) -> float:
    """The least chance that a run by random priorities meets a bug of that depth.

    Args:
        actors: Instances of actors: as such, and on each package and CPU.
        steps: The most steps of a run.
        depth: How many constraints on the order of two steps make the bug happen.

    Source: Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010.
    """
    return math.exp(
        -math.log(max(actors, 1)) - (depth - 1) * math.log(max(steps, 1))
    )  # of depth 64 the power is no float


def missed(runs: int, chance: float) -> float:
    """The chance that so many runs all miss what each meets with that chance."""
    if chance == 1:
        return 0.0 if runs else 1.0
    return math.exp(runs * math.log1p(-chance))


def _divergence(share: float, chance: float) -> float:
    """The relative entropy (Kullback and Leibler) of two coins, in nats."""
    parts = ((share, chance), (1 - share, 1 - chance))
    return sum(p * math.log(p / q) if p and q else math.inf if p else 0.0 for p, q in parts)


def _where(share: float, end: float, allowed: float) -> float:
    """The chance between a share and an end at which the divergence from the share is what is allowed."""
    near, far = share, end
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        if _divergence(share, middle) < allowed:
            near = middle
        else:
            far = middle
    return far
