"""Short explanations for `tdxexplore help`, from the structures that decide what they explain.

A topic is a list of terms with their texts; the name of an outcome, a scenario, a policy and so on is a topic of its own. A
name may mean several things: `suspend` is a scenario and a budget.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from tdxexplore.errors import BadModel
from tdxexplore.quantities import COUNTS, SHARE_AND_PROBABILITY
from tdxexplore.render.examples import EXAMPLES, declared
from tdxexplore.render.terminal import console, table
from tdxexplore.tdx.fields import BUDGETS, MAX_BUDGET, MAY_BE_UNBOUNDED, MODULE_TEXTS
from tdxexplore.tdx.outcomes import MEANINGS, SEVERITY_TEXTS
from tdxexplore.tdx.policies import ALIASES, BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tdxexplore.model.properties import Property
    from tdxexplore.tdx.policy import Policy
    from tdxexplore.tdx.scenarios import Scenario

FILES = {
    "path/to/file.py:NAME": "a policy or a model of your own: NAME is that of the class or of the policy, of the model or of the "
    "function that returns one; `tdxexplore new` writes a start, `tdxexplore describe` shows what was recorded",
    "SPEC.toml": "a sweep file: a grid of questions and how each is explored, for `tdxexplore sweep` and `tdxexplore compare`",
    "DIR/TABLE/policy=NAME/module=KIND/*.parquet": "a data set, which `tdxexplore sweep --out DIR` writes and `tdxexplore "
    "analyze` reads; any reader of Parquet reads it",
    "report.html": "a data set as one page, which needs no network: `tdxexplore report DIR`",
    "DIR/*.parquet": "the tables of one comparison: `tdxexplore compare --out DIR`",
    "FILE.jsonl": "a recording of a real kernel: `tdxexplore kernel record`",
}
"""The files that commands read and write."""

_NEAREST = 3
_INDENT = 2


@dataclass(frozen=True, slots=True)
class Topic:
    """What is said about a topic.

    Attributes:
        title: A line.
        terms: What is explained, each with its text.
        text: What is said before that.
    """

    title: str
    terms: tuple[tuple[str, str], ...] = ()
    text: str = ""


def print_topics(more: Mapping[str, Topic]) -> None:
    """Which topics there are.

    Args:
        more: Topics that are known elsewhere.
    """
    rows = [(f"help {name}", topic.title) for name, topic in {**_topics(), **more}.items()]
    named = "an outcome, a scenario, a knob or another name that an answer shows"
    _print(Topic("tdxexplore help TOPIC", (*rows, ("help NAME", named))))
    console().print("`tdxexplore COMMAND --help` explains the options of a command; `make docs` builds the manual.")


def print_topic(name: str, more: Mapping[str, Topic]) -> None:
    """One topic, or everything that a name means.

    Raises:
        BadModel: There is no such topic; the message has the nearest names.
    """
    topics = {**_topics(), **more}
    found = [topics[name]] if name in topics else list(_named(name)) or list(_among(topics, name))
    if not found:
        terms = (term for topic in topics.values() for term, _ in topic.terms)
        known = sorted(
            {*topics, *terms, *MEANINGS, *SCENARIOS, *BUDGETS, *MODULE_TEXTS, *BUILT_IN, *ALIASES, *_knobs()}
        )
        near = difflib.get_close_matches(name, known, n=_NEAREST, cutoff=0.3)
        hint = f"did you mean {' or '.join(f'`{other}`' for other in near)}? " if near else ""
        raise BadModel(f"help has no topic `{name}`; {hint}`tdxexplore help` lists the topics")
    for number, topic in enumerate(found):
        if number:
            console().print()
        _print(topic)


def _among(topics: Mapping[str, Topic], name: str) -> Iterator[Topic]:
    """What topics say of a term, such as a figure or a verdict."""
    for about, topic in topics.items():
        for term, text in topic.terms:
            if name in term.split(", "):
                yield Topic(f"{term}, of `tdxexplore help {about}`", text=f"{text}.")


def _topics() -> dict[str, Topic]:
    kinds = Topic("Module kinds: which behaviour of the TDX module is assumed (--module)", tuple(MODULE_TEXTS.items()))
    scenarios = tuple((s.name, s.text) for s in SCENARIOS.values())
    budgets = tuple((name + "*" * (name in MAY_BE_UNBOUNDED), text) for name, text in BUDGETS.items())
    limits = f"--budget NAME=N, N up to {MAX_BUDGET}; * also NAME=unbounded"
    counts = tuple((name.strip("`"), text) for name, text in COUNTS.items())
    return {
        "outcomes": Topic("Outcomes: how runs end, the most severe first", tuple(_listed("outcome"))),
        "severities": Topic("Severities: how bad an outcome is", tuple(SEVERITY_TEXTS.items())),
        "invariants": Topic(
            "Invariants: what holds in every state, or `check` says where not", tuple(_listed("invariant"))
        ),
        "policies": Topic("Policies: the built-in designs", tuple((n, p.title) for n, p in BUILT_IN.items())),
        "module-kinds": kinds,
        "scenarios": Topic("Scenarios: what happens around bring-up (--scenario)", scenarios),
        "budgets": Topic(f"Budgets: how often something may happen ({limits})", budgets),
        "knobs": Topic("Knobs: what the source of a design leaves open (--set KNOB=VALUE)", tuple(_knobs().items())),
        "counts": Topic("Counts: what the figures of an answer say", counts, f"{SHARE_AND_PROBABILITY}."),
        "files": Topic("Files: what commands read and write", tuple(FILES.items())),
    }


def _named(name: str) -> Iterator[Topic]:
    """Everything that a name means."""
    if name in MEANINGS:
        yield _meaning(next(p for p in declared() if p.name == name))
    if name in SCENARIOS:
        yield _scenario(SCENARIOS[name])
    if name in BUDGETS:
        unbounded = ", or unbounded" if name in MAY_BE_UNBOUNDED else ""
        yield Topic(f"{name}: a budget (--budget {name}=N, N up to {MAX_BUDGET}{unbounded})", text=f"{BUDGETS[name]}.")
    for kind, text in MODULE_TEXTS.items():
        if kind == name:
            yield Topic(f"{name}: a module kind (--module {name})", text=f"{text}.")
    if name in _knobs():
        yield _knob(name)
    if (known := ALIASES.get(name, name)) in BUILT_IN:
        yield _policy(BUILT_IN[known])


def _listed(kind: str) -> Iterator[tuple[str, str]]:
    """Names and texts of outcomes, or of invariants, which are called I and a number."""
    for p in declared():
        invariant = re.fullmatch(r"I\d+", p.name) is not None
        if invariant == (kind == "invariant"):
            yield p.name, p.text if invariant else f"{p.severity:<3} {p.text}"


def _meaning(p: Property) -> Topic:
    meaning = re.sub(r"\[(\w+)\]\(\w+\.md\)", r"the page \1", MEANINGS[p.name])
    shown = f"tdxexplore check {EXAMPLES[p.name]}" if p.name in EXAMPLES else "no built-in design shows it"
    return Topic(f"{p.name} ({p.severity}): {p.text}", (("an example", shown),), meaning)


def _scenario(scenario: Scenario) -> Topic:
    budgets = ", ".join(f"{name}={number}" for name, number in scenario.budgets.items())
    boots = {"all": "", "one": "maxcpus=1: all CPUs but one", "primaries": "nosmt: the second half of each package"}
    offline = boots[scenario.boots] or ("the last CPU" if scenario.offline == 1 else "")
    rows = [("budgets", budgets)]
    if offline:
        when = ", until KVM has tried to load" if scenario.up_after_load else ""
        rows.append(("offline at first", offline + when))
    if scenario.budgets.get("cpu_down"):
        down = {
            "any-time": "at any time",
            "before-load": "before the load of KVM",
            "from-load-on": "from the load of KVM on",
        }
        rows.append(("CPUs go offline", down[scenario.down]))
    rows.append(("CPUs", f"at least {scenario.least_cpus}"))
    return Topic(f"{scenario.name}: a scenario (--scenario {scenario.name})", tuple(rows), f"{scenario.text}.")


def _knobs() -> dict[str, str]:
    """Each knob with what is chosen, of the first design that has it."""
    found: dict[str, str] = {}
    for policy in BUILT_IN.values():
        for knob in policy.knobs:
            found.setdefault(knob.name, knob.text)
    return found


def _knob(name: str) -> Topic:
    values: dict[tuple[str, str], list[str]] = {}
    for policy in BUILT_IN.values():
        for knob in policy.knobs:
            if knob.name == name:
                values.setdefault((f"{name}={'|'.join(knob.values)}", knob.text), []).append(policy.name)
    rows = ((how, f"{text}; of {', '.join(names)}") for (how, text), names in values.items())
    return Topic(f"{name}: a knob, its default first (--set {name}=VALUE)", tuple(rows))


def _policy(policy: type[Policy]) -> Topic:
    knobs = tuple((f"--set {knob.name}={'|'.join(knob.values)}", knob.text) for knob in policy.knobs)
    more = f"tdxexplore describe {policy.name}"
    return Topic(f"{policy.name}: {policy.title}", (("source", policy.source), *knobs, ("its steps", more)))


def _print(topic: Topic) -> None:
    out = console()
    out.print(Text(topic.title, "bold"), soft_wrap=False)
    if topic.text:
        out.print(Padding(Text(topic.text), (0, 0, 0, _INDENT)), soft_wrap=False)
    shown = table()
    shown.show_header = False
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for term, text in topic.terms:
        shown.add_row(f"{' ' * _INDENT}{term}", Text(text))
    if topic.terms:
        out.print(shown)
