"""Models for other checkers: the decoded form means what the Program means, and each text holds all of it.

That Spin, Rumur and TLC find our counts is asserted by `benches/peer_counts.py` (``make peers``): they are not
installed everywhere, and a test that skips proves nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from models import increment_lock, rotation, two_phase_commit
from random_models import Generator
from slices import every
from tdxexplore import _core, cli
from tdxexplore.errors import BadModel
from tdxexplore.explore.question import Question
from tdxexplore.export import Expected, Form, murphi, promela, tla
from tdxexplore.export.notation import Names
from tdxexplore.model import Scope, State, Topology, lower
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import FAULTS, HOTPLUG, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from tdxexplore.export.steps import Condition, Member, Step, Test, Way
    from tdxexplore.model import Program

LANGUAGES: dict[str, Callable[[Form], str]] = {"promela": promela, "murphi": murphi, "tla": tla}
RULE = {"promela": r":: d_step \{{ when_{}\b", "murphi": r"^ *-- rule {}(: .*)?$", "tla": r"\\\* rule {}\b"}
# States that the interpreter here, which is slow, counts.
LARGEST = 5_000
START_OF_COMMENT = {"promela": "//", "murphi": "--", "tla": "\\*"}


# -- the decoded form, interpreted as the texts are ---------------------------------------------------------------------


class Interpreter:
    """Runs a form on labelled states, one assignment after the other, as Murphi does."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.home = form.start.package_of

    def count(self, key: Callable[[State], object] = State.key) -> tuple[int, int]:
        seen, waiting, transitions = {key(self.form.start)}, [self.form.start], 0
        while waiting:
            for after in self.successors(waiting.pop()):
                transitions += 1
                if key(after) not in seen:
                    seen.add(key(after))
                    waiting.append(after)
        return len(seen), transitions

    def renamed(self, state: State) -> object:
        """One key for states that differ only in the names of CPUs within packages and of packages of one size."""
        cpus = [tuple(c.values()) for c in state.cpus]
        packages = [
            (
                self.home.count(p),
                tuple(package.values()),
                sorted(c for c, home in zip(cpus, self.home, strict=True) if home == p),
            )
            for p, package in enumerate(state.packages)
        ]
        return repr((state.globals, sorted(packages)))

    def successors(self, state: State) -> Iterator[State]:
        if any(self.holds(c, state, -1, -1) for c in self.form.fatal):
            return
        for step in self.form.steps:
            for p, c in self.instances(step):
                if self.passes(step.tests, state, p, c):
                    yield from (self.take(w, state, p, c) for w in step.ways if self.holds(w.condition, state, p, c))

    def instances(self, step: Step) -> list[tuple[int, int]]:
        match step.label.scope:
            case Scope.CPU:
                return [(p, c) for c, p in enumerate(self.home)]
            case Scope.PACKAGE:
                return [(p, -1) for p in range(self.form.packages)]
        return [(-1, -1)]

    def take(self, way: Way, state: State, p: int, c: int) -> State:
        assert way.trap is None
        after = state.copy()
        early = [self.members(e.member, state, p, c) for e in way.each]
        for each, before in zip(way.each, early, strict=True):
            for who in before if each.early else self.members(each.member, after, p, c):
                values = after.packages[who] if each.member.over == "packages" else after.cpus[who]
                values.update({change.slot.name: change.value for change in each.changes})
        for change in way.changes:
            values = self.values(after, change.slot.scope, p, c)
            old: Any = values[change.slot.name]
            values[change.slot.name] = old + change.delta if change.delta else change.value
        return after

    def holds(self, condition: Condition, state: State, p: int, c: int) -> bool:
        found = ((bool(self.members(m, state, p, c)), some) for m, some in condition.quantified)
        return self.passes(condition.own, state, p, c) and all(there is some for there, some in found)

    def members(self, member: Member, state: State, p: int, c: int) -> list[int]:
        if member.over == "packages":
            return [q for q in range(self.form.packages) if q != p and self.package_like(member, state, q)]
        near = member.over == "package-cpus"
        tests = (*member.cpu, *member.package)
        return [
            i for i, q in enumerate(self.home) if i != c and (q == p or not near) and self.passes(tests, state, q, i)
        ]

    def package_like(self, member: Member, state: State, q: int) -> bool:
        inside = [i for i, home in enumerate(self.home) if home == q]
        return self.passes(member.package, state, q, -1) and all(
            any(self.passes(tests, state, q, i) for i in inside) is some for some, tests in member.nested
        )

    def passes(self, tests: Iterable[Test], state: State, p: int, c: int) -> bool:
        return all(self.values(state, t.slot.scope, p, c)[t.slot.name] in t.values for t in tests)

    def values(self, state: State, scope: Scope, p: int, c: int) -> dict[str, Any]:
        return {Scope.GLOBAL: state.globals, Scope.PACKAGE: state.packages[p], Scope.CPU: state.cpus[c]}[scope]


def of_question(policy: str, **values: Any) -> Form:
    question = Question.of(policy, **values)
    compiled = question.compile()
    return Form(compiled.program, compiled.model.initial(question.topology))


def counts(program: Program, start: State) -> tuple[int, int]:
    found = _core.Program(program.text).explore(program.pack(start), measures=False)
    return int(found.states), int(found.transitions)


def expected(program: Program, start: State) -> Expected | None:
    engine, initial = _core.Program(program.text), program.pack(start)
    found = engine.explore(initial, measures=False)
    return Expected.of(program, found, engine.explore(initial, measures=False, symmetry="all"))


@pytest.mark.parametrize("block", every(3, range(6)))
def test_the_decoded_form_of_random_models_has_the_counts_of_the_engine(block: int) -> None:
    compared = 0
    for seed in range(block * 40, block * 40 + 40):
        try:
            model, start = Generator(seed).build()
            program = lower(model)
            expected = counts(program, start)
        except (BadModel, _core.Trap):
            continue
        if expected[0] > LARGEST:
            continue
        form = Form(program, start)
        assert Interpreter(form).count() == expected, seed
        compared += 1
    assert compared >= 20


def test_bulk_updates_look_at_the_state_before_the_step() -> None:
    form = Form(*rotation(3))
    assert [e.early for e in form.steps[0].ways[0].each] == [False, True, True]
    assert Interpreter(form).count() == counts(*rotation(3)) == (27, 81)


@pytest.mark.parametrize("policy", every(7, BUILT_IN))
def test_the_decoded_form_of_every_policy_has_the_counts_of_the_engine(policy: str) -> None:
    compared = 0
    for scenario in HOTPLUG:
        form = of_question(policy, module="subset", scenario=scenario.name, cpus=3, packages=2)
        assert Interpreter(form).count() == counts(form.program, form.start)
        compared += 1
    assert compared == len(HOTPLUG)


@pytest.mark.parametrize("scenario", every(3, (s.name for s in (*SYSTEM, *FAULTS))))
def test_the_decoded_form_of_every_scenario_has_the_counts_of_the_engine(scenario: str) -> None:
    form = of_question("linux-7.2-update", module="subset", scenario=scenario, cpus=2, packages=2)
    assert Interpreter(form).count() == counts(form.program, form.start)


# -- symmetry -----------------------------------------------------------------------------------------------------------


def test_a_text_that_is_reduced_by_symmetry_has_the_orbits_of_the_engine() -> None:
    different = 0
    for scenario, cpus, packages in (("late-online", 3, 1), ("kvm-reload", 4, 2), ("offline-mid-enable", 5, 2)):
        form = of_question("v19", module="subset", scenario=scenario, cpus=cpus, packages=packages)
        found = expected(form.program, form.start)
        assert found is not None
        interpreter = Interpreter(form)
        assert interpreter.count(interpreter.renamed)[0] == found.orbits < found.states
        different += len({c["online"] for c in form.start.cpus}) > 1
    assert different >= 1


def test_no_step_of_murphi_or_tla_tells_cpus_or_packages_apart() -> None:
    form = of_question("linux-6.16", module="subset", scenario="kvm-reload", cpus=5, packages=2)
    text = murphi(form)
    steps, start = text.split('startstate "start"')
    assert "cpu_id: scalarset(5);" in steps
    assert "package_id: scalarset(2);" in steps
    assert not re.search(r"\b(cpu|package|package_of)\[\d", text)
    assert "if m = 0 & (n = 0 | n = 1 | n = 2) | m = 1 & (n = 3 | n = 4) then package_of[i] := p; end;" in start
    steps = tla(form).split("Fatal ==")[1]
    assert "Step_0" in steps
    assert not re.search(r"\b(cpu|package)_\d", steps)


def test_the_start_of_murphi_counts_the_cpus_that_start_out_different() -> None:
    form = of_question("v19", module="subset", scenario="late-online", cpus=3)
    assert [c["online"] for c in form.start.cpus] == [True, True, False]
    start = murphi(form).split('startstate "start"')[1]
    assert "    cpu[i].online := true;\n    if n = 2 then cpu[i].online := false; end;\n" in start
    assert r"online = [i \in Cpus |-> IF i \in {cpu_2} THEN FALSE ELSE TRUE]" in tla(form)


@pytest.mark.parametrize(
    ("sizes", "order"), [((1,), 1), ((3,), 6), ((2, 1), 2), ((2, 2), 8), ((2, 1, 2), 8), ((1, 1, 1), 6)]
)
def test_the_symmetry_of_tla_generates_all_renamings_that_keep_the_topology(sizes: tuple[int, ...], order: int) -> None:
    question = Question("v19", "subset", "all-online", Topology(sizes))
    compiled = question.compile()
    text = tla(Form(compiled.program, compiled.model.initial(question.topology)))
    lines = re.search(r"^Symmetry == \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert lines is not None
    members = [f"cpu_{c}" for c in range(sum(sizes))] + [f"package_{p}" for p in range(len(sizes))]
    found = [dict(re.findall(r"(\w+) :> (\w+)", line)) for line in lines[1].splitlines()]
    generators = [tuple(members.index(g.get(m, m)) for m in members) for g in found]
    homes = dict(
        zip(members, [*(f"package_{p}" for p in question.topology.package_of), *members[-len(sizes) :]], strict=True)
    )
    for g in generators:
        assert all(homes[members[g[k]]] == members[g[members.index(homes[m])]] for k, m in enumerate(members))
    group, waiting = {tuple(range(len(members)))}, [tuple(range(len(members)))]
    while waiting:
        one = waiting.pop()
        for product in [tuple(g[k] for k in one) for g in generators]:
            if product not in group:
                group.add(product)
                waiting.append(product)
    assert len(group) == order


# -- the texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_step_source_and_field_is_in_the_text_once(language: str) -> None:
    form = of_question("dyn-hook-if-enabled", module="subset", scenario="kvm-reload", cpus=3, packages=2)
    text = LANGUAGES[language](form)
    rules = form.program.rules
    assert len(rules) > 400
    for number in range(len(rules)):
        assert len(re.findall(RULE[language].format(number), text, re.MULTILINE)) == 1, number
    # A wrapped comment goes on in the next line.
    flat = " ".join(re.sub(rf"\s*\n *{re.escape(START_OF_COMMENT[language])} {{4,}}", " ", text).split())
    for step in form.steps:
        assert " ".join(step.title.split()) in flat
    for name in (s.name for scope in Scope for s in form.slots(scope)):
        assert re.search(rf"\b{re.escape(name)}\b", text) or re.sub(r"\W+", "_", name) in text, name


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("model", [increment_lock, two_phase_commit])
def test_the_text_of_a_small_model(
    language: str, model: Callable[[int], tuple[Program, State]], snapshot: SnapshotAssertion
) -> None:
    program, start = model(2)
    form = Form(program, start, expected(program, start))
    assert LANGUAGES[language](form) == LANGUAGES[language](Form(program, start, expected(program, start)))
    assert LANGUAGES[language](form) == snapshot


def test_an_incomplete_search_has_no_expected_counts() -> None:
    program, start = increment_lock(3)
    found = _core.Program(program.text).explore(program.pack(start), max_states=5, measures=False)
    assert Expected.of(program, found, found) is None
    assert "should print" not in murphi(Form(program, start))


def test_names_are_distinct_and_none_is_a_word_of_the_language() -> None:
    names = Names(["active", "do"])
    assert [names.new(t) for t in ("active", "pc.kvm", "pc kvm", "PC_KVM", "3rd", "", "when_7")] == [
        "active_",
        "pc_kvm",
        "pc_kvm_2",
        "PC_KVM_3",
        "v_3rd",
        "field",
        "when_7_",
    ]


# -- the command line ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("promela", "Spin should print 69 states, stored and 115 transitions"),
        ("murphi", "Rumur should print 69 states, 114 rules fired"),
        ("murphi", "With --symmetry-reduction heuristic --scalarset-schedules off: 57 states."),
        ("tla", "TLC should print 115 states generated (the initial one among them), 69 distinct states found"),
        ("tla", "with SYMMETRY 57 distinct states found"),
    ],
)
def test_export_prints_the_model_and_the_counts_to_expect(
    language: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "v19", "--module", "subset", "--scenario", "late-online", "--cpus", "3", "--to", language]
    assert cli.run(words) == 0
    out, err = capsys.readouterr()
    assert line in out
    assert not err


def test_export_writes_a_tla_module_named_after_its_file_and_its_configuration(tmp_path: Path) -> None:
    assert cli.run(["export", "v19", "--cpus", "2", "--to", "tla", "-o", str(tmp_path / "Bringup.tla")]) == 0
    assert "MODULE Bringup -" in (tmp_path / "Bringup.tla").read_text()
    configuration = (tmp_path / "Bringup.cfg").read_text()
    assert "CONSTANTS cpu_0 = cpu_0 cpu_1 = cpu_1 package_0 = package_0\nINIT Init\nNEXT Next\n" in configuration
    assert "\\* SYMMETRY Symmetry" in configuration
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "smv"], 'Choose from: "promela", "murphi", "tla"'),
        (["--to", "tla", "-o", "{}/model.txt"], "ends in .tla"),
        (["--to", "tla", "-o", "{}/a-b.tla"], "`a-b` cannot be the name of a TLA+ module"),
        (["--to", "murphi", "-o", "{}/missing/m.m"], "No such file or directory"),
        (["--to", "murphi", "-o", "{}"], "Is a directory"),
        (["--to", "promela", "--cpus", "40"], "--cpus is 40; Promela is written for at most 31 CPUs"),
        (["--to", "promela", "--scenario", "late"], "scenario `late` is not known"),
    ],
)
def test_export_refuses_bad_input_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["export", "v19", *(w.format(tmp_path) for w in words)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
