"""The page of the zoo, docs/zoo.md; `pages` writes it with the others.

What each entry is stands in the docstring of its file: a title, what goes wrong, and lines that begin with ``Source:``, ``Fix:``,
``Shows:``, ``Reading:`` and ``Left out:``. What it shows is asked here, before and after its fix.
"""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore import check
from tdxexplore.explore.finding import find

if TYPE_CHECKING:
    from tdxexplore import Exploration

ZOO = Path(__file__).resolve().parent.parent / "zoo"
GRID = tomllib.loads((ZOO / "zoo.toml").read_text())["grid"]
LINES = ("Source", "Fix", "Shows", "Reading", "Left out")

_HEAD = """# The zoo: bugs of real kernels, before and after their fixes

CPU hotplug, locks, work items and grace periods have been got wrong before. Each file of `zoo/` is one such bug as a model of
45 to 80 lines in [the public language](models.md), with its fix as a parameter, in our words. One command asks all of them:

```sh
tdxexplore compare zoo/zoo.toml              # the table below; tdxexplore sweep zoo/zoo.toml --out DIR makes a data set
```

`make docs` writes this page from what the models answer; a test compares. Interleavings are those of {cpus} CPUs. A model
shows the interleaving that the report names, and that the fix removes it from all; it does not show that the kernel has no
other bug. What is our reading and not the source's is said with each.

"""


@dataclass(frozen=True)
class Entry:
    """A bug.

    Attributes:
        name: Of the file, and of the function in it.
        title: What goes wrong, in a line.
        what: In a few sentences.
        lines: The other lines, by what they begin with.
    """

    name: str
    title: str
    what: str
    lines: dict[str, str]

    @property
    def subject(self) -> str:
        """As the command line names it."""
        return f"zoo/{self.name}.py:{self.name}"

    @cached_property
    def answers(self) -> dict[str, Exploration]:
        """What it answers for each value of its parameter, that before the fix first."""
        subject = f"{ZOO}/{self.name}.py:{self.name}"
        (knob,) = find(subject).knobs
        return {
            f"{knob.name}={value}": check(subject, cpus=GRID["cpus"], knobs={knob.name: value}) for value in knob.values
        }


@cache
def entries() -> tuple[Entry, ...]:
    """The entries, in the order of the sweep file."""
    return tuple(_entry(ZOO / name.partition(":")[0]) for name in GRID["policy"])


def _entry(path: Path) -> Entry:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    title, what, *rest = text.split("\n\n")
    return Entry(path.stem, title, _flat(what), {name: _flat(said) for name, said in _lines(rest[0])})


def _lines(text: str) -> list[tuple[str, str]]:
    names = "|".join(LINES)
    return re.findall(rf"^({names}): (.*?)(?=\n(?:{names}): |\Z)", text, re.DOTALL | re.MULTILINE)


def _worst(answer: Exploration) -> tuple[str, str, str]:
    """Verdict, worst outcome, and how many of all interleavings end so."""
    worst = answer.outcomes.row(0, named=True)
    share = f"{int(worst['interleavings']):,} of {int(answer.runs['interleavings'][0]):,}"
    return answer.verdict, f"{worst['severity']} {worst['outcome']}", share


def _flat(text: str) -> str:
    return " ".join(text.split())


def page() -> str:
    """The text of docs/zoo.md."""
    out = [
        _HEAD.format(cpus=GRID["cpus"])
        + "| entry | parameter | verdict | worst outcome | of all interleavings | shortest |"
    ]
    out.append("|---|---|---|---|---:|---:|")
    for entry in entries():
        for number, (value, answer) in enumerate(entry.answers.items()):
            name = entry.name if number == 0 else ""
            steps = f"{answer.outcomes['shortest_steps'][0]} steps"
            out.append(f"| {' | '.join((name, value, *_worst(answer), steps))} |")
    for entry in entries():
        out += ["", f"## {entry.name}", "", f"{entry.title} {entry.what}", ""]
        out += [f"- {name}: {said}" for name, said in entry.lines.items() if name != "Shows"]
        before = next(iter(entry.answers.values()))
        trace = before.traces[entry.lines["Shows"]]
        command = f"tdxexplore check {entry.subject} --cpus {GRID['cpus']}"
        out += ["", "```text", f"$ {command}", trace.to_text(width=100, ascii_only=False), "```"]
    return "\n".join([*out, ""])
