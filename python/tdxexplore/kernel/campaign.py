"""Many schedules of many questions in a kernel, and the file of what came of it.

The file has a JSON line for each question: its fields; ``version`` of the kernel; ``interleavings`` that can be run; ``blocks``,
how often an actor was seen to block, its stack that of the lock; ``agree``, schedules by their outcome; ``disagree``, with what
differs. A line of a bug that is shown has ``shows``, and what the kernel ``said``: its reports, and stacks of who blocked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

from tdxexplore.bounded import at_most
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.kernel.litmus import Litmus, Session
from tdxexplore.model import Model
from tdxexplore.tdx.policy_file import import_file
from tdxexplore.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tdxexplore.kernel.packages import Kernel
    from tdxexplore.kernel.toolchain import Toolchain
    from tdxexplore.tdx.fields import ModuleKind

DESIGNS = (
    "v7-2022",
    "v17",
    "v19",
    "inner-enable",
    "inner-enable-kvm-hook",
    "hook-after-kvm",
    "hook-before-users",
    "dyn-hook-if-enabled",
    "kvm-hook-lp-init",
    "linux-6.16",
    "linux-7.1-rfc-v1",
    "linux-7.1",
    "linux-7.2-update",
)
SEED = 1
# A kernel has so many modules of questions in its initramfs at most.
AT_ONCE = 60


@dataclass(frozen=True, slots=True)
class Part:
    """Questions that differ in the design and the scenario.

    Attributes:
        scenarios: Their names.
        most: A question with no more interleavings is run with all of them; of any other so many are drawn.
        designs: Their names.
        module: TDX-module kind of the mock.
        cpus: CPUs.
    """

    scenarios: tuple[str, ...]
    most: int
    designs: tuple[str, ...] = DESIGNS
    module: ModuleKind = "strict"
    cpus: int = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A known bug: one schedule that ends as it does.

    Attributes:
        name: What is shown.
        policy: The design.
        scenario: The scenario.
        outcome: How the run ends.
        step: Words of a step of it.
        fields: Further fields of the question.
    """

    name: str
    policy: str
    scenario: str
    outcome: str
    step: str
    fields: dict[str, Any] = field(default_factory=dict)


SOME = ("v19", "hook-before-users", "linux-6.16", "linux-7.1")
PARTS = (
    Part(("kvm-reload", "no-kvm"), 60),
    Part(("offline-mid-enable", "online-mid-enable", "fault-vmxon"), 20),
    Part(("late-online", "second-enable", "online-mid-enable"), 10, SOME, module="subset"),
    Part(("fault-seamcall", "second-user", "td-life"), 8, SOME),
    Part(("offline-mid-enable", "fault-vmxon"), 10, SOME, cpus=3),
    Part(("update", "update-offline-lp", "fault-update"), 20, ("linux-7.2-update",)),
)
TWO, THREE, SUBSET, UNFIXED = (
    {"packages": 2},
    {"cpus": 3},
    {"module": "subset"},
    {"knobs": {"late_check": "fails-unfixed"}},
)
# KVM's first VM turns VMX on for a CPU: neither the pass at load nor the callback has seen it come.
MISSED = "td CPU 1: IPI hardware_enable_nolock() -> VMXON"
SHOWN = (
    Shown("recursive cpus_read_lock()", "dyn-hook-if-enabled", "offline-mid-enable", "deadlock", "echo 0"),
    Shown("a CPU between load pass and registration", "v19", "online-mid-enable", "td-error", MISSED, SUBSET),
    Shown("the veto of a package's last CPU", "linux-6.16", "td-life", "tdx-up", "offline vetoed", TWO),
    Shown("rollback of a CPU that comes", "linux-7.1", "fault-vmxon", "online-refused", ""),
    Shown("rollback of a registration", "hook-after-kvm", "fault-vmxon", "warned", "teardown (rollback)"),
    Shown(
        "BUG_ON: a teardown fails as its state is removed",
        "inner-enable",
        "fault-td-unload",
        "cpuhp-bug",
        "",
        TWO | THREE,
    ),
    Shown("BUG_ON: a state is removed that is none", "linux-6.16", "no-kvm", "cpuhp-bug", "", SUBSET | UNFIXED),
)


@dataclass(slots=True)
class Asked:
    """A question of the campaign: its fields, and what is run of it."""

    fields: dict[str, Any]
    shows: str = ""
    most: int = 0
    shown: Shown | None = None

    @property
    def key(self) -> str:
        """Names it in the file."""
        return json.dumps([self.shows, self.fields])

    def question(self) -> Question:
        """The question."""
        return Question.of(**self.fields)

    def schedules(self, litmus: Litmus) -> list[str]:
        """What is run."""
        if self.shown is not None:
            return [litmus.planner.first(self.shown.outcome, self.shown.step)]
        runs = litmus.planner.runs
        return list(runs) if runs.total <= self.most else list(dict.fromkeys(runs.draw(self.most, SEED)))


def questions() -> Iterator[Asked]:
    """All of the campaign, those of a session together."""
    for one in SHOWN:
        fields = {"policy": one.policy, "scenario": one.scenario, "module": "strict", "cpus": 2, **one.fields}
        yield Asked(fields, one.name, shown=one)
    for part in PARTS:
        for policy in part.designs:
            for scenario in part.scenarios:
                fields = {"policy": policy, "scenario": scenario, "module": part.module, "cpus": part.cpus}
                yield Asked(fields, most=part.most)


def models(path: Path, most: int) -> Iterator[Asked]:
    """A question for each model of a file: a function that wants no argument and says that it returns a `Model`.

    Args:
        path: The file.
        most: As of a `Part`.
    """
    module = import_file(path)
    names = [
        name
        for name, made in vars(module).items()
        if isinstance(made, FunctionType)
        and not name.startswith("_")
        and made.__module__ == module.__name__
        and made.__annotations__.get("return") in ("Model", Model)
        and made.__code__.co_argcount == len(made.__defaults__ or ())
    ]
    if not names:
        raise BadModel(f"{path} has no function that returns a `Model` and wants no argument")
    for name in names:
        policy = f"{path}:{name}"
        least = Question.of(policy).compile().model.least_cpus
        yield Asked({"policy": policy, "cpus": max(least, 1)}, most=most)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none if it does not exist.

    Raises:
        BadModel: It is another file.
    """
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in at_most(path, 1 << 26, "a file of results").decode().splitlines()]
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{path} is no file of results: {one_line(str(error), 200)}") from None
    if not all(isinstance(line, dict) and "question" in line for line in lines):
        raise BadModel(f"{path} is no file of results: a line has no `question`")
    return lines


def campaign(
    kernel: Kernel, tools: Toolchain, out: Path, tell: Callable[[str], None], asked: Iterable[Asked] | None = None
) -> None:
    """Run what the file has not yet, and append it."""
    done = {json.dumps([line.get("shows", ""), line["question"]]) for line in read(out)}
    todo = [one for one in (questions() if asked is None else asked) if one.key not in done]
    for cpus in sorted({one.fields["cpus"] for one in todo}):
        same = [one for one in todo if one.fields["cpus"] == cpus]
        for at in range(0, len(same), AT_ONCE):
            _session(kernel, tools, out, tell, same[at : at + AT_ONCE])


def _session(kernel: Kernel, tools: Toolchain, out: Path, tell: Callable[[str], None], asked: list[Asked]) -> None:
    litmuses = [Litmus(one.question()) for one in asked]
    tell(f"{len(asked)} modules are built")
    with Session(kernel, tools, litmuses) as session:
        for number, (one, litmus) in enumerate(zip(asked, litmuses, strict=True)):
            rows = [session.run(number, litmus.planner.plan(schedule)) for schedule in one.schedules(litmus)]
            agree: dict[str, list[str]] = {}
            for row in rows:
                if row.agrees:
                    agree.setdefault(row.observed, []).append(row.plan.schedule)
            line = {
                **({"shows": one.shows, "said": [said for row in rows for said in row.said]} if one.shows else {}),
                "question": one.fields,
                "version": kernel.version,
                "interleavings": str(litmus.planner.runs.total),
                "blocks": sum(row.blocks for row in rows),
                "agree": agree,
                "disagree": [row.document() for row in rows if not row.agrees],
            }
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            bad = len(line["disagree"])  # type: ignore[arg-type]
            tell(
                f"{one.question().command('check')}: {len(rows)} schedules, {bad or 'none'} disagree, {session.boots} boots"
            )
