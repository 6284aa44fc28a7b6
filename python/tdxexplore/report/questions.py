"""What the rows of a data set ask, as questions that can be asked again.

A row has the name of a policy. That of a built-in one is enough; a user's own needs its file, which no table holds.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from tdxexplore.errors import BadModel
from tdxexplore.explore.finding import find
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import DESCRIBED, Settings
from tdxexplore.render.knobs import values
from tdxexplore.tdx.fields import UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tdxexplore.explore.finding import About
    from tdxexplore.explore.subject import Subject

    Row = Mapping[str, Any]

_NOT_SHOWN = ("prices", "threads")
"""Settings that change no verdict and no outcome."""


class Subjects:
    """The policies and models that rows may name.

    Args:
        own: A user's own, as ``path/to/file.py:NAME`` or as Python has them.

    Raises:
        BadModel: There is none of that name.
    """

    def __init__(self, own: Sequence[About] = ()) -> None:
        self._asked: dict[str, About] = {name: name for name in BUILT_IN}
        self._asked |= {find(about).name: about for about in own}

    def of(self, name: str) -> Subject | None:
        """What a name stands for; None if it is not known."""
        return find(self._asked[name]) if name in self._asked else None

    def question(self, row: Row) -> Question | None:
        """What a row asks; None if its policy is not known, or has no such knob any more."""
        subject = self.of(row["policy"])
        if subject is None:
            return None
        try:
            defaults = subject.setting(())
            return Question.of(
                self._asked[row["policy"]],
                module=row["module"],
                cpus=row["cpus"],
                packages=row["packages"],
                scenario=row["scenario"],
                knobs={name: value for name, value in values(row["knobs"]).items() if defaults.get(name) != value},
                budgets={name: _budget(value) for name, value in values(row["budgets"]).items()},
            ).resolved()
        except BadModel:
            return None


def command(question: Question, run: Row) -> str:
    """The command that asks a row's question again, with the settings that decide its answer."""
    return question.command("check") + "".join(f" {shlex.join(words)}" for words in settings(run))


def settings(run: Row) -> list[list[str]]:
    """The settings of a row that are not at their default, as options of the command line."""
    default, found = Settings(), []
    for each in DESCRIBED:
        value = run.get(each.name)
        if each.name in _NOT_SHOWN or value is None or value == getattr(default, each.name):
            continue
        option = each.name.replace("_", "-")
        if isinstance(value, bool):
            found.append([f"--{option}" if value else f"--no-{option}"])
        else:
            found.append([f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)])
    return found


def _budget(value: str) -> int:
    return UNBOUNDED if value == "unbounded" else int(value)
