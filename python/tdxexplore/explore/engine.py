"""The door to the engine: the only module that imports `_core`. It passes settings on and maps errors, once for all callers."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tdxexplore import _core
from tdxexplore.errors import BadModel, BadSchedule, InternalError, Trap
from tdxexplore.explore.machine import memory_limit
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from tdxexplore.explore.settings import Settings

    Found: TypeAlias = _core.Exploration
    Counters: TypeAlias = _core.Progress
    Replay: TypeAlias = _core.Replay
    Listed: TypeAlias = _core.Unfolded
    Ordered: TypeAlias = _core.Orders
    Ways: TypeAlias = _core.Observed
    Walked: TypeAlias = _core.Walks
    Table: TypeAlias = _core.Table
    # The global word, the words of the packages, and those of the CPUs of each.
    Words: TypeAlias = tuple[int, list[int], list[list[int]]]

_LONGEST = 4000  # characters of a message, which may show a schedule

BUILD = f"{_core.__version__} ({_core.BUILD})"
"""The version of the engine, and how it was built."""


def usable_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def worker_threads(asked: int | None) -> int:
    """How many threads are started: all that this process may use, or fewer if asked for. More would only take turns."""
    return min(asked or usable_cpus(), usable_cpus())


@contextmanager
def _errors_of_the_engine() -> Iterator[None]:
    try:
        yield
    except _core.Trap as error:
        raise Trap(one_line(str(error), _LONGEST), error.schedule) from None
    except _core.BadModel as error:
        raise BadModel(one_line(str(error), _LONGEST)) from None
    except _core.BadSchedule as error:
        raise BadSchedule(one_line(str(error), _LONGEST)) from None
    except _core.InternalError as error:
        raise InternalError(one_line(str(error), _LONGEST)) from None
    except UnicodeEncodeError as error:
        raise BadModel(f"half of a character, at {error.start}: {error.object!a:.60}") from None


class Engine:
    """A Program as the engine holds it.

    Args:
        program: The Program as text.

    Raises:
        BadModel: The engine cannot run it.
    """

    def __init__(self, program: str) -> None:
        with _errors_of_the_engine():
            self._program = _core.Program(program)

    def explore(
        self,
        initial: str,
        settings: Settings,
        progress: Callable[[Counters], object] | None = None,
        share: float = 1.0,
    ) -> Found:
        """Visit every state that can be reached, as far as the limits allow.

        Args:
            initial: The labelled initial state, packed.
            settings: How.
            progress: Called about twice a second and once at the end. An exception stops the search and is raised.
            share: The part of the free memory that it may use, if the settings have no limit.

        Raises:
            BadModel: The initial state does not fit the Program or is too large for the space.
            Trap: The Program is wrong about itself in a reachable state.
            InternalError: The engine has a defect.
            MemoryError: There is not enough to begin.
        """
        threads = worker_threads(settings.threads)
        memory = memory_limit(threads, share, settings.memory_limit)
        with _errors_of_the_engine():
            return self._program.explore(
                initial,
                space=settings.space,
                symmetry=settings.symmetry,
                threads=threads,
                max_states=settings.max_states,
                max_depth=settings.max_depth,
                max_memory=memory,
                timeout=settings.timeout,
                measures=settings.measures,
                prices=settings.prices,
                progress=progress,
            )

    def walk(
        self,
        initial: str,
        *,
        bug_depth: int | None,
        walks: int,
        seed: int,
        threads: int | None,
        max_depth: int,
        timeout: float | None,
        progress: Callable[[Counters], object] | None = None,
    ) -> Walked:
        """Make random walks, of which nothing is stored but sums.

        Args:
            initial: The labelled initial state, packed.
            bug_depth: Priorities that change at one step less; None for equal chances of all that is enabled.
            walks: How many.
            seed: The same seed makes the same walks.
            threads: Worker threads; None for all CPUs.
            max_depth: Steps after which a walk is cut.
            timeout: Seconds for all walks.
            progress: Called about twice a second, with walks as `explored`. An exception stops the walks and is raised.

        Raises:
            BadModel: The initial state does not fit the Program.
            Trap: The Program is wrong about itself in a state that a walk came to.
            InternalError: The engine has a defect.
        """
        with _errors_of_the_engine():
            return self._program.walk(
                initial,
                bug_depth=bug_depth,
                walks=walks,
                seed=seed,
                threads=worker_threads(threads),
                max_depth=max_depth,
                timeout=timeout,
                progress=progress,
            )

    def replay(self, initial: str, schedule: str) -> Replay:
        """Run one interleaving on labelled states.

        Args:
            initial: The labelled initial state, packed.
            schedule: A token for each step.

        Raises:
            BadSchedule: A step of it has no transition; the message says which and what was possible.
            InternalError: The engine has a defect.
        """
        with _errors_of_the_engine():
            # Half of a character is no token either, and the message about it must be sayable.
            return self._program.replay(initial, schedule.encode("utf-8", "replace").decode())

    def replay_from(self, words: Words, schedule: str = "") -> Replay:
        """Run on from a labelled state of a replay; see `replay`."""
        global_word, package_words, cpu_words = words
        packages = [
            {"word": hex(word), "cpus": list(map(hex, cpus))}
            for word, cpus in zip(package_words, cpu_words, strict=True)
        ]
        return self.replay(json.dumps({"global": hex(global_word), "packages": packages}), schedule)

    def unfold(self, initial: str, max_states: int) -> Listed | None:
        """List every labelled state and transition; None if there are more states. A trap counts as any other transition.

        Raises:
            BadModel: The initial state does not fit the Program.
            InternalError: The engine has a defect.
        """
        with _errors_of_the_engine():
            return self._program.unfold(initial, max_states)
