"""The tables of a data set: their columns, with units and meanings. What they are is decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 2
PARTITION = ("policy", "module")


@dataclass(frozen=True, slots=True)
class Column:
    """A column on disk.

    Attributes:
        name: Its name.
        type: Its Arrow type.
        unit: Its unit; 1 for counts and shares, empty for texts.
        text: What it says.
        timing: Whether it depends on the machine or the moment.
    """

    name: str
    type: pa.DataType
    unit: str
    text: str
    timing: bool = False


def _text(name: str, text: str) -> Column:
    return Column(name, pa.string(), "", text)


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

TABLES: dict[str, tuple[Column, ...]] = {
    "runs": (
        *POINT,
        _text("verdict", "holds, violated or incomplete"),
        _text("reason", "why it is incomplete"),
        _text("states", "concrete states, exact"),
        _real("log10_states", "base-10 logarithm of states"),
        _text("transitions", "concrete transitions, exact"),
        _real("log10_transitions", "base-10 logarithm of transitions"),
        _count("explored", "states stored"),
        _count("generated", "transitions between stored states"),
        _count("depth", "longest shortest path", "steps"),
        Column("cyclic", pa.bool_(), "", "whether the state graph has a cycle"),
        _real("diverging", "probability of never ending"),
        _real("log10_error", "bound on the error of log10_interleavings; null where interleavings are exact"),
        _count("state_bits", "size of a stored state", "bit"),
        _real("reduction", "states over explored"),
        _count("threads", "threads of the search", timing=True),
        _real("seconds", "time of search and measures", "s", timing=True),
        _real("states_per_second", "explored over seconds", "1/s", timing=True),
        _count("peak_memory_bytes", "memory of the search", "B", timing=True),
        _text("version", "of tdxexplore"),
        _text("space", "orbit, concrete, or bits (which has no measures)"),
        _text(
            "symmetry", "start, or all: states, transitions and depth are those of all renamings of the initial state"
        ),
        Column("measures", pa.bool_(), "", "whether interleavings and probabilities were asked for"),
        Column("prices", pa.bool_(), "", "whether prices were asked for"),
        _text("fail_on", "least severe severity that counts as a violation"),
        _count("max_states", "limit on stored states"),
        _count("max_depth", "limit on depth", "steps"),
        _count("max_memory", "limit on memory", "B"),
        _real("timeout", "limit on time", "s"),
    ),
    "outcomes": (
        *POINT,
        _count("rank", "0 for the most severe outcome of the point"),
        _text("outcome", "class of the terminal states"),
        _text("severity", "S0 (catastrophic) to S4 (nuisance), ok"),
        _text("terminal_states", "concrete terminal states, exact"),
        _text("interleavings", "maximal runs with labelled CPUs that end there, exact"),
        _real("log10_interleavings", "base-10 logarithm of interleavings"),
        _real("interleaving_share", "of all interleavings"),
        _real("probability", "each enabled transition equally likely"),
        _count("shortest_steps", "length of the shortest trace", "steps"),
        _text("schedule", "of the shortest trace"),
    ),
    "prices": (
        *POINT,
        _count("rank", "of the outcome: 0 for the most severe of the point"),
        _text("outcome", "class of the terminal states"),
        _text("severity", "S0 (catastrophic) to S4 (nuisance), ok"),
        _text("price", "what is counted in each run"),
        _real("mean", "over all interleavings that end so"),
        _count("least", "of any interleaving that ends so"),
        _count("most", "of any interleaving that ends so"),
        _text("total", "sum over all interleavings that end so, exact"),
        _text("text", "what the price counts, in a sentence"),
    ),
    "levels": (
        *POINT,
        _count("depth", "distance from the initial state", "steps"),
        _count("explored", "states stored at this depth"),
        _text("states", "concrete states at this depth, exact"),
        _count("generated", "transitions generated at this depth"),
    ),
    "rules": (
        *POINT,
        _count("rule", "number of the rule in the Program"),
        _text("actor", "who acts"),
        _text("label", "the step"),
        _text("notes", "which way through it"),
        _count("fired", "times fired between stored states"),
        _text("transitions", "concrete transitions, exact"),
    ),
}
"""The columns of each table, in order. The rows of a point are sorted as the exploration sorts them."""

QUESTION = tuple(c.name for c in POINT if c.name not in ("point", "digest"))
"""The columns that say what was asked."""

TIMING = tuple(c.name for columns in TABLES.values() for c in columns if c.timing)


def schema(table: str, metadata: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of a table's files: the partition is in the path, units and meanings with the columns."""
    fields = [
        pa.field(c.name, c.type, metadata={"unit": c.unit, "description": c.text, "timing": str(c.timing).lower()})
        for c in TABLES[table]
        if c.name not in PARTITION
    ]
    return pa.schema(fields, metadata={f"tdxexplore.{key}": value for key, value in metadata.items()})


def polars_types(table: str) -> dict[str, type[pl.DataType]]:
    """The type in Polars of each column of a table."""
    types: dict[pa.DataType, type[pl.DataType]] = {
        pa.string(): pl.String,
        pa.int64(): pl.Int64,
        pa.float64(): pl.Float64,
        pa.bool_(): pl.Boolean,
    }
    return {column.name: types[column.type] for column in TABLES[table]}
