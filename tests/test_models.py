"""Models that are no TDX policies: docs/models.md line by line, as a newcomer would, and every command on one."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

import tdxexplore
from patience import time_limit
from tdxexplore import cli
from tdxexplore.cli.new import NAMES
from tdxexplore.data.reading import Dataset
from tdxexplore.errors import BadModel, TimeUp
from tdxexplore.explore.question import Question
from tdxexplore.model import Event, Model, Procedure, Scope, State, Topology, cpus

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parent.parent / "examples"
PAGE = (Path(__file__).parent.parent / "docs" / "models.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
WORDS = re.compile(r"\s+")


def run(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What a command line prints, and its exit code."""
    code = cli.run(line.split()[1:])
    captured = capsys.readouterr()
    assert captured.err == "", line
    return code, captured.out


def test_the_page_is_followed_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "150")
    names: dict[str, Any] = {"__name__": "page"}
    commands, lines, codes = 0, 0, []
    for (kind, text), (after, expected) in pairwise([*BLOCKS, ("", "")]):
        if named := re.match(r"# (\w+\.(?:py|toml))\n", text):
            (tmp_path / named[1]).write_text(text)
        elif kind == "python":
            exec(compile(text, "models.md", "exec"), names)
        elif kind == "sh":
            printed = ""
            for line in text.splitlines():
                code, out = run(line, capsys)
                codes.append(code)
                printed += WORDS.sub(" ", out)
                commands += 1
            for line in expected.splitlines() if after == "text" else ():
                assert WORDS.sub(" ", line) in printed, (line, printed)
                lines += 1
    sys.modules.pop("ticket", None)
    assert commands == 15
    assert lines >= 20
    # check, check, replay, diff, sample, export, compare, sweep, analyze, and three times two to four checks
    assert codes == [0, 1, 0, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0]


def test_the_page_uses_public_names_only() -> None:
    code = "\n".join(text for kind, text in BLOCKS if kind == "python")
    places = re.findall(r"^ *(?:from|import) (tdxexplore[\w.]*)", code, flags=re.MULTILINE)
    assert set(places) == {"tdxexplore", "tdxexplore.model", "tdxexplore.linux"}
    assert len(places) >= 5


@pytest.mark.parametrize("kind", NAMES)
def test_what_new_writes_is_explored_as_it_is(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "start.py"
    code, out = run(f"tdxexplore new {kind} {path}", capsys)
    assert code == 0
    command = out.partition("explore it with: ")[2].strip()
    assert command == f"tdxexplore check {path}:{NAMES[kind]}"
    code, out = run(f"{command} --cpus 3", capsys)
    assert code == 0
    assert "verdict: holds" in out
    text = path.read_text()
    written = [line.strip() for line in text.splitlines() if line.startswith("    tdxexplore ")]
    assert len(written) >= 2
    assert [run(line, capsys)[0] for line in written] == {"model": [0, 1, 0], "policy": [1, 0]}[kind]
    assert cli.run(["new", kind, str(path)]) == 2
    assert capsys.readouterr().err == f"tdxexplore: error: file `{path}` exists; name another one\n"
    assert path.read_text() == text


def test_a_start_has_a_name_and_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["new", "model", str(tmp_path / "start.txt")]) == 2
    assert "its name must end in `.py`" in capsys.readouterr().err
    assert cli.run(["new", "model", str(tmp_path / "nowhere" / "start.py")]) == 2
    assert "No such file" in capsys.readouterr().err


# -- a subject ----------------------------------------------------------------------------------------------------------


def counters(steps: int = 2, meet: bool = False, kind: Literal["a", "b", 3] = "b") -> Model:
    """Each CPU counts; the parameters are of every kind that there is."""
    model = Model("counters")
    total = model.counter("total", 12)
    p = Procedure("counts", Scope.CPU)
    for _ in range(steps):
        p.step("count")
        p.add(total, 1)
    model.add(p)
    model.outcome("met", "S2" if meet else "ok", total > 1, "several have counted")
    model.outcome(f"of {kind}", "ok", True)
    return model


def test_parameters_are_knobs() -> None:
    answer = tdxexplore.check(counters, cpus=2)
    assert answer.runs.select("policy", "knobs", "module", "scenario", "budgets").row(0) == (
        "counters",
        "kind=b meet=false steps=2",
        "-",
        "-",
        "",
    )
    assert answer.runs["states"][0] == "9"
    assert tdxexplore.check(counters, cpus=2, knobs={"steps": 3, "meet": True}).verdict == "violated"
    assert tdxexplore.check(counters, cpus=1, knobs={"steps": 1, "kind": 3}).worst == "of 3"
    command = Question.of(counters, cpus=2, packages=2, knobs={"meet": True}).command("check")
    assert command == f"tdxexplore check {__file__}:counters --cpus 2 --packages 2 --set meet=true"


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "a knob that there is not": (
        lambda: tdxexplore.check(counters, knobs={"step": 1}),
        "model `counters` has no knob `step`; did you mean `steps`",
    ),
    "a value that is not allowed": (
        lambda: tdxexplore.check(counters, knobs={"kind": "c"}),
        "knob `kind` of model `counters` is `c`; Allowed: 3, a, b",
    ),
    "a number that is none": (
        lambda: tdxexplore.check(counters, knobs={"steps": "two"}),
        "knob `steps` of model `counters` is `two`; a whole number is needed",
    ),
    "a module kind": (
        lambda: tdxexplore.check(counters, module="strict"),
        "--module is `strict`; `counters` is a model, which has none",
    ),
    "a scenario": (
        lambda: tdxexplore.check(counters, scenario="no-kvm"),
        "--scenario is `no-kvm`; `counters` is a model, which has none",
    ),
    "a budget": (
        lambda: tdxexplore.check(counters, budgets={"cpu_up": 1}),
        "budget `cpu_up` is given, and model `counters` has none; make it a parameter",
    ),
    "a function of nothing": (
        lambda: tdxexplore.check(lambda: None),  # type: ignore[arg-type,return-value]
        "returns None; it must return a `tdxexplore.model.Model`",
    ),
    "an object": (lambda: tdxexplore.check(3), "policy is 3; allowed: the name of a built-in one"),  # type: ignore[arg-type]
    "a parameter without a default": (
        lambda: tdxexplore.check(lambda n: Model("x")),
        "parameter `n` of model `<lambda>` is none of: a bool, a whole number with a default, a `Literal`",
    ),
    "parameters without names": (
        lambda: tdxexplore.check(lambda *n: Model("x")),
        "parameter `n` of model `<lambda>` has no name to set it by",
    ),
    "a default that is not allowed": (
        lambda: tdxexplore.check(wrong_default),
        "the default of parameter `kind` of model `wrong_default` is `c`; allowed are a, b",
    ),
    "a value with a space": (lambda: tdxexplore.check(spaced), "has values with a space, a comma or `=`: a b"),
    "an annotation that is not defined": (
        lambda: tdxexplore.check(undefined),
        "is annotated with `Nothing`, which cannot be read",
    ),
}


def wrong_default(kind: Literal["a", "b"] = "c") -> Model:  # type: ignore[assignment]
    return Model(kind)


def spaced(kind: Literal["a b"] = "a b") -> Model:
    return Model(kind)


def undefined(kind: Nothing = 1) -> Model:  # type: ignore[name-defined] # noqa: F821
    return Model(str(kind))


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_allowed_is_one_line(case: str) -> None:
    ask, line = BAD[case]
    with pytest.raises(BadModel) as error:
        ask()
    assert line in str(error.value)
    assert "\n" not in str(error.value)


MISTAKES = {
    "an error": ("    raise KeyError('x')", "line 8: KeyError: 'x'"),
    "an exit": ("    raise SystemExit(1)", "line 8: it calls sys.exit(1)"),
    "a start that goes wrong": (
        "    model.starts(lambda state: state.cpus[7].update(at=1))\n    return model",
        "line 8: IndexError: list index out of range",
    ),
    "a start of a value that is none": (
        "    model.starts(lambda state: state.cpus[0].update(at=7), at)\n    return model",
        "`at` cannot be 7",
    ),
    "a start of a field that it does not name": (
        "    model.starts(lambda state: state.cpus[0].update(at=1))\n    return model",
        "sets field `at`, which no step assigns and `starts` does not name",
    ),
    "too few CPUs": (
        "    model.starts(lambda state: None, least_cpus=3)\n    return model",
        "--cpus is 2; model `m` needs at least 3",
    ),
    "no model": ("    return 1", "m` returns 1; it must return a `tdxexplore.model.Model`"),
    "no outcome": ("    model.outcomes.clear()\n    return model", "outcome"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_a_file_is_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body, line = MISTAKES[case]
    head = "from tdxexplore.model import Model, Procedure, Scope\ndef m():\n    model = Model('m')\n"
    head += "    at = model.counter('at', 1, Scope.CPU)\n    p = Procedure('p'); p.step('s'); model.add(p)\n"
    head += "    model.outcome('o', 'ok', True)\n    #\n"
    (tmp_path / "m.py").write_text(f"{head}{body}\n")
    assert cli.run(["check", f"{tmp_path}/m.py:m", "--cpus", "2"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert line in captured.err


def test_a_name_that_a_file_does_not_have_names_its_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.py").write_text(
        "from tdxexplore.model import Model\nobject_ = Model('o')\ndef f(): ...\ndef _g(): ...\n"
    )
    assert cli.run(["check", f"{tmp_path}/m.py:g"]) == 2
    assert "has no policy or model `g`; Allowed: f, object_" in capsys.readouterr().err
    assert cli.run(["kernel", "run", f"{tmp_path}/m.py:f"]) == 2


# -- what is asked of it ------------------------------------------------------------------------------------------------


def test_a_model_that_goes_on_for_ever_needs_no_end_unless_it_names_a_good_one() -> None:
    def turns(good: bool = False) -> Model:
        model = Model("turns")
        flag = model.flag("flag")
        p = Procedure("turns")
        with p.loop():
            p.step("on")
            p.set(flag, True)
            p.step("off")
            p.set(flag, False)
        model.add(p)
        model.outcome("stuck", "S1", model.stuck())
        if good:
            model.outcome("over", "ok", True)
        return model

    assert tdxexplore.check(turns).verdict == "holds"
    assert tdxexplore.check(turns, knobs={"good": True}).verdict in ("violated", "vacuous")


def test_responses_prices_and_limits_are_those_of_a_policy(capsys: pytest.CaptureFixture[str]) -> None:
    def race(back: bool = False) -> Model:
        """Two CPUs race for a token; the loser can have it only if it is given back."""
        model = Model("race")
        free, mine = model.flag("free", initial=True), model.flag("mine", Scope.CPU)
        p = Procedure("racer", Scope.CPU)
        p.step("take", rest=True, events=(Event("take"),))
        p.await_(free)
        p.set(free, False)
        p.set(mine, True)
        if back:
            p.step("give back")
            p.set(free, True)
        model.add(p)
        model.outcome("over", "ok", True)
        model.response("everybody", cpus.any(~mine), cpus.all(mine), "each CPU can still have had the token", "S3")
        model.price("takes", "how often it is taken", events=("take",))
        return model

    answer = tdxexplore.check(race, cpus=2, prices=True)
    assert answer.verdict == "violated"
    assert answer.responses.select("lost_states", "shortest_steps").row(0) == ("3", 0)
    assert answer.prices.select("least", "most").row(0) == (1, 1)
    again = tdxexplore.check(race, cpus=2, knobs={"back": True}, prices=True)
    assert again.verdict == "holds"
    assert again.prices.select("least", "most").row(0) == (2, 2)
    assert tdxexplore.check(counters, cpus=3, max_states=3).verdict == "incomplete"
    assert cli.run(["check", f"{__file__}:counters", "--cpus", "3", "--max-depth", "1", "--quiet"]) == 3
    assert "incomplete" in capsys.readouterr().out


def test_a_start_is_a_state_of_any_topology() -> None:
    def first_of_each_package() -> Model:
        model = Model("firsts")
        first, seen = model.flag("first", Scope.CPU), model.counter("seen", 4)
        p = Procedure("counts", Scope.CPU)
        p.step("count", rest=True)
        p.await_(first)
        p.add(seen, 1)
        model.add(p)

        def start(state: State) -> None:
            for package in range(state.topology.packages):
                state.cpus[state.package_of.index(package)]["first"] = True

        model.starts(start, first)
        for number in range(1, 5):
            model.outcome(f"{number} firsts", "ok", seen == number)
        return model

    assert tdxexplore.check(first_of_each_package, cpus=5, packages=1).worst == "1 firsts"
    assert tdxexplore.check(first_of_each_package, cpus=5, packages=3).worst == "3 firsts"
    state = first_of_each_package().initial(Topology((2, 1)))
    assert [cpu["first"] for cpu in state.cpus] == [True, False, True]
    assert state.topology == Topology((2, 1))


def test_an_object_is_asked_again_after_another_declaration() -> None:
    model = counters()
    assert tdxexplore.check(model, cpus=2).verdict == "holds"
    model.invariant("few", model["total"] < 3)
    answer = tdxexplore.check(model, cpus=2)
    assert answer.verdict == "violated"
    assert answer.runs["policy"][0] == "counters"
    with pytest.raises(BadModel, match="is added after the model has been settled"):
        model.add(Procedure("late"))


def test_the_same_answer_from_a_file_a_function_and_an_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.py"
    path.write_text(
        "from test_models import counters as _counters\nmodel = _counters()\ndef again(): return _counters()\n"
    )
    digests = {tdxexplore.check(what, cpus=2).runs["digest"][0] for what in (counters, counters(), f"{path}:model")}
    assert len(digests) == 1
    assert cli.run(["check", f"{path}:again", "--cpus", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["run"]["digest"] in digests
    assert (document["run"]["policy"], document["run"]["module"]) == ("again", "-")


@pytest.mark.parametrize("to", ["promela", "murphi", "tla", "dot"])
def test_a_model_is_exported(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(f"tdxexplore export {__file__}:counters --cpus 2 --to {to}", capsys)
    assert code == 0
    assert "count" in out


@pytest.mark.parametrize("form", ["mail", "mermaid", "perfetto", "json"])
def test_a_trace_of_a_model_is_written_in_every_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(f"tdxexplore check {__file__}:counters --cpus 2 --set meet=true --to {form}", capsys)
    assert code == 1
    assert "count" in out
    assert "module kind" not in out


# -- sweeps ---------------------------------------------------------------------------------------------------------------

FILE = """
from tdxexplore.model import Model, Procedure, Scope

def counts(steps: int = 1, twice: bool = False) -> Model:
    model = Model("counts")
    total = model.counter("total", 9)
    p = Procedure("counts", Scope.CPU)
    for _ in range(steps * (1 + twice)):
        p.step("count")
        p.add(total, 1)
    model.add(p)
    model.outcome("counted", "ok", True)
    return model
"""
GRID = """
[grid]
policy = ["m.py:counts", "v19"]
module = "strict"
scenario = "all-online"
cpus = 2
set = { steps = "1-2", twice = [false, true] }

[[exclude]]
policy = "m.py:counts"
set = { steps = 2, twice = true }
"""


def test_a_sweep_has_models_beside_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.py").write_text(FILE)
    (tmp_path / "s.toml").write_text(GRID)
    words = ["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]
    assert cli.run(words) == 0
    runs = Dataset(tmp_path / "out").runs.collect().sort("policy", "knobs")
    assert runs.select("policy", "knobs", "module", "scenario", "states").rows() == [
        ("counts", "steps=1 twice=false", "-", "-", "4"),
        ("counts", "steps=1 twice=true", "-", "-", "9"),
        ("counts", "steps=2 twice=false", "-", "-", "9"),
        ("v19", "offline_veto=on usage_lock=kvm_lock vmx_off=where-vmxon", "strict", "all-online", "24"),
    ]
    capsys.readouterr()
    assert cli.run([*words, "--dry-run"]) == 0
    assert "done in" in (out := capsys.readouterr().out)
    assert out.rstrip().endswith("4; to do: 0")
    # Another model under the same name is not taken for an answer that is held.
    (tmp_path / "m.py").write_text(FILE.replace("p.add(total, 1)", "p.add(total, 2)"))
    assert cli.run(words) == 2
    assert "holds another answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('"1-2"', '"x"', "`grid.set.steps` is `x`"),
        ("[false, true]", '"maybe"', "`grid.set.twice` is `maybe`; policy `counts` does not know it"),
        ('"m.py:counts"', '"m.py:count"', "has no policy or model `count`; did you mean `counts`"),
    ],
)
def test_a_sweep_file_that_is_wrong_is_one_line(
    old: str, new: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.py").write_text(FILE)
    (tmp_path / "s.toml").write_text(GRID.replace(old, new))
    assert cli.run(["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


def test_a_comparison_shows_models_beside_policies(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    words = ["compare", f"{__file__}:counters", "v19", "--module", "strict", "--scenario", "all-online", "--cpus", "2"]
    assert cli.run(words) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "counters - ok met holds 6 of 6" in lines
    assert "scenario all-online" in lines
    assert "scenario -" not in lines
    assert "v19 strict ok tdx-up holds 256 of 256" in lines
    assert cli.run([*words, "--overview"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.startswith("worst outcome")] == [
        "worst outcome, 2 CPUs",
        "worst outcome, module kind strict, 2 CPUs",
    ]
    assert {"counters ok met", "v19 ok tdx-up"} <= set(lines)


def test_a_model_that_takes_for_ever_to_be_recorded_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(f"{FILE}\ndef hangs(long: bool = True):\n    while long:\n        pass\n    return counts()\n")
    short = partial(tdxexplore.check, f"{path}:hangs", knobs={"long": "false"})
    # One question is recorded at a time; to wait for one that hangs takes no time of the next.
    limit = time_limit(partial(short, cpus=4), partial(short, cpus=5))
    matrix = tdxexplore.compare([f"{path}:hangs"], cpus=[2, 3], knobs={"long": ["true", "false"]}, timeout=limit).matrix
    assert matrix["verdict"].to_list() == ["incomplete", "incomplete", "holds", "holds"]
    assert "takes longer" in matrix["reason"].to_list()[0]
    with pytest.raises(TimeUp, match=r"recording and lowering `.*m.py:hangs` takes longer"):
        tdxexplore.check(f"{path}:hangs", timeout=0.5)


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.py").write_text(FILE)
    with pytest.raises(
        BadModel, match=r"policy `m.py:counts`: its name `counts` is also that of `m.py:counts`; rename one"
    ):
        tdxexplore.compare([f"{tmp_path}/a/m.py:counts", f"{tmp_path}/b/m.py:counts"])


def test_a_comparison_says_where_a_model_has_too_few_cpus() -> None:
    def needs() -> Model:
        model = counters()
        model.starts(lambda _: None, least_cpus=3)
        return model

    matrix = tdxexplore.compare([needs], cpus=[2, 3]).matrix
    assert matrix["verdict"].to_list() == ["not applicable", "holds"]
    assert matrix["reason"].to_list()[0] == "`needs` needs at least 3 CPUs"
