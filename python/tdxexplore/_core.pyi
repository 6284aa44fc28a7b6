"""The engine: explores a Program, replays schedules.

Native module; its classes are immutable and hold no open resources. `Program.explore` releases the interpreter, reacts to
Ctrl-C, and may run in several threads at once.
"""

from collections.abc import Callable
from typing import Literal, TypedDict, Unpack, final, type_check_only

__all__ = [
    "BUILD",
    "BadModel",
    "BadSchedule",
    "Examples",
    "Exploration",
    "InternalError",
    "Observed",
    "Orders",
    "Program",
    "Replay",
    "Table",
    "Trap",
    "Unfolded",
    "Walks",
    "__version__",
]

class BadModel(ValueError):
    """A Program or an initial state that the engine cannot run; the message says what, where and what is allowed."""

class BadSchedule(ValueError):
    """A schedule that cannot be read or does not fit the Program; the message lists what was enabled."""

class Trap(BadModel):
    """A Program that contradicts itself in a reachable state.

    Either a rule with a trap is enabled there, or the state is terminal and matches no outcome.

    Attributes:
        schedule: A shortest schedule from the initial state to that state.
    """

    schedule: str

class InternalError(RuntimeError):
    """A defect of the engine itself."""

__version__: str
BUILD: str

@type_check_only
class Options(TypedDict, total=False):
    """How to explore; each has a default."""

    space: Literal["orbit", "concrete", "bits"]
    """Whether CPUs are counted by kind (``orbit``, the default) or keep their identity (``concrete``, at most 64 CPUs). In the
    space of ``bits`` each concrete state is one bit: the answer has totals and levels and no measures, even if they are asked
    for. Depth, outcomes and traces come from the orbit space, and each bit must be set by a step from the level before."""
    symmetry: Literal["start", "all"]
    """In the orbit space, whether CPUs that start out equal are interchangeable (``start``, the default), or all CPUs. With
    ``all`` the runs are the same and fewer states are stored; states and transitions are those that can be reached from any
    renaming of the initial state, and a state has the depth at which the first renaming reaches it."""
    threads: int
    """Threads of the search, at least 1, the default."""
    max_states: int | None
    """The most states stored; by default there is no limit."""
    max_depth: int | None
    """The depth at which states are still expanded, but no successor is stored; by default there is no limit."""
    max_memory: int | None
    """The most bytes held, compared once for each batch of states; by default there is no limit."""
    timeout: float | None
    """Seconds for search and measures, compared once for each batch of states; by default there is no limit."""
    measures: bool
    """Whether to compute figures that need all transitions in memory, such as interleavings and probabilities; the default is
    True."""
    prices: bool
    """Whether to compute what runs cost, which needs measures; the default is False."""

@type_check_only
class WalkOptions(TypedDict):
    """How to walk."""

    bug_depth: int | None
    """Without one, each enabled transition is equally likely to be taken. With one, 1 to 64, actors have random priorities that
    change at `bug_depth` - 1 random steps."""
    walks: int
    """The number of walks, at least 1."""
    seed: int
    """From 0 to 2^64 - 1; the same seed makes the same walks."""
    threads: int
    """Threads, at least 1."""
    max_depth: int
    """Steps after which a walk is cut, at least 1."""
    timeout: float | None
    """Seconds for all walks; None for no limit."""

@type_check_only
class Progress(TypedDict):
    """The counters of a search under way."""

    depth: int
    """The level that is being expanded."""
    explored: int
    """States stored."""
    generated: int
    """Transitions generated between stored states."""
    frontier: int
    """States of this level that are not yet expanded."""
    memory_bytes: int
    """Bytes held, by accounting."""
    seconds: float
    """Time since the search began."""
    state_bits: int
    """Bits of a stored state; in the orbit space those of the initial state, since states differ in size."""
    bytes_per_state: int
    """Bytes for each stored state, known before the search; measures need 6 bytes more for each transition."""
    expected_states: int | None
    """The number of states, if it is known before the search."""
    figure: str | None
    """The figure that is being computed from what the search found, such as `prices`; None while it searches."""

@final
class Program:
    """A valid Program, ready to run.

    Args:
        json: The Program in its JSON form, format 1.

    Raises:
        BadModel: The text is not a valid Program.
    """

    def __new__(cls, json: str) -> Program: ...
    def explore(
        self,
        initial: str,
        *,
        progress: Callable[[Progress], object] | None = None,
        **options: Unpack[Options],
    ) -> Exploration:
        """Visits every state that can be reached from the initial one.

        The result does not depend on the number of threads; of an incomplete search this is true for `max_states` and
        `max_depth`. Ctrl-C stops the search and is not raised: the exploration is incomplete and `interrupted`.

        Args:
            initial: The initial state in its JSON form; it carries the topology.
            progress: Called about twice a second and once at the end. An exception stops the search and is raised.
            options: How to explore.

        Returns:
            All that was found; complete unless a limit was hit or the search was interrupted.

        Raises:
            BadModel: The initial state does not fit the Program or is too large for the space.
            Trap: The Program contradicts itself in a reachable state.
            ValueError: An option is not known or its value is not allowed.
            InternalError: The engine has a defect.
        """

    def walk(
        self,
        initial: str,
        *,
        progress: Callable[[Progress], object] | None = None,
        **options: Unpack[WalkOptions],
    ) -> Walks:
        """Makes random walks from the initial state; nothing is stored.

        The result does not depend on the number of threads. Ctrl-C stops and is not raised: the result is then that of the
        walks that were made, and `interrupted`.

        Args:
            initial: The initial state in its JSON form; it carries the topology.
            progress: Called about twice a second; `explored` are walks, `generated` steps, `expected_states` all walks. An
                exception stops the walks and is raised.
            options: How to walk.

        Raises:
            BadModel: The initial state does not fit the Program.
            Trap: The Program contradicts itself in a state that a walk came to.
            ValueError: An option is not known or its value is not allowed.
            InternalError: The engine has a defect.
        """

    def replay(self, initial: str, schedule: str) -> Replay:
        """Runs a schedule step by step on labelled states.

        Args:
            initial: The initial state in its JSON form.
            schedule: One token a step, an index into the canonical order of the transitions enabled there: a digit
                `0-9a-z`, or a decimal number in parentheses. The empty schedule stays in the initial state.

        Returns:
            The steps, the states between them, and the transitions that are enabled at the end.

        Raises:
            BadModel: The initial state does not fit the Program.
            BadSchedule: The schedule cannot be read, or selects a transition that is not there.
            InternalError: The engine has a defect.
        """

    def unfold(self, initial: str, max_states: int) -> Unfolded | None:
        """Lists every labelled state and transition, on one thread.

        A trap that is enabled is listed as any other transition; `explore` finds it.

        Args:
            initial: The initial state in its JSON form.
            max_states: The most states that are listed.

        Returns:
            The lists; None if there are more states.

        Raises:
            BadModel: The initial state does not fit the Program.
            KeyboardInterrupt: Ctrl-C came meanwhile.
            InternalError: The engine has a defect.
        """

@final
class Exploration:
    """The answer of a search.

    *States* and *transitions* are labelled ones, exact, as decimal strings, in every space; *explored* and *generated*
    count the states that the search stored and the transitions that it made. Tables are sorted by their first column and can
    be read any number of times.
    """

    @property
    def complete(self) -> bool:
        """Whether every reachable state was expanded."""

    @property
    def reason(self) -> str | None:
        """Why the exploration is incomplete, such as `max-states 1000`, `max-depth 9`, `timeout 5 s`, `interrupted`."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came during the search."""

    @property
    def cyclic(self) -> bool | None:
        """Whether the state graph has a cycle; None without measures."""

    @property
    def log10_error(self) -> float | None:
        """How far `log10_interleavings` may be off where interleavings are too large for exact integers, else None."""

    @property
    def states(self) -> str:
        """Labelled states, a decimal number."""

    @property
    def transitions(self) -> str:
        """Labelled transitions, a decimal number."""

    @property
    def explored(self) -> int:
        """States stored."""

    @property
    def generated(self) -> int:
        """Transitions generated between stored states."""

    @property
    def depth(self) -> int:
        """Steps from the initial state to the deepest state."""

    @property
    def state_bits(self) -> int:
        """Bits of the initial state as it is stored."""

    @property
    def memory_bytes(self) -> int:
        """The most bytes held by the search at any time, by accounting."""

    @property
    def seconds(self) -> float:
        """Time taken, measures and traces included."""

    @property
    def threads(self) -> int:
        """Threads used."""

    def outcomes(self) -> Table:
        """The outcomes that were reached.

        Columns: `outcome` (u32, index in the Program), `terminal_states` (decimal string; of the outcome of runs that never
        end the diverging states, from which no terminal state can be reached), `interleavings` (decimal string or null; runs
        that never end are counted up to their first diverging state), `log10_interleavings`, `interleaving_share`, `probability`
        (f64 or null), `shortest_steps` (u32), `schedule` (string, or null if a limit kept it from being found).
        """

    def invariants(self) -> Table:
        """All invariants.

        Columns: `invariant` (u32, index in the Program), `violating_states` (decimal string), `shortest_steps` (u32 or
        null), `schedule` (string or null).
        """

    def responses(self) -> Table:
        """All responses; empty without measures.

        Columns: `response` (u32, index in the Program), `lost_states` (decimal string) in which it is due, its goal is out of
        reach, and a fair run can avoid every fatal outcome, `shortest_steps` (u32 or null) and `schedule` (string or null) to
        the first of them, `cause` (string): the values that a smallest set of global fields keeps in the end and that rule the
        goal out, as `field=value` indices separated by spaces.
        """

    def prices(self) -> Table:
        """The costs of runs, if asked for: a row for each outcome that was reached and each price.

        A run that never ends costs what it does up to its first diverging state.

        Columns: `outcome`, `price` (u32, indices in the Program), `total` (decimal string, over all interleavings, or null
        where it is too large for an exact integer), `mean` (f64), `least`, `most` (u64) of one interleaving. Empty for a
        graph with cycles.
        """

    def expectations(self) -> Table:
        """All expectations.

        Columns: `expectation` (u32, index in the Program), `states` (decimal string), `shortest_steps` (u32 or null),
        `schedule` (string or null).
        """

    def levels(self) -> Table:
        """The levels of the search.

        Columns: `depth` (u32), `explored` (u64, states stored at this depth), `states` (decimal string, labelled states
        at this depth), `generated` (u64, transitions generated from the states of this depth).
        """

    def rules(self) -> Table:
        """All rules.

        Columns: `rule` (u32, index in the Program), `fired` (u64, transitions generated), `transitions` (decimal
        string, labelled transitions).
        """

@final
class Walks:
    """Outcomes and verdict marks that random walks met, with their counts."""

    @property
    def reason(self) -> str | None:
        """Why fewer walks were made than asked for: `timeout 5 s` or `interrupted`; None if all were."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came meanwhile."""

    @property
    def walks(self) -> int:
        """Walks made."""

    @property
    def cut(self) -> int:
        """Walks that were cut after `max_depth` steps; they have no outcome."""

    @property
    def steps(self) -> int:
        """Steps of all walks."""

    @property
    def longest(self) -> int:
        """Steps of the longest walk."""

    @property
    def actors(self) -> int:
        """Instances of actors (as such, on a package, on a CPU) that were ever enabled."""

    @property
    def bounded(self) -> int:
        """Walks whose priorities changed at steps drawn from as many as the longest walk has; 0 without a bug depth."""

    @property
    def seconds(self) -> float:
        """Time taken."""

    def outcomes(self) -> Table:
        """All outcomes.

        Columns: `outcome` (u32, index in the Program), `walks` (u64) that end so, `shortest_steps` (u32 or null) of the
        shortest of them, `schedule` (string or null) of that.
        """

    def invariants(self) -> Table:
        """All invariants: `invariant` (u32), `walks` in which it fails somewhere; the rest as for `outcomes`, up to there."""

    def expectations(self) -> Table:
        """All expectations: `expectation` (u32), `walks` in which it is met somewhere; the rest likewise."""

@final
class Replay:
    """The run of a schedule."""

    @property
    def steps(self) -> list[tuple[int, int, int]]:
        """Rule, package and CPU of each step; -1 where no package or CPU acts."""

    @property
    def states(self) -> list[tuple[int, list[int], list[list[int]]]]:
        """Global word, package words and the CPU words of each package, before the first and after each step."""

    @property
    def terminal(self) -> bool:
        """Whether nothing is enabled in the last state."""

    @property
    def outcome(self) -> int | None:
        """The outcome of the last state, if it is terminal and has one."""

    @property
    def enabled(self) -> list[tuple[int, int, int]]:
        """Rule, package and CPU of each transition of the last state, in canonical order."""

@final
class Unfolded:
    """Every labelled state and transition. State 0 is the initial one; numbers follow a breadth-first search."""

    def states(self) -> Table:
        """A row for each state.

        Columns: `end` (u64, the index one past its last transition in `transitions`), `outcome` (u32, index in the Program; null
        unless the state is terminal).
        """

    def transitions(self) -> Table:
        """A row for each transition, by source, in canonical order.

        Columns: `target` (u32), `rule` (u32, index in the Program), `package`, `cpu` (u32, or null where none acts).
        """

    def orders(self, marks: bytes) -> Orders:
        """Says which events happen at each transition.

        Args:
            marks: Integers of 32 bits: rows that are as long as there are transitions, each with an event or -1. The CPU of a
                transition is where its events happen.

        Raises:
            ValueError: Rows are not as long as there are transitions, or the graph has a cycle.
        """

    def words(self, state: int) -> tuple[int, list[int], list[list[int]]]:
        """Global word, package words and the CPU words of each package.

        Raises:
            IndexError: There is no such state.
        """

@final
class Orders:
    """A graph without cycles whose transitions are events.

    A condition is 8 integers: the event that comes; where (0 anywhere, 1 on "a CPU", 2 on "another CPU", 3 on any other CPU in
    the package of "a CPU"); for which time, from 1 to 3; the event that has not come by then, or -1; where that and the next one
    are looked for; which time of it is meant; the event that has come, with none of the other in between, or -1; and whether
    the other one has to come later. A cause is a list of conditions, which are met with one choice of CPUs.
    """

    def observe(
        self,
        causes: list[list[list[int]]],
        most: int,
        *,
        any_of: bool = False,
        count: bool = False,
        within: bytes | None = None,
    ) -> Observed | None:
        """Looks at every run, and whether it meets causes.

        Args:
            causes: At most 64.
            most: The most pairs of a state and what was observed on the way to it.
            any_of: Whether it is enough to know that some cause is met: bit 0 then stands for all of them.
            count: Whether runs and their probabilities are wanted.
            within: A byte for each state, 0 if it is not looked at; None for all. Runs that leave these are not followed.

        Returns:
            What was seen; None if there are more pairs.

        Raises:
            ValueError: A condition is none.
            KeyboardInterrupt: Ctrl-C came meanwhile.
            InternalError: The engine has a defect.
        """

    def examples(self, named: int, candidates: bytes, costs: bytes) -> Examples:
        """An empty table of examples.

        Args:
            named: How many CPUs a condition may speak of: 0, 1 or 2.
            candidates: Conditions, 8 integers of 32 bits each, in the order in which they are preferred.
            costs: 3 integers of 32 bits for each; of sets of the same size the one with the lowest sums is preferred.

        Raises:
            ValueError: A condition is none, or numbers are missing.
        """

@final
class Observed:
    """Every way through a graph, as far as conditions tell ways apart. A node is a state and what was observed before it."""

    @property
    def nodes(self) -> int:
        """How many nodes there are."""

    def ends(self) -> Table:
        """A row for each node whose state is terminal.

        Columns: `node`, `state` (u32), `met` (u64, the causes that are met, as bits), `outcome` (u32, index in the Program, or
        null), `runs` (decimal string, the runs that end there; null unless they were counted), `probability` (f64, likewise).
        """

    def ways(self) -> Table:
        """A row for each node: `state` (u32), and `runs` (decimal string, those that lead there; null unless counted)."""

    def path(self, node: int) -> list[int]:
        """The transitions of a run to a node."""

@final
class Examples:
    """Runs with an outcome and without it, and candidates for conditions that tell them apart."""

    def add(self, run: list[int], bad: bool, by: int | None) -> None:
        """Takes a run.

        Args:
            run: Its transitions.
            bad: Whether it has the outcome.
            by: The step, from 0, by which a first event must have come; None for the end.
        """

    def single(self, most: int) -> list[int] | None:
        """A smallest set of at most so many candidates, by index, that all runs with the outcome meet and no other one.

        Returns:
            None if none was found.
        """

    def several(self, most: int) -> tuple[int, list[list[int]]]:
        """Sets of candidates that no run without the outcome meets; before them, how many of the other runs meet none."""

    def shared(self, most: int) -> list[int]:
        """Candidates that all runs with the outcome meet, and not all others: at most so many, the first ones."""

@final
class Table:
    """An Arrow table: give it to `polars.DataFrame` or `pyarrow.table`."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Exports the rows through the Arrow PyCapsule interface."""

    def __arrow_c_schema__(self) -> object:
        """Exports the schema through the Arrow PyCapsule interface."""

    def __len__(self) -> int:
        """The number of rows."""
