"""The outcomes that small models of the tests have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdxexplore.model import Model


def finish(model: Model) -> Model:
    """Give a model two outcomes: a deadlock, and everything else."""
    model.outcome("deadlock", "S1", model.stuck())
    model.outcome("done", "ok", when=True)
    return model
