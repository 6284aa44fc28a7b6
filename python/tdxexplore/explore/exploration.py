"""What one check answers: verdict, outcomes, exact counts, traces; as Polars frames and as text."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore._version import __version__
from tdxexplore.explore.causes import keeps_shut
from tdxexplore.explore.question import Question
from tdxexplore.explore.settings import DESCRIBED, Settings
from tdxexplore.explore.trace import Trace, replay
from tdxexplore.model import SEVERITIES
from tdxexplore.quantities import SHARE_AND_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tdxexplore.explore.engine import Found, Progress, Table
    from tdxexplore.model.model import Property
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy

KEY = {
    "digest": pl.String,
    "policy": pl.String,
    "knobs": pl.String,
    "module": pl.String,
    "scenario": pl.String,
    "budgets": pl.String,
    "packages": pl.Int64,
    "cpus": pl.Int64,
}

_COLUMNS = {str: pl.String, bool: pl.Boolean, int: pl.Int64, float: pl.Float64}


class Exploration:
    """Every state and every interleaving of one question, as far as the limits went.

    Attributes:
        question: What was asked.
        settings: How it was explored. With the symmetry ``all``, all numbers of concrete states and transitions are those
            that can be reached from any naming of the initial state; nothing else differs.
        complete: Whether everything was explored.
        reason: Why not, or None.
        interrupted: Whether Ctrl-C ended it.
    """

    def __init__(self, question: Question, settings: Settings, found: Found) -> None:
        self.question = question
        self.settings = settings
        self.complete = found.complete
        self.reason = found.reason
        self.interrupted = found.interrupted
        self._found = found
        self._program = question.compile().program

    # -- the answer ---------------------------------------------------------------------------------------------------

    @cached_property
    def verdict(self) -> str:
        """``holds``, ``violated`` or ``incomplete``; a search that a limit cut short never holds."""
        if not self.complete:
            return "incomplete"
        bad = SEVERITIES[: SEVERITIES.index(self.settings.fail_on) + 1]
        severe = any(severity in bad for severity in self.outcomes["severity"])
        broken = any(steps is not None for steps in self.invariants["shortest_steps"])
        responses = zip(self.responses["severity"], self.responses["shortest_steps"], strict=True)
        shut = any(severity in bad and steps is not None for severity, steps in responses)
        return "violated" if severe or broken or shut else "holds"

    @property
    def worst(self) -> str | None:
        """The most severe outcome that was reached."""
        return self.outcomes["outcome"][0] if len(self.outcomes) else None

    @cached_property
    def outcomes(self) -> pl.DataFrame:
        """A row for each outcome that was reached, most severe first.

        Columns after the key: ``rank`` (0 for the most severe), ``outcome``, ``severity`` (S0 to S4, ok),
        ``terminal_states`` (concrete, decimal string), ``interleavings`` (maximal runs with labelled CPUs, decimal string;
        null when not measured, without end, or too large: more than 1024 words of 64 bits, or more than 2^34 words times
        transitions over all outcomes), ``log10_interleavings`` (where `interleavings` is too large, within ``log10_error``
        of `runs`),
        ``interleaving_share`` (of all interleavings), ``probability`` (each enabled transition equally likely),
        ``shortest_steps``, ``schedule`` (of the shortest trace).
        """
        names = [p.name for p, _ in self._program.outcomes]
        severities = [p.severity for p, _ in self._program.outcomes]
        frame = pl.DataFrame(self._found.outcomes())
        codes = frame["outcome"].to_list()
        return self._with_key(
            pl.Series("rank", range(len(codes)), dtype=pl.Int64),
            pl.Series("outcome", [names[c] for c in codes], dtype=pl.String),
            pl.Series("severity", [severities[c] for c in codes], dtype=pl.String),
            frame["terminal_states"],
            frame["interleavings"],
            frame["log10_interleavings"],
            frame["interleaving_share"],
            frame["probability"],
            frame["shortest_steps"],
            frame["schedule"],
        )

    @cached_property
    def invariants(self) -> pl.DataFrame:
        """A row for each invariant: ``violating_states`` (concrete), and the shortest way to one, or nulls."""
        return self._named(self._found.invariants(), "invariant", self._program.invariants)

    @cached_property
    def expectations(self) -> pl.DataFrame:
        """A row for each `sometimes` expectation: ``states`` (concrete) that meet it, and the shortest way, or nulls."""
        return self._named(self._found.expectations(), "expectation", self._program.expectations)

    @cached_property
    def responses(self) -> pl.DataFrame:
        """A row for each thing that must stay possible; none without measures.

        Columns after the key: ``response``, ``severity``, ``trapped_states`` (concrete) in which it is due and can no
        longer come, ``shortest_steps`` and ``schedule`` to the nearest or nulls, ``shut`` (what keeps it from coming: where
        actors and which values stay for good after that trace; a state that has all that never leads to where it can come),
        ``text``.
        """
        declared = [response for response, _, _ in self._program.responses]
        frame = pl.DataFrame(self._found.responses())

        known = declared[: len(frame)]
        return self._with_key(
            pl.Series("response", [r.name for r in known], dtype=pl.String),
            pl.Series("severity", [r.severity for r in known], dtype=pl.String),
            frame["trapped_states"],
            frame["shortest_steps"],
            frame["schedule"],
            pl.Series("shut", [keeps_shut(self.question.compile(), facts) for facts in frame["shut"]], dtype=pl.String),
            pl.Series("text", [r.text for r in known], dtype=pl.String),
        )

    @cached_property
    def prices(self) -> pl.DataFrame:
        """What runs cost, if asked for: a row for each outcome that was reached and each price.

        Columns after the key: ``rank`` of the outcome, ``outcome``, ``severity``, ``price``, ``mean`` over all
        interleavings that end so, ``least`` and ``most`` of any of them, ``total`` over all (decimal string; null where too
        large, as for interleavings), ``text``. Empty for a graph with cycles.
        """
        frame = pl.DataFrame(self._found.prices())
        outcomes = [self._program.outcomes[at][0] for at in frame["outcome"]]
        declared = [self._program.prices[at][0] for at in frame["price"]]
        ranks = {outcome: rank for rank, outcome in enumerate(self.outcomes["outcome"])}
        return self._with_key(
            pl.Series("rank", [ranks[o.name] for o in outcomes], dtype=pl.Int64),
            pl.Series("outcome", [o.name for o in outcomes], dtype=pl.String),
            pl.Series("severity", [o.severity for o in outcomes], dtype=pl.String),
            pl.Series("price", [p.name for p in declared], dtype=pl.String),
            frame["mean"],
            frame["least"],
            frame["most"],
            frame["total"],
            pl.Series("text", [p.text for p in declared], dtype=pl.String),
        )

    @cached_property
    def runs(self) -> pl.DataFrame:
        """One row of figures.

        ``states`` and ``transitions`` are concrete and exact, as decimal strings; ``explored`` and ``generated`` are the
        states stored and the transitions fired; ``interleavings`` are those of all outcomes; ``reduction`` is states over
        explored; times in seconds, memory in bytes. ``log10_error`` bounds the error of ``log10_interleavings`` where
        interleavings are too large for exact integers; null where they are exact. The columns from ``space`` on are the
        settings that decide the answer, and the limits.
        """
        found = self._found
        explored = max(found.explored, 1)
        interleavings, log10_interleavings = _total(self.outcomes)
        types = {
            "reason": pl.String,
            "interleavings": pl.String,
            "log10_interleavings": pl.Float64,
            "cyclic": pl.Boolean,
            "diverging": pl.Float64,
            "log10_error": pl.Float64,
        }
        row: dict[str, object] = {
            "verdict": self.verdict,
            "reason": self.reason,
            "states": found.states,
            "log10_states": log10(found.states),
            "transitions": found.transitions,
            "log10_transitions": log10(found.transitions),
            "interleavings": interleavings,
            "log10_interleavings": log10_interleavings,
            "explored": found.explored,
            "generated": found.generated,
            "depth": found.depth,
            "cyclic": found.cyclic,
            "diverging": found.diverging,
            "log10_error": found.log10_error,
            "state_bits": found.state_bits,
            "reduction": 10 ** (log10(found.states) - math.log10(explored)),
            "threads": found.threads,
            "seconds": found.seconds,
            "states_per_second": found.explored / max(found.seconds, 1e-9),
            "peak_memory_bytes": found.memory_bytes,
            "version": __version__,
        }
        figures = (pl.Series(name, [value], dtype=types.get(name)) for name, value in row.items())
        return self._with_key(*figures, *self._settings())

    @cached_property
    def levels(self) -> pl.DataFrame:
        """A row for each depth: new stored and new concrete states, transitions generated."""
        return self._with_key(*pl.DataFrame(self._found.levels()))

    @cached_property
    def rules(self) -> pl.DataFrame:
        """A row for each way through each step: actor, label, notes, times fired (stored) and concrete transitions.

        Traps, which must never fire, are not among them.
        """
        kept = [number for number, rule in enumerate(self._program.rules) if rule.trap is None]
        rules = [self._program.rules[number] for number in kept]
        fired = {column.name: column.gather(kept) for column in pl.DataFrame(self._found.rules())}
        return self._with_key(
            fired["rule"],
            pl.Series("actor", [self._program.actors[r.actor] for r in rules], dtype=pl.String),
            pl.Series("label", [r.label.name for r in rules], dtype=pl.String),
            pl.Series("notes", ["; ".join(r.notes) for r in rules], dtype=pl.String),
            fired["fired"],
            fired["transitions"],
        )

    @cached_property
    def traces(self) -> dict[str, Trace]:
        """The shortest trace to each outcome that was reached, violated invariant, and trap of a response, by name."""
        found = self.outcomes.select(pl.col("outcome").alias("name"), "schedule")
        broken = self.invariants.select(pl.col("invariant").alias("name"), "schedule").drop_nulls()
        shut = self.responses.select(pl.col("response").alias("name"), "schedule").drop_nulls()
        named = pl.concat([found.drop_nulls(), broken, shut]).iter_rows()
        return {name: replay(self.question, schedule) for name, schedule in named}

    @property
    def never_taken(self) -> list[tuple[str, str]]:
        """(actor, step) of the steps that no reachable state takes: what this model says nothing about."""
        taken = self.rules.group_by("actor", "label", maintain_order=True).agg(pl.col("fired").sum())
        return list(taken.filter(pl.col("fired") == 0).select("actor", "label").iter_rows())

    # -- inside -------------------------------------------------------------------------------------------------------

    def _settings(self) -> list[pl.Series]:
        return [
            pl.Series(each.name, [getattr(self.settings, each.name)], dtype=_COLUMNS[each.kind])
            for each in DESCRIBED
            if each.role != "resource"
        ]

    def _named(self, table: Table, column: str, properties: tuple[tuple[Property, object], ...]) -> pl.DataFrame:
        known = [p for p, _ in properties]
        return self._with_key(
            pl.Series(column, [p.name for p in known], dtype=pl.String),
            *(values for values in pl.DataFrame(table) if values.name != column),
            pl.Series("text", [p.text for p in known], dtype=pl.String),
        )

    def _with_key(self, *columns: pl.Series) -> pl.DataFrame:
        # From whole columns: expressions would cost more than the search of a small point.
        return pl.DataFrame([*(value.new_from_index(0, len(columns[0])) for value in self._key), *columns])

    @cached_property
    def _key(self) -> list[pl.Series]:
        key = self.question.key()
        return [pl.Series(name, [key[name]], dtype=dtype) for name, dtype in KEY.items()]

    def _repr_html_(self) -> str:
        shown = self.outcomes.drop(*KEY)
        head = "".join(f"<th>{escape(c)}</th>" for c in shown.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(str(v))}</td>" for v in row) + "</tr>" for row in shown.iter_rows()
        )
        worst = (
            f"<p>shortest trace to {escape(self.worst)}</p>{self.traces[self.worst]._repr_html_()}"
            if self.worst
            else ""
        )
        title = f"<p><b>{escape(self.question.command('check'))}</b>: {self.verdict}</p>"
        return f"{title}<table><tr>{head}</tr>{body}</table><p>{escape(SHARE_AND_PROBABILITY)}</p>{worst}"

    def __repr__(self) -> str:
        return f"<Exploration of `{self.question.command('check')}`: {self.verdict}, worst outcome {self.worst}>"


def explore(
    question: Question, settings: Settings, progress: Callable[[Progress], object] | None = None
) -> Exploration:
    """Explore every interleaving of a question.

    Args:
        question: What is asked.
        settings: How.
        progress: Called about twice a second, first before the search, with the counters. An exception ends the search.

    Returns:
        The exploration; a limit or Ctrl-C makes it incomplete.

    Raises:
        BadModel: Something in the question is not allowed.
    """
    return Exploration(question, settings, question.compile().engine.explore(question.initial(), settings, progress))


def check(
    policy: str | type[Policy],
    *,
    module: ModuleKind = "strict",
    cpus: int = 4,
    packages: int = 1,
    scenario: str = "all-online",
    knobs: Mapping[str, str] | None = None,
    budgets: Mapping[str, int] | None = None,
    progress: Callable[[Progress], object] | None = None,
    **settings: Any,  # noqa: ANN401 -- of the types of the fields of `Settings`
) -> Exploration:
    """Explore every interleaving of a policy.

    Args:
        policy: A built-in name, ``path/to/file.py:NAME``, or a `Policy` subclass.
        module: TDX-module kind: ``strict``, ``subset`` or ``subset-nocheck``.
        cpus: CPUs in all, 1 to 2048, at most 256 in a package; the concrete space takes at most 64.
        packages: Packages that they are spread over, 1 to 8.
        scenario: What happens around bring-up.
        knobs: Choices that the policy's source leaves open, by name.
        budgets: How often environment actions may happen, where not as in the scenario.
        progress: Called about twice a second, first before the search, with the counters.
        settings: How, by name: the fields of `tdxexplore.Settings`.

    Returns:
        The exploration; a limit or Ctrl-C makes it incomplete.

    Raises:
        BadModel: Something in the question or the settings is not allowed.

    Example:
        >>> import tdxexplore
        >>> answer = tdxexplore.check("v19", module="subset", cpus=3, scenario="late-online")
        >>> answer.verdict, answer.worst
        ('violated', 'td-error')
    """
    question = Question.of(
        policy, module=module, cpus=cpus, packages=packages, scenario=scenario, knobs=knobs, budgets=budgets
    )
    return explore(question, Settings.of(settings), progress)


def _total(outcomes: pl.DataFrame) -> tuple[str | None, float | None]:
    """The interleavings of all outcomes, exact and as a logarithm; None where one is not known."""
    counts, logs = outcomes["interleavings"], outcomes["log10_interleavings"].to_list()
    if outcomes.is_empty() or None in logs:
        return None, None
    most = max(logs)
    log = most + math.log10(math.fsum(10 ** (each - most) for each in logs))
    if counts.null_count():
        return None, log
    # Python refuses to read more than 4,300 digits into an int; a Decimal takes any number.
    with localcontext(prec=sum(map(len, counts))):
        return f"{sum(map(Decimal, counts)):f}", log


def log10(decimal: str) -> float:
    """Base-10 logarithm of a decimal string of any length; minus infinity for zero."""
    digits = decimal.lstrip("0")
    if not digits:
        return -math.inf
    head = digits[:17]
    return math.log10(int(head)) + len(digits) - len(head)
