"""This wing writes models for other checkers: in Promela for Spin, in Murphi for Rumur and in TLA+ for TLC.

A Program and a labelled initial state become text whose distinct states and generated transitions are exactly those of
the concrete space. One transition of the Program is one transition there, so a checker that reports other counts shows a
defect in one of the two. Murphi and TLA+ texts give CPUs and packages the checker's own symmetric type: with its symmetry
reduction it finds as many states as the orbit space with `--symmetry all` stores. Spin has no such reduction.

`steps` decodes masks to fields, `notation` writes conditions, and one module for each language writes the rest. Rejected:
one process for each actor, which suits Spin better, because its counts then depend on where Spin cuts atomic steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tdxexplore.callable_module import make_callable
from tdxexplore.explore.settings import Settings
from tdxexplore.export.murphi import murphi
from tdxexplore.export.promela import promela
from tdxexplore.export.steps import Expected, Form
from tdxexplore.export.tla import configuration, tla

if TYPE_CHECKING:
    from tdxexplore.explore.question import Question

__all__ = ["Expected", "Form", "Language", "configuration", "export", "murphi", "promela", "tla"]

Language = Literal["promela", "murphi", "tla"]

# The header gives counts, for which the orbits are explored; the text of a model with more orbits is written without.
_COUNTED = 200_000


def export(question: Question, to: Language, module: str = "") -> str:
    """Write the model of a question for another checker.

    Args:
        question: The question.
        to: The language.
        module: The name of a TLA+ module and so of its file; default: a name made from the model's.

    Raises:
        BadModel: The question is not allowed, or ``module`` cannot be the name of a module.
    """
    compiled = question.compile()
    start = compiled.model.initial(question.topology)
    form = Form(compiled.program, start, _expected(question))
    if to == "tla":
        return tla(form, module)
    return promela(form) if to == "promela" else murphi(form)


def _expected(question: Question) -> Expected | None:
    compiled = question.compile()
    searches = []
    for symmetry in ("start", "all"):
        settings = Settings(symmetry=symmetry, max_states=_COUNTED, measures=False)
        searches.append(compiled.engine.explore(question.initial(), settings))
        if searches[-1].interrupted:
            raise KeyboardInterrupt
    return Expected.of(compiled.program, *searches)


make_callable(__name__, export)
