"""A choice that a model leaves open: its name, the values that are allowed, and the words for what is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.quantities import RANGES, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Knob:
    """A choice that a policy's source, or the function of a model, leaves open.

    Attributes:
        name: For ``--set NAME=VALUE``.
        values: Allowed values; the first is the default, of a policy the posted form.
        text: What is chosen.
        whole: Any whole number is allowed; ``values`` has the default only.
    """

    name: str
    values: tuple[str, ...]
    text: str
    whole: bool = False

    def check(self, owner: str, value: str) -> str:
        """The value, if it is allowed.

        Raises:
            BadModel: It is not.
        """
        if self.whole:
            if value.removeprefix("-").isdecimal():
                return value
            raise BadModel(f"knob `{self.name}` of {owner} is `{value}`; a whole number is needed")
        if value not in self.values:
            raise BadModel(f"knob `{self.name}` of {owner} is `{value}`; {suggest(value, self.values)}")
        return value

    def chosen(self, values: Iterable[str]) -> tuple[str, ...]:
        """Several values; of whole numbers also ranges, as in ``2-6``.

        Raises:
            BadModel: One is neither a whole number nor a range where it should be.
        """
        if not self.whole:
            return tuple(values)
        try:
            return tuple(dict.fromkeys(str(n) for value in values for n in whole_numbers(value)))
        except ValueError:
            raise BadModel(f"knob `{self.name}` is `{','.join(values)}`; write {RANGES}") from None


def setting(owner: str, knobs: Sequence[Knob], given: Mapping[str, str]) -> dict[str, str]:
    """The value of every knob, those that are not given at their default.

    Args:
        owner: Whose knobs they are, for messages.
        knobs: All that there are.
        given: Values by name.

    Raises:
        BadModel: A name or a value is not allowed.
    """
    known = {knob.name: knob for knob in knobs}
    values = {knob.name: knob.values[0] for knob in knobs}
    for name, value in given.items():
        if name not in known:
            raise BadModel(f"{owner} has no knob `{name}`; {suggest(name, known)}")
        values[name] = known[name].check(owner, value)
    return values
