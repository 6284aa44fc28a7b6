"""The answer of one check: verdict, outcomes, exact counts, traces; as Polars frames and as text."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal, localcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tdxexplore._version import __version__
from tdxexplore.explore import notebook
from tdxexplore.explore.causes import cause_in_words
from tdxexplore.explore.machine import MACHINE
from tdxexplore.explore.settings import DESCRIBED, Settings
from tdxexplore.explore.trace import Trace, replay
from tdxexplore.explore.verdict import Finding, Judged
from tdxexplore.markup import page, paragraph
from tdxexplore.markup import verdict as verdict_badge
from tdxexplore.quantities import SHARE_AND_PROBABILITY

if TYPE_CHECKING:
    from tdxexplore.explore.engine import Found, Table
    from tdxexplore.explore.graph import StateGraph
    from tdxexplore.explore.question import Compiled, Question
    from tdxexplore.model.properties import Property

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


class Exploration(Judged):
    """Every state and every interleaving of one question, as far as the limits went.

    Attributes:
        question: What was asked.
        settings: How it was explored. With the symmetry ``all``, all numbers of concrete states and transitions are those
            that can be reached from any naming of the initial state; nothing else differs.
        complete: Whether everything was explored.
        interrupted: Whether Ctrl-C ended it.
    """

    def __init__(self, question: Question, settings: Settings, compiled: Compiled, found: Found) -> None:
        self.question = question
        self.settings = settings
        self.complete = found.complete
        self.interrupted = found.interrupted
        self._found = found
        self._compiled = compiled
        self._program = compiled.program

    # -- the answer ---------------------------------------------------------------------------------------------------

    @property
    def reason(self) -> str | None:
        reason = self._found.reason
        if reason is None or f"max-memory {self.settings.memory_limit} bytes" in reason:
            return reason
        return reason.replace("max-memory", MACHINE)  # which has less than was allowed

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The rows that the verdict is based on: outcomes that are reached, and properties that fail."""
        outcomes = self.outcomes.select("outcome", "severity", "interleaving_share").iter_rows()
        failed = self.properties.filter("fails").select("kind", "property", "severity", "text").iter_rows()
        found = [Finding("outcome", name, severity, share=share) for name, severity, share in outcomes]
        for kind, name, severity, text in failed:
            said = f"expectation `{name}` is never met: {text}" if kind == "expectation" else text
            found.append(Finding(kind, name, severity, said))
        if self.complete and not self._some_run_ends() and not self.question.endless():
            found.append(Finding("expectation", "ends", "ok", "no run comes to an end"))
        if why := self.question.cannot_happen():
            found.append(
                Finding("expectation", "happens", "ok", f"scenario `{self.question.axes()[1]}` cannot happen: {why}")
            )
        return tuple(found)

    @cached_property
    def outcomes(self) -> pl.DataFrame:
        """A row for each outcome that was reached, most severe first.

        Columns after the key: ``rank`` (0 for the most severe), ``outcome``, ``severity`` (S0 to S4, ok),
        ``terminal_states`` (concrete, decimal string; where runs never end, ``diverges`` or ``endless``, the states from which
        no terminal state can be reached), ``interleavings`` (maximal runs with labelled CPUs, up to the first of these states
        where they never end, decimal string; null when not measured, when a run can pass through a cycle and still end, or
        too large: more than 1024 words of 64 bits, or more than 2^34 words times transitions over all outcomes),
        ``log10_interleavings`` (where `interleavings` is too large, within ``log10_error`` of `runs`),
        ``interleaving_share`` (of all interleavings), ``probability`` (each enabled transition equally likely),
        ``shortest_steps``, ``schedule`` (of the shortest trace), ``text`` (what it means, in a sentence).
        """
        names = [p.name for p, _ in self._program.outcomes]
        severities = [p.severity for p, _ in self._program.outcomes]
        texts = [p.text for p, _ in self._program.outcomes]
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
            pl.Series("text", [texts[c] for c in codes], dtype=pl.String),
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

        Columns after the key: ``response``, ``severity``, ``lost_states`` (concrete) in which it is due and its goal can no
        longer be reached, ``shortest_steps`` and ``schedule`` to the nearest of them or nulls, ``cause`` (the steps at which
        actors stay and the values that fields keep after that trace, such that no state with all of them leads to the goal),
        ``text``.
        """
        declared = [response for response, _, _ in self._program.responses]
        frame = pl.DataFrame(self._found.responses())

        known = declared[: len(frame)]
        return self._with_key(
            pl.Series("response", [r.name for r in known], dtype=pl.String),
            pl.Series("severity", [r.severity for r in known], dtype=pl.String),
            frame["lost_states"],
            frame["shortest_steps"],
            frame["schedule"],
            pl.Series("cause", [cause_in_words(self._compiled, facts) for facts in frame["cause"]], dtype=pl.String),
            pl.Series("text", [r.text for r in known], dtype=pl.String),
        )

    @cached_property
    def properties(self) -> pl.DataFrame:
        """A row for each invariant, expectation and response.

        Columns after the key: ``kind``, ``property`` (its name), ``severity``, ``fails`` (an invariant in some state; a
        response if it can be lost; an expectation if no state meets it, which only a complete search knows), ``states``
        (concrete, decimal string: those that violate an invariant, meet an expectation, or have lost a response),
        ``shortest_steps`` and ``schedule`` to the nearest of them or nulls, ``text``.
        """
        program = self._program
        declared: list[tuple[str, pl.DataFrame, str, list[str]]] = [
            ("invariant", self.invariants, "violating_states", [p.severity for p, _ in program.invariants]),
            ("expectation", self.expectations, "states", [p.severity for p, _ in program.expectations]),
            ("response", self.responses, "lost_states", [p.severity for p, _, _ in program.responses]),
        ]
        parts = []
        for kind, frame, states, severities in declared:
            reached = frame["shortest_steps"].is_not_null()
            part = self._with_key(
                pl.Series("kind", [kind] * len(frame), dtype=pl.String),
                frame[kind].alias("property"),
                pl.Series("severity", severities[: len(frame)], dtype=pl.String),
                (~reached & self.complete if kind == "expectation" else reached).alias("fails"),
                frame[states].alias("states"),
                frame["shortest_steps"],
                frame["schedule"],
                frame["text"],
            )
            parts.append(part)
        return pl.concat(parts)

    @cached_property
    def prices(self) -> pl.DataFrame:
        """The costs of runs, if asked for: a row for each outcome that was reached and each price.

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
            "log10_error": pl.Float64,
        }
        row: dict[str, object] = {
            "verdict": self.verdict,
            "complete": self.complete,
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
            "log10_error": found.log10_error,
            "state_bits": found.state_bits,
            "reduction": 10 ** (log10(found.states) - math.log10(explored)),
            "threads": found.threads,
            "seconds": found.seconds,
            "states_per_second": found.explored / max(found.seconds, 1e-9),
            "peak_memory_bytes": found.memory_bytes,
            "version": __version__,
            "source": self.question.source(),
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
        """The shortest trace to each outcome that was reached, violated invariant, and lost response, by name."""
        found = self.outcomes.select(pl.col("outcome").alias("name"), "schedule")
        broken = self.invariants.select(pl.col("invariant").alias("name"), "schedule").drop_nulls()
        lost = self.responses.select(pl.col("response").alias("name"), "schedule").drop_nulls()
        named = pl.concat([found.drop_nulls(), broken, lost]).iter_rows()
        traces = {name: replay(self.question, schedule) for name, schedule in named}
        # Its last state is not terminal: that no run ends from there is known from all that can be reached.
        return traces | {
            name: dataclasses.replace(traces[name], outcome=name) for name in self._diverges & traces.keys()
        }

    def graph(self) -> StateGraph:
        """All concrete states and transitions, as arrays and frames; `tdxexplore.explore.graph` says what they hold.

        Raises:
            BadModel: There are more states than are listed (`tdxexplore.explore.graph.LIMIT`).
        """
        from tdxexplore.explore.graph import state_graph  # noqa: PLC0415 -- numpy is loaded when it is used

        return state_graph(self.question)

    @property
    def never_taken(self) -> list[tuple[str, str]]:
        """(actor, step) of the steps that no reachable state takes: what this model says nothing about."""
        taken = self.rules.group_by("actor", "label", maintain_order=True).agg(pl.col("fired").sum())
        return list(taken.filter(pl.col("fired") == 0).select("actor", "label").iter_rows())

    @property
    def _diverges(self) -> set[str]:
        """The name of the outcome of runs that never come to an end, if there is one."""
        return {p.name for p, _ in self._program.outcomes if p.diverges}

    def _some_run_ends(self) -> bool:
        return not self._diverges.issuperset(self.outcomes["outcome"])

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

    def plot(self) -> Any:  # noqa: ANN401 -- a chart of altair, which is loaded late
        """New states and transitions at each depth, as a chart; ``answer.outcomes.tdx.plot()`` is one of how runs end.

        Raises:
            MissingExtra: The extra ``report`` is not installed.
        """
        from tdxexplore.charts import plot  # noqa: PLC0415 -- charts are loaded when they are used

        return plot(self.levels)

    def _repr_html_(self) -> str:
        from tdxexplore.charts.embedded import embedded  # noqa: PLC0415 -- charts are loaded when they are used

        return page(
            paragraph(verdict_badge(self.verdict), self.verdict_line.removeprefix(self.verdict)),
            notebook.outcomes(self.outcomes),
            paragraph(SHARE_AND_PROBABILITY),
            notebook.failing(self.properties.filter("fails")),
            embedded(self.plot),
            None if self.worst not in self.traces else self.traces[self.worst].folded(f"to {self.worst}"),
            paragraph(self.question.command("check")),
        )

    def __repr__(self) -> str:
        return f"<Exploration of `{self.question.command('check')}`: {self.verdict}, worst outcome {self.worst}>"


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
