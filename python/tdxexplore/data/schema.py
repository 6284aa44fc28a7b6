"""The tables of a data set: their columns, with types, units and meanings. What they are is decided here and nowhere else.

Exact integers that may be of any size (interleavings, concrete states) are texts of decimal digits, as no number of Parquet holds
them: readers agree on at most 38 digits, and a wider decimal is read as a float by DuckDB and refused by Polars. docs/dataset.md,
which is made from this file, shows how to compute with the digits; the tests run what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from tdxexplore.explore.settings import DESCRIBED

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 6
PARTITION = ("policy", "module")


@dataclass(frozen=True, slots=True)
class Column:
    """A column on disk.

    Attributes:
        name: Its name.
        type: Its Arrow type.
        unit: Its unit; 1 for counts and shares, empty for texts.
        text: What it says.
        timing: Whether it depends on the machine, the moment or the text of the sources, and not on the answer alone.
        digits: Whether it is an exact integer of any size, written as decimal digits.
    """

    name: str
    type: pa.DataType
    unit: str
    text: str
    timing: bool = False
    digits: bool = False

    @property
    def kind(self) -> str:
        """Its type in words."""
        return f"{self.type}, decimal digits" if self.digits else str(self.type)


def _text(name: str, text: str) -> Column:
    return Column(name, pa.string(), "", text)


def _integer(name: str, text: str) -> Column:
    return Column(name, pa.string(), "1", text, digits=True)


def _count(name: str, text: str, unit: str = "1", *, timing: bool = False) -> Column:
    return Column(name, pa.int64(), unit, text, timing)


def _real(name: str, text: str, unit: str = "1", *, timing: bool = False) -> Column:
    return Column(name, pa.float64(), unit, text, timing)


POINT = (
    _text("point", "what decides the rows: question, model, version and settings"),
    _text("digest", "hash of the model and its initial state"),
    _text("policy", "the design; a partition"),
    _text("knobs", "choices that its source leaves open"),
    _text("module", "TDX-module kind; a partition"),
    _text("scenario", "what happens around bring-up"),
    _text("budgets", "budgets other than the scenario's"),
    _count("packages", "packages (sockets)"),
    _count("cpus", "CPUs in all"),
)


def _as_others(doc: str) -> str:
    """A sentence as the meanings of other columns are written: a small letter first, no full stop."""
    return doc[0].lower() + doc[1:].removesuffix(".")


_ARROW = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}

SETTINGS = tuple(
    Column(each.name, _ARROW[each.kind], each.unit, _as_others(each.doc))
    for each in DESCRIBED
    if each.role != "resource"
)
"""How a point was explored: the settings that decide the answer, and the limits."""

TABLES: dict[str, tuple[Column, ...]] = {
    "runs": (
        *POINT,
        _text("verdict", "violated, incomplete, vacuous or holds"),
        Column(
            "complete", pa.bool_(), "", "whether everything was explored; a violation is one also where this is not so"
        ),
        _text("reason", "why not everything was explored"),
        _integer("states", "concrete states, exact"),
        _real("log10_states", "base-10 logarithm of states"),
        _integer("transitions", "concrete transitions, exact"),
        _real("log10_transitions", "base-10 logarithm of transitions"),
        _integer("interleavings", "maximal runs with labelled CPUs, exact: the sum over the outcomes"),
        _real("log10_interleavings", "base-10 logarithm of interleavings"),
        _count("explored", "states stored"),
        _count("generated", "transitions between stored states"),
        _count("depth", "distance of the farthest state from the initial one", "steps"),
        Column("cyclic", pa.bool_(), "", "whether the state graph has a cycle"),
        _real("log10_error", "bound on the error of log10_interleavings; null where interleavings are exact"),
        _count("state_bits", "size of a stored state", "bit"),
        _real("reduction", "states over explored"),
        _count("threads", "threads of the search", timing=True),
        _real("seconds", "time of search and measures", "s", timing=True),
        _real("states_per_second", "explored over seconds", "1/s", timing=True),
        _count("peak_memory_bytes", "memory of the search", "B", timing=True),
        _text("version", "of tdxexplore"),
        Column("source", pa.string(), "", "hash of the sources that the model was recorded from", timing=True),
        *SETTINGS,
    ),
    "outcomes": (
        *POINT,
        _count("rank", "0 for the most severe outcome of the point"),
        _text("outcome", "how runs end: a class of terminal states, or never"),
        _text("severity", "S0 (catastrophic) to S4 (nuisance), ok"),
        _integer(
            "terminal_states",
            "concrete terminal states, exact; of runs that never end, the concrete states from which no terminal "
            "state can be reached",
        ),
        _integer(
            "interleavings",
            "maximal runs with labelled CPUs that end so, exact; one that never ends counts up to the first of these states",
        ),
        _real("log10_interleavings", "base-10 logarithm of interleavings"),
        _real("interleaving_share", "interleavings over those of all outcomes: each maximal run counts once"),
        _real("probability", "of ending so, if each enabled step is equally likely"),
        _count("shortest_steps", "length of the shortest trace", "steps"),
        _text("schedule", "of the shortest trace"),
        _text("text", "what the outcome means, in a sentence"),
    ),
    "properties": (
        *POINT,
        _text("kind", "invariant, expectation or response"),
        _text("property", "its name"),
        _text("severity", "how bad it is if it fails"),
        Column(
            "fails", pa.bool_(), "", "an invariant in some state; a response that can be lost; an expectation never met"
        ),
        _integer(
            "states", "concrete states that violate the invariant, have lost the response, or meet the expectation"
        ),
        _count("shortest_steps", "length of the shortest trace to one of them", "steps"),
        _text("schedule", "of the shortest trace"),
        _text("text", "what it says, in a sentence"),
    ),
    "prices": (
        *POINT,
        _count("rank", "of the outcome: 0 for the most severe of the point"),
        _text("outcome", "how runs end: a class of terminal states, or never"),
        _text("severity", "S0 (catastrophic) to S4 (nuisance), ok"),
        _text("price", "what is counted in each run"),
        _real("mean", "over all interleavings that end so; one that never ends costs up to where it is counted"),
        _count("least", "of any interleaving that ends so"),
        _count("most", "of any interleaving that ends so"),
        _integer("total", "sum over all interleavings that end so, exact"),
        _text("text", "what the price counts, in a sentence"),
    ),
    "levels": (
        *POINT,
        _count("depth", "distance from the initial state", "steps"),
        _count("explored", "states stored at this depth"),
        _integer("states", "concrete states at this depth, exact"),
        _count("generated", "transitions generated at this depth"),
    ),
    "rules": (
        *POINT,
        _count("rule", "number of the rule in the Program"),
        _text("actor", "who acts"),
        _text("label", "the step"),
        _text("notes", "which way through it"),
        _count("fired", "times fired between stored states"),
        _integer("transitions", "concrete transitions, exact"),
    ),
}
"""The columns of each table, in order. The rows of a point are sorted as the exploration sorts them."""

ANSWERS = (
    _integer("all_interleavings", "interleavings of the run, which the outcome's are a part of"),
    _real("log10_all_interleavings", "base-10 logarithm of all_interleavings"),
    _text("broken", "the invariants that fail, by name"),
    _text("lost", "the responses that can be lost, by name"),
)
"""What `tdxexplore.data.reading.answers` joins to the outcomes of a point, beside the verdict of its run."""

QUESTION = tuple(c.name for c in POINT if c.name not in ("point", "digest"))
"""The columns that say what was asked."""

TIMING = tuple(c.name for columns in TABLES.values() for c in columns if c.timing)


def schema(table: str, metadata: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of a table's files: the partition is in the path, units and meanings with the columns."""
    fields = [field(column) for column in TABLES[table] if column.name not in PARTITION]
    return pa.schema(fields, metadata={f"tdxexplore.{key}": value for key, value in metadata.items()})


def field(column: Column) -> pa.Field:
    """A column as Arrow has it, with its unit and meaning."""
    about = {
        "unit": column.unit,
        "kind": column.kind,
        "description": column.text,
        "timing": str(column.timing).lower(),
    }
    return pa.field(column.name, column.type, metadata=about)


def polars_types(table: str) -> dict[str, type[pl.DataType]]:
    """The type in Polars of each column of a table."""
    types: dict[pa.DataType, type[pl.DataType]] = {
        pa.string(): pl.String,
        pa.int64(): pl.Int64,
        pa.float64(): pl.Float64,
        pa.bool_(): pl.Boolean,
    }
    return {column.name: types[column.type] for column in TABLES[table]}


def conform(table: str, point: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a point with the columns and types of a table."""
    types = polars_types(table)
    return rows.with_columns(point=pl.lit(point)).select(list(types)).cast(types)  # type: ignore[arg-type]
