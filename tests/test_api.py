"""The Python API: frames, traces, notebooks; and that the README is true."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pytest

import tdxexplore
from tdxexplore import _core
from tdxexplore.cli import run
from tdxexplore.explore.exploration import KEY, log10
from tdxexplore.export import export
from tdxexplore.sweep import load
from tdxexplore.tdx.fields import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdxexplore.tdx.fields import ModuleKind

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [README, *((ROOT / "docs" / name).read_text() for name in ("asking.md", "sweeps.md"))]


@pytest.fixture(scope="module")
def late() -> tdxexplore.Exploration:
    return tdxexplore.check("v19", module="subset", cpus=4, packages=2, scenario="late-online")


def test_frames_share_the_key_and_have_fixed_types(late: tdxexplore.Exploration) -> None:
    frames = {
        name: getattr(late, name) for name in ("outcomes", "runs", "levels", "rules", "invariants", "expectations")
    }
    for name, frame in frames.items():
        assert isinstance(frame, pl.DataFrame), name
        assert list(frame.columns[: len(KEY)]) == list(KEY), name
        assert pl.Null not in frame.dtypes, name
        assert frame["digest"].n_unique() == 1
    assert frames["outcomes"].schema["interleavings"] == pl.String
    assert frames["outcomes"].schema["probability"] == pl.Float64
    assert frames["runs"]["states"][0] == str(sum(map(int, frames["levels"]["states"])))
    assert frames["runs"]["generated"][0] == frames["levels"]["generated"].sum() == frames["rules"]["fired"].sum()
    assert frames["runs"]["depth"][0] == frames["levels"]["depth"].max()


def test_traces_are_kept_by_outcome_and_invariant_and_keep_cpu_numbers(late: tdxexplore.Exploration) -> None:
    assert set(late.traces) == {"td-error", "I1", "I5"}
    trace = late.traces["td-error"]
    assert trace.outcome == "td-error"
    hotplug = [step.cpu for step in trace if step.actor == "hotplug"]
    assert hotplug == [3] * 4  # the last CPU was offline at first
    changed = {name: (old, new) for step in trace for name, old, new in step.changes}
    assert changed["online[3]"] == (False, True)
    assert "vmx_on[3]: no -> yes" in trace.to_text(changes=True)
    assert tdxexplore.replay(late.question, trace.schedule) == trace


def test_steps_that_many_cpus_take_alike_are_one_line() -> None:
    trace = tdxexplore.check("v19", module="subset", cpus=24, scenario="late-online", measures=False).traces["td-error"]
    *lines, last = trace.to_text().splitlines()
    assert last.startswith("outcome: td-error (S2): ")
    numbered = [line for line in lines if re.match(r" *\d", line)]
    spans = [[int(n) for n in line.split()[0].split("-")] for line in numbered]
    assert [n for first, *last in spans for n in range(first, max([first, *last]) + 1)] == [s.number for s in trace]
    assert any(re.match(r" *4-25 .*kvm.* CPU 1-22 +IPI vmx_tdx_on", line) for line in lines)
    assert len(lines) < len(trace) / 2
    steps = [line for line in trace.to_text(changes=True).splitlines() if re.match(r" *\d+  ", line)]
    assert len(steps) == len(trace)


def test_notebooks_show_tables_and_traces(late: tdxexplore.Exploration) -> None:
    html = late._repr_html_()
    assert ">td-error</td>" in html
    assert "TDH.MNG.CREATE = TDX_SYS_LP_INIT_NOT_DONE" in html
    assert "http" not in html


def test_a_policy_class_is_as_good_as_a_name() -> None:
    class Idle(tdxexplore.Policy):
        name = "idle"
        title = "loads KVM without TDX"
        source = "this test"

        def kvm_load(self, k: object) -> None:
            kernel = k
            kernel.set(kernel.w.enable_tdx, False)  # type: ignore[attr-defined]
            kernel.set(kernel.w.kvm_loaded, True)  # type: ignore[attr-defined]

    answer = tdxexplore.check(Idle, cpus=2)
    assert answer.outcomes["outcome"].to_list() == ["clean-refusal"]
    assert answer.verdict == "holds"


def test_steps_that_no_state_takes_are_named(late: tdxexplore.Exploration) -> None:
    assert ("td", "IPI hardware_disable_nolock()") in late.never_taken


def test_digests_tell_questions_apart_and_nothing_else() -> None:
    def digest(**changed: Any) -> str:
        question: dict[str, Any] = {"module": "subset", "scenario": "late-online", "cpus": 3, **changed}
        return tdxexplore.Question.of("v19", **question).digest()

    assert digest(knobs={"offline_veto": "on"}) == digest()
    others: list[dict[str, Any]] = [
        {"cpus": 4},
        {"packages": 3},
        {"module": "strict"},
        {"scenario": "no-kvm"},
        {"budgets": {"cpu_up": 2}},
    ]
    digests = {digest(**other) for other in others}
    assert len(digests | {digest()}) == len(others) + 1


def test_the_interleavings_of_a_run_are_the_sum_over_its_outcomes() -> None:
    several = tdxexplore.check(
        "hook-after-kvm", module="subset", scenario="kvm-reload", cpus=8, knobs={"pass": "first-call"}
    )
    assert len(several.outcomes) > 1
    run = several.runs.row(0, named=True)
    total = sum(map(int, several.outcomes["interleavings"]))
    assert int(run["interleavings"]) == total > 2**64
    assert run["log10_interleavings"] == pytest.approx(log10(str(total)), rel=1e-14)
    shares = [int(part) / total for part in several.outcomes["interleavings"]]
    assert several.outcomes["interleaving_share"].to_list() == pytest.approx(shares, rel=1e-12)


def test_the_interleavings_of_a_run_are_known_as_far_as_those_of_its_outcomes() -> None:
    question: dict[str, Any] = {"module": "subset", "scenario": "late-online"}
    longest = tdxexplore.check("v19", **question, cpus=512, packages=2)
    assert longest.runs["interleavings"].to_list() == longest.outcomes["interleavings"].to_list()
    assert len(longest.runs["interleavings"][0]) > 4300  # digits that Python refuses to read into an int
    for unknown in (
        tdxexplore.check("v19", **question, measures=False),
        tdxexplore.check("v19", **question, max_states=20),
    ):
        assert unknown.runs["interleavings"].to_list() == unknown.runs["log10_interleavings"].to_list() == [None]
    # No run ends, and each is counted up to the first state from which that is so: the initial one.
    endless = tdxexplore.check("v19", **question, cpus=2, budgets={"suspend": UNBOUNDED})
    assert endless.outcomes.select("outcome", "interleavings", "shortest_steps").rows() == [("endless", "1", 0)]


def test_logarithms_of_long_counts() -> None:
    assert log10("1") == 0
    assert abs(log10("9" * 400) - 400) < 1e-12
    assert log10("0") == float("-inf")


HEAVY = ("altair", "vl_convert", "distributed", "tdxexplore.report", "tdxexplore.charts", "tdxexplore.data")
LOADED = "; import sys; print([name for name in {names!r} if name in sys.modules])"


def test_importing_the_package_loads_neither_polars_nor_the_engine_nor_what_is_heavy() -> None:
    code = "import tdxexplore" + LOADED.format(names=("polars", "rich", "cyclopts", "tdxexplore._core", *HEAVY))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_check_loads_no_charts_and_no_report() -> None:
    ask = "from tdxexplore.cli import run; run(['check', 'v19', '--cpus', '2', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", ask + LOADED.format(names=HEAVY)], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("}\n[]\n")


def test_wings_that_are_functions_can_be_called_however_they_were_imported(tmp_path: Path) -> None:
    spec = tmp_path / "sweep.toml"
    spec.write_text('[grid]\npolicy = "v19"\nmodule = "strict"\nscenario = "all-online"\ncpus = 2\n')
    assert tdxexplore.sweep(spec, tmp_path / "data").finished == 1
    assert tdxexplore.sweep(load(spec), str(tmp_path / "data")).before == 1
    assert tdxexplore.report(tmp_path / "data", tmp_path / "page.html").points == 1
    question = tdxexplore.Question.of("v19", cpus=2)
    assert tdxexplore.export(question, "promela") == export(question, "promela")
    code = "import tdxexplore.sweep, tdxexplore.report as r; assert callable(tdxexplore.sweep) and callable(r)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_namespace_has_what_a_user_needs() -> None:
    asked = {"check", "compare", "diff", "sweep", "sample", "export", "policies", "scenarios", "report", "replay"}
    assert asked <= set(dir(tdxexplore)) == set(tdxexplore.__all__)
    assert all(callable(getattr(tdxexplore, name)) for name in asked)


def test_every_public_name_can_be_imported() -> None:
    assert len(tdxexplore.__all__) >= 15
    for name in tdxexplore.__all__:
        assert getattr(tdxexplore, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tdxexplore.no_such_name


def test_the_commands_of_the_pages_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    commands = [found for page in PAGES for found in re.findall(r"^tdxexplore ([^#\n]*)", page, flags=re.MULTILINE)]
    assert len(commands) >= 15
    folders = {name: str(tmp_path / name) for name in ("results", "data", "report.html")}
    for command in commands:
        words = [folders.get(word, word) for word in command.split()]
        assert run(words) in (0, 1), command
    assert capsys.readouterr().err == ""


def test_the_figures_of_the_readme_are_true() -> None:
    rows: dict[tuple[str, str, ModuleKind], tuple[str, str]] = {
        ("v19", "late-online", "subset"): ("td-error", "19,770,480"),
        ("linux-6.16", "late-online", "subset"): ("tdx-up", "3,009,312"),
        ("dyn-hook-if-enabled", "offline-mid-enable", "subset"): ("deadlock", "995,328"),
    }
    for (policy, scenario, module), (outcome, interleavings) in rows.items():
        assert interleavings in README
        answer = tdxexplore.check(policy, module=module, scenario=scenario, cpus=4)
        found = dict(answer.outcomes.select("outcome", "interleavings").iter_rows())
        assert f"{int(found[outcome]):,}" == interleavings
    answer = tdxexplore.check("v19", module="subset", cpus=4, scenario="late-online")
    trace = answer.traces["td-error"].to_text(width=100, ascii_only=False)
    block = README.partition("shortest trace to td-error (24 steps)\n")[2].partition("\nreplay: ")[0]
    shown = [line for line in block.splitlines() if line != " ..."]
    assert len(shown) == 11
    for line in shown:
        assert line in trace


@pytest.mark.long
def test_a_policy_of_a_user_is_checked_by_mypy_against_the_types_of_the_package(tmp_path: Path) -> None:
    """As after `pip install`: the package is on the path, and mypy believes its types only if `py.typed` is there."""
    shutil.copy(ROOT / "examples" / "lazy_first_vm.py", tmp_path)
    wrong = (ROOT / "examples" / "lazy_first_vm.py").read_text().replace("k.vmxon()", "k.no_such_step()")
    (tmp_path / "wrong.py").write_text(wrong)
    environment = {**os.environ, "PYTHONPATH": str(Path(tdxexplore.__file__).parent.parent)}
    found = {}
    for name in ("lazy_first_vm.py", "wrong.py"):
        words = ["-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache"), name]
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )
        found[name] = done.stdout
    assert found["lazy_first_vm.py"] == "Success: no issues found in 1 source file\n"
    assert '"Kernel" has no attribute "no_such_step"' in found["wrong.py"]


def test_the_python_of_the_readme_runs() -> None:
    blocks = [b for b in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if "import tdxexplore" in b]
    assert len(blocks) == 1
    exec(blocks[0], {})


def test_the_version_is_the_same_everywhere() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    installed = importlib.metadata.version("tdxexplore")
    assert {cargo, project, installed, _core.__version__} == {tdxexplore.__version__}


def test_with_all_cpus_interchangeable_the_runs_are_the_same_and_fewer_states_are_stored() -> None:
    """CPUs that start out different (siblings, a late CPU) are counted together where they have become equal."""
    counted = ["rank", "outcome", "severity", "interleavings", "interleaving_share", "shortest_steps"]
    fewer = 0
    for policy, scenario in [
        ("linux-6.16", "nosmt"),
        ("v19", "late-online"),
        ("v17", "kexec"),
        ("linux-7.1", "fault-td"),
    ]:
        question = {"module": "subset", "cpus": 8, "packages": 2, "scenario": scenario}
        start = tdxexplore.check(policy, **question)  # type: ignore[arg-type]
        every = tdxexplore.check(policy, **question, symmetry="all")  # type: ignore[arg-type]
        assert every.verdict == start.verdict
        shared = [name for name in counted if name in start.outcomes.columns]
        assert len(shared) >= 5
        assert every.outcomes[shared].equals(start.outcomes[shared])
        chances = (every.outcomes["probability"] - start.outcomes["probability"]).abs().max()
        assert chances is not None
        assert cast("float", chances) < 1e-12
        assert every.invariants["shortest_steps"].equals(start.invariants["shortest_steps"])
        for outcome, trace in every.traces.items():
            assert len(trace) == len(start.traces[outcome])
        fewer += start.runs["explored"][0] - every.runs["explored"][0]
        assert int(every.runs["states"][0]) >= int(start.runs["states"][0])
    assert fewer > 100


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "CPUs as a text": (
        lambda: tdxexplore.check("v19", cpus=cast("Any", "4")),
        "--cpus is `4`; a whole number is needed",
    ),
    "CPUs as a truth value": (lambda: tdxexplore.check("v19", cpus=True), "--cpus is True; a whole number"),
    "half a CPU": (lambda: tdxexplore.check("v19", cpus=cast("Any", 2.5)), "--cpus is 2.5; a whole number"),
    "packages as a list": (
        lambda: tdxexplore.check("v19", packages=cast("Any", [1])),
        "--packages is [1]; a whole number",
    ),
    "no policy": (lambda: tdxexplore.check(cast("Any", None)), "policy is None; allowed: the name of a built-in one"),
    "another class": (lambda: tdxexplore.check(cast("Any", dict)), "policy is <class 'dict'>; allowed: the name of"),
    "a module kind as a number": (lambda: tdxexplore.check("v19", module=cast("Any", 3)), "module kind 3 is not known"),
    "a scenario as a list": (
        lambda: tdxexplore.check("v19", scenario=cast("Any", ["no-kvm"])),
        "--scenario is ['no-kvm']; a name is needed",
    ),
    "knobs as a text": (
        lambda: tdxexplore.check("v19", knobs=cast("Any", "offline_veto=on")),
        "knobs is `offline_veto=on`; a mapping",
    ),
    "a knob that is a truth value": (
        lambda: tdxexplore.check("v19", knobs={"offline_veto": cast("Any", True)}),
        "knob `offline_veto` of policy `v19` is `true`; Allowed: off, on",
    ),
    "a budget as a text": (
        lambda: tdxexplore.check("v19", budgets={"cpu_up": cast("Any", "1")}),
        "budgets: `cpu_up` is `1`; a whole number is needed",
    ),
    "a setting that is none": (
        lambda: tdxexplore.check("v19", max_stats=3),
        "--max-stats is 3; there is no such setting",
    ),
    "a replay of a name": (
        lambda: tdxexplore.replay(cast("Any", "v19"), "000"),
        "question is `v19`; a `tdxexplore.Question` is needed",
    ),
    "a schedule that is a number": (
        lambda: tdxexplore.replay(tdxexplore.Question.of("v19"), cast("Any", 0)),
        "schedule is 0; a text is needed",
    ),
    "policies as a name": (lambda: tdxexplore.compare("v19"), "policies is `v19`; a list is needed"),
    "scenarios as a name": (
        lambda: tdxexplore.compare(["v19"], scenarios="no-kvm"),
        "scenarios is `no-kvm`; a list is needed",
    ),
    "a policy of several that is none": (
        lambda: tdxexplore.compare([cast("Any", 3)]),
        "policy is 3; allowed: the name",
    ),
    "values of a knob as a text": (
        lambda: tdxexplore.compare(["v19"], knobs={"offline_veto": "on"}),
        "knobs: `offline_veto` is `on`; a list is needed",
    ),
    "no CPU counts": (lambda: tdxexplore.compare(["v19"], cpus=[]), "cpus is an empty list"),
    "CPU counts as a range in words": (
        lambda: tdxexplore.compare(["v19"], cpus=cast("Any", "2-4")),
        "cpus is `2-4`; a list",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_value_of_a_wrong_kind_is_refused_with_the_kind_that_is_allowed(mistake: str) -> None:
    call, expected = WRONG[mistake]
    with pytest.raises(tdxexplore.BadModel) as caught:
        call()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_reads_as_it_is_meant_simply_works() -> None:
    answer = tdxexplore.check("v19", cpus=2, max_memory="2G", timeout=60)
    assert answer.settings.max_memory == 2 * 2**30
    assert answer.verdict == "holds"
