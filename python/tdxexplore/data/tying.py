"""Which points of a data set are whole, and from which files their rows are read.

A point is whole if every table has it: in one merged file each, or in files of its own that one search wrote. Only the rows of
whole points are read. An answer from the other rows would say nothing of what is missing: a run without its outcomes looks as
if nothing bad had happened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tdxexplore.data.checking import Part, Skipped
from tdxexplore.data.files import MERGED
from tdxexplore.data.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tied:
    """The files of a data set, tied by their points.

    Attributes:
        parts: Of each table, the files that are read.
        skipped: Of each table, what is not read.
        whole: The points whose rows are read.
    """

    parts: Mapping[str, list[Part]]
    skipped: Mapping[str, list[Skipped]]
    whole: frozenset[str]


def tie(found: Mapping[str, Sequence[Part | Skipped]]) -> Tied:
    """Tie the files of all tables, each sorted by path."""
    parts = {table: [one for one in found[table] if isinstance(one, Part)] for table in TABLES}
    damaged = {table: [one for one in found[table] if isinstance(one, Skipped)] for table in TABLES}
    owners = {table: _owners(parts[table]) for table in TABLES}
    in_all = frozenset.intersection(*(frozenset(owners[table]) for table in TABLES))
    single = {table: {one.path.stem: one for one in parts[table] if not one.merged} for table in TABLES}
    alone = frozenset(
        point for point in single["runs"] if point not in in_all and _of_one_search(single, point) is None
    )
    ties = _Ties(parts, damaged, owners, single, in_all, alone)
    return Tied(
        {table: list(ties.kept(table)) for table in TABLES},
        {table: sorted(ties.skipped(table), key=lambda one: one.path) for table in TABLES},
        in_all | alone,
    )


def _owners(parts: Sequence[Part]) -> dict[str, Path]:
    """The merged file that each point is read from, the first if there are several."""
    owners: dict[str, Path] = {}
    for part in parts:
        if part.merged:
            for point in part.points:
                owners.setdefault(point, part.path)
    return owners


def _of_one_search(single: Mapping[str, Mapping[str, Part]], point: str) -> str | None:
    """None if one search wrote the files of a point; otherwise the first table that has none, or one of another search."""
    files = {table: single[table].get(point) for table in TABLES}
    search, _ = Counter(file.search for file in files.values() if file is not None).most_common(1)[0]
    return next((table for table, file in files.items() if file is None or file.search != search), None)


@dataclass(frozen=True, slots=True)
class _Ties:
    parts: Mapping[str, list[Part]]
    damaged: Mapping[str, list[Skipped]]
    owners: Mapping[str, Mapping[str, Path]]
    single: Mapping[str, Mapping[str, Part]]
    in_all: frozenset[str]  # of merged files
    alone: frozenset[str]  # with files of their own

    def kept(self, table: str) -> Iterator[Part]:
        for part in self.parts[table]:
            if not part.merged:
                if part.path.stem in self.alone:
                    yield part
                continue
            kept = frozenset(p for p in part.points if p in self.in_all and self.owners[table][p] == part.path)
            if kept:
                yield part if len(kept) == len(part.points) else replace(part, kept=kept)

    def skipped(self, table: str) -> Iterator[Skipped]:
        for one in self.damaged[table]:
            yield self._replaced(one) or one
        for part in self.parts[table]:
            reason = self._merged(table, part) if part.merged else self._single(table, part)
            if reason is not None:
                yield reason

    def _replaced(self, damaged: Skipped) -> Skipped | None:
        """A damaged merged file whose points, which those of its name in the other tables tell, are all whole without it."""
        name = damaged.path.name
        if not damaged.lost or not name.startswith(MERGED):
            return None
        points = {p for parts in self.parts.values() for part in parts if part.path.name == name for p in part.points}
        if not points or not points <= self.in_all | self.alone:
            return None
        return replace(damaged, reason=f"{damaged.reason}; its points were explored again", lost=False, replaced=True)

    def _merged(self, table: str, part: Part) -> Skipped | None:
        elsewhere = [p for p in part.points if p in self.alone or self.owners[table][p] != part.path]
        lost = [p for p in part.points if p not in self.in_all and p not in self.alone]
        missing = [other for other in TABLES if any(p not in self.owners[other] for p in lost)]
        explained = all(any(one.path.name == part.path.name for one in self.damaged[other]) for other in missing)
        if lost and not explained:
            what = ", ".join(f"`{other}`" for other in missing)
            return Skipped(part.path, f"{len(lost):,} of its points are missing in {what}", lost=True)
        if len(elsewhere) == len(part.points):
            return Skipped(part.path, "other files have its points", lost=False, replaced=True)
        return None

    def _single(self, table: str, part: Part) -> Skipped | None:
        point = part.path.stem
        if point in self.in_all:
            merged = self.owners[table][point].name
            return Skipped(part.path, f"its point is also in `{merged}`", lost=False, replaced=True)
        if point in self.alone or point not in self.single["runs"]:
            return None  # without its run, it is being written, or whoever wrote it was killed
        wrong = _of_one_search(self.single, point)
        assert wrong is not None
        if any(one.path.stem == point for one in self.damaged[wrong]):
            return None  # which is said of the damaged file
        if point in self.single[wrong]:
            reason = "another search of its point wrote the other files"
            return Skipped(part.path, reason, lost=True) if table == wrong else None
        return Skipped(part.path, f"its point is missing in `{wrong}`", lost=True) if table == "runs" else None
