"""One interleaving in kernel words: which actor, on which CPU, in which function, which SEAMCALL, what it returned.

A trace holds all that a rendering needs: the state before the first and after each step, who holds which lock, and in the end
who waits for whom. It is text by itself (`tdxexplore.explore.lanes`); `tdxexplore.render` has its other forms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tdxexplore import markup
from tdxexplore.errors import BadModel, shown
from tdxexplore.explore.holding import Holders, waits
from tdxexplore.explore.lanes import table, text
from tdxexplore.explore.question import Question
from tdxexplore.explore.steps import Held, TraceStep, Wait, place
from tdxexplore.markup import Html
from tdxexplore.model import Scope, State
from tdxexplore.model.execution import is_over
from tdxexplore.model.schedule import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.explore.engine import Words
    from tdxexplore.explore.question import Compiled
    from tdxexplore.model.expr import Value
    from tdxexplore.model.program import Rule

__all__ = ["Held", "Trace", "TraceStep", "Wait", "place", "replay"]


@dataclass(frozen=True, slots=True)
class Trace:
    """An interleaving from the initial state; CPU 2 stays CPU 2 throughout.

    Attributes:
        steps: In order.
        schedule: The string that replays it.
        outcome: The outcome of its last state, or None if the run could go on.
        enabled: What could happen next, in canonical order: (actor, step, CPU or None).
        waits: Where a run that nobody can continue left those who have not come to an end, and for whom they wait.
        question: What was asked.
        states: The state before the first step and after each. Neighbours share what did not change; nobody may write to them.
        rules: The index of each step's rule in the Program.
    """

    steps: tuple[TraceStep, ...]
    schedule: str
    outcome: str | None
    enabled: tuple[tuple[str, str, int | None], ...]
    waits: tuple[Wait, ...]
    question: Question = field(repr=False)
    states: tuple[State, ...] = field(repr=False, compare=False)
    rules: tuple[int, ...] = field(repr=False)

    @property
    def waiting(self) -> tuple[tuple[str, str, int | None], ...]:
        """Who waits for ever, and where: (actor, step, CPU or None)."""
        return tuple((wait.actor, wait.step, wait.cpu) for wait in self.waits)

    @property
    def where_they_wait(self) -> str:
        """`waiting`, in words."""
        places = (f"{actor}{'' if cpu is None else f' on CPU {cpu}'} in {step}" for actor, step, cpu in self.waiting)
        return "; ".join(places)

    @property
    def ending(self) -> str:
        """The outcome in a sentence; empty if the run could go on."""
        if self.outcome is None:
            return ""
        declared = {p.name: p for p, _ in self.question.compile().program.outcomes}[self.outcome]
        return f"{declared.name} ({declared.severity}){declared.text and f': {declared.text}'}"

    @property
    def command(self) -> str:
        """The command that replays it."""
        return self.question.command("replay", self.schedule)

    @property
    def decisive(self) -> int | None:
        """The step after which the outcome can no longer be avoided; see `tdxexplore.explore.decisive.decisive_step`."""
        if self.outcome is None:
            return None
        from tdxexplore.explore.decisive import decisive_step  # noqa: PLC0415 -- numpy is loaded when it is used

        return decisive_step(self.question, self.schedule, self.outcome)

    def __iter__(self) -> Iterator[TraceStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def to_text(
        self, *, changes: bool = False, sources: bool = False, width: int | None = None, ascii_only: bool | None = None
    ) -> str:
        """A line a step, a column for each actor, with its locks as bars; then the outcome, and who waits for whom.

        Args:
            changes: Show what each step changed. Without it, many steps in a row that only differ in the CPU are one line.
            sources: Show what each step stands for.
            width: The longest line; default: that of the terminal, and at most 100.
            ascii_only: Draw with ASCII only; default: whether the locale says so, as ``LANG=C`` does.
        """
        return text(
            self.steps,
            self.ending,
            self.waits,
            decisive=self.decisive,
            changes=changes,
            sources=sources,
            width=width,
            ascii_only=ascii_only,
        )

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        lines = markup.table(("", "actor", "where", "step"), table(self.steps))
        ending = markup.paragraph(f"outcome: {self.ending or self.outcome or 'none yet'}")
        return markup.page(lines, ending, markup.paragraph(self.command))

    def folded(self, to: str) -> Html:
        """The trace in a notebook, behind a click."""
        return markup.folded(f"shortest trace {to}, {len(self)} steps", Html(self._repr_html_()))


def replay(question: Question, schedule: str) -> Trace:
    """Run one interleaving.

    Args:
        question: What was explored.
        schedule: As printed under a trace, or its beginning.

    Raises:
        BadModel: It is no question, or no text.
        BadSchedule: A step of it has no transition; the message says which and what was possible.
    """
    if not isinstance(question, Question):
        raise BadModel(
            f"question is {shown(question)}; a `tdxexplore.Question` is needed, as of `Question.of(POLICY, ...)`"
        )
    if not isinstance(schedule, str):
        raise BadModel(f"schedule is {shown(schedule)}; a text is needed, as printed under a trace")
    compiled = question.compile()
    run = compiled.engine.replay(question.initial(), schedule)
    states = tuple(_states(question, compiled, run.states))
    steps = tuple(_steps(compiled, run.steps, run.states, states, decode(schedule)))
    reached = None if run.outcome is None else compiled.program.outcomes[run.outcome][0]
    stuck = reached is not None and not is_over(compiled.model, states[-1])
    return Trace(
        steps,
        schedule,
        None if reached is None else reached.name,
        tuple(_enabled(compiled, run.enabled)),
        tuple(waits(compiled.model, states, steps)) if stuck else (),
        question,
        states,
        tuple(rule for rule, _, _ in run.steps),
    )


def _steps(
    compiled: Compiled,
    taken: list[tuple[int, int, int]],
    words: list[Words],
    states: tuple[State, ...],
    tokens: list[int],
) -> Iterator[TraceStep]:
    program, holders = compiled.program, Holders(compiled.model)
    before = holders.of(states[0])
    for number, ((index, package, cpu), token) in enumerate(zip(taken, tokens, strict=True), start=1):
        rule, after = program.rules[index], holders.of(states[number])
        free = rule.label.picked and _may_act(compiled, words[number - 1], index) > 1
        yield TraceStep(
            number,
            encode([token]),
            program.actors[rule.actor],
            None if package < 0 else package,
            None if cpu < 0 else cpu,
            rule.label.frames,
            rule.label.title,
            rule.notes,
            rule.label.source,
            tuple(_changes(states[number - 1], states[number])),
            rule.label.takes,
            tuple(_released(program.actors[rule.actor], rule, cpu, before, after)),
            after,
            rule.label.picked if free else "",
        )
        before = after


def _released(actor: str, rule: Rule, cpu: int, before: tuple[Held, ...], after: tuple[Held, ...]) -> Iterator[Held]:
    """What is not held any more, the last taken first; a step may release the lock that it takes."""
    taken = rule.label.takes
    # A step that takes a lock is taken by the actor itself, or by a CPU of an actor that has an instance on each.
    mine = () if taken is None else (Held(taken, actor, None if cpu < 0 else cpu),)
    still, gone = list(after), []
    for held in (*before, *mine):  # one may hold a lock twice
        if held in still:
            still.remove(held)
        else:
            gone.append(held)
    yield from reversed(gone)


def _may_act(compiled: Compiled, words: Words, rule: int) -> int:
    """How many CPUs could take a step, by the engine's own word."""
    label = compiled.program.rules[rule].label
    enabled = compiled.engine.replay_from(words).enabled
    return len({cpu for index, _, cpu in enabled if compiled.program.rules[index].label is label})


def _states(question: Question, compiled: Compiled, run: list[Words]) -> Iterator[State]:
    """The states of a run. What did not change is the same object in neighbours."""
    unpack = compiled.program.unpack
    state = State.initial(compiled.model, question.topology)
    flat: list[list[int]] = []
    for global_word, package_words, cpu_words in run:
        now = [[global_word], package_words, [word for package in cpu_words for word in package]]
        members = [[state.globals], state.packages, state.cpus]
        for at, (scope, old) in enumerate(zip((Scope.GLOBAL, Scope.PACKAGE, Scope.CPU), members, strict=True)):
            members[at] = [
                values if flat and flat[at][n] == word else {**values, **unpack(scope, word)}
                for n, (values, word) in enumerate(zip(old, now[at], strict=True))
            ]
        state, flat = State(state.package_of, members[0][0], members[1], members[2]), now
        yield state


def _enabled(compiled: Compiled, enabled: list[tuple[int, int, int]]) -> Iterator[tuple[str, str, int | None]]:
    for rule, _, cpu in enabled:
        taken = compiled.program.rules[rule]
        yield compiled.program.actors[taken.actor], taken.label.title, None if cpu < 0 else cpu


def _changes(before: State, after: State) -> Iterator[tuple[str, Value, Value]]:
    pairs = [("", before.globals, after.globals)]
    for olds, news in ((before.packages, after.packages), (before.cpus, after.cpus)):
        pairs += [(f"[{n}]", old, new) for n, (old, new) in enumerate(zip(olds, news, strict=True))]
    for suffix, old, new in pairs:
        if old is not new:
            yield from ((f"{name}{suffix}", old[name], new[name]) for name in old if old[name] != new[name])
