"""The command line. stdout carries the result, stderr progress and messages; exit codes are mapped here and nowhere else.

0 holds, 1 violated, 2 usage or bad input, 3 incomplete, 4 internal error, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence  # noqa: TC003 -- cyclopts reads the annotations
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path  # noqa: TC003 -- cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import cyclopts
from cyclopts import App, Parameter

from tdxexplore._version import __version__
from tdxexplore.errors import BadModel, BadSchedule, InternalError, TdxExploreError, suggest
from tdxexplore.exploration import Exploration
from tdxexplore.exploration import check as explore
from tdxexplore.quantities import MEMORY, RANGES, memory, whole_numbers
from tdxexplore.question import Question
from tdxexplore.tdx.world import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from tdxexplore.dataset import Dataset, Skipped
    from tdxexplore.sweep.run import Plan
    from tdxexplore.sweep.spec import Spec
    from tdxexplore.tdx.world import ModuleKind

HOLDS, VIOLATED, USAGE, INCOMPLETE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 130
SCHEMA_VERSION = 1
T = TypeVar("T")

app = App(
    name="tdxexplore",
    help="Which TDX bring-up policy survives CPU hotplug? Explores every interleaving and answers exactly.",
    version=__version__,
    help_format="plaintext",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Point:
    """What is asked.

    Attributes:
        module: TDX-module kind: strict (public sources), subset or subset-nocheck.
        cpus: CPUs in all.
        packages: Packages (sockets) that the CPUs are spread over.
        scenario: What happens around bring-up; see `tdxexplore policies`.
        set: A knob of the policy, as KNOB=VALUE; may be repeated.
        budget: How often an environment action or a fault may happen, as NAME=N or NAME=unbounded; see
            `tdxexplore policies`; may be repeated.
    """

    module: str = "strict"
    cpus: int = 4
    packages: int = 1
    scenario: str = "all-online"
    set: Annotated[Sequence[str], Parameter(negative="")] = ()
    budget: Annotated[Sequence[str], Parameter(negative="")] = ()

    def question(self, policy: str) -> Question:
        """As the library takes it."""
        return Question.of(
            policy,
            module=cast("ModuleKind", self.module),  # checked where the model is built
            cpus=self.cpus,
            packages=self.packages,
            scenario=self.scenario,
            knobs=_pairs("--set", self.set, str),
            budgets=_pairs("--budget", self.budget, _budget),
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Limits:
    """How far and how.

    Attributes:
        space: orbit (CPUs counted by kind) or concrete (CPUs keep identities); both are exact.
        threads: Worker threads; default: all.
        max_states: Stop after so many stored states: incomplete.
        max_memory: Stop at so much memory: incomplete. Bytes, or with K, M, G.
        timeout: Stop after so many seconds: incomplete.
        fail_on: The least severe outcome that counts as a violation: S0 to S4.
        measures: Count interleavings and probabilities, or only states.
    """

    space: Literal["orbit", "concrete"] = "orbit"
    threads: int | None = None
    max_states: int | None = None
    max_memory: str | None = None
    timeout: float | None = None
    fail_on: Literal["S0", "S1", "S2", "S3", "S4"] = "S3"
    measures: bool = True

    def values(self) -> dict[str, Any]:
        """As the library takes them."""
        memory = None if self.max_memory is None else _bytes(self.max_memory)
        return {
            "space": self.space,
            "threads": self.threads,
            "max_states": self.max_states,
            "max_memory": memory,
            "timeout": self.timeout,
            "fail_on": self.fail_on,
            "measures": self.measures,
        }


@app.command
def policies() -> int:
    """List the designs, with their sources and knobs, and the scenarios."""
    from tdxexplore.render.text import print_policies  # noqa: PLC0415 -- keeps the other commands quick

    print_policies()
    return HOLDS


@app.command
def check(
    policy: str,
    *,
    point: Point = Point(),
    limits: Limits = Limits(),
    max_depth: int | None = None,
    prices: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Explore every interleaving of one policy.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        max_depth: Stop at this depth: incomplete.
        prices: Print what runs cost: SEAMCALLs, VMXON, IPIs, steps under locks.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    question = point.question(policy)
    with _progress("check", quiet=quiet or as_json) as show:
        answer = explore(
            policy,
            module=question.module,
            cpus=point.cpus,
            packages=point.packages,
            scenario=point.scenario,
            knobs=dict(question.knobs),
            budgets=dict(question.budgets),
            max_depth=max_depth,
            prices=prices,
            progress=show,
            **limits.values(),
        )
    if as_json:
        print(json.dumps(document(answer), indent=2))  # noqa: T201 -- the result
    else:
        from tdxexplore.render.text import print_exploration  # noqa: PLC0415 -- keeps --json quick

        print_exploration(answer)
    return _code([answer])


@app.command
def compare(
    *names: str,
    module: Annotated[Sequence[str], Parameter(negative="")] = (),
    scenario: Annotated[Sequence[str], Parameter(negative="")] = (),
    cpus: str = "4",
    packages: int = 1,
    limits: Limits = Limits(),
    out: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compare policies: the worst outcome in each cell of policies × module kinds × scenarios × CPU counts.

    Args:
        names: Built-in names, or path/to/file.py:NAME; default: all built-in ones.
        module: A module kind; may be repeated; default: all.
        scenario: A scenario; may be repeated; default: all.
        cpus: CPUs in all: a number, a list or a range, as 2,4 or 2-6.
        packages: Packages that the CPUs are spread over.
        out: Write the tables there as Parquet: outcomes, runs and matrix.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    from tdxexplore.comparison import compare as explore_all  # noqa: PLC0415 -- keeps check quick
    from tdxexplore.tdx.scenarios import SCENARIOS  # noqa: PLC0415
    from tdxexplore.tdx.world import MODULE_KINDS  # noqa: PLC0415

    counts = _numbers(cpus)
    if out is not None:
        _writable(out)
    with _progress("compare", quiet=quiet or as_json) as show:
        comparison = explore_all(
            names,
            modules=cast("tuple[ModuleKind, ...]", tuple(module)) or MODULE_KINDS,
            scenarios=tuple(scenario) or tuple(SCENARIOS),
            cpus=counts,
            packages=packages,
            progress=None
            if show is None
            else lambda done, total, last: show({"done": done, "total": total, "last": last}),
            **limits.values(),
        )
    if out is not None:
        for name in ("outcomes", "runs", "matrix"):
            _write(getattr(comparison, name), out / f"{name}.parquet")
    if as_json:
        rows = comparison.matrix.to_dicts()
        print(json.dumps({"schema_version": SCHEMA_VERSION, "complete": comparison.complete, "matrix": rows}, indent=2))  # noqa: T201
    else:
        from tdxexplore.render.text import print_matrix, print_trace  # noqa: PLC0415

        print_matrix(comparison.matrix)
        if (worst := comparison.worst) is not None and worst.worst is not None:
            print_trace(worst.traces[worst.worst], worst, f"the worst cell: shortest trace to {worst.worst}")
    return _code(comparison.explorations)


@app.command
def sweep(
    spec: Path,
    *,
    out: Path,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    dask: str | None = None,
    threads: int | None = None,
    verbose: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Explore the points of a sweep file into a data set; run again, it continues. Exits with 3 if a limit cut one short.

    Args:
        spec: The sweep file, TOML; `tdxexplore.sweep.spec` describes it.
        out: The data set: a folder.
        dry_run: Say how many points there are, the largest, and what is done; explore nothing.
        dask: Run on a Dask scheduler, as tcp://host:8786, or on a cluster of local processes: local.
        threads: Threads in all, default all; with --dask threads of each point, default 1.
        verbose: A line a point.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    from tdxexplore.sweep.run import plan  # noqa: PLC0415 -- keeps the others quick
    from tdxexplore.sweep.run import sweep as explore_points  # noqa: PLC0415
    from tdxexplore.sweep.spec import load  # noqa: PLC0415

    if threads is not None and threads < 1:
        raise BadModel(f"--threads is {threads}; at least 1 is needed")
    checked = load(spec)
    if dry_run:
        planned = plan(checked, out)
        _warn(planned.skipped)
        return _print_plan(checked, planned, out, as_json=as_json)
    from tdxexplore.render.progress import sweeping  # noqa: PLC0415

    watched = sys.stderr.isatty() and not quiet and not as_json
    with sweeping(quiet=not watched, verbose=verbose) as report, _executor(dask) as executor:
        summary = explore_points(
            checked, out, executor=executor, threads=threads, report=report, warn=lambda skipped: _warn([skipped])
        )
    if as_json:
        fields = ("total", "before", "finished", "incomplete", "verdicts", "explored", "seconds", "interrupted")
        failed = [{"command": p.question.command("check"), "error": e} for p, e in summary.failed]
        document = {"schema_version": SCHEMA_VERSION, **{f: getattr(summary, f) for f in fields}, "failed": failed}
        print(json.dumps(document, indent=2))  # noqa: T201 -- the result
    else:
        from tdxexplore.render.text import print_summary  # noqa: PLC0415

        print_summary(summary, out)
    for point, error in summary.failed:
        _complain(f"{point.question.command('check')}: {error}", USAGE)
    if summary.interrupted:
        return INTERRUPTED
    if summary.failed:
        return INTERNAL if summary.internal else USAGE
    return INCOMPLETE if summary.incomplete else HOLDS


@app.command
def compact(out: Path) -> int:
    """Merge the files of a data set: one a table and partition instead of one a point.

    Args:
        out: The data set.
    """
    from tdxexplore.dataset import compact as merge  # noqa: PLC0415 -- keeps the others quick

    before, after = merge(out)
    print(f"{out}: {before:,} files became {after:,}")  # noqa: T201 -- the result
    return HOLDS


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a data set.

    Attributes:
        worst: The worst outcome at each point.
        dominates: Which policy dominates which, by severity, share of interleavings, probability and price.
        cost: Stored states against the CPU count, and the exponent of their growth.
        smallest: The smallest CPU count at which an outcome appears: its name, or all.
        diff: What is different in another data set, as of a newer version.
        rank: The policies ranked for a module kind.
    """

    worst: Annotated[bool, Parameter(negative="")] = False
    dominates: Annotated[bool, Parameter(negative="")] = False
    cost: Annotated[bool, Parameter(negative="")] = False
    smallest: str | None = None
    diff: Path | None = None
    rank: str | None = None

    def option(self) -> str:
        """The one that was given."""
        given = [f"--{f.name}" for f in fields(self) if getattr(self, f.name) not in (None, False)]
        if len(given) != 1:
            allowed = ", ".join(f"--{f.name}" for f in fields(self))
            raise BadModel(f"given: {' '.join(given) or 'no question'}; one question is needed of: {allowed}")
        return given[0]


@app.command
def analyze(
    out: Path,
    *,
    asked: Asked = Asked(),
    fail_on: Literal["S0", "S1", "S2", "S3", "S4"] = "S3",
    table: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Ask a data set one question. Exits with 3 if damaged files were left out.

    Args:
        out: The data set.
        fail_on: The least severe outcome that counts as bad: S0 to S4.
        table: Write the whole table there, as .parquet or .csv.
        as_json: Print one JSON document.
    """
    from tdxexplore import analysis  # noqa: PLC0415 -- keeps the others quick
    from tdxexplore.dataset import Dataset  # noqa: PLC0415
    from tdxexplore.render import text  # noqa: PLC0415

    option = asked.option()
    opened = [Dataset(folder) for folder in (out, asked.diff) if folder is not None]
    data = opened[0]
    questions: dict[str, Callable[[], Any]] = {
        "--worst": lambda: analysis.worst(data.answers),
        "--dominates": lambda: analysis.domination(data.answers, fail_on).filter("dominates"),
        "--cost": lambda: analysis.cost(data.scan("runs")),
        "--smallest": lambda: analysis.smallest(data.answers, _outcome(asked.smallest, data)),
        "--diff": lambda: analysis.differences(data.answers, opened[-1].answers),
        "--rank": lambda: analysis.ranking(data.answers, _module(asked.rank, data), fail_on),
    }
    frame = data.collect(questions[option]())
    skipped = [s for each in opened for s in each.skipped]
    _warn(skipped)
    if table is not None:
        _export(frame, table)
    if as_json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, "rows": frame.to_dicts()}, indent=2))  # noqa: T201
    elif table is None:
        {"--worst": text.print_matrix, "--cost": text.print_cost}.get(option, text.print_table)(frame)
    return INCOMPLETE if any(s.lost for s in skipped) else HOLDS


@app.command
def diff(
    a: str,
    b: str,
    *,
    point: Point = Point(),
    set_a: Annotated[Sequence[str], Parameter(negative="")] = (),
    set_b: Annotated[Sequence[str], Parameter(negative="")] = (),
    limits: Limits = Limits(),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """What B adds or removes against A: outcomes, the interleavings that move, the shortest schedule that only A survives.

    Args:
        a: The design before: a built-in name, or path/to/file.py:NAME.
        b: The design after.
        set_a: A knob of A alone, as KNOB=VALUE; may be repeated.
        set_b: A knob of B alone.
        as_json: Print one JSON document.
        quiet: No progress.
    """
    from tdxexplore.difference import Difference  # noqa: PLC0415 -- keeps check quick

    answers = []
    for policy, knobs in ((a, set_a), (b, set_b)):
        question = replace(point, set=(*point.set, *knobs)).question(policy)
        with _progress(f"diff: {policy}", quiet=quiet or as_json) as show:
            answers.append(
                explore(
                    policy,
                    module=question.module,
                    cpus=point.cpus,
                    packages=point.packages,
                    scenario=point.scenario,
                    knobs=dict(question.knobs),
                    budgets=dict(question.budgets),
                    progress=show,
                    **limits.values(),
                )
            )
        if answers[-1].interrupted:
            return INTERRUPTED
    difference = Difference(*answers)
    if as_json:
        found = {
            "schema_version": SCHEMA_VERSION,
            "complete": difference.complete,
            "verdict": difference.verdict,
            "moved": difference.moved,
            "worse": difference.worse,
            "outcomes": difference.outcomes.to_dicts(),
        }
        print(json.dumps(found, indent=2))  # noqa: T201 -- the result
    else:
        from tdxexplore.render.text import print_difference  # noqa: PLC0415

        print_difference(difference)
    return {"holds": HOLDS, "violated": VIOLATED, "incomplete": INCOMPLETE}[difference.verdict]


@app.command
def replay(
    policy: str,
    schedule: str,
    *,
    point: Point = Point(),
    changes: Annotated[bool, Parameter(negative="")] = False,
    sources: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Run one interleaving, step by step.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        schedule: As printed under a trace, or its beginning.
        changes: Show what each step changed.
        sources: Show what each step stands for.
        as_json: Print one JSON document.
    """
    from tdxexplore.trace import replay as run  # noqa: PLC0415 -- keeps the others quick

    trace = run(point.question(policy), schedule)
    if as_json:
        steps = [
            {
                "number": s.number,
                "actor": s.actor,
                "package": s.package,
                "cpu": s.cpu,
                "functions": list(s.functions),
                "step": s.title,
                "notes": list(s.notes),
                "source": s.source,
                "changes": [{"field": n, "old": a, "new": b} for n, a, b in s.changes],
            }
            for s in trace
        ]
        print(json.dumps({"schema_version": SCHEMA_VERSION, "outcome": trace.outcome, "steps": steps}, indent=2))  # noqa: T201
        return HOLDS
    print(trace.to_text(changes=changes, sources=sources))  # noqa: T201 -- the result
    if trace.outcome is not None:
        print(f"outcome: {trace.outcome}")  # noqa: T201
    else:
        options = "; ".join(
            f"{i}: {a} {t}{'' if c is None else f' (CPU {c})'}" for i, (a, t, c) in enumerate(trace.enabled)
        )
        print(f"next: {options}")  # noqa: T201
    return HOLDS


@app.command
def export(
    policy: str,
    *,
    to: Literal["promela", "murphi", "tla"],
    point: Point = Point(),
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
) -> int:
    """Write the same model for another checker, which must find the same states and transitions.

    Args:
        policy: A built-in name, or path/to/file.py:NAME.
        to: promela (for Spin), murphi (for Rumur) or tla (for TLC).
        out: Write it there instead of stdout; a TLA+ module is named after its file and gets a .cfg beside it.
    """
    from tdxexplore.export import CONFIGURATION  # noqa: PLC0415 -- keeps the others quick
    from tdxexplore.export import export as emit  # noqa: PLC0415

    if out is not None and to == "tla" and out.suffix != ".tla":
        raise BadModel(f"--out is `{out}`; the file of a TLA+ module ends in .tla")
    text = emit(point.question(policy), to, module="" if out is None else out.stem)
    if out is None:
        print(text, end="")  # noqa: T201 -- the result
        return HOLDS
    out.write_text(text)
    if to == "tla":
        out.with_suffix(".cfg").write_text(CONFIGURATION)
    return HOLDS


def _print_plan(spec: Spec, plan: Plan, out: Path, *, as_json: bool) -> int:
    if as_json:
        largest = None
        if plan.largest is not None:
            point, size = plan.largest
            largest = {"command": point.question.command("check"), "expected_states": round(size)}
        counts = {"total": len(plan.points), "done": len(plan.points) - len(plan.pending), "pending": len(plan.pending)}
        cut = {"excluded": list(plan.excluded), "impossible": plan.impossible}
        print(json.dumps({"schema_version": SCHEMA_VERSION, **counts, **cut, "largest": largest}, indent=2))  # noqa: T201
    else:
        from tdxexplore.render.text import print_plan  # noqa: PLC0415

        print_plan(spec, plan, out)
    return HOLDS


def _executor(dask: str | None) -> AbstractContextManager[Executor | None]:
    if dask is None:
        return nullcontext()
    from tdxexplore.sweep.cluster import dask as connect  # noqa: PLC0415 -- an extra

    return connect(dask)


def _outcome(name: str | None, data: Dataset) -> str | None:
    """An outcome that the data set has; None for all."""
    known = data.collect(data.scan("outcomes").select("outcome").unique())["outcome"].to_list()
    if name != "all" and name not in known:
        raise BadModel(f"--smallest is `{name}`; {suggest(str(name), ['all', *known])}")
    return None if name == "all" else name


def _module(name: str | None, data: Dataset) -> str:
    known = data.collect(data.scan("runs").select("module").unique())["module"].to_list()
    if name not in known:
        raise BadModel(f"--rank is `{name}`; {suggest(str(name), known)}")
    return str(name)


def _warn(skipped: Iterable[Skipped]) -> None:
    for one in skipped:
        print(f"tdxexplore: {one}", file=sys.stderr)  # noqa: T201 -- a message


def _export(frame: Any, path: Path) -> None:  # noqa: ANN401 -- a Polars frame, not imported for a name
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        _write(frame, path)
    else:
        raise BadModel(f"--table is `{path}`; its name must end in .parquet or .csv")


def document(answer: Exploration) -> dict[str, object]:
    """The ``--json`` document of a check."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": answer.runs.row(0, named=True),
        "outcomes": answer.outcomes.to_dicts(),
        "invariants": answer.invariants.drop("digest").to_dicts(),
        "responses": answer.responses.drop("digest").to_dicts(),
        "prices": answer.prices.drop("digest").to_dicts(),
    }


def main() -> None:
    """Entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; every error is one line on stderr."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        return _complain(" ".join(str(error).split()), USAGE)
    except InternalError as error:
        return _complain(f"internal: {error}", INTERNAL)
    except (BadModel, BadSchedule, TdxExploreError) as error:
        return _complain(str(error), USAGE)
    except OSError as error:
        return _complain(f"{error.filename or 'output'}: {error.strerror or error}", USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else HOLDS


def _complain(message: str, code: int) -> int:
    print(f"tdxexplore: error: {message}", file=sys.stderr)  # noqa: T201 -- the message
    return code


def _code(answers: Sequence[Exploration]) -> int:
    if any(a.interrupted for a in answers):
        return INTERRUPTED
    verdicts = {a.verdict for a in answers}
    if "incomplete" in verdicts:
        return INCOMPLETE
    return VIOLATED if "violated" in verdicts else HOLDS


def _pairs(option: str, words: Sequence[str], kind: Callable[[str], T]) -> dict[str, T]:
    pairs: dict[str, T] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise BadModel(f"{option} is `{word}`; write {option} NAME=VALUE")
        try:
            pairs[name] = kind(value)
        except ValueError:
            raise BadModel(f"{option} {name} is `{value}`; a whole number is needed") from None
    return pairs


def _budget(text: str) -> int:
    return UNBOUNDED if text == "unbounded" else int(text)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return whole_numbers(text)
    except ValueError:
        raise BadModel(f"--cpus is `{text}`; write {RANGES}") from None


def _bytes(text: str) -> int:
    try:
        return memory(text)
    except ValueError:
        raise BadModel(f"--max-memory is `{text}`; write {MEMORY}") from None


def _writable(folder: Path) -> None:
    """Create the output folder before anything runs; a folder that cannot be written is an error now."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "the output folder cannot be written", str(folder))


def _write(frame: Any, path: Path) -> None:  # noqa: ANN401 -- a Polars frame, not imported for a name
    temporary = path.with_suffix(".tmp")
    try:
        frame.write_parquet(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _progress(what: str, *, quiet: bool) -> Any:  # noqa: ANN401 -- a context manager of an optional callable
    from tdxexplore.render.progress import shown  # noqa: PLC0415 -- rich is loaded only when someone watches

    return shown(what, quiet=quiet or not sys.stderr.isatty())
