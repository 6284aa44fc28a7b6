"""The manual: its reference is complete and up to date."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import described_pages
import docstrings
import reference_pages
import tdxexplore
from manual_blocks import WIDTH, Reader
from tdxexplore import check, cli, model
from tdxexplore.cli import exits
from tdxexplore.cli.output import DOCUMENTS
from tdxexplore.data.schema import TABLES
from tdxexplore.explore.settings import having
from tdxexplore.linux.locks import Locks
from tdxexplore.sweep import spec
from tdxexplore.tdx.fields import BUDGETS, MODULE_KINDS
from tdxexplore.tdx.outcomes import MEANINGS
from tdxexplore.tdx.policies import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "python" / "tdxexplore"
PAGES = reference_pages.pages() | described_pages.pages()


def page(name: str) -> str:
    return (DOCS / name).read_text()


# -- the reference ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_up_to_date(name: str) -> None:
    assert len(PAGES[name]) > 1000
    assert page(name) == PAGES[name]


def public_functions(path: Path) -> Iterator[str]:
    """The public functions and methods of a file, as its text has them."""
    for node in ast.parse(path.read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        for function in inside:
            if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
                yield function.name


@pytest.mark.parametrize(
    ("name", "files", "least"),
    [
        ("language", ("model/model.py", "model/procedure.py", "model/blocks.py", "model/topology.py"), 45),
        ("primitives", ("linux/locks.py", "linux/cpuhp.py", "linux/context.py", "linux/actor.py"), 35),
        (
            "primitives",
            ("linux/boot.py", "linux/suspend.py", "linux/shutdown.py", "linux/kexec.py", "linux/hotplug.py"),
            10,
        ),
        ("primitives", ("tdx/kernel.py", "tdx/vmx.py", "tdx/host.py"), 12),
        ("primitives", tuple(f"tdx/module/{part}.py" for part in ("dispatcher", "tdh_sys", "td_calls", "seamldr")), 25),
        ("policy", ("tdx/policy.py", "tdx/kvm.py"), 25),
    ],
)
def test_every_public_primitive_is_in_the_reference(name: str, files: tuple[str, ...], least: int) -> None:
    # `Unentered`, `WayOut` and `Recording` are what blocks are made of; a model meets only what is derived from them.
    inner = {"made", "entered", "check", "over", "position", "emit", "set", "nested"}
    names = set(chain.from_iterable(public_functions(PACKAGE / file) for file in files)) - inner
    assert len(names) >= least
    text = page(f"reference/{name}.md")
    assert {n for n in names if f"### {n}\n" not in text and f"- `{n}`: " not in text} == set()


def test_every_name_of_the_language_is_in_the_reference() -> None:
    assert len(model.__all__) > 20
    assert [name for name in model.__all__ if name not in page("reference/language.md")] == []


def test_every_name_of_the_library_is_in_the_reference() -> None:
    pages = page("reference/library.md") + page("reference/policy.md")
    names = [name for name in tdxexplore.__all__ if name != "__version__"]
    assert len(names) > 25
    found = re.findall(r"^##+ (\w+)$|^\| `(\w+)` \| ", pages, flags=re.MULTILINE)
    assert [name for name in names if name not in set(chain.from_iterable(found))] == []


def test_what_has_no_docstring_stops_the_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Locks, "spinlock", lambda self: None, raising=False)
    with pytest.raises(docstrings.Undocumented, match=r"`Locks.spinlock` has no docstring"):
        reference_pages.primitives()


def test_a_field_that_is_not_explained_stops_the_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    made = reference_pages.everything()
    made.forgotten = made.model.flag("forgotten")  # type: ignore[attr-defined]
    monkeypatch.setattr(reference_pages, "everything", lambda: made)
    with pytest.raises(docstrings.Undocumented, match=r"field `w.forgotten`"):
        reference_pages.fields()


def test_every_field_of_the_world_and_every_budget_is_in_the_reference() -> None:
    world, text = reference_pages.everything(), page("reference/fields.md")
    assert len(world.names) > 70
    assert [name for name in world.names if f"| `w.{name}`" not in text] == []
    assert [name for name in BUDGETS if f"| `{name}` | " not in text] == []
    answer = check("v19", cpus=2, scenario="late-online")
    changed = {name for trace in answer.traces.values() for step in trace for name, _, _ in step.changes}
    shared = {re.sub(r"\[\d+\]$", "", name) for name in changed}
    shared = {name for name in shared if name.partition(".")[0] not in ("pc", "budget", "tdx_hardware_setup")}
    assert len(shared) > 5
    assert [
        name
        for name in shared
        if f"`w.{name}` | " not in text and f"`{name}` | " not in text and "registered" not in name
    ] == []


def test_every_outcome_and_invariant_is_in_the_reference() -> None:
    assert [name for name in MEANINGS if f"| `{name}` | " not in page("reference/questions.md")] == []
    assert [name for name in MEANINGS if f"| `{name}` | " not in page("outcomes.md")] == []


def test_every_column_is_in_the_reference() -> None:
    columns = {column.name for table in TABLES.values() for column in table}
    assert len(columns) > 50
    assert [name for name in columns if f"| `{name}` | " not in page("dataset.md")] == []


def test_every_key_of_a_sweep_file_is_in_the_reference_and_no_other() -> None:
    text = page("reference/sweep-file.md")
    keys = [*spec.TOP, *spec.AXES, *having("identity", "limit")]
    assert re.findall(r"^\| `(\w+)` \| ", text, flags=re.MULTILINE) == keys
    assert spec.load(ROOT / "sweeps" / "late_cpus.toml").cells()


def test_every_command_and_setting_is_in_the_reference() -> None:
    text = page("reference/commands.md")
    options = [f"--{name.replace('_', '-')}" for name in having("identity", "limit", "resource")]
    assert re.findall(r"^\| `([\w-]+)` \| ", text, flags=re.MULTILINE) == [*cli.COMMANDS, *options]
    assert len(options) >= 10


def test_every_exit_code_is_in_the_reference_and_no_other() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and type(value) is int and name[0] != "_"}
    found = re.findall(r"^\| (\d+) \| ", page("reference/exit-codes.md"), flags=re.MULTILINE)
    assert {*map(int, found)} == codes
    assert len(codes) == len(found) == 7


# -- JSON -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    grid = "policy = 'v19'\nmodule = 'subset'\nscenario = 'late-online'\ncpus = 2\n"
    (folder / "one.toml").write_text(f"[grid]\n{grid}[check]\nprices = false\n")
    assert cli.run(["sweep", str(folder / "one.toml"), "--out", str(folder / "out")]) == 0
    return folder


ASKED = "v19 --module subset --cpus 2 --scenario late-online"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("check", f"check {ASKED}"),
        ("compare", f"compare {ASKED}"),
        ("diff", f"diff v19 {ASKED}"),
        ("why", f"why {ASKED}"),
        ("replay", f"replay {ASKED} 0"),
        ("sample", f"sample {ASKED} --count 1"),
        ("sweep --dry-run", "sweep DATA/one.toml --out DATA/out --dry-run"),
        ("sweep", "sweep DATA/one.toml --out DATA/other"),
        ("analyze", "analyze worst DATA/out"),
        (
            "kernel conform",
            f"kernel conform {ROOT / 'tests' / 'kernel_traces' / '6.12-hotplug.jsonl'} linux-6.16",
        ),
    ],
)
def test_a_json_document_has_the_keys_that_the_reference_gives(
    command: str, words: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words.replace("DATA", str(data)).split(), "--json"]) in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["schema_version", *DOCUMENTS[command]]
    section = page("reference/json.md").partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| ", section, flags=re.MULTILINE) == list(DOCUMENTS[command])


def test_the_rows_of_a_check_have_the_columns_that_the_reference_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", *ASKED.split(), "--budget", "suspend=unbounded", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    looked_at = 0
    for key in ("invariants", "expectations", "responses"):
        for column in re.findall(r"`(\w+)`", DOCUMENTS["check"][key]):
            assert column in document[key][0]
            looked_at += 1
    assert looked_at > 12


def test_every_command_with_json_is_in_the_reference() -> None:
    sources = {path.stem: path.read_text() for path in (PACKAGE / "cli").glob("*.py") if path.stem != "output"}
    with_json = {name for name, text in sources.items() if "print_json(" in text}
    assert len(with_json) >= 8
    assert {name.split()[0] for name in DOCUMENTS} == with_json


# -- the pages --------------------------------------------------------------------------------------------------------


def test_every_page_is_reached_from_the_first() -> None:
    """By links that any viewer follows, besides the tables of contents of Sphinx."""
    reached, new = {DOCS / "index.md"}, [DOCS / "index.md"]
    while new:
        source = new.pop()
        for target in re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", source.read_text()):
            found = (source.parent / target).resolve()
            if found.is_relative_to(DOCS) and found not in reached:
                reached.add(found)
                new.append(found)
    assert reached == set(DOCS.rglob("*.md"))
    assert len(reached) > len(BUILT_IN) + 20


def test_module_kinds_are_explained() -> None:
    assert [kind for kind in MODULE_KINDS if f"| `{kind}` | " not in page("designs.md")] == []


# -- the pages that a reader follows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tutorial", {"console": 8, "command": 12, "python": 1}),
        ("own-policy", {"console": 13, "command": 16, "file": 3, "diff": 8}),
        ("exactness", {"python": 1}),
    ],
)
def test_a_page_can_be_followed_word_by_word(
    name: str,
    least: dict[str, int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    reader = Reader(tmp_path, capsys)
    reader.follow(page(f"{name}.md"))
    assert {kind: number for kind, number in least.items() if reader.done[kind] < number} == {}, reader.done


def test_a_reader_notices_what_is_not_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (
        "```console\n$ tdxexplore help subset\nsubset: a scenario\n...\n```\n",
        "```console\n$ tdxexplore help subset\n```\n",
        "```console\n$ ls\n```\n",
        "```python\n# a.py\nx = 1\nx = 1\n```\n```diff\n-x = 1\n+x = 2\n```\n",
        "```python\nassert 1 == 2\n```\n",
    ):
        with pytest.raises(AssertionError):
            Reader(tmp_path, capsys).follow(wrong)


# -- the notebook -----------------------------------------------------------------------------------------------------


def notebook() -> ModuleType:
    spec = spec_from_file_location("seed_mail", ROOT / "examples" / "seed_mail.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_goes_from_the_question_to_the_answer() -> None:
    outputs, names = notebook().app.run()
    assert sum(output is not None for output in outputs) >= 10
    worst = {row["policy"]: row for row in names["worst"].iter_rows(named=True)}
    assert worst["v19"]["late-online"] == "S2 td-error"
    assert worst["kvm-hook-lp-init"]["late-online"] == worst["kvm-hook-lp-init"]["kvm-reload"] == "ok tdx-up"
    assert worst["kvm-hook-lp-init"]["no-kvm"] == "S4 latent-lp"
    assert {row["second-tdx-user"] for row in worst.values()} == {"S2 td-error", "S2 user-error"}
    broken = {(row["policy"], row["scenario"]): row["broken"] for row in names["failing"].iter_rows(named=True)}
    assert broken["kvm-hook-lp-init", "second-tdx-user"] == "I1 I2"
    assert broken["hook-before-users", "second-tdx-user"] == "I2"
    reasons = names["reasons"]
    assert (reasons.outcome, reasons.if_and_only_if, len(reasons.causes)) == ("td-error", True, 2)
    assert "TDX_SYS_LP_INIT_NOT_DONE" in next(o.text for o in outputs if "TDX_SYS" in getattr(o, "text", ""))


def test_the_notebook_is_right_about_a_strict_module() -> None:
    chosen = {"cpus": SimpleNamespace(value=2), "module": SimpleNamespace(value="strict")}
    asked = {"designs": ["v19", "kvm-hook-lp-init", "hook-before-users"], "questions": ["late-online"]}
    _, names = notebook().app.run(defs={**chosen, **asked})
    assert names["worst"]["late-online"].to_list() == ["S3 sticky-error"] * 3


@pytest.mark.long
def test_the_manual_is_built_without_warnings(tmp_path: Path) -> None:
    words = ["-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [sys.executable, *words, str(DOCS), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    built = {path.relative_to(tmp_path).with_suffix("") for path in tmp_path.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")} <= built
    assert "all models, settings and versions" in (tmp_path / "speed.html").read_text()
    assert list(tmp_path.rglob("_downloads/*/peers.md"))
