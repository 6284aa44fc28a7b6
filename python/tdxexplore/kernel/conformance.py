"""Whether a model allows what a kernel did: a recording is one more actor, a cursor that observable steps must advance.

The search goes depth-first over pairs of a state and a cursor, and never visits a pair twice; the plain reference
interpreter gives the steps. Rejected: all states of the model, breadth-first, of which a recording needs few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tdxexplore.kernel.host import WatchedHost
from tdxexplore.kernel.watched import Watched
from tdxexplore.model.execution import transitions

if TYPE_CHECKING:
    from tdxexplore.kernel.observations import Observation
    from tdxexplore.kernel.recording import Event, Recording
    from tdxexplore.model import State


@dataclass(frozen=True, slots=True)
class Conformance:
    """The answer.

    Attributes:
        accepted: How many observations the model allows: all, or the longest beginning.
        observations: All of them, in order.
        event: The event that does not fit; None if all do.
        allowed: What the model would have allowed in its place, in some state after the longest beginning.
        states: How many pairs of a state and a cursor were looked at.
    """

    accepted: int
    observations: tuple[Observation, ...]
    event: Event | None
    allowed: tuple[str, ...]
    states: int

    @property
    def holds(self) -> bool:
        """Whether the model allows the whole recording."""
        return self.accepted == len(self.observations)


@dataclass(slots=True)
class _Search:
    """What is seen so far: the furthest cursor, and what the model allows there."""

    watched: Watched | WatchedHost
    wanted: tuple[Observation, ...]
    furthest: int = 0
    allowed: set[str] = field(default_factory=set)
    states: int = 0

    def run(self) -> None:
        todo, known = [(self.watched.initial, 0)], {(self.watched.initial.key(), 0)}
        while todo and self.furthest < len(self.wanted):
            state, cursor = todo.pop()
            self.states += 1
            # The last one that is added is looked at first: what advances the cursor.
            for successor in sorted(self.successors(state, cursor), key=lambda pair: pair[1]):
                key = (successor[0].key(), successor[1])
                if key not in known:
                    known.add(key)
                    todo.append(successor)
                    self.reached(successor[1])

    def reached(self, cursor: int) -> None:
        if cursor > self.furthest:
            self.furthest, self.allowed = cursor, set()

    def successors(self, state: State, cursor: int) -> list[tuple[State, int]]:
        seen, found = self.wanted[cursor], []
        steps = transitions(self.watched.model, state)
        if seen.is_condition and self.watched.is_so(seen, state, steps):
            found.append((state, cursor + 1))
        for step in steps:
            shown = self.watched.shows(state, step)
            after = cursor + len(shown)
            if self.wanted[cursor:after] == shown:
                found.append((step.target, after))
            elif cursor == self.furthest and shown[0].kind != "nothing":
                self.allowed.add("; ".join(map(str, shown)))
        return found


def conform(recording: Recording, policy: str) -> Conformance:
    """Hold a recording against the model of a policy.

    Args:
        recording: What a kernel did.
        policy: A built-in name, or path/to/file.py:NAME.

    Raises:
        BadModel: There is no such policy, or none that a recording can show.
    """
    header = recording.header
    if "module" in header:
        module, cpus, packages = (header[part] for part in ("module", "cpus", "packages"))
        return follow(recording, WatchedHost(policy, module, cpus, packages, header.get("knobs")))
    return follow(recording, Watched(policy, header["cpus"]))


def follow(recording: Recording, watched: Watched | WatchedHost) -> Conformance:
    """Hold a recording against a model."""
    places = watched.observe(recording)
    search = _Search(watched, tuple(seen for _, seen in places))
    search.run()
    done = search.furthest == len(places)
    event = None if done else recording.events[places[search.furthest][0]]
    allowed = () if done else tuple(sorted(search.allowed))
    return Conformance(search.furthest, search.wanted, event, allowed, search.states)
