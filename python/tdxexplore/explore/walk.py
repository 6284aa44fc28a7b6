"""Walking through the state graph by hand: one interleaving that grows by a step at a time, and shrinks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.errors import BadModel, suggest
from tdxexplore.explore.check import explore
from tdxexplore.explore.settings import Settings
from tdxexplore.explore.trace import replay
from tdxexplore.model.schedule import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tdxexplore.explore.question import Question
    from tdxexplore.explore.trace import Trace
    from tdxexplore.model import State
    from tdxexplore.model.expr import Value

_LONGEST_RUN = 10_000  # steps without a choice: a cycle of them would never come to one


class Walk:
    """An interleaving from the initial state, and what could happen next.

    Args:
        question: What is walked through.
        schedule: Where to begin, as printed under a trace.

    Raises:
        BadModel: Something in the question is not allowed.
        BadSchedule: A step of it has no transition.

    Attributes:
        trace: The steps so far, and what is enabled after them.
    """

    def __init__(self, question: Question, schedule: str = "") -> None:
        self.trace: Trace = replay(question, schedule)

    @property
    def options(self) -> tuple[str, ...]:
        """What could happen next, in the order of the schedule's tokens: who, where, and the step."""
        return tuple(
            f"{actor}{'' if cpu is None else f' on CPU {cpu}'}: {step}" for actor, step, cpu in self.trace.enabled
        )

    @property
    def locks(self) -> tuple[str, ...]:
        """Who holds which lock now."""
        if not self.trace.steps:
            return ()
        return tuple(
            f"{held.lock.name}: {held.actor}{'' if held.cpu is None else f' on CPU {held.cpu}'}"
            for held in self.trace.steps[-1].held
        )

    @property
    def state(self) -> tuple[tuple[str, Value], ...]:
        """The fields that differ from the initial state, without places in the code; one of a CPU or package has its number."""
        first, now = (dict(_fields(state)) for state in (self.trace.states[0], self.trace.states[-1]))
        return tuple((name, value) for name, value in now.items() if value != first[name])

    def choose(self, option: int) -> None:
        """Take one of the `options`.

        Raises:
            BadModel: There is no such option.
        """
        if not 0 <= option < len(self.trace.enabled):
            raise BadModel(f"option is {option}; there are {len(self.trace.enabled)} options, from 0 on")
        self._go([*decode(self.trace.schedule), option])

    def back(self) -> None:
        """Take the last step back, if there is one."""
        self._go(decode(self.trace.schedule)[:-1])

    def run_on(self) -> None:
        """Go on while there is no choice; from a choice, its first option is taken."""
        for _ in range(_LONGEST_RUN):
            if not self.trace.enabled:
                return
            self.choose(0)
            if len(self.trace.enabled) > 1:
                return

    def outcomes(self) -> tuple[str, ...]:
        """The outcomes and invariants that have a trace, the worst first; explores everything once."""
        return tuple(self._traces())

    def jump(self, name: str) -> None:
        """Go to the end of the shortest run to an outcome, or to a state in which an invariant fails.

        Raises:
            BadModel: There is none of that name.
        """
        traces = self._traces()
        if name not in traces:
            raise BadModel(f"`{name}` is not reached; {suggest(name, traces)}")
        self.trace = replay(self.trace.question, traces[name].schedule)

    def _traces(self) -> Mapping[str, Trace]:
        return explore(self.trace.question, Settings(measures=False)).traces

    def _go(self, indices: list[int]) -> None:
        self.trace = replay(self.trace.question, encode(indices))


def _fields(state: State) -> Iterator[tuple[str, Value]]:
    groups = (("", [state.globals]), ("package ", state.packages), ("CPU ", state.cpus))
    for kind, members in groups:
        for number, values in enumerate(members):
            for name, value in values.items():
                if not name.startswith("pc."):
                    yield f"{name} [{kind}{number}]" if kind else name, value
