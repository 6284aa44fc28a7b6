"""The page of the data set's tables, docs/dataset.md; `pages` writes it with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.data.schema import PARTITION, POINT, SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdxexplore.data.schema import Column

_HEAD = """# The data set

`tdxexplore sweep` writes a folder of hive-partitioned Parquet, which any reader of Parquet reads:
`DIR/TABLE/policy=NAME/module=KIND/*.parquet`. This is schema version {version}; tdxexplore refuses a data set of another
version. Units and meanings are in the metadata of the columns, too.

`policy` and `module` are texts that stand in the path only. A reader that guesses their types takes a policy named `2024` for a
number: give the types, as below.

## Exact integers

Interleavings and concrete states are exact and may have thousands of digits. No integer type of Parquet holds them, so they are
texts of decimal digits (*decimal digits* below), and null where they were not measured or are too large to be kept
(`log10_interleavings` is there nevertheless). `log10_...` and `..._share` are floats: use these for filters and plots.

DuckDB computes with the digits as `BIGNUM`:

```sql
SELECT policy, cpus, sum(interleavings::BIGNUM) AS interleavings, max(interleavings::BIGNUM) AS most
FROM read_parquet('data/outcomes/**/*.parquet', hive_partitioning = true,
                  hive_types = {{'policy': VARCHAR, 'module': VARCHAR}})
GROUP BY policy, cpus
ORDER BY policy, cpus
```

`HUGEINT` and `DECIMAL(38, 0)` end at 38 digits: there a cast of a longer number is an error, and `try_cast` gives null. `DOUBLE`
rounds, and is infinite from 10^308 on. In Python, integers have any size:

```python
rows = pl.read_parquet("data/outcomes/**/*.parquet", hive_schema={{"policy": pl.String, "module": pl.String}})
total = sum(map(int, rows["interleavings"].drop_nulls()))
```

`make docs` writes this page.
"""


def page() -> str:
    """What every reader must know, and the columns of each table."""
    lines = [_HEAD.format(version=SCHEMA_VERSION), "## Columns of every table", "", *_columns(POINT)]
    for table, columns in TABLES.items():
        lines += [f"## {table}", "", *_columns([column for column in columns if column not in POINT])]
    return "\n".join(lines)


def _columns(columns: Sequence[Column]) -> list[str]:
    lines = ["| column | Arrow type | unit | meaning |", "|---|---|---|---|"]
    for column in columns:
        kind = f"{column.kind}, in the path" if column.name in PARTITION else column.kind
        lines.append(f"| `{column.name}` | {kind} | {column.unit} | {column.text} |")
    return [*lines, ""]
