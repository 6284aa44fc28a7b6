"""The data of a report: what the scripts in the page read. Texts that occur often are numbers into one list of texts.

Everything is plain text here. The scripts put it into the page as text, never as markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tdxexplore.explore.subject import NONE
from tdxexplore.model import SEVERITIES
from tdxexplore.quantities import SHARE_AND_PROBABILITY
from tdxexplore.render.figures import integer
from tdxexplore.render.knobs import label, values, varying
from tdxexplore.report.designs import described
from tdxexplore.report.questions import command
from tdxexplore.report.setup import setup
from tdxexplore.report.traces import found
from tdxexplore.tdx.fields import MODULE_KINDS
from tdxexplore.tdx.outcomes import MEANINGS
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tdxexplore.report.drawing import Drawing
    from tdxexplore.report.questions import Subjects
    from tdxexplore.report.source import Source
    from tdxexplore.report.traces import Shown

Row: TypeAlias = dict[str, Any]

_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")  # of the manual: a page of a report has no neighbours

TRACES_AT_MOST = 10_000_000
"""Characters of drawings: traces are left out beyond, the least severe first."""


class Texts:
    """Texts and their numbers, in the order in which they first occur."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """The number of a text; that of the empty text for None."""
        return self._numbers.setdefault(text or "", len(self._numbers))

    def each(self, texts: Iterable[str]) -> list[int]:
        """The number of each."""
        return [self.number(text) for text in texts]

    def all(self) -> list[str]:
        """The texts by number."""
        return list(self._numbers)


def content(source: Source, shown: Shown, subjects: Subjects, title: str) -> Row:
    """All that a report shows.

    Returns:
        ``title``; ``setup``: rows of head and text; ``severities``, most severe first; ``rows``, ``columns`` and ``panels``: what
        the heat maps are made of; ``points``: see `_Points`; ``unanswered``: row, column, panel, verdict and reason of cells
        without an answer; ``meanings``: a paragraph of each outcome and invariant of a TDX policy; ``designs``: a
        description of each policy; ``traces``: see `_packed`; ``left_out``: how many traces are left out; ``texts``.
    """
    texts = Texts()
    points = _Points(source, shown, subjects, texts)
    names = list(dict.fromkeys(policy for policy, _, _ in points.rows))
    of_policy = {name: described(policy) for name in names if (policy := subjects.of(name)) is not None}
    return {
        "title": title,
        "setup": setup(source),
        "share": SHARE_AND_PROBABILITY,
        "severities": list(SEVERITIES),
        "rows": points.rows,
        "columns": points.columns,
        "panels": points.panels,
        "points": points.points,
        "unanswered": points.unanswered,
        "meanings": points.meanings,
        "designs": of_policy,
        "traces": points.traces,
        "left_out": points.left_out,
        "texts": texts.all(),
    }


class _Points:
    """The points of a report, and what they refer to.

    Attributes:
        rows: Policy, its label with the knobs that vary, and all its knobs.
        columns: Scenario, its label with the budgets, and what happens in it.
        panels: Module kind, packages and CPUs.
        points: Row, column, panel, verdict, whether it is complete, the reason why not, states, transitions, interleavings,
            states stored, depth, command, findings (see `_finding`). Texts are numbers.
        unanswered: Row, column, panel, verdict and reason.
        meanings: By name.
        traces: The drawings.
        left_out: How many drawings are not among them.
    """

    def __init__(self, source: Source, shown: Shown, subjects: Subjects, texts: Texts) -> None:
        self._texts, self._shown = texts, shown
        asked = [*source.runs.iter_rows(named=True), *source.unanswered.iter_rows(named=True)]
        knobs = varying(asked)
        self.rows = _ordered(
            {
                (r["policy"], label(r["policy"], r["knobs"], _of(knobs[r["policy"]], r["knobs"])), r["knobs"])
                for r in asked
            },
            list(BUILT_IN),
        )
        self.columns = [
            [name, what, SCENARIOS[name].text if name in SCENARIOS else ""]
            for name, what in _ordered(
                {(r["scenario"], f"{r['scenario']} {r['budgets']}".strip()) for r in asked}, list(SCENARIOS)
            )
        ]
        self.panels = _ordered({(r["module"], r["packages"], r["cpus"]) for r in asked}, list(MODULE_KINDS))
        self._at = [
            {tuple(key): n for n, key in enumerate(axis)}
            for axis in ([[r[0], r[2]] for r in self.rows], [[c[1]] for c in self.columns], self.panels)
        ]
        self._runs = {run["point"]: run for run in source.runs.iter_rows(named=True)}
        findings: dict[str, list[Row]] = {}
        self.meanings: dict[str, str] = {}
        for finding in found(source).iter_rows(named=True):
            findings.setdefault(finding["point"], []).append(finding)
            name = finding["finding"]
            if self._runs[finding["point"]]["module"] != NONE and name in MEANINGS:  # a model's own words are its own
                self.meanings[name] = _LINK.sub(r"\1", MEANINGS[name])
        self._choose(findings)
        self.points = [self._point(run, findings.get(point, []), subjects) for point, run in self._runs.items()]
        self.unanswered = [
            [*self._place(row), row["verdict"], row["reason"] or ""] for row in source.unanswered.iter_rows(named=True)
        ]

    def _choose(self, findings: dict[str, list[Row]]) -> None:
        """Pack the drawings that fit, those of the most severe findings first."""
        wanted = [
            (SEVERITIES.index(finding["severity"]), self._shown.of[place][0])
            for rows in findings.values()
            for finding in rows
            if (place := (finding["point"], finding["kind"], finding["finding"])) in self._shown.of
        ]
        self._numbers: dict[tuple[str, str], int] = {}
        self.traces: list[Any] = []
        self.left_out, room = 0, TRACES_AT_MOST
        for key in dict.fromkeys(key for _, key in sorted(wanted, key=lambda pair: pair[0])):
            drawn = self._shown.drawings.get(key)
            if drawn is None:
                continue
            size = sum(_size(row) for row in drawn["rows"])
            if size > room:
                self.left_out += 1
                continue
            room -= size
            self._numbers[key] = len(self.traces)
            self.traces.append(_packed(drawn, self._texts))

    def _place(self, row: Row) -> list[int]:
        key = ((row["policy"], row["knobs"]), (f"{row['scenario']} {row['budgets']}".strip(),))
        panel = (row["module"], row["packages"], row["cpus"])
        return [axis[of] for axis, of in zip(self._at, (*key, panel), strict=True)]

    def _point(self, run: Row, findings: Sequence[Row], subjects: Subjects) -> list[Any]:
        number, question = self._texts.number, subjects.question(run)
        asked = "" if question is None else command(question, run)
        packed = []
        for finding in findings:
            schedule = finding["schedule"]
            again = "" if question is None or schedule is None else question.command("replay", schedule)
            packed.append(self._finding(finding, again))
            kept = self._shown.drawings.get((run["digest"], schedule or ""))
            asked = asked or (kept["check"] if kept else "")
        return [
            *self._place(run),
            number(run["verdict"]),
            int(run["complete"]),
            number(run["reason"]),
            integer(run["states"], run["log10_states"]),
            integer(run["transitions"], run["log10_transitions"]),
            integer(run["interleavings"], run["log10_interleavings"]),
            run["explored"],
            run["depth"],
            number(asked),
            packed,
        ]

    def _finding(self, finding: Row, again: str) -> list[Any]:
        """A finding as a list.

        Returns:
            Kind, name, severity, states, interleavings, share, probability, steps, trace or -1, CPUs and packages of the trace's
            point, the command that replays the shortest trace of the finding's own point, and what it means in a line.
        """
        place = (finding["point"], finding["kind"], finding["finding"])
        key, point = self._shown.of.get(place, (("", ""), ""))
        of = self._runs.get(point, {})
        number = self._texts.number
        return [
            number(finding["kind"]),
            number(finding["finding"]),
            SEVERITIES.index(finding["severity"]),
            integer(finding["states"]),
            integer(finding["interleavings"], finding["log10_interleavings"]),
            finding["interleaving_share"],
            finding["probability"],
            finding["shortest_steps"],
            self._numbers.get(key, -1),
            of.get("cpus", 0),
            of.get("packages", 0),
            number(again),
            number(finding["text"]),
        ]


def _packed(drawn: Drawing, texts: Texts) -> list[Any]:
    """A drawing (`tdxexplore.report.drawing`), its rows as lists in the order of their keys, their texts as numbers."""
    number, each = texts.number, texts.each
    rows = [
        [
            row["n"],
            row["actor"],
            row["cpus"],
            number(row["where"]),
            number(row["said"]),
            each(row["inside"]),
            number(row["title"]),
            each(row["notes"]),
            number(row["source"]),
            number(row["picked"]),
            [each(change) for change in row["changes"]],
            row["more"],
            [[number(lock), int(shared), number(actor), number(where)] for lock, shared, actor, where in row["held"]],
            [each(other) for other in row["others"]],
        ]
        for row in drawn["rows"]
    ]
    bars = [
        [actor, slot, number(lock), int(shared), number(where), since, until]
        for actor, slot, lock, shared, where, since, until in drawn["bars"]
    ]
    why = [
        [number(said), [each(item) for item in items], after]
        for said, items, after in (drawn["why"] or {"blocks": []})["blocks"]
    ]
    return [drawn["replay"], drawn["ending"], drawn["waits"], why, drawn["actors"], rows, bars]


def _size(row: Row) -> int:
    """About how many characters a row has when it is packed."""
    return 60 + 12 * len(row["changes"]) + 12 * len(row["held"]) + 12 * len(row["others"]) + 4 * len(row["cpus"])


def _of(names: Iterable[str], knobs: str) -> list[str]:
    return [name for name in names if name in values(knobs)]


def _ordered(keys: set[Any], known: Sequence[str]) -> list[Any]:
    """Keys by their first element, as it is known, and then by the others."""
    order = {name: n for n, name in enumerate(known)}
    return sorted(keys, key=lambda key: (order.get(key[0], len(order)), key))
