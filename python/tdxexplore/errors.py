"""What can go wrong, and whose fault it is: one base exception with few children.

Every message is one line that says what, where, the value given and what is allowed. Trouble with files stays
``OSError``. The command line maps these to exit codes in one place (``tdxexplore.cli``).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TdxExploreError(Exception):
    """Base of every error that tdxexplore raises on purpose."""


class BadModel(TdxExploreError, ValueError):
    """A model, policy, knob, topology or scenario that cannot be explored."""


class BadSetting(BadModel):
    """A setting of a search that is not allowed.

    Attributes:
        name: As an argument of the library.
        value: As given.
        allowed: What is allowed, in words.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"--{name.replace('_', '-')} is {shown(value)}; {allowed}")
        self.name, self.value, self.allowed = name, value, allowed

    def __reduce__(self) -> tuple[type[BadSetting], tuple[str, object, str]]:
        return BadSetting, (self.name, self.value, self.allowed)


class BadSpec(TdxExploreError, ValueError):
    """A sweep file that says something that is not allowed."""


class BadDataset(TdxExploreError, ValueError):
    """A folder of results that cannot be used as asked: it holds other answers, or damaged ones."""


class MissingExtra(TdxExploreError, ImportError):
    """A package that is needed only for what was asked for is not installed.

    Args:
        what: What needs it.
        extra: The extra of this package that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra `{extra}`: pip install 'tdxexplore[{extra}]'")


class BadSchedule(TdxExploreError, ValueError):
    """A schedule that does not replay on the given model."""


class Trap(BadModel):
    """A reachable state in which a model leaves its own domain.

    Attributes:
        schedule: The interleaving that leads there.
    """

    def __init__(self, message: str, schedule: str) -> None:
        super().__init__(message)
        self.schedule = schedule


class TimeUp(TdxExploreError):
    """A limit on time ended something before there was anything to answer."""


class TimeIsUp(BaseException):
    """Raised in a thread whose time is over; no `Exception`, so that code that catches these does not swallow it."""


class TooLarge(TdxExploreError):
    """A question is larger than what can be looked at one by one, so that there is no answer."""


class InternalError(TdxExploreError, RuntimeError):
    """A defect of tdxexplore itself."""


def shown(value: object) -> str:
    """A value as a message shows it: texts in backticks, others as Python writes them."""
    return f"`{value}`" if isinstance(value, str) else repr(value)


def suggest(given: str, allowed: Iterable[str]) -> str:
    """``; did you mean `x`?`` when a known name is close, and the allowed names."""
    names = sorted(allowed)
    if not names:
        return "there is none"
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.3)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"{hint}Allowed: {', '.join(names)}"
