"""The zoo: each bug is there before its fix and not after it, by one command for all; the page says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zoo_page
from tdxexplore import cli
from tdxexplore.model import reference
from tdxexplore.model.topology import Topology

ROOT = Path(__file__).parent.parent
ENTRIES = {entry.name: entry for entry in zoo_page.entries()}
# Small enough for the plain interpreter, which is asked about every entry and value.
MOST_STATES = 3_000
SLOW = ("kvm_locks",)


def test_the_sweep_file_has_every_file_of_the_zoo() -> None:
    assert list(ENTRIES) == sorted(path.stem for path in zoo_page.ZOO.glob("*.py") if path.stem != "sev_snp")
    assert len(ENTRIES) >= 12


@pytest.mark.parametrize("name", ENTRIES)
def test_the_bug_is_there_before_its_fix_and_not_after_it(name: str) -> None:
    entry = ENTRIES[name]
    bad = entry.lines["Shows"]
    *before, after = entry.answers.values()
    assert len(before) >= 1
    for answer in before:
        assert answer.verdict == "violated"
        assert answer.outcomes["outcome"][0] == bad
    assert after.verdict == "holds"
    assert after.outcomes["severity"].to_list() == ["ok"]
    assert after.expectations.is_empty() or after.expectations["shortest_steps"].null_count() == 0


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.long] * (n in SLOW)) for n in ENTRIES])
def test_the_plain_interpreter_says_the_same(name: str) -> None:
    for answer in ENTRIES[name].answers.values():
        model = answer.question.compile().model
        plain = reference.explore(model, model.initial(Topology.of(zoo_page.GRID["cpus"])))
        assert plain.states == int(answer.runs["states"][0]) < MOST_STATES
        ends = answer.outcomes.select("outcome", "terminal_states").iter_rows()
        assert plain.terminal_states == {outcome: int(states) for outcome, states in ends}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_what_it_is_and_uses_public_names_only(name: str) -> None:
    entry, text = ENTRIES[name], (zoo_page.ZOO / f"{name}.py").read_text()
    assert entry.title.endswith(".")
    assert 2 <= entry.what.count(". ") + 1 <= 5
    assert set(entry.lines) >= {"Source", "Fix", "Shows"}
    assert 30 <= text.count("\n") <= 80
    places = re.findall(r"^(?:from|import) ([\w.]+)", text, flags=re.MULTILINE)
    assert set(places) <= {"typing", "tdxexplore.linux", "tdxexplore.model"}
    assert any(re.search(r"v\d|commit|pull request", source) for source in re.findall(r'"(.*?)"', text))


def test_the_first_fix_of_the_vmm_only_shrinks_the_window() -> None:
    none, smaller, no_lock = ENTRIES["vmm_pause"].answers.values()
    shares = [answer.outcomes.filter(outcome="deadlock")["interleaving_share"].to_list() for answer in (none, smaller)]
    assert shares[0][0] > 3 * shares[1][0] > 0
    assert "deadlock" not in no_lock.outcomes["outcome"]


# What the report names: words of the shortest trace, in this order.
NAMED = {
    "blk_mq_hotplug": ["it times out", "cpus_write_lock()", "group_cpus_evenly(): cpus_read_lock()"],
    "cpuset_domains": ["queue_work(&hk_sd_work)", "CPUHP_OFFLINE", "-EBUSY"],
    "hyperv_page": ["CPU starts", "CPUHP_AP_IRQ_AFFINITY_ONLINE startup -> HVCALL_RETARGET_INTERRUPT"],
    "kvm_locks": [
        "mutex_lock(&kvm->slots_lock)",
        "srcu_read_lock",
        "synchronize_srcu",
        "mutex_lock(&kvm_lock)",
        "cpus_read_lock()",
    ],
    "memory_hotplug": ["down_write(&mem_hotplug_lock)", "cpus_read_lock()", "echo 0"],
    "microcode_offline": ["is cached", "stop_machine()", "CPU starts", "executes beside"],
    "microcode_rendezvous": ["apply_microcode()", "atomic_inc(): I am done", "wait until all are here"],
    "padata_reorder": ["queue_work(&squeue->work)", "padata_put_pd()", "padata_free_pd()", "padata_find_next(pd)"],
    "rcu_expedited": [
        "prepare_to_wait(&exp_wq[1])",
        "rcu_exp_gp_seq_end()",
        "condition?; mutex_unlock(&exp_mutex)",
        "rcu_exp_gp_seq_end()",
        "wake_up_all(&exp_wq[2])",
    ],
    "resctrl_domain": ["kworker: d->cqm_limbo", "kfree(d)", "cqm_handle_limbo(): cpus_read_lock()", "reads d"],
    "stopper": ["set_cpu_online()", "the idle loop begins", "stopper->enabled is false", "stop_machine_unpark()"],
    "vmm_pause": ["lock(vcpu_states); kick every vCPU", "a read of the hotplug device"],
}


@pytest.mark.parametrize("name", ENTRIES)
def test_the_shortest_trace_is_the_interleaving_that_the_report_names(name: str) -> None:
    entry = ENTRIES[name]
    trace = next(iter(entry.answers.values())).traces[entry.lines["Shows"]]
    text = " ".join(trace.to_text(width=200, ascii_only=True).split())
    at = -1
    for words in NAMED[name]:
        found = text.find(words, at + 1)
        assert found > at, (words, text)
        at = found


def test_one_command_asks_all_of_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert cli.run(["compare", str(zoo_page.ZOO / "zoo.toml")]) == 1
    out = capsys.readouterr().out
    assert f"{2 * len(ENTRIES) + 2} points: 3 CPUs, 1 package" in out
    for name, entry in ENTRIES.items():
        assert re.search(rf"^{name} +\S+ +S\d {entry.lines['Shows']} +violated", out, flags=re.MULTILINE), name
    assert out.count(" holds ") == len(ENTRIES)


@pytest.mark.parametrize("words", [["v19"], ["--cpus", "5"]])
def test_a_sweep_file_is_compared_alone(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compare", str(zoo_page.ZOO / "zoo.toml"), *words]) == 2
    assert "is a sweep file, which names every axis" in capsys.readouterr().err


def test_the_page_is_up_to_date() -> None:
    page = zoo_page.page()
    assert page == (ROOT / "docs" / "zoo.md").read_text()
    assert page.count("\n## ") == len(ENTRIES)
    assert page.count("| holds |") == len(ENTRIES)
