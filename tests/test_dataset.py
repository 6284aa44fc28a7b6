"""The data set on disk: its layout, other readers, damage, foreign files, compaction."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataset_page
from sweeps import POINTS, bytes_of, rows, spec_file
from tdxexplore import cli
from tdxexplore.data.compacting import compact
from tdxexplore.data.files import MERGED
from tdxexplore.data.holding import writing
from tdxexplore.data.reading import Dataset
from tdxexplore.data.schema import PARTITION, POINT, SCHEMA_VERSION, TABLES
from tdxexplore.errors import BadDataset
from tdxexplore.explore.check import check
from tdxexplore.sweep import load, sweep
from tdxexplore.sweep.origin import origin


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    sweep(load(spec_file(folder)), folder / "out")
    return folder / "out"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """One to change."""
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def first(root: Path, table: str) -> Path:
    return min((root / table).rglob("*.parquet"))


def test_there_is_one_file_a_point_and_table_under_its_partition(whole: Path) -> None:
    assert sorted(p.name for p in whole.iterdir()) == [".checked", ".lock", ".tmp", *sorted(TABLES)]
    assert list((whole / ".tmp").iterdir()) == []
    for table in TABLES:
        files = [p.relative_to(whole / table).parts for p in (whole / table).rglob("*") if p.is_file()]
        assert len(files) == POINTS
        assert {f[0] for f in files} == {"policy=v19", "policy=linux-6.16"}
        assert {f[1] for f in files} == {"module=strict", "module=subset"}
        assert len({f[2] for f in files}) == POINTS


def test_every_column_of_an_exploration_is_stored_with_a_unit_and_a_meaning(whole: Path) -> None:
    answer = check("v19", cpus=2)
    assert len(TABLES) == 6
    for table, columns in TABLES.items():
        stored = [c.name for c in columns]
        assert set(getattr(answer, table).columns) <= set(stored)
        file = pq.read_schema(first(whole, table))
        assert file.names == [name for name in stored if name not in PARTITION]
        for column in columns:
            assert column.text
            assert (column.unit == "") == (column.type in (pa.string(), pa.bool_()) and not column.digits), column.name
            if column.name not in PARTITION:
                about = file.field(column.name).metadata
                assert about[b"unit"].decode() == column.unit
                assert about[b"description"].decode() == column.text
                assert about[b"kind"].decode() == column.kind


def test_the_metadata_says_what_the_file_is_and_where_it_comes_from(whole: Path) -> None:
    path = first(whole, "outcomes")
    about = {k.decode(): v.decode() for k, v in pq.read_schema(path).metadata.items()}
    assert about["tdxexplore.schema_version"] == str(SCHEMA_VERSION)
    assert about["tdxexplore.table"] == "outcomes"
    assert about["tdxexplore.version"] == pq.read_table(first(whole, "runs"))["version"][0].as_py()
    assert about["tdxexplore.point"] == path.stem
    assert len(about["tdxexplore.digest"]) == len(about["tdxexplore.spec_digest"]) == 32
    assert about["tdxexplore.spec"] == "small"
    assert about["tdxexplore.note"] == "for tests"
    assert about["tdxexplore.spec_revision"] == ""  # the file is in no git repository


def test_the_revision_of_the_sweep_file_is_that_of_git(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        done = subprocess.run(["git", "-C", str(tmp_path), *who, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    path = spec_file(tmp_path)
    git("init", "-q")
    git("add", "sweep.toml")
    git("commit", "-q", "-m", "x")
    assert origin(load(path))["spec_revision"] == git("rev-parse", "HEAD")
    path.write_text(path.read_text() + "\n")
    assert origin(load(path))["spec_revision"] == git("rev-parse", "HEAD") + "+modified"


@pytest.mark.parametrize("compacted", [False, True], ids=["a file a point", "compacted"])
def test_polars_duckdb_and_pandas_read_it_alone(copy: Path, *, compacted: bool) -> None:
    if compacted:
        compact(copy)
    for table, columns in TABLES.items():
        names = [c.name for c in columns]
        expected = Dataset(copy).scan(table).collect().sort(names)
        assert len(expected) >= POINTS
        glob = f"{copy}/{table}/**/*.parquet"
        plain = pl.scan_parquet(glob, hive_partitioning=True).select(names).collect()
        assert plain.sort(names).equals(expected)
        assert (
            pl.scan_parquet(copy / table, hive_partitioning=True).select(names).collect().sort(names).equals(expected)
        )
        query = f"select {', '.join(names)} from read_parquet('{glob}', hive_partitioning=true)"
        relation = duckdb.sql(query)
        assert relation is not None
        assert pl.DataFrame(relation.to_arrow_table()).sort(names).equals(expected)
        frame = pd.read_parquet(copy / table)
        assert sorted(frame.columns) == sorted(names)
        figures = [c.name for c in columns if c.type in (pa.int64(), pa.float64())]
        ours = pl.DataFrame({n: frame[n].astype("float64").to_numpy() for n in figures}).fill_nan(None)
        ours = ours.with_columns(
            pl.Series("point", frame["point"].tolist()), pl.Series("policy", frame["policy"].tolist())
        )
        keyed = ["point", "policy", *figures]
        assert (
            ours.select(keyed)
            .sort(keyed)
            .equals(expected.select(keyed).cast(dict.fromkeys(figures, pl.Float64)).sort(keyed))
        )


def test_one_table_scanned_by_hand_gives_the_worst_outcome(whole: Path) -> None:
    found = duckdb.execute(
        f"select severity from read_parquet('{whole}/outcomes/**/*.parquet', hive_partitioning=true)"
        " where policy = 'v19' and module = 'subset' and scenario = 'late-online' and cpus = 4 and rank = 0"
    ).fetchall()
    assert found == [("S2",)]


# -- integers of any size ---------------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "dataset.md"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose counts have up to 101 digits: more than any integer type of Parquet."""
    folder = tmp_path_factory.mktemp("large")
    text = """
    [grid]
    policy = ["v19", "linux-6.16"]
    module = "subset"
    scenario = ["late-online", "no-kvm"]
    cpus = [4, 24]
    """
    sweep(load(spec_file(folder, text)), folder / "data")
    return folder / "data"


def test_the_page_of_the_data_set_is_up_to_date() -> None:
    page = dataset_page.page()
    assert page.count("\n| `") == sum(map(len, TABLES.values())) - (len(TABLES) - 1) * len(POINT)
    assert PAGE.read_text() == page


def test_duckdb_computes_with_integers_of_any_size_as_the_page_shows(large: Path) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert "'data/outcomes/" in query
    found = duckdb.execute(query.replace("'data/outcomes/", f"'{large}/outcomes/")).fetchall()
    expected: dict[tuple[str, int], list[int]] = {}
    for policy, cpus, digits in (
        Dataset(large).scan("outcomes").select("policy", "cpus", "interleavings").collect().iter_rows()
    ):
        expected.setdefault((policy, cpus), []).append(int(digits))
    assert [row[:2] for row in found] == sorted(expected)
    assert {row[:2]: (int(row[2]), int(row[3])) for row in found} == {
        key: (sum(counts), max(counts)) for key, counts in expected.items()
    }
    assert max(len(row[2]) for row in found) > 38


def test_the_columns_of_exact_integers_are_read_by_duckdb_as_text_and_the_others_as_documented(large: Path) -> None:
    names = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
    longest = 0
    for table, columns in TABLES.items():
        source = f"from read_parquet('{large}/{table}/**/*.parquet', hive_partitioning = true)"
        types = {row[0]: row[1] for row in duckdb.execute(f"describe {source}").fetchall()}
        assert types == {column.name: names[column.type] for column in columns}
        for column in (column for column in columns if column.digits):
            every = [row[0] for row in duckdb.execute(f"select {column.name} {source}").fetchall()]
            assert all(digits.isdecimal() for digits in every), column.name
            longest = max(longest, *map(len, every))
    assert longest > 38


def test_python_sums_integers_of_any_size_as_the_page_shows(large: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, object] = {"pl": pl}
    exec(block.replace('"data/', f'"{large}/'), names)
    assert names["total"] == sum(map(int, Dataset(large).scan("outcomes").collect()["interleavings"]))


# -- damage and foreign files -----------------------------------------------------------------------------------------


def copy_point(point: str, source: Path, target: Path) -> None:
    """Copy the files of a point, one of each table."""
    files = sorted(source.rglob(f"{point}.parquet"))
    assert len(files) == len(TABLES)
    for file in files:
        to = target / file.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)


@pytest.mark.parametrize("table", ["runs", "outcomes"])
def test_a_flipped_bit_is_never_read_in_silence(table: str, whole: Path, tmp_path: Path) -> None:
    source = first(whole, table)
    path = tmp_path / source.relative_to(whole)
    copy_point(source.stem, whole, tmp_path)  # a point of which a table is missing is not read at all
    raw, seed = source.read_bytes(), random.Random(7)
    expected = Dataset(tmp_path).scan(table).collect()
    assert len(expected) > 0
    named = same = 0
    for position in seed.sample(range(len(raw)), 250):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << seed.randrange(8)
        path.write_bytes(flipped)
        data = Dataset(tmp_path)
        try:
            found = data.collect(data.scan(table))
        except BadDataset as error:
            named += str(path) in str(error)
            continue
        if data.skipped:
            assert data.skipped[0].path == path
            assert data.skipped[0].lost
            named += 1
        else:
            assert found.equals(expected)  # the bit says nothing that a reader uses
            same += 1
    assert named > 100
    assert named + same == 250


@pytest.mark.parametrize("length", [0, 3, 100, -1])
def test_a_file_that_was_cut_is_named_skipped_and_replaced(
    length: int, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, path = bytes_of(copy), first(copy, "outcomes")
    path.write_bytes(path.read_bytes()[:length])
    assert cli.run(["analyze", "worst", str(copy)]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"tdxexplore: {path}: damaged: ")
    assert cli.run(["compact", str(copy)]) == 2
    assert f"{path}: damaged: " in capsys.readouterr().err
    assert cli.run(["sweep", str(spec_file(tmp_path)), "--out", str(copy)]) == 0
    captured = capsys.readouterr()
    assert f"{POINTS - 1} were there" in captured.out
    assert f"{path}: damaged: " in captured.err
    assert bytes_of(copy) == expected


def test_foreign_files_are_named_and_not_read(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = rows(copy)["runs"]
    one = first(copy, "runs")
    other = next(p for p in one.parent.iterdir() if p != one)
    strangers = {
        copy / "notes.txt": "not part of a data set",
        copy / "runs" / "a.parquet": "not part of a data set",
        one.parent / "export.parquet": "not part of a data set",
        one.parent / f"{'0' * 32}.parquet": "not of tdxexplore",
        one.parent / f"{'1' * 32}.parquet": f"its point is `{one.stem}`, and `{'1' * 32}` belongs here",
        copy / "runs" / "policy=v20" / "module=strict" / other.name: "and `v20` belongs here",
        one.parent / f"{MERGED}{'2' * 32}.parquet": "its table is `outcomes`, and `runs` belongs here",
    }
    for path, reason in strangers.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("mine")
        elif "not of" in reason or "not part" in reason:
            pq.write_table(pa.table({"a": [1]}), path)
        elif "table" in reason:
            shutil.copy(first(copy, "outcomes"), path)
        else:
            shutil.copy(other if "v20" in reason else one, path)
    data = Dataset(copy)
    found = data.scan("runs").select(expected.columns).collect()
    assert found.sort(found.columns).equals(expected)
    said = {s.path: s.reason for s in data.skipped}
    assert said.keys() == strangers.keys()
    for path, reason in strangers.items():
        assert reason in said[path]
    assert cli.run(["compact", str(copy)]) == 2
    assert "remove what is named" in capsys.readouterr().err


def test_many_skipped_files_are_one_line_that_names_the_first_lost_ones(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        (copy / f"notes-{number}.txt").write_text("mine")
    damaged = sorted((copy / "runs").rglob("*.parquet"))[:7]
    for path in damaged:
        path.write_bytes(b"")
    spec = str(spec_file(tmp_path))
    commands = (
        ["analyze", "worst", str(copy)],
        ["compact", str(copy)],
        ["sweep", spec, "--out", str(copy), "--dry-run"],
    )
    for words, code in zip(commands, (3, 2, 0), strict=True):
        assert cli.run(words) == code
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "12 files skipped: " in err
        assert "; and 9 more" in err
        assert [str(path) in err for path in damaged] == [True] * 3 + [False] * 4
        assert "notes" not in err
    assert cli.run(["sweep", spec, "--out", str(copy)]) == 0
    assert "12 files skipped: " in capsys.readouterr().err


# -- other versions ---------------------------------------------------------------------------------------------------


def as_written_by_another(path: Path, version: str) -> None:
    """Change the schema version that a file says it has."""
    table = pq.read_table(path, partitioning=None)
    about = {**table.schema.metadata, b"tdxexplore.schema_version": version.encode(), b"tdxexplore.version": b"0.0.9"}
    pq.write_table(table.replace_schema_metadata(about), path)


@pytest.mark.parametrize("files", ["all", "one"])
def test_a_data_set_of_another_schema_is_refused_in_one_line_and_left_as_it_is(
    files: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted(copy.rglob("*.parquet"))
    assert len(paths) == POINTS * len(TABLES)
    written = paths if files == "all" else [first(copy, "runs")]
    for path in written:
        as_written_by_another(path, "7")
    before = {path: path.read_bytes() for path in paths}
    spec = str(spec_file(tmp_path))
    questions = [["analyze", name, str(copy)] for name in cli.app["analyze"] if not name.startswith("-")]
    questions = [[*words, str(copy)] if words[1] == "diff" else words for words in questions]
    assert len(questions) == 8
    for words in (
        *questions,
        ["sweep", spec, "--out", str(copy)],
        ["sweep", spec, "--out", str(copy), "--dry-run"],
        ["compact", str(copy)],
    ):
        assert cli.run(words) == 2, words
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        count = POINTS if files == "all" else 1
        assert captured.err.startswith(
            f"tdxexplore: error: {copy}: {count} files are of another schema of data sets, as {first(copy, 'runs')} "
            "(schema 7, of tdxexplore 0.0.9)"
        )
        assert "sweep into a new folder" in captured.err
    assert {path: path.read_bytes() for path in sorted(copy.rglob("*.parquet"))} == before


def test_a_data_set_with_other_columns_is_refused_though_its_schema_version_is_the_same(copy: Path) -> None:
    path = first(copy, "outcomes")
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.drop_columns(["probability"]), path)
    with pytest.raises(BadDataset, match=r"1 files are of another schema of data sets, as .*with other columns"):
        _ = Dataset(copy).answers


def test_the_schema_version_changes_with_the_columns() -> None:
    """When this fails, give `SCHEMA_VERSION` the next number, and put it and the new digest here."""
    columns = [(table, c.name, str(c.type)) for table, columns in TABLES.items() for c in columns]
    assert len(columns) > 80
    found = hashlib.blake2b(json.dumps(columns).encode(), digest_size=8).hexdigest()
    assert (SCHEMA_VERSION, found) == (6, "56d1959295a4c866")


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, reason in ((tmp_path / "nowhere", "not a folder"), (tmp_path, "not a data set")):
        for words in (["analyze", "worst", str(folder)], ["compact", str(folder)]):
            assert cli.run(words) == 2
            assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_two_answers_to_one_question_are_refused(copy: Path, tmp_path: Path) -> None:
    with_limit = spec_file(tmp_path).read_text() + "[check]\nfail_on = 'S2'\n"
    sweep(load(spec_file(tmp_path, with_limit)), tmp_path / "other")
    for table in TABLES:
        shutil.copytree(tmp_path / "other" / table, copy / table, dirs_exist_ok=True)
    with pytest.raises(BadDataset, match=f"{POINTS} questions have several answers, as policy=linux-6.16"):
        _ = Dataset(copy).answers


# -- compacting -------------------------------------------------------------------------------------------------------


def test_compacting_keeps_every_row_and_is_found_again(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = bytes_of(copy)
    assert cli.run(["compact", str(copy)]) == 0
    assert f"{POINTS * 6} files became {4 * 6}" in capsys.readouterr().out
    assert bytes_of(copy) == expected
    wider = spec_file(tmp_path, spec_file(tmp_path).read_text().replace("2-4", "2-5"))
    assert sweep(load(wider), copy).before == POINTS
    assert compact(copy) == (4 * 6 + POINTS // 3 * 6, 4 * 6)
    file = first(copy, "runs")
    origins = json.loads(pq.read_schema(file).metadata[b"tdxexplore.origins"])
    assert [o["spec"] for o in origins] == ["small", "small"]
    assert sweep(load(wider), copy).finished == 0
    assert Dataset(copy).scan("runs").select("cpus").collect()["cpus"].n_unique() == 4


@pytest.mark.parametrize(
    "moment", ["building", "one table moved away", "one table in place", "five in place", "all in place"]
)
def test_a_compaction_that_was_killed_is_undone_or_done(moment: str, copy: Path, tmp_path: Path) -> None:
    expected, work = bytes_of(copy), copy / ".compacting"
    compacted = tmp_path / "compacted"
    shutil.copytree(copy, compacted)
    compact(compacted)
    (work / "old").mkdir(parents=True)
    shutil.copytree(compacted, work / "new", ignore=shutil.ignore_patterns(".*"))
    moved = {"building": 0, "one table moved away": 1, "one table in place": 1, "five in place": 5, "all in place": 6}[
        moment
    ]
    for table in list(TABLES)[:moved]:
        (copy / table).rename(work / "old" / table)
        if moment != "one table moved away":
            (work / "new" / table).rename(copy / table)
    with pytest.raises(BadDataset, match="a compaction is under way, or was cut short"):
        Dataset(copy)
    assert sweep(load(spec_file(tmp_path)), copy).finished == 0
    assert bytes_of(copy) == expected
    assert not work.exists()


def test_a_point_that_is_also_in_a_merged_file_is_read_once(copy: Path, whole: Path) -> None:
    expected = Dataset(copy).scan("runs").select(pl.len()).collect().item()
    compact(copy)
    copy_point(first(whole, "runs").stem, whole, copy)
    data = Dataset(copy)
    assert data.scan("runs").select(pl.len()).collect().item() == expected
    assert "also in `merged-" in data.skipped[0].reason


def test_writers_keep_out_of_each_others_way(copy: Path, tmp_path: Path) -> None:
    with writing(copy):
        with writing(copy):
            pass  # two sweeps may share a data set
        with pytest.raises(BadDataset, match="another process writes"):
            compact(copy)
    with writing(copy, alone=True), pytest.raises(BadDataset, match="being compacted"):
        sweep(load(spec_file(tmp_path)), copy)
