"""Fuzzers of what strangers may send: Programs and their initial states, schedules, sweep files, and the files of a data set.

A run mutates a seed, gives it to the reader and demands an answer or one of our own errors, in a line, within `PATIENCE`. Seeds
are the Programs of ``tests/corpus/programs``, sweep files (`hostile`) and what was found before, in ``tests/corpus/fuzz``.

``python tests/fuzzing.py KIND SECONDS [SEED]`` prints how many runs there were. A case that fails is left in the folder that it
names; it belongs into the corpus once it is repaired.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from hostile import GRID, SPECS
from sweeps import spec_file
from tdxexplore.data.files import CHECKED
from tdxexplore.data.reading import Dataset, finished
from tdxexplore.errors import BadDataset, BadModel, BadSchedule, BadSpec, Trap
from tdxexplore.explore.engine import Engine
from tdxexplore.explore.settings import Settings
from tdxexplore.sweep import load, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = Path(__file__).parent / "corpus" / "programs"
FOUND = Path(__file__).parent / "corpus" / "fuzz"
PATIENCE = 5.0
"""Seconds of processor time of a run, however busy the machine is; a search is cut after a few hundred states."""

POINTS = 2
NUMBERS = (0, 1, 2, 7, 31, 32, 63, 64, 65, 255, 256, 2**31, 2**32, 2**63, 2**64 - 1, 2**64, -1, 10**40, 0.5)
WORDS = (
    "0x0",
    "0x1",
    "0x3",
    "0xffffffffffffffff",
    "0x1ffffffffffffffff",
    "-0x1",
    "",
    "0",
    "cpu",
    "cpus",
    "others",
    "package",
)


def kinds() -> dict[str, Callable[[random.Random, Path], Iterator[Callable[[], object]]]]:
    """What is fuzzed; each yields runs."""
    return {"program": programs, "schedule": schedules, "sweep": sweeps, "data": data}


def seeds() -> list[tuple[Any, Any]]:
    """Programs and initial states."""
    found = []
    for path in sorted(PROGRAMS.glob("*.toml")):
        text = tomllib.loads(path.read_text())
        found += [(json.loads(text["program"]), json.loads(check["initial"])) for check in text["check"]]
    return found


# -- mutations ----------------------------------------------------------------------------------------------------------


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every place in a document, as its owner and the key."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        owner = waiting.pop()
        keys = list(owner) if isinstance(owner, dict) else range(len(owner))
        for key in keys:
            found.append((owner, key))
            if isinstance(owner[key], dict | list):
                waiting.append(owner[key])
    return found


def mutate(document: Any, chance: random.Random) -> Any:
    """A document with a few places changed: cut out, doubled, replaced by another one or by a number or a word."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        places = _places(document)
        if not places:
            return document
        owner, key = chance.choice(places)
        other, at = chance.choice(places)
        match chance.randrange(7):
            case 0:
                del owner[key]
            case 1:
                owner[key] = copy.deepcopy(other[at])
            case 2 if isinstance(owner, list):
                owner.insert(key, copy.deepcopy(owner[key]))
            case 3 if isinstance(owner[key], int):
                owner[key] += chance.choice((-1, 1))
            case 4 if isinstance(owner[key], str) and owner[key].startswith("0x"):
                owner[key] = hex(int(owner[key], 16) ^ (1 << chance.randrange(8)))
            case 5:
                owner[key] = chance.choice(WORDS)
            case _:
                owner[key] = chance.choice((*NUMBERS, None, True, [], {}, [owner[key]]))
    return document


def cut(text: bytes, chance: random.Random) -> bytes:
    """Bytes with some of them changed, cut out or doubled."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(text) + 1)
        upto = min(len(text), at + chance.choice((1, 1, 4, 64, 1000)))
        middle = chance.choice((b"", chance.randbytes(upto - at), bytes(upto - at), text[at:upto] * 2))
        text = text[:at] + middle + text[upto:]
    return text


# -- readers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A Program, its initial state, and a schedule to replay, if any."""

    program: str
    initial: str
    schedule: str | None = None
    space: str = "orbit"

    def __call__(self) -> object:
        engine = Engine(self.program)
        if self.schedule is not None:
            return engine.replay(self.initial, self.schedule)
        settings = Settings.of({"space": self.space, "threads": 1, "max_states": 300, "timeout": 2, "prices": True})
        return engine.explore(self.initial, settings)

    def keep(self, path: Path) -> None:
        path.write_text(json.dumps([self.program, self.initial, self.schedule, self.space]))


def programs(chance: random.Random, _: Path) -> Iterator[Asked]:
    """Mutated Programs, explored from mutated states in a space."""
    known = seeds()
    while True:
        program, initial = chance.choice(known)
        text = json.dumps(mutate(program, chance) if chance.random() < 0.9 else program)
        start = json.dumps(mutate(initial, chance) if chance.random() < 0.3 else initial)
        if chance.random() < 0.05:
            text = cut(text.encode(), chance).decode("utf-8", "surrogateescape")
        yield Asked(text, start, space=chance.choice(("orbit", "concrete", "bits")))


def schedules(chance: random.Random, _: Path) -> Iterator[Asked]:
    """Schedules of random tokens, and mutated ones of searches."""
    known = []
    for program, initial in seeds():
        text, start = json.dumps(program), json.dumps(initial)
        found = Engine(text).explore(start, Settings(threads=1))
        table = pl.DataFrame(found.outcomes())
        known += [(text, start, schedule or "") for schedule in table["schedule"]]
    while True:
        text, start, schedule = chance.choice(known)
        mutated = cut(schedule.encode(), chance).decode("utf-8", "surrogateescape")
        yield Asked(text, start, mutated)


SWEEPS = [
    GRID + 'cpus = "2-3"\nset = { offline_veto = "all" }\nbudget = { cpu_up = "1-2" }\n',
    GRID
    + 'cpus = [2, 4]\npackages = "1-2"\n[[exclude]]\npackages = 2\ncpus = 4\n[check]\nmax_states = 50\ntimeout = 2\n',
    *(text[:5000] for text, _ in SPECS.values()),
]
TOML = (
    *"\"'[]{}=\n#-,.é",
    "\\u0000",
    "1e9",
    "99999999999999999999",
    "cpus",
    "all",
    "true",
    "nan",
    "1979-05-27",
    "[[exclude]]\n",
    "[check]\n",
    "[grid]\n",
)


@dataclass(frozen=True)
class Loaded:
    """A sweep file that is read and whose cells are listed."""

    path: Path
    text: str

    def __call__(self) -> object:
        self.path.write_text(self.text, errors="surrogateescape")
        return load(self.path).cells()

    def keep(self, path: Path) -> None:
        path.with_suffix(".toml").write_text(self.text, errors="surrogateescape")


def sweeps(chance: random.Random, folder: Path) -> Iterator[Loaded]:
    """Sweep files with words of their own put in, doubled or cut out, and with bytes changed."""
    while True:
        text = chance.choice(SWEEPS[:2] if chance.random() < 0.7 else SWEEPS)
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = chance.randrange(len(text) + 1)
            upto = min(len(text), at + chance.choice((0, 0, 1, 4, 20)))
            text = text[:at] + chance.choice(("", chance.choice(TOML), text[at:upto] * 2)) + text[upto:]
        if chance.random() < 0.2:
            text = cut(text.encode(), chance).decode("utf-8", "surrogateescape")
        yield Loaded(folder / "sweep.toml", text)


class Changed:
    """A data set in which files are changed, and which is read."""

    def __init__(self, out: Path, changes: dict[Path, bytes], right: pl.DataFrame) -> None:
        self.out, self.changes, self.right = out, changes, right

    def __call__(self) -> object:
        before = {path: path.read_bytes() for path in self.changes if path.exists()}
        try:
            for path, text in self.changes.items():
                path.write_bytes(text)
            runs, skipped = finished(self.out)
            answers = Dataset(self.out)
            rows = answers.collect(answers.answers)
            # Nothing is read in half: an answer is the right one, and what is left out is named.
            right = self.right.filter(pl.col("point").is_in(rows["point"].unique().to_list()))
            assert rows.equals(right)
            assert rows["point"].n_unique() == POINTS or any(one.lost for one in answers.skipped)
            assert len(runs) == POINTS or any(one.lost for one in skipped)
            return len(rows)
        finally:
            for path, text in before.items():
                path.write_bytes(text)

    def keep(self, path: Path) -> None:
        path.write_text(json.dumps({str(p.relative_to(self.out)): text.hex() for p, text in self.changes.items()}))


def data(chance: random.Random, folder: Path) -> Iterator[Changed]:
    """Files of a small data set with bytes changed."""
    sweep(load(spec_file(folder, GRID + "cpus = [2, 3]\n")), folder / "out")
    out = folder / "out"
    whole = Dataset(out)
    right = whole.collect(whole.answers)
    while True:
        files = sorted(out.rglob("*.parquet"))
        some = chance.sample(files, chance.choice((1, 1, 2)))
        changes = {path: cut(path.read_bytes(), chance) for path in some}
        if chance.random() < 0.2:
            changes[out / CHECKED] = cut((out / CHECKED).read_bytes() if (out / CHECKED).exists() else b"", chance)
        yield Changed(out, changes, right)


# -- the loop -----------------------------------------------------------------------------------------------------------


def attempt(run: Callable[[], object]) -> str:
    """What a run said: empty for an answer.

    Raises:
        AssertionError: It was no line, or took too long.
    """
    began, said = time.process_time(), ""
    try:
        run()
    except (BadModel, BadSchedule, BadSpec, BadDataset, Trap) as error:
        said = str(error)
    assert "\n" not in said, said
    assert time.process_time() - began < PATIENCE
    return said


def fuzz(kind: str, seconds: float, seed: int, folder: Path) -> tuple[int, int]:
    """Fuzz for a while.

    Returns:
        How many runs there were, and how many of them were answered.
    """
    runs, answered, until = 0, 0, time.monotonic() + seconds
    for run in kinds()[kind](random.Random(seed), folder):
        run.keep(folder / f"{kind}.json")  # type: ignore[attr-defined]
        runs += 1
        answered += not attempt(run)
        if time.monotonic() > until:
            break
    return runs, answered


if __name__ == "__main__":
    KIND, SECONDS, *REST = sys.argv[1:]
    FOLDER = Path(tempfile.mkdtemp(prefix=f"fuzz-{KIND}-"))
    sys.stderr.write(f"{FOLDER}\n")
    RUNS, ANSWERED = fuzz(KIND, float(SECONDS), int(REST[0]) if REST else 1, FOLDER)
    sys.stdout.write(f"{KIND}: {RUNS:,} runs, {ANSWERED:,} answered\n")
    shutil.rmtree(FOLDER)
