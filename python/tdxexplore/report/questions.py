"""What the rows of a data set ask, as questions that can be asked again.

A row has the name of a policy. That of a built-in one is enough; a user's own needs its file, which no table holds.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question, made, policy_class, policy_name
from tdxexplore.explore.settings import DESCRIBED, Settings
from tdxexplore.tdx.fields import UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tdxexplore.tdx.policy import Policy

    Row = Mapping[str, Any]

_NOT_SHOWN = ("prices", "threads")
"""Settings that change no verdict and no outcome."""


class Designs:
    """The policies that rows may name.

    Args:
        own: A user's own, as ``path/to/file.py:NAME`` or as classes.

    Raises:
        BadModel: There is no such policy.
    """

    def __init__(self, own: Sequence[str | type[Policy]] = ()) -> None:
        self._asked: dict[str, str | type[Policy]] = {name: name for name in BUILT_IN}
        self._asked |= {policy_name(policy_class(policy)): policy for policy in own}

    def of(self, name: str) -> type[Policy] | None:
        """The policy of a name; None if it is not known."""
        return policy_class(self._asked[name]) if name in self._asked else None

    def question(self, row: Row) -> Question | None:
        """What a row asks; None if its policy is not known, or has no such knob any more."""
        policy = self._asked.get(row["policy"])
        if policy is None:
            return None
        try:
            defaults = made(policy_class(policy)).setting
            knobs = _pairs(row["knobs"])
            return Question.of(
                policy,
                module=row["module"],
                cpus=row["cpus"],
                packages=row["packages"],
                scenario=row["scenario"],
                knobs={name: value for name, value in knobs.items() if defaults.get(name) != value},
                budgets={name: _budget(value) for name, value in _pairs(row["budgets"]).items()},
            )
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


def _pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


def _budget(value: str) -> int:
    return UNBOUNDED if value == "unbounded" else int(value)
