"""Traces: every form replays, widths are kept, bars are what the fields of locks say; and the graph is what was explored."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import polars as pl
import pytest

from slices import every
from tdxexplore import BadModel, Exploration, Question, Trace, TraceStep, check, cli, replay
from tdxexplore.errors import BadSchedule
from tdxexplore.explore.graph import LIMIT, state_graph
from tdxexplore.explore.holding import Holders
from tdxexplore.explore.lanes import text
from tdxexplore.explore.slice import bearing
from tdxexplore.explore.steps import Held
from tdxexplore.model import Lock, Scope
from tdxexplore.render.traces import Form, render, schedule_in
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.visible import speaks_ascii

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

SCENARIOS = ("all-online", "late-online", "offline-mid-enable", "suspend")
VIEWS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a TD on a CPU that came late": ("v19", {"module": "subset", "scenario": "late-online"}, "td-error"),
    "a deadlock": ("dyn-hook-if-enabled", {"scenario": "offline-mid-enable"}, "deadlock"),
    "a good run": ("linux-6.16", {"cpus": 2}, "tdx-up"),
    "many actors": (
        "linux-7.2-update",
        {"packages": 2, "module": "subset", "scenario": "update-offline-lp"},
        "tds-lost",
    ),
    "64 CPUs": ("v19", {"cpus": 64, "module": "subset", "scenario": "late-online"}, "td-error"),
}


@lru_cache
def answer(policy: str, **asked: Any) -> Exploration:
    return check(policy, measures=False, **asked)


def view(name: str) -> Trace:
    policy, asked, outcome = VIEWS[name]
    return answer(policy, **asked).traces[outcome]


@lru_cache
def traces_of(policy: str) -> list[Trace]:
    """Traces to every outcome of a design in a few scenarios, on 3 CPUs."""
    return [t for s in SCENARIOS for t in answer(policy, cpus=3, module="subset", scenario=s).traces.values()]


# -- every form replays -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", every(3, BUILT_IN))
def test_every_form_of_every_trace_gives_its_schedule_back(policy: str) -> None:
    traces = traces_of(policy)
    assert len(traces) >= len(SCENARIOS) - 1
    for trace in traces:
        assert replay(trace.question, trace.schedule) == trace
        for form in get_args(Form):
            assert schedule_in(render(trace, form)) == trace.schedule, form
        assert_mail_is_an_excerpt(trace, render(trace, "mail"))
        assert_mermaid_has_the_steps(trace, render(trace, "mermaid"))
        assert_perfetto_has_the_steps(trace, json.loads(render(trace, "perfetto")))
        assert_json_can_be_rebuilt(trace, json.loads(render(trace, "json")))


def assert_mail_is_an_excerpt(trace: Trace, mail: str) -> None:
    assert mail.isascii()
    assert max(map(len, mail.splitlines())) <= 72
    numbers = [int(n) for n in re.findall(r"^ #(\d+)", mail, flags=re.MULTILINE)]
    assert set(numbers) <= {step.number for step in bearing(trace)}
    assert numbers == sorted(numbers)
    for wait in trace.waits:
        assert f"{wait.actor}{'' if wait.cpu is None else f'/CPU{wait.cpu}'} #{wait.since} waits for" in " ".join(
            mail.split()
        )


def assert_mermaid_has_the_steps(trace: Trace, diagram: str) -> None:
    names = dict(re.findall(r"^    participant (\w+) as (.*)$", diagram, flags=re.MULTILINE))
    said = [(names[a], names[b]) for a, b in re.findall(r"^    (\w+)->>(\w+): .+$", diagram, flags=re.MULTILINE)]
    assert said == [(step.actor, step.where or step.actor) for step in trace]
    assert len(set(names.values())) == len(names)


def assert_perfetto_has_the_steps(trace: Trace, document: dict[str, Any]) -> None:
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    steps = [event for event in slices if event["cat"] != "lock"]
    assert "".join(event["args"]["token"] for event in steps) == trace.schedule
    assert all(event["tid"] == step.cpu for event, step in zip(steps, trace, strict=True) if step.cpu is not None)
    after: list[int] = [0] * len(trace)
    for event in slices:
        assert event["dur"] > 0
        if event["cat"] == "lock":
            for step in range(event["ts"] // 1000, (event["ts"] + event["dur"]) // 1000 - 1):
                after[step] += 1
    held_to_the_end = len(set(trace.steps[-1].held))
    assert after[:-1] == [len(set(step.held)) for step in trace.steps[:-1]]
    assert after[-1] in (0, held_to_the_end)


def assert_json_can_be_rebuilt(trace: Trace, document: dict[str, Any]) -> None:
    assert "".join(step["token"] for step in document["steps"]) == trace.schedule
    assert document["outcome"] == trace.outcome
    state = document["initial"]
    assert state["global"] == trace.states[0].globals
    for step in document["steps"]:
        for change in step["changes"]:
            name, _, index = change["field"].partition("[")
            home = state["global"]
            if index:
                members = next(m for m in (state["cpus"], state["packages"]) if name in m[0])
                home = members[int(index[:-1])]
            assert home[name] == change["old"]
            home[name] = change["new"]
        assert state == step["state"]


def test_a_text_without_a_command_has_no_schedule() -> None:
    with pytest.raises(BadSchedule, match="no command"):
        schedule_in("sequenceDiagram")


# -- locks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", every(3, BUILT_IN))
def test_who_holds_a_lock_is_what_its_field_says(policy: str) -> None:
    seen = set()
    for trace in traces_of(policy):
        model = trace.question.compile().model
        holders = Holders(model)
        for state in trace.states:
            held = holders.of(state)
            readers = int(state.globals["cpu_hotplug_lock.readers"]) + sum(
                int(cpu["cpu_hotplug_lock.readers_here"]) for cpu in state.cpus
            )
            assert readers == sum(h.lock.name == "cpu_hotplug_lock" and h.lock.shared for h in held)
            writing = state.globals["cpu_hotplug_lock.writer"] == "held"
            assert writing == any(h.lock.name == "cpu_hotplug_lock" and not h.lock.shared for h in held)
            for name in (
                n for n, f in model.fields.items() if n.endswith(("_lock", "_mutex")) and f.scope is Scope.GLOBAL
            ):
                assert state.globals[name] == any(h.lock.name == name for h in held), name
            seen |= {(h.lock.name, h.lock.shared) for h in held}
    assert {("cpu_hotplug_lock", True), ("cpu_hotplug_lock", False)} <= seen
    assert len(seen) > 2


def test_locks_are_released_as_often_as_they_are_taken() -> None:
    for policy in BUILT_IN:
        for trace in traces_of(policy):
            taken = sum(step.takes is not None for step in trace)
            released = sum(len(step.released) for step in trace)
            assert taken - released == len(trace.steps[-1].held)


def test_a_deadlock_names_holders_and_waiters_by_their_steps() -> None:
    trace = view("a deadlock")
    kvm, hotplug = trace.waits
    (queued,), (holder,) = kvm.blockers, hotplug.blockers
    assert (kvm.actor, kvm.since, queued.actor, queued.number, queued.why) == (
        "kvm",
        16,
        "hotplug",
        17,
        "has queued for",
    )
    assert (hotplug.actor, hotplug.since, holder.actor, holder.number, holder.why) == ("hotplug", 17, "kvm", 8, "holds")
    assert trace.steps[7].title == "cpus_read_lock()"
    assert "hotplug/CPU1 #17 waits for kvm #8, which holds cpu_hotplug_lock" in " ".join(render(trace, "mail").split())


def test_the_scheduler_is_named_only_where_it_has_a_choice() -> None:
    picked = [(step.actor, step.cpu, step.title) for step in view("a TD on a CPU that came late") if step.picked]
    assert picked[-1] == ("td", 3, "TDH.MNG.CREATE")
    one_cpu_online = answer("v19", cpus=2, module="subset", scenario="late-online").traces["td-error"]
    assert [step.actor for step in one_cpu_online if step.picked] == ["td"]


# -- the view ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_views(name: str, snapshot: SnapshotAssertion) -> None:
    trace = view(name)
    assert trace.to_text(width=100, ascii_only=False) == snapshot(name="text")
    assert trace.to_text(width=80, ascii_only=True) == snapshot(name="80 columns of ASCII")
    assert render(trace, "mail") == snapshot(name="mail")
    if len(trace) < 20:
        assert trace.to_text(width=100, ascii_only=False, changes=True) == snapshot(name="changes")
        assert render(trace, "mermaid") == snapshot(name="mermaid")
        assert render(trace, "perfetto") == snapshot(name="perfetto")


@pytest.mark.parametrize("policy", every(3, BUILT_IN))
def test_the_width_is_kept_and_nothing_is_lost(policy: str) -> None:
    for trace in traces_of(policy):
        for width in (100, 80, 60):
            for changes in (False, True):
                shown = trace.to_text(width=width, ascii_only=True, changes=changes, sources=changes)
                assert shown.isascii()
                assert max(map(len, shown.splitlines())) <= width
                squeezed = re.sub(r"[^\w]", "", shown)
                for step in trace:
                    for note in step.notes:
                        words = re.sub(r"[^\w]", "", note.replace("TDX_SUCCESS", "0"))
                        assert words in squeezed or width < 100
                assert not trace.outcome or f"outcome: {trace.outcome}" in shown


def random_steps(seed: int) -> list[TraceStep]:
    """300 steps of actors with long names on 64 CPUs, which take and release locks in any order."""
    r = random.Random(seed)
    actors = ["".join(r.choice("abcdefgh-") for _ in range(r.randint(1, 30))) for _ in range(r.randint(1, 9))]
    locks = [Lock(f"lock_{n}" * r.randint(1, 4), f"unlock({n})", shared=r.random() < 0.5) for n in range(4)]
    held: tuple[Held, ...] = ()
    steps = []
    for number in range(1, 301):
        actor, cpu = r.choice(actors), r.choice([None, r.randrange(64)])
        takes = r.choice(locks) if r.random() < 0.2 else None
        if takes is not None and (mine := Held(takes, actor, None)) not in held:
            held = (*held, mine)
        else:
            takes = None
        released = tuple(h for h in held if h.actor == actor and h.lock != takes and r.random() < 0.3)
        held = tuple(h for h in held if h not in released)
        title = " ".join("x" * r.randint(1, 90) for _ in range(r.randint(1, 5)))
        functions = ("f" * r.randint(1, 60) + "()",) if r.random() < 0.7 else ()
        notes = tuple("n" * r.randint(1, 130) for _ in range(r.randint(0, 3)))
        changes = (("field" * r.randint(1, 30), False, True),)
        step = TraceStep(
            number, "0", actor, None, cpu, functions, title, notes, "a source", changes, takes, released, held
        )
        steps.append(step)
    return steps


@pytest.mark.parametrize("seed", range(12))
def test_300_steps_of_long_names_on_64_cpus_keep_the_width(seed: int) -> None:
    steps = random_steps(seed)
    for width in (100, 80):
        for changes in (False, True):
            shown = text(steps, "", (), changes=changes, sources=changes, width=width, ascii_only=True).splitlines()
            assert max(map(len, shown)) <= width
            assert [int(m[1]) for line in shown if (m := re.match(r" *(\d+)  ", line))] == list(range(1, 301))
            assert sum(line.count("x") for line in shown) == sum(step.title.count("x") for step in steps)


def test_a_step_without_changes_of_fields_and_an_empty_trace_have_no_empty_lines() -> None:
    question = Question.of("v19", cpus=2)
    assert replay(question, "").to_text() == ""
    assert "" not in replay(question, "0000").to_text(changes=True).splitlines()
    for form in get_args(Form):
        assert schedule_in(render(replay(question, "0000"), form)) == "0000"


@pytest.mark.parametrize(
    ("locale", "ascii_only"),
    [
        ({"LANG": "C"}, True),
        ({}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # as Python 3.11 leaves it
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "de_DE.utf8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
    ],
)
def test_the_locale_decides_about_ascii(
    locale: dict[str, str], ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    assert speaks_ascii() is ascii_only


def test_the_command_line_speaks_ascii_in_80_columns_where_the_locale_is_c() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LC_")} | {"LANG": "C", "COLUMNS": "80"}
    words = ["check", "v19", "--module", "subset", "--cpus", "2", "--scenario", "late-online", "--changes"]
    done = subprocess.run(
        [sys.executable, "-m", "tdxexplore", *words], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 1
    shown = done.stdout.decode("ascii").partition("shortest trace")[2].partition("\nreplay:")[0]
    assert "outcome: td-error" in shown
    assert max(map(len, shown.splitlines())) <= 80


# -- the command line -------------------------------------------------------------------------------------------------

LATE = ["v19", "--module", "subset", "--cpus", "2", "--scenario", "late-online"]


def test_check_shows_the_traces_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    good = ["check", "linux-6.16", "--cpus", "2"]
    assert cli.run(good) == 0
    assert "shortest trace" not in capsys.readouterr().out
    assert cli.run([*good, "--trace", "tdx-up"]) == 0
    assert "shortest trace to tdx-up (18 steps)" in capsys.readouterr().out
    assert cli.run(["check", *LATE, "--trace", "all"]) == 1
    assert re.findall(r"shortest trace to (\S+)", capsys.readouterr().out) == ["td-error", "I1", "I5"]
    assert cli.run(["check", *LATE, "--trace", "I5", "--trace", "I1"]) == 1
    assert re.findall(r"shortest trace to (\S+)", capsys.readouterr().out) == ["I5", "I1"]


@pytest.mark.parametrize("form", get_args(Form))
def test_check_and_replay_write_the_same_in_every_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", *LATE, "--to", form]) == 1
    of_check = capsys.readouterr().out
    assert cli.run(["replay", LATE[0], schedule_in(of_check), *LATE[1:], "--to", form]) == 0
    assert capsys.readouterr().out == of_check
    if form == "mail":
        assert cli.run(["check", *LATE, "--mail"]) == 1
        assert capsys.readouterr().out == of_check


def test_a_trace_that_is_not_there_and_two_in_one_document_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", *LATE, "--trace", "td-eror"]) == 2
    assert "did you mean `td-error`" in capsys.readouterr().err
    assert cli.run(["check", *LATE, "--trace", "all", "--to", "json"]) == 2
    assert "--to json writes one trace, and 3 are asked for" in capsys.readouterr().err


# -- the graph --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "cpus", "scenario"), [("v19", 3, "late-online"), ("linux-6.16", 2, "kvm-reload")])
def test_the_graph_has_the_states_transitions_and_probabilities_of_the_answer(
    policy: str, cpus: int, scenario: str
) -> None:
    found = check(policy, module="subset", cpus=cpus, scenario=scenario)
    graph = found.graph()
    assert (len(graph.states), len(graph.indices)) == tuple(map(int, found.runs.select("states", "transitions").row(0)))
    assert graph.states["depth"].value_counts(sort=True).height == found.runs["depth"][0] + 1
    ends = graph.states.drop_nulls("outcome")["outcome"].value_counts()
    assert dict(ends.iter_rows()) == {
        name: int(count) for name, count in found.outcomes.select("outcome", "terminal_states").iter_rows()
    }
    arrive = np.zeros(len(graph.states))
    arrive[0] = 1
    for state in range(len(graph.states)):
        row = slice(graph.indptr[state], graph.indptr[state + 1])
        assert row.start == row.stop or graph.probability[row].sum() == pytest.approx(1)
    for _ in range(len(graph.states)):  # no run is longer
        following = np.where(np.diff(graph.indptr) == 0, arrive, 0)
        np.add.at(following, graph.indices, np.repeat(arrive, np.diff(graph.indptr)) * graph.probability)
        arrive = following
    ended = graph.states.with_columns(pl.Series("arrive", arrive)).drop_nulls("outcome")
    for name, probability in found.outcomes.select("outcome", "probability").iter_rows():
        assert ended.filter(outcome=name)["arrive"].sum() == pytest.approx(probability)


def test_the_labels_of_the_graph_are_the_fields_of_the_states() -> None:
    question = Question.of("v19", module="subset", cpus=2, scenario="late-online")
    graph = state_graph(question)
    state, schedule = 0, ""
    while graph.indptr[state] < graph.indptr[state + 1]:
        row = graph.transitions.row(int(graph.indptr[state + 1]) - 1, named=True)
        schedule, state = schedule + row["token"], row["target"]
    trace = replay(question, schedule)
    label = graph.states.row(state, named=True)
    assert label["outcome"] == trace.outcome
    assert [label[f"vmx_on[{n}]"] for n in range(2)] == [cpu["vmx_on"] for cpu in trace.states[-1].cpus]


def test_a_large_graph_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = check("v19", module="subset", cpus=9, scenario="second-enable", max_states=100, measures=False)
    with pytest.raises(BadModel, match=f"at most {LIMIT:,} are listed"):
        found.graph()
    assert (
        cli.run(["export", "v19", "--module", "subset", "--cpus", "9", "--scenario", "second-enable", "--to", "dot"])
        == 2
    )
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_dot_has_every_transition(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", *LATE, "--to", "dot"]) == 0
    shown = capsys.readouterr().out
    graph = state_graph(Question.of("v19", module="subset", cpus=2, scenario="late-online"))
    arrows = [(int(a), int(b)) for a, b in re.findall(r"^  (\d+) -> (\d+) \[", shown, flags=re.MULTILINE)]
    assert arrows == graph.transitions.select("source", "target").rows()
    assert shown.count('label="td-error"') == graph.states.filter(outcome="td-error").height > 0
