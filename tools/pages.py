"""The generated pages of the documentation: ``python tools/pages.py [FOLDER]``, or ``make docs``.

- ``policies/NAME.md``: the steps of a policy beside the kernel functions that they stand for, and what was left out;
- ``outcomes.md``: what each outcome and invariant means, and the worst outcome of every policy, module kind and scenario;
- ``known.md``: bugs that were reported or found, and the commands that show them (`known_page`);
- ``zoo.md``: bugs of other protocols, each a model before and after its fix (`zoo_page`);
- ``kernel-results.md``: the schedules that were run in a kernel (`kernel_page`);
- ``causes.md``: why each bad cell of ``outcomes.md`` is bad (`why_page`);
- ``faults.md``: what the user sees when something fails (`faults_page`);
- ``liveness.md``: what every policy can lose for good when everything goes on without end;
- ``answers.svg``: the picture of the README (`picture`);
- ``dataset.md``: the tables of a data set and how to read them;
- ``changes.md``: what each design changes against the one before, and each alternative against the patch that it answers;
- ``designs.md``, ``reference/*.md``: the list of designs and the reference (`described_pages`, `reference_pages`).

The tests compare the folder with what this writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import dataset_page
import described_pages
import faults_page
import kernel_page
import known_page
import meanings_page
import picture
import reference_pages
import why_page
import zoo_page
from tdxexplore.explore.check import check
from tdxexplore.explore.difference import Difference
from tdxexplore.model import Topology
from tdxexplore.render.figures import fraction
from tdxexplore.render.markdown import table
from tdxexplore.render.subject_page import policy_page
from tdxexplore.tdx.fields import MODULE_KINDS, UNBOUNDED, ModuleKind
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import HOTPLUG, SCENARIOS, Scenario

if TYPE_CHECKING:
    from tdxexplore.tdx.policy import Policy

TOPOLOGY = Topology((2, 2))
LONGEST = 10**15

# Where a page of a policy says what the mechanics leave out that all policies share.
SHARED = "[abstractions](../abstractions.md)"

# What goes on without end on the page of liveness, with two CPUs.
_RELOADS = ("kvm_load", "kvm_unload", "cpu_up", "cpu_down")
ENDLESS = {
    "late-online": _RELOADS,
    "suspend": (*_RELOADS, "suspend"),
    "second-user": (*_RELOADS, "second_user"),
    "kexec": (*_RELOADS, "kexec"),
}
_LIVENESS = """# What stays possible

KVM is loaded and unloaded and CPUs come and go without end, on 2 CPUs. Of every state that can be reached this asks: once
all CPUs are online, can TDX still be enabled (`I8`, in CTL: AG (all online -> EF TDX is up))? Can everything that was begun
come to an end (`kvm-finishes`: a load or unload of KVM; `hotplug-finishes`: a CPU that comes or goes), if every actor that
can go on again and again does so (strong fairness)?

A cell says what can be lost for good, after how many steps at the soonest, and the cause: the smallest set of values of global
fields that every run keeps from there on and that rules the goal out, as no state with all of them leads to the goal. The steps
at which actors stay are such values too. Where the goal cannot be reached from any state, the cause is every field that has
changed for good. `lost: nothing` says that all of it stays possible for ever. Where runs end although their environment goes on,
the probability of each end follows (absorption, when every step that is possible is as likely as any other). An oops is such an
end, and says more than that something does not come to an end: where every fair run comes to one, nothing else counts as lost.

`tdxexplore check POLICY --cpus 2 --scenario SCENARIO --budget NAME=unbounded ...` prints the same with the shortest trace to a
state in which it is lost.

`make docs` writes this page.
"""

# From design to design: the line of what was merged or posted for merging, and the alternatives of April 2024, which answer
# v19.
STEPS = (
    ("v7-2022", "v17"),
    ("v17", "v19"),
    *(
        ("v19", name)
        for name in (
            "inner-enable",
            "inner-enable-kvm-hook",
            "hook-after-kvm",
            "hook-before-users",
            "dyn-hook-if-enabled",
            "kvm-hook-lp-init",
        )
    ),
    ("v19", "linux-6.16"),
    ("linux-6.16", "linux-7.1-rfc-v1"),
    ("linux-7.1-rfc-v1", "linux-7.1"),
    ("linux-7.1", "linux-7.2-update"),
)
COMPARED = (*(scenario.name for scenario in HOTPLUG), "maxcpus", "suspend", "kexec", "second-user")
COMPARED_KINDS: tuple[ModuleKind, ...] = ("strict", "subset")
_CHANGES = """# What each design changes

2 CPUs in one package, knobs and budgets at their defaults. A cell says which outcomes the second design adds (+) and which it
removes (-), with the share of all interleavings that end so: in the second design for what is added, in the first one for what
is removed. Outcomes that both reach are left out, whatever their shares.

`tdxexplore diff A B --scenario SCENARIO` prints the same with counts, and the shortest schedule that A survives and B does not.

`make docs` writes this page.
"""


def pages() -> dict[str, str]:
    """Every generated page, by its path in the folder."""
    found = {f"policies/{name}.md": policy_page(policy, SHARED) for name, policy in BUILT_IN.items()}
    found["dataset.md"] = dataset_page.page()
    found["known.md"] = known_page.page()
    found["zoo.md"] = zoo_page.page()
    found["causes.md"] = why_page.page()
    found["kernel-results.md"] = kernel_page.page()
    found["faults.md"] = faults_page.page()
    found["answers.svg"] = picture.picture()
    found |= described_pages.pages() | reference_pages.pages()
    return {**found, "outcomes.md": outcomes_page(), "liveness.md": liveness_page(), "changes.md": changes_page()}


def outcomes_page() -> str:
    """The worst outcome of every policy, module kind and scenario."""
    return "\n".join([outcomes_head(), *(outcomes_section(policy) for policy in BUILT_IN.values())])


def outcomes_head() -> str:
    """What the table shows."""
    text = [
        "# Worst outcomes",
        "",
        f"{TOPOLOGY.cpus} CPUs in packages of {TOPOLOGY}; knobs and budgets at their defaults. A cell gives the severity",
        "and name of the worst outcome that is reachable, in how many of all interleavings it happens, and the",
        "invariants that fail. A design without run-time update has no row for the scenarios of updates.",
        "",
        "`make docs` writes this page.",
        "",
    ]
    scenarios = table(("scenario", "what happens"), [(s.name, s.text) for s in SCENARIOS.values()])
    meanings = table(("name", "severity", "what it means", "an example"), meanings_page.rows())
    return "\n".join([*text, *scenarios, *meanings_page.head(), *meanings])


def outcomes_section(policy: type[Policy]) -> str:
    """The table of one policy."""
    possible = [scenario for scenario in SCENARIOS.values() if not scenario.cannot_happen(policy())]
    rows = [(s.name, *(_worst(policy, module, s) for module in MODULE_KINDS)) for s in possible]
    heads = ("scenario", *MODULE_KINDS)
    return "\n".join([f"## {policy.name}", "", *table(heads, rows)])


def liveness_page() -> str:
    """What can be lost for good, of every policy."""
    return "\n".join([liveness_head(), *(liveness_section(policy) for policy in BUILT_IN.values())])


def liveness_head() -> str:
    """What is asked, and how to read the table."""
    rows = [(name, SCENARIOS[name].text, ", ".join(budgets)) for name, budgets in ENDLESS.items()]
    return "\n".join([*_LIVENESS.split("\n"), *table(("scenario", "what happens", "without end"), rows)])


def liveness_section(policy: type[Policy]) -> str:
    """The table of one policy."""
    rows = [(name, *(_lost(policy, module, name) for module in MODULE_KINDS)) for name in ENDLESS]
    return "\n".join([f"## {policy.name}", "", *table(("scenario", *MODULE_KINDS), rows)])


def changes_page() -> str:
    """What each design changes."""
    return "\n".join([_CHANGES, *(changes_section(a, b) for a, b in STEPS)])


def changes_section(before: str, after: str) -> str:
    """The table of one step from design to design: a row for each scenario in which outcomes come or go."""
    rows, same = [], []
    for scenario in COMPARED:
        cells = [_change(before, after, module, scenario) for module in COMPARED_KINDS]
        if any(cells):
            rows.append((scenario, *(cell or "the same outcomes" for cell in cells)))
        else:
            same.append(scenario)
    lines = [f"## {before} to {after}", ""]
    if rows:
        lines += table(("scenario", *COMPARED_KINDS), rows)
    if same:
        lines += [f"The same outcomes: {', '.join(same)}.", ""]
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Write every page; files of policies that are gone are removed."""
    written = pages()
    for inner in ("policies", "reference"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    for old in (folder / "policies").glob("*.md"):
        if f"policies/{old.name}" not in written:
            old.unlink()
    for name, text in written.items():
        (folder / name).write_text(text)


def _worst(policy: type[Policy], module: ModuleKind, scenario: Scenario) -> str:
    answer = check(
        policy,
        module=module,
        cpus=TOPOLOGY.cpus,
        packages=TOPOLOGY.packages,
        scenario=scenario.name,
    )
    row = answer.outcomes.row(0, named=True)
    total = sum(map(int, answer.outcomes["interleavings"]))
    here = int(row["interleavings"])
    share = "all" if here == total else f"{_count(here)} of"
    failed = [r["invariant"] for r in answer.invariants.to_dicts() if r["schedule"] is not None]
    broken = f"; {', '.join(failed)} fail{'s' * (len(failed) == 1)}" if failed else ""
    return f"{row['severity']} {row['outcome']}: {share} {_count(total)}{broken}"


def _lost(policy: type[Policy], module: ModuleKind, scenario: str) -> str:
    budgets = dict.fromkeys(ENDLESS[scenario], UNBOUNDED)
    answer = check(policy, module=module, cpus=2, scenario=scenario, budgets=budgets)
    lost = [
        f"{row['response']} after {row['shortest_steps']} steps ({row['cause']})"
        for row in answer.responses.drop_nulls("schedule").iter_rows(named=True)
    ]
    # That a run goes on for ever is what this page asks for: only other ends are named.
    for_ever = {p.name for p, _ in answer.question.compile().program.outcomes if p.diverges}
    ends = [
        f"ends in {row['severity']} {row['outcome']} with probability {fraction(row['probability'])}"
        for row in answer.outcomes.iter_rows(named=True)
        if row["outcome"] not in for_ever
    ]
    return "; ".join(["lost: " + (", ".join(lost) or "nothing"), *ends])


def _change(before: str, after: str, module: ModuleKind, scenario: str) -> str:
    a, b = (check(name, module=module, cpus=2, scenario=scenario) for name in (before, after))
    changed = Difference(a, b).outcomes.filter(pl.col("change") != "kept")
    return ", ".join(
        f"+ {row['severity']} {row['outcome']} {fraction(row['interleaving_share_b'])}"
        if row["change"] == "added"
        else f"- {row['severity']} {row['outcome']} {fraction(row['interleaving_share_a'])}"
        for row in changed.iter_rows(named=True)
    )


def _count(number: int) -> str:
    return f"{number:,}" if number < LONGEST else f"{number:.3e}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the generated pages.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs"))
    write(parser.parse_args().folder)
