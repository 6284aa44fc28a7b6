"""The page of schedules that were run in a kernel, docs/kernel-results.md; `pages` writes it with the others.

It says what the committed files ``kernel/litmus-SERIES.jsonl`` have; nothing is run for it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdxexplore.explore.question import Question
from tdxexplore.kernel.campaign import DESIGNS, read
from tdxexplore.kernel.packages import SERIES
from tdxexplore.kernel.primitives import outermost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = Path(__file__).resolve().parent.parent / "kernel"

_HEAD = """# Schedules that were run in a kernel

[docs/kernel.md](kernel.md) says how: hotplug, its lock, mutexes, IPIs and cpuhp states are the kernel's own, and **VMX and the
TDX module are a mock; no SEAMCALL was made**. `make docs` writes this page from `kernel/litmus-*.jsonl`, which
`tdxexplore kernel campaign` has written.

"""


def results() -> dict[str, list[dict[str, Any]]]:
    """The lines of each series that has a file."""
    found = {series: read(FOLDER / f"litmus-{series}.jsonl") for series in SERIES}
    return {series: lines for series, lines in found.items() if lines}


def primitives() -> dict[str, list[dict[str, Any]]]:
    """The lines of the models of single primitives, of each series that has a file."""
    found = {series: read(FOLDER / f"primitives-{series}.jsonl") for series in SERIES}
    return {series: lines for series, lines in found.items() if lines}


def question_of(line: dict[str, Any]) -> Question:
    """The question of a line, whose file is looked for in this tree."""
    asked = dict(line["question"])
    if ":" in asked["policy"]:
        asked["policy"] = f"{FOLDER.parent / asked['policy']}"
    return Question.of(**asked)


def functions_of(question: Question) -> list[str]:
    """The functions of the kernel that the module of a question calls, in the order in which they are recorded."""
    codes = question.compile().model.codes
    names = [n.function for code in codes for n in outermost(code) if n.function != "lockdep"]
    return list(dict.fromkeys(name for name in names if not name.startswith("_") and " " not in name))


def page() -> str:
    """The text of the page."""
    text = [_HEAD, *_kernels(results())]
    for series, lines in results().items():
        text += _matrix(series, [line for line in lines if "shows" not in line])
    text += [*_outcomes(results()), *_shown(results()), *_disagreements(results()), *_primitives(primitives())]
    return "\n".join(text).rstrip("\n") + "\n"


def _kernels(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    heads = ("kernel", "designs", "questions", "schedules", "agree", "all interleavings", "seen to block")
    rows = []
    for lines in found.values():
        agree, disagree = sum(map(_agree, lines)), sum(len(line["disagree"]) for line in lines)
        designs = {line["question"]["policy"] for line in lines}
        numbers = (len(designs), len(lines), agree + disagree, agree, sum(map(_is_all, lines)))
        blocks = sum(line["blocks"] for line in lines)
        rows.append((lines[0]["version"], *(f"{n:,}" for n in numbers), f"{blocks:,}"))
    yield from _table(heads, rows)
    yield "*All interleavings* counts the questions of which every interleaving that can be run was run. *Seen to block* counts"
    yield "the times that an actor entered a lock which the model says is not free, and then slept: in"
    yield "`percpu_rwsem_wait()` by its stack, if it is no mutex.\n"


def _matrix(series: str, lines: list[dict[str, Any]]) -> Iterator[str]:
    columns = list(dict.fromkeys(map(_column, lines)))
    cells = {(line["question"]["policy"], _column(line)): _cell(line) for line in lines}
    yield f"## Linux {series}\n"
    yield "Schedules that agree, of each design; *all*: every interleaving. The mock is a *strict* module, if not *subset*.\n"
    heads = ("design", *columns)
    run = [name for name in DESIGNS if any(policy == name for policy, _ in cells)]
    yield from _table(heads, [(name, *(cells.get((name, column), "") for column in columns)) for name in run])


def _outcomes(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    counts = {series: Counter[str]() for series in found}
    for series, lines in found.items():
        for line in lines:
            counts[series].update({outcome: len(schedules) for outcome, schedules in line["agree"].items()})
    names = sorted({name for count in counts.values() for name in count})
    yield "## Outcomes\n"
    yield "How the runs that agree ended, in the model and in the kernel; [docs/outcomes.md](outcomes.md) says what each means.\n"
    yield from _table(("outcome", *found), [(f"`{n}`", *(f"{c[n]:,}" for c in counts.values())) for n in names])


def _shown(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield "## Bugs and mechanics that are shown\n"
    yield "One schedule each. A BUG_ON is the kernel's own, on its console.\n"
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for series, lines in found.items():
        for line in lines:
            if "shows" in line:
                for outcome, schedules in line["agree"].items():
                    said = "<br>".join(f"`{words.partition(' < [')[0]}`" for words in line["said"])
                    rows.setdefault((line["shows"], outcome, said, _command(line, schedules[0])), []).append(series)
    heads = ("what", "outcome", "the kernel says", "command", "kernels")
    yield from _table(heads, [(w, f"`{o}`", k, f"`{c}`", ", ".join(s)) for (w, o, k, c), s in rows.items()])


def _disagreements(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    rows = [
        (series, _command(line, row["schedule"]), "; ".join(row["differences"][:2]), row.get("cause", "not settled"))
        for series, lines in found.items()
        for line in lines
        for row in line["disagree"]
    ]
    yield "## Disagreements\n"
    if not rows:
        yield "None in these files. [docs/kernel.md](kernel.md) has those that were met on the way.\n"
        return
    yield from _table(("kernel", "command", "what differs", "cause"), rows)


def _primitives(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield "## Primitives, one model each\n"
    yield "`tdxexplore kernel campaign kernel/primitives-6.12.jsonl --models examples/primitives.py` has run these models."
    yield "*all*: every interleaving that can be run. *Seen to block*: so often an actor entered a function while the model says"
    yield "that it must wait, and was then seen to sleep in it, or to spin for a spin lock. An empty cell was not run.\n"
    heads = ("model", "functions of the kernel", *(f"{series}: schedules" for series in found), "seen to block")
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for series, lines in found.items():
        for line in lines:
            rows.setdefault(line["question"]["policy"].partition(":")[2], {})[series] = line
    cells = []
    for name, by in rows.items():
        one = next(iter(by.values()))
        called = ", ".join(f"`{f}`" for f in functions_of(question_of(one)))
        blocks = " and ".join(dict.fromkeys(str(line["blocks"]) for line in by.values()))
        cells.append((name, called, *(_cell(by[s]) if s in by else "" for s in found), blocks))
    yield from _table(heads, cells)
    for series, lines in found.items():
        for line in lines:
            for row in line["disagree"]:
                name = line["question"]["policy"]
                yield f"`{name}`, schedule `{row['schedule']}` on {series}: {row['differences'][0]}. Cause: {row['cause']}.\n"


def _agree(line: dict[str, Any]) -> int:
    return sum(map(len, line["agree"].values()))


def _is_all(line: dict[str, Any]) -> bool:
    return _agree(line) + len(line["disagree"]) == int(line["interleavings"])


def _cell(line: dict[str, Any]) -> str:
    text = f"{_agree(line)} of {_agree(line) + len(line['disagree'])}" if line["disagree"] else str(_agree(line))
    return f"{text} (all)" if _is_all(line) else text


def _column(line: dict[str, Any]) -> str:
    asked = line["question"]
    subset = ", subset" if asked["module"] == "subset" else ""
    return f"{asked['scenario']}{subset}, {asked['cpus']} CPUs"


def _command(line: dict[str, Any], schedule: str) -> str:
    words = shlex.split(Question.of(**line["question"]).command("check", "--schedule", schedule))
    return shlex.join(["tdxexplore", "kernel", "run", *words[2:]])


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = tuple(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
