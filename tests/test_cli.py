"""The command line: results, exit codes, one clear line for each mistake, Ctrl-C."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cyclopts
import polars as pl
import pytest

from tdxexplore import check, cli
from tdxexplore.tdx.catalogue import find_policy
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import HOTPLUG

COMMAND = [sys.executable, "-m", "tdxexplore"]

POLICY = """
from tdxexplore import Policy

class Mine(Policy):
    name = "mine"
    title = "a policy of a user"
    source = "a test"

    def kvm_load(self, k):
        w = k.w
{body}
"""


def policy_file(folder: Path, *body: str) -> str:
    path = folder / "mine.py"
    path.write_text(POLICY.format(body="\n".join(f"        {line}" for line in body)))
    return f"{path}:Mine"


def test_check_prints_verdict_table_trace_and_replay_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "v19", "--module", "subset", "--cpus", "3", "--scenario", "late-online"]) == 1
    out = capsys.readouterr().out
    assert "verdict: violated" in out
    assert re.search(r"td-error +S2 +24,192 +1\.0000 +1\.0000", out)
    assert "TDH.MNG.CREATE = TDX_SYS_LP_INIT_NOT_DONE" in out
    assert re.findall(r"invariant (\w+) fails", out) == ["I1", "I5"]
    of_call, of_cpu, of_outcome = re.findall(r"replay: tdxexplore (.*)", out)
    assert cli.run(of_call.split()) == 0
    assert "TDX_SYS_LP_INIT_NOT_DONE" in capsys.readouterr().out
    assert cli.run(of_cpu.split()) == 0
    assert "next: " in capsys.readouterr().out
    assert cli.run(of_outcome.split()) == 0
    assert "outcome: td-error" in capsys.readouterr().out


def test_check_says_what_each_outcome_means_in_lines_that_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "92")
    words = ["linux-6.16", "--cpus", "2", "--packages", "2", "--scenario", "fault-td", "--no-measures"]
    assert cli.run(["check", *words]) == 1
    out = capsys.readouterr().out
    answer = check("linux-6.16", cpus=2, packages=2, scenario="fault-td", measures=False)
    table, _, below = out.partition("\nkey-id-lost: ")
    assert "terminal states  shortest" in table
    meanings = ("key-id-lost: " + below).partition("\ninvariant ")[0]
    said = answer.outcomes.select("outcome", "text").rows()
    assert len(said) == 6
    assert " ".join(meanings.split()) == " ".join(f"{name}: {text}" for name, text in said)
    assert max(map(len, meanings.splitlines())) <= 92 < max(len(f"{name}: {text}") for name, text in said)


def test_a_line_says_once_why_share_and_probability_differ(capsys: pytest.CaptureFixture[str]) -> None:
    why = "share counts each maximal run once; probability lets each enabled step be equally likely"
    question = ["check", "v19", "--module", "subset", "--cpus", "2", "--scenario", "no-kvm"]
    assert cli.run(question) == 1
    assert capsys.readouterr().out.count(why) == 1
    assert cli.run([*question, "--no-measures"]) == 1
    assert why not in capsys.readouterr().out  # there is neither


def test_compare_says_how_many_of_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "v19", "--cpus", "3", "--module", "subset", "--scenario", "late-online", "--scenario", "no-kvm"]
    assert cli.run(words) == 1
    out = capsys.readouterr().out
    assert re.search(r"^S2 td-error; I1, I5 fail +violated +24,192 of 24,192 *$", out, flags=re.MULTILINE)
    answer = check("v19", module="subset", cpus=3, scenario="no-kvm")
    part, whole = int(answer.outcomes["interleavings"][0]), int(answer.runs["interleavings"][0])
    assert part < whole == sum(map(int, answer.outcomes["interleavings"]))
    assert f"{part:,} of {whole:,}" in out


def test_json_has_the_columns_of_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "linux-6.16", "--module", "subset", "--scenario", "late-online", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert document["run"]["verdict"] == "holds"
    assert [row["outcome"] for row in document["outcomes"]] == ["tdx-up"]
    assert document["outcomes"][0]["interleavings"].isdecimal()
    assert {row["invariant"] for row in document["invariants"]} == {"I1", "I2", "I3", "I4", "I5"}


def test_a_budget_without_limit_gives_a_verdict_and_a_command_that_replays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["v19", "--module", "subset", "--cpus", "2", "--scenario", "late-online"]
    assert cli.run(["check", *words, "--budget", "suspend=unbounded"]) == 1
    out = capsys.readouterr().out
    assert "verdict: violated" in out
    schedule = re.findall(r"^ *replay: tdxexplore (replay .* --budget suspend=unbounded \w+)$", out, flags=re.MULTILINE)
    assert schedule
    assert cli.run(schedule[0].split()) == 0


def test_the_summaries_of_the_commands_are_their_docstrings() -> None:
    """`--help` imports no command, so that the summaries stand in a table of their own."""
    assert len(cli.COMMANDS) == 15
    for name, summary in cli.COMMANDS.items():
        found = getattr(importlib.import_module(f"tdxexplore.cli.{name}"), name)
        said = found.help if isinstance(found, cyclopts.App) else inspect.getdoc(found)
        assert said is not None
        assert said.splitlines()[0] == summary


def test_a_command_loads_no_other() -> None:
    code = (
        "import sys; from tdxexplore import cli; cli.run(['compact', 'nowhere']);"
        "print(sorted(m for m in sys.modules if m.startswith('tdxexplore.cli.')), 'tdxexplore._core' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ", ".join(f"'tdxexplore.cli.{name}'" for name in ("compact", "exits", "output", "streams"))
    assert done.stdout == f"[{names}] False\n"


def test_a_crash_is_an_internal_error_and_not_a_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        raise ValueError("no way out")

    monkeypatch.setattr("tdxexplore.cli.policies.print_policies", crash)
    assert cli.run(["policies"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Traceback")
    assert captured.err.endswith("tdxexplore: error: internal: ValueError: no way out\n")


def test_policies_lists_every_design_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["policies"]) == 0
    out = capsys.readouterr().out
    assert len(BUILT_IN) == 13
    for policy in BUILT_IN.values():
        assert policy.name in out
        assert policy.source in out


@pytest.mark.parametrize("name", [*BUILT_IN, "examples/lazy_first_vm.py:LazyFirstVm"])
def test_policies_of_one_design_says_what_was_read_and_what_is_our_reading(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent.parent)
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.run(["policies", name]) == 0
    out = capsys.readouterr().out
    policy = find_policy(name)
    assert policy.source in out
    heads = ["\nread:\n", "\nour reading, or an assumption:\n", "\nleft out, and why that hides no outcome:\n"]
    parts = [out.index(head) for head in heads]
    assert parts == sorted(parts)
    everything = (policy.said("read"), policy.said("reading"), policy.said("abstracted"))
    assert all(everything[:2])
    for said, part in zip(everything, parts, strict=True):
        unfolded = " ".join(out[part:].split())
        assert all(" ".join(text.split()) in unfolded for text in said)


def test_every_built_in_design_says_itself_what_was_read_for_it() -> None:
    for policy in BUILT_IN.values():
        assert vars(policy).get("read"), policy.name
        for text in (*policy.said("read"), *policy.said("reading")):
            assert text.endswith("."), text


def test_compare_writes_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "compare",
        "v19",
        "linux-6.16",
        "--module",
        "subset",
        *(word for scenario in HOTPLUG for word in ("--scenario", scenario.name)),
        "--cpus",
        "2-3",
        "--out",
        str(tmp_path / "new" / "out"),
    ]
    assert cli.run(words) == 1
    assert "S2 td-error" in capsys.readouterr().out
    matrix = pl.read_parquet(tmp_path / "new" / "out" / "matrix.parquet")
    assert len(matrix) == 2 * len(HOTPLUG) * 2
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
        "matrix.parquet",
        "outcomes.parquet",
        "properties.parquet",
        "runs.parquet",
    ]
    assert matrix.filter(pl.col("policy") == "linux-6.16")["verdict"].to_list() == ["holds"] * 2 * len(HOTPLUG)


def test_replay_shows_changes_sources_and_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["replay", "v19", "0000", "--cpus", "2", "--changes", "--sources"]) == 0
    out = capsys.readouterr().out
    assert "vmx_on[0]: no -> yes" in out
    assert "[KVM TDX v19 023/130, Isaku Yamahata, 2024-02-26]" in out
    assert "next: 0: kvm mutex_lock(&tdx_module_lock)" in out


MISTAKES = {
    "an unknown policy": (["check", "v91"], ["`v91`", "did you mean `v19`", "linux-6.16"]),
    "an unknown module kind": (["check", "v19", "--module", "strickt"], ["`strickt`", "did you mean `strict`"]),
    "an unknown scenario": (["check", "v19", "--scenario", "late"], ["`late`", "Allowed: all-online, fault-install"]),
    "no CPUs": (["check", "v19", "--cpus", "0"], ["--cpus is 0", "1 to 2048"]),
    "too many CPUs": (["check", "v19", "--cpus", "2049"], ["--cpus is 2049", "1 to 2048"]),
    "too many CPUs in a package": (["check", "v19", "--cpus", "257"], ["--cpus is 257", "256 CPUs in a package"]),
    "too many CPUs for the concrete space": (
        ["check", "v19", "--cpus", "65", "--space", "concrete"],
        ["65 CPUs", "at most 64", "orbit space"],
    ),
    "CPUs that are not a number": (["check", "v19", "--cpus", "four"], ["four", "--cpus"]),
    "too many packages": (["check", "v19", "--packages", "9", "--cpus", "9"], ["--packages is 9", "1 to 8"]),
    "packages that do not fit": (["check", "v19", "--packages", "5"], ["--packages is 5 with --cpus 4"]),
    "too few CPUs for a scenario": (
        ["check", "v19", "--cpus", "1", "--scenario", "no-kvm"],
        ["`no-kvm`", "at least 2"],
    ),
    "a negative budget": (["check", "v19", "--budget", "cpu_up=-1"], ["`cpu_up` is -1", "0 to 8"]),
    "a budget without a number": (["check", "v19", "--budget", "cpu_up=x"], ["cpu_up", "`x`", "whole number"]),
    "an unknown budget": (["check", "v19", "--budget", "cpus_up=1"], ["`cpus_up`", "did you mean `cpu_up`"]),
    "an unknown knob": (["check", "v19", "--set", "veto=off"], ["no knob `veto`", "offline_veto"]),
    "a bad knob value": (["check", "v19", "--set", "offline_veto=0"], ["`offline_veto`", "`0`", "Allowed: off, on"]),
    "a knob without a value": (["check", "v19", "--set", "offline_veto"], ["--set is `offline_veto`", "NAME=VALUE"]),
    "a limit of zero": (["check", "v19", "--max-states", "0"], ["--max-states is 0", "positive"]),
    "no threads": (["check", "v19", "--threads", "0"], ["--threads is 0", "a positive whole number"]),
    "a memory limit without a unit": (["check", "v19", "--max-memory", "lots"], ["`lots`", "2G"]),
    "an unknown space": (["check", "v19", "--space", "quotient"], ["quotient", "--space"]),
    "an unknown symmetry": (["check", "v19", "--symmetry", "none"], ["none", "--symmetry"]),
    "a symmetry of the concrete space": (
        ["check", "v19", "--space", "concrete", "--symmetry", "all"],
        ["--symmetry", "`all`", "--space `concrete`", "`start`"],
    ),
    "too many CPUs for bits": (["check", "v19", "--cpus", "65", "--space", "bits"], ["65 CPUs", "at most 64"]),
    "an unknown option": (["check", "v19", "--cpu", "4"], ["--cpu"]),
    "a missing policy": (["check"], ["policy"]),
    "an unknown command": (["chek"], ["chek"]),
    "a schedule with a strange character": (["replay", "v19", "00!"], ["`!`", "step 3"]),
    "a schedule that does not replay": (["replay", "v19", "000z"], ["step 4", "`z`"]),
    "CPU counts that are no range": (["compare", "v19", "--cpus", "2-x"], ["`2-x`", "2-6"]),
    "a policy file that is not there": (["check", "nowhere.py:Mine"], ["`nowhere.py`", "does not exist"]),
    "a policy file without a name": (["check", "examples/lazy_first_vm.py"], ["NAME"]),
    "a fault without limit": (
        ["check", "v19", "--budget", "td_fail=unbounded"],
        ["budget `td_fail` is unbounded", "allowed are 0 to 8"],
    ),
    "a budget below none": (["check", "v19", "--budget", "cpu_up=-2"], ["is -2", "0 to 8 or `unbounded`"]),
    "a policy file without that policy": (
        ["check", "examples/lazy_first_vm.py:Lazy"],
        ["`Lazy`", "did you mean `LazyFirstVm`"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_clear_line_and_exit_code_2(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = MISTAKES[mistake]
    assert cli.run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("tdxexplore: error: ")
    for part in expected:
        assert part in captured.err, captured.err


BROKEN_POLICIES = {
    "it does not parse": (["k.step("], ["does not import", "SyntaxError"]),
    "it uses an undefined field": (["k.set(w.vmx_onn, True)"], ["line 11", "`vmx_onn`", "did you mean `vmx_on`"]),
    "it assigns a value outside the domain": (
        ["k.set(w.tdx_status, 'BROKEN')"],
        ["line 11", "'BROKEN'", "UNINITIALIZED"],
    ),
    "it compares with a value outside the domain": (["k.await_(w.tdx_status == 'UP')"], ["line 11", "'UP'"]),
    "it has an unreachable step": (
        ["with k.function('f()') as f:", "    f.returns()", "    k.step('never')"],
        ["step `never` of `kvm` cannot be reached"],
    ),
    "it uses a CPU field where no CPU acts": (["k.set(w.vmx_on, True)"], ["`vmx_on`", "none acts"]),
    "its loop never ends": (["with k.loop():", "    k.note('round')"], ["never ends"]),
    "it raises": (["k.no_such_function()"], ["line 11", "AttributeError", "no_such_function"]),
    "it uses an expression as a truth value": (["k.await_(w.booted and w.kvm_loaded)"], ["line 11", "use &, | and ~"]),
    "it leaves the domain of a counter": (["k.add(w.cpus_readers, -1)"], ["leaves its domain", "schedule"]),
}


@pytest.mark.parametrize("mistake", BROKEN_POLICIES)
def test_a_broken_policy_file_is_explained(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body, expected = BROKEN_POLICIES[mistake]
    assert cli.run(["check", policy_file(tmp_path, *body)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    for part in expected:
        assert part in captured.err, captured.err


def test_an_output_folder_that_cannot_be_written_is_an_error_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    started = time.monotonic()
    assert cli.run(["compare", "--cpus", "64", "--out", str(tmp_path / "file" / "out")]) == 2
    assert time.monotonic() - started < 10
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("space", ["orbit", "concrete", "bits"])
def test_limits_say_incomplete_and_what_was_seen(space: str, capsys: pytest.CaptureFixture[str]) -> None:
    question = [
        "check",
        "linux-6.16",
        "--module",
        "subset",
        "--scenario",
        "kvm-reload",
        "--cpus",
        "6",
        "--space",
        space,
    ]
    for limit, reason in {
        ("--max-states", "100"): "max-states 100",
        ("--max-depth", "5"): "max-depth 5",
        ("--timeout", "0.000001"): "timeout",
        ("--max-memory", "1K"): "max-memory",
    }.items():
        assert cli.run([*question, *limit]) == 3
        out, err = capsys.readouterr()
        if reason == "timeout" and not out:  # time was up before the search began, while the policy was asked
            assert "timeout" in err
            continue
        assert "verdict: incomplete" in out, limit
        assert reason in out
        assert "so far" in out
        assert "holds" not in out
        assert "never" not in out


def test_fail_on_moves_the_line_between_holds_and_violated(capsys: pytest.CaptureFixture[str]) -> None:
    question = ["check", "kvm-hook-lp-init", "--module", "subset", "--scenario", "no-kvm"]
    assert cli.run(question) == 0
    assert cli.run([*question, "--fail-on", "S4"]) == 1
    assert "latent-lp" in capsys.readouterr().out


def test_nothing_but_the_result_is_printed_when_nobody_watches() -> None:
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        [*COMMAND, "check", "v19", "--cpus", "2"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


BUSY = "inner-enable-kvm-hook --module subset --scenario kvm-reload --packages 4 --budget cpu_up=8 --budget cpu_down=8"


def cpu_seconds(process: int) -> float:
    """The CPU time that a process has used, from fields 14 and 15 of /proc/PID/stat; see proc(5)."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    "question",
    [
        f"{BUSY} --cpus 64",
        f"{BUSY} --cpus 20 --space concrete",
        "v19 --module subset --scenario second-enable --cpus 16 --space bits",
    ],
)
def test_ctrl_c_ends_a_search_within_a_second_and_prints_what_was_seen(question: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [*COMMAND, "check", *question.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while (used := cpu_seconds(process.pid)) < 2:  # by then the search is under way, however loaded the machine is
        assert process.poll() is None, f"the search ended after {used} s of CPU time: too short for this test"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # CPU time, as the wall clock is other processes' as well: the answer in a second, and printing it half a second.
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - used
    assert spent < 1.5 * len(os.sched_getaffinity(0))
    # Something bad may have been found by then.
    assert re.search(r"verdict: (incomplete|violated) \(.*interrupted", out)
    assert re.search(r"so far: [0-9.e,]+ concrete states", out)
