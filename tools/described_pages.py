"""The reference pages of the manual that are made from structures: what is asked, counts, sweep files, exit codes, JSON; designs.

`pages` writes them with the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tdxexplore import check
from tdxexplore.cli import COMMANDS, exits, output
from tdxexplore.data.schema import TABLES
from tdxexplore.explore.settings import DESCRIBED, Settings, having
from tdxexplore.quantities import COUNTS
from tdxexplore.render.examples import declared, models
from tdxexplore.render.figures import fraction, integer
from tdxexplore.render.markdown import table
from tdxexplore.sweep import spec
from tdxexplore.tdx.fields import MODULE_TEXTS
from tdxexplore.tdx.outcomes import SEVERITY_TEXTS
from tdxexplore.tdx.policies import ALIASES, BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tdxexplore.model.properties import Property, Response

_ROOT = Path(__file__).parent.parent
_MADE = "`make docs` writes this page."

# What the page of counts shows: a question in which share and probability go different ways.
SHOWN = ("v19", "subset", "kvm-reload")
_COUNTS = """# What the counts mean

An answer has a line for each outcome, with these figures:
"""
_SHARE = """## Share against probability

Both measure the same runs. The share counts each run once. For the probability a scheduler chooses, in each state, among the
steps that are enabled, each with the same chance: a run with few choices on its way weighs more than one with many.

`tdxexplore check {policy} --module {module} --scenario {scenario} --cpus N`:
"""
_READING = """With more CPUs the share of `td-error` grows, and its probability falls. Neither says how often a machine comes
there: a kernel's scheduler is not uniform, and hotplug is rare. Both say for certain whether it
can happen: it can where they are not 0.

Compare shares with shares, and of questions with the same actors: a design with more steps has more runs. Where one of the two
figures decides between designs, look at the other one as well, and at the trace.

## Exact integers

Interleavings and concrete states are integers of any size, and are exact. Tables and `--json` have them as decimal digits;
[the data set](../dataset.md) says how to compute with them. [How exactness is established](../exactness.md) says why to believe
them.
"""


def pages() -> dict[str, str]:
    """Every page of this kind, by its path in the folder."""
    return {
        "designs.md": designs(),
        "reference/questions.md": questions(),
        "reference/counts.md": counts(),
        "reference/sweep-file.md": sweep_file(),
        "reference/commands.md": commands(),
        "reference/exit-codes.md": exit_codes(),
        "reference/json.md": json_documents(),
    }


def designs() -> str:
    """The built-in designs, a line each, with their pages; and the pages of answers."""
    names = {name: [alias for alias, of in ALIASES.items() if of == name] for name in BUILT_IN}
    rows = [
        (", ".join([f"[{name}](policies/{name}.md)", *names[name]]), policy.title, policy.source)
        for name, policy in BUILT_IN.items()
    ]
    lines = [
        "# Designs and answers",
        "",
        "Each page sets a design's steps beside the kernel functions that they stand for.",
        "",
    ]
    lines += table(("design", "what it does", "source"), rows)
    lines += ["## Answers", ""]
    lines += table(
        ("page", "what it says"),
        [
            (
                "[Worst outcomes](outcomes.md)",
                "what each outcome means; every design, module kind and scenario on 4 CPUs",
            ),
            (
                "[Causes](causes.md)",
                "which orders of steps have the outcome of a cell of S0 to S3, and no other run has it",
            ),
            ("[What each design changes](changes.md)", "outcomes that come and go from design to design"),
            ("[What stays possible](liveness.md)", "what can be lost for good when everything goes on without end"),
            ("[Known bugs](known.md)", "what was reported in this field, with the command that shows it"),
        ],
    )
    lines += [
        "## Module kinds",
        "",
        *table(("kind", "what it assumes"), [(f"`{kind}`", f"{text}.") for kind, text in MODULE_TEXTS.items()]),
    ]
    inside = _toctree("outcomes", "causes", "changes", "liveness", "known", *(f"policies/{name}" for name in BUILT_IN))
    return "\n".join([*lines, _MADE, "", *inside])


def questions() -> str:
    """What is asked of every model: outcomes, invariants, expectations, responses, prices."""
    found = declared()
    invariants = {p.name for model in models() for p in model.invariants}
    outcomes = [p for p in found if p.name not in invariants]
    lines = [
        "# What is asked of every model",
        "",
        "[Worst outcomes](../outcomes.md#outcomes-and-invariants) explains each outcome and invariant, with a command that shows",
        "it. A terminal state gets the most severe outcome that matches.",
        "",
        "## Severities",
        "",
        *table(("severity", "what it means"), _items(SEVERITY_TEXTS)),
        "## Outcomes",
        "",
        *table(
            ("name", "severity", "text", "ends the run"), [(*_named(p), "yes" if p.fatal else "") for p in outcomes]
        ),
        "## Invariants",
        "",
        "They hold in every reachable state, or `check` says so. No deadlock (I6) is an outcome, I8 a response.",
        "",
        *table(("name", "severity", "text"), [_named(p) for p in found if p.name in invariants]),
        "## Expectations",
        "",
        "Some reachable state meets each, or the answer is *vacuous*: what should happen never does.",
        "",
        *table(
            ("name", "text"), [(f"`{p.name}`", p.text) for p in _first(p for m in models() for p in m.expectations)]
        ),
        "## Responses",
        "",
        "They are asked for only with a budget that never ends: used-up budgets make everything impossible in the end.",
        "",
        *table(("name", "severity", "text"), _responses()),
        "## Prices",
        "",
        "`check --prices` gives the mean, the least and the most of each over all interleavings with the same outcome.",
        "",
        *table(("name", "what is counted"), [(f"`{p.name}`", p.text) for p in models()[0].prices]),
    ]
    return "\n".join([*lines, _MADE, ""])


def counts() -> str:
    """What each figure counts; share and probability, with measured figures; what `-` says."""
    policy, module, scenario = SHOWN
    rows = []
    for cpus in (2, 4, 8, 16):
        answer = check(policy, module="subset", scenario=scenario, cpus=cpus)
        for row in answer.outcomes.iter_rows(named=True):
            figures = fraction(row["interleaving_share"]), fraction(row["probability"])
            rows.append((str(cpus), f"`{row['outcome']}`", integer(row["interleavings"]), *figures))
    lines = [
        *_COUNTS.split("\n"),
        *table(("figure", "what it is"), [(name, f"{text}.") for name, text in COUNTS.items()]),
        *_SHARE.format(policy=policy, module=module, scenario=scenario).split("\n"),
        *table(("CPUs", "outcome", "interleavings", "share", "probability"), rows),
        *_READING.split("\n"),
        _MADE,
        "",
    ]
    return "\n".join(lines)


def sweep_file() -> str:
    """The keys of a sweep file, and a file that has most of them."""
    settings = [
        (f"`{each.name}`", each.doc, _default(each.name))
        for each in DESCRIBED
        if each.name in having("identity", "limit")
    ]
    lines = [
        "# Sweep files",
        "",
        "TOML. Everything in it is checked before anything runs; [sweeps](../sweeps.md) says how to run it.",
        "",
        *table(("key", "what it is"), _items(spec.TOP)),
        "## `[grid]` and `[[exclude]]`",
        "",
        'Each axis takes one value, a list, or `"all"`, and an axis of numbers also a range. A table of `[[exclude]]` names at',
        "least one of them.",
        "",
        *table(("key", "what it is"), _items(spec.AXES)),
        "## `[check]`",
        "",
        *table(("key", "what it does", "default"), settings),
        "## An example",
        "",
        "`sweeps/late_cpus.toml`:",
        "",
        "```toml",
        (_ROOT / "sweeps" / "late_cpus.toml").read_text().rstrip(),
        "```",
        "",
        _MADE,
        "",
    ]
    return "\n".join(lines)


def commands() -> str:
    """The commands, and the settings that most of them share."""
    settings = [(f"`--{each.name.replace('_', '-')}`", each.doc, each.role) for each in DESCRIBED]
    lines = [
        "# Commands",
        "",
        "`tdxexplore COMMAND --help` has the options of each.",
        "",
        *table(("command", "what it does"), [(f"`{name}`", text) for name, text in COMMANDS.items()]),
        "## Settings of a search",
        "",
        "Whatever explores takes them: as an option here, as an argument in Python, under `[check]` in a",
        "[sweep file](sweep-file.md). An *identity* decides the answer, a *limit* only how far an incomplete search goes, a",
        "*resource* neither.",
        "",
        *table(("option", "what it does", "role"), settings),
        _MADE,
        "",
    ]
    return "\n".join(lines)


def exit_codes() -> str:
    """The exit codes, and how several verdicts become one."""
    order = ", ".join(f"`{verdict}`" for verdict in exits.OF_VERDICT)
    lines = [
        "# Exit codes",
        "",
        *table(("code", "when"), [(str(code), f"{text}.") for code, text in exits.CODES.items()]),
        f"Of several answers together (`compare`), the first of these verdicts that one of them has gives the code: {order}.",
        "With 2 and 4 there is no result on stdout; after an interruption there is what was seen until then.",
        "",
        _MADE,
        "",
    ]
    return "\n".join(lines)


def json_documents() -> str:
    """The keys of each command's JSON document."""
    lines = [
        "# JSON",
        "",
        f"With `--json` a command prints one document. `schema_version` is {output.SCHEMA_VERSION}; the other keys are below.",
        f"Rows have the columns of the tables {', '.join(f'`{name}`' for name in TABLES)}; [the data set](../dataset.md)",
        "explains them.",
        "Exact integers of any size are texts of decimal digits. What was not measured is null.",
        "",
    ]
    for command, keys in output.DOCUMENTS.items():
        lines += [f"## {command}", "", *table(("key", "what it holds"), _items(keys))]
    lines += [
        "`check --to json` and `replay --to json` write one trace instead, with the initial state and every field after each",
        "step.",
        "",
        _MADE,
        "",
    ]
    return "\n".join(lines)


def _named(p: Property | Response) -> tuple[str, str, str]:
    return f"`{p.name}`", p.severity, p.text


def _responses() -> list[tuple[str, str, str]]:
    """A row each; those that there are for every actor in one."""
    rows = [_named(p) for p in _first(p for model in models() for p in model.responses)]
    alike = {(text, severity): name for name, severity, text in reversed(rows)}
    each = {text: len([1 for row in rows if row[2] == text]) for _, _, text in rows}
    return [
        ("`ACTOR-finishes`" if each[text] > 1 else name, severity, text)
        for (text, severity), name in reversed(alike.items())
    ]


def _first(found: Iterable[Property | Response]) -> list[Property | Response]:
    """Each once, by its name."""
    return list({p.name: p for p in found}.values())


def _items(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", f"{text}.") for name, text in texts.items()]


def _default(name: str) -> str:
    value = spec.DEFAULTS.get(name, getattr(Settings(), name))
    return "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _toctree(*names: str) -> list[str]:
    return ["```{toctree}", ":hidden:", "", *names, "```", ""]
