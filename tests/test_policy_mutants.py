"""Policy files with a slip in them: each is refused in one line, or answered as the reference answers it.

The slips are those that a reader of patches makes: a forgotten ``with``, a forgotten ``return``, a renamed step, two lines
in the wrong order, a line left out, a value of another function. They are made in the built-in policies by edits of their
syntax trees.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from slices import every
from tdxexplore import _core
from tdxexplore.errors import BadModel, Trap
from tdxexplore.explore.question import Question
from tdxexplore.model import reference
from tdxexplore.tdx.policies import BUILT_IN
from test_structure import POLICIES
from witnesses import compare_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tdxexplore.model import Model, State
    from tdxexplore.tdx.fields import ModuleKind
    from tdxexplore.tdx.policy import Policy

QUESTIONS: list[tuple[str, ModuleKind, int]] = [
    ("late-online", "subset", 1),
    ("kvm-reload", "strict", 1),
    ("offline-mid-enable", "subset-nocheck", 2),
    ("second-enable", "strict", 1),
    ("suspend", "subset", 1),
    ("fault-vmxon", "subset", 1),
    ("late-online", "strict", 2),
    ("kexec", "subset-nocheck", 1),
]
# States that the reference, which is slow, explores; a larger model is asked something smaller.
LARGEST = 1_200
SMALL: tuple[str, ModuleKind, int] = ("all-online", "subset", 1)
PARTS = 60
TITLED = {"step", "on_any_cpu", "on_each_cpu", "ipi"}
TITLES = ("idle", "done", "(idle)", "IPI vmx_off()", "")


# -- slips --------------------------------------------------------------------------------------------------------------


def slips(source: str) -> Iterator[tuple[str, int, int]]:
    """Every slip in a file: its kind, its number among those of its kind, and its line."""
    tree = ast.parse(source)
    for kind, edit in EDITS.items():
        for number, (line, _) in enumerate(edit(tree)):
            yield kind, number, line


def with_slip(source: str, kind: str, number: int) -> str:
    """The file with a slip."""
    tree = ast.parse(source)
    _, change = next(islice(EDITS[kind](tree), number, None))
    change()
    return ast.unparse(ast.fix_missing_locations(tree))


def blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The statements of functions, block by block, without docstrings."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                for name in ("body", "orelse"):
                    found = getattr(node, name, None)
                    if isinstance(found, list) and found:
                        yield found


def statements(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], int, ast.stmt]]:
    for block in blocks(tree):
        for at, statement in enumerate(block):
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                yield block, at, statement


def replace(block: list[ast.stmt], at: int, new: list[ast.stmt]) -> Callable[[], None]:
    def change() -> None:
        block[at : at + 1] = new

    return change


def not_entered(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    for block, at, statement in statements(tree):
        if isinstance(statement, ast.With):
            calls: list[ast.stmt] = [ast.Expr(item.context_expr) for item in statement.items]
            yield statement.lineno, replace(block, at, [*calls, *statement.body])


def without_its_block(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    for block, at, statement in statements(tree):
        if isinstance(statement, ast.With):
            yield statement.lineno, replace(block, at, statement.body)


def not_returned(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    for block, at, statement in statements(tree):
        if isinstance(statement, ast.Return) and statement.value is not None:
            yield statement.lineno, replace(block, at, [ast.Expr(statement.value)])


def left_out(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    for block, at, statement in statements(tree):
        if not isinstance(statement, ast.Return):
            yield statement.lineno, replace(block, at, [] if len(block) > 1 else [ast.Pass()])


def swapped(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    for block, at, statement in statements(tree):
        if at + 1 < len(block):

            def change(block: list[ast.stmt] = block, at: int = at) -> None:
                block[at], block[at + 1] = block[at + 1], block[at]

            yield statement.lineno, change


def renamed(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TITLED:
            at = 0 if node.func.attr == "step" else 1
            for title in TITLES:

                def change(node: ast.Call = node, at: int = at, title: str = title) -> None:
                    node.args[at] = ast.Constant(title)

                yield node.lineno, change


def other_value(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    names = ("OK", "EIO", "EBUSY", "EACCES", "None")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names[:-1] and isinstance(node.ctx, ast.Load):
            new = names[names.index(node.id) + 1]

            def change(node: ast.Name = node, new: str = new) -> None:
                node.id = new

            yield node.lineno, change


EDITS: dict[str, Callable[[ast.Module], Iterator[tuple[int, Callable[[], None]]]]] = {
    "`with` forgotten": not_entered,
    "block taken away": without_its_block,
    "`return` forgotten": not_returned,
    "statement left out": left_out,
    "statements swapped": swapped,
    "step renamed": renamed,
    "another value": other_value,
}


# -- what becomes of them -----------------------------------------------------------------------------------------------


def verdict(path: Path, name: str, asked: tuple[str, ModuleKind, int]) -> str:
    """What becomes of a policy file: it must be refused in one line, or agree."""
    scenario, module, packages = asked
    try:
        question = Question.of(f"{path}:{name}", module=module, scenario=scenario, cpus=2, packages=packages)
        compiled = question.compile()
    except BadModel as error:
        return "refused" if "\n" not in str(error) else f"refused in more than a line: {error}"
    start = compiled.model.initial(question.topology)
    native = _core.Program(compiled.program.text)
    try:
        probe = native.explore(question.initial(), space="concrete", max_states=LARGEST, measures=False)
    except _core.Trap as error:
        with pytest.raises(Trap):
            follow(compiled.model, start, error.schedule)
        return "trap"
    if not probe.complete:
        return "too large" if asked == SMALL else verdict(path, name, SMALL)
    compare_all(compiled.model, start, threads=2, replay=False)
    return "agrees"


def follow(model: Model, start: State, schedule: str) -> None:
    taken = reference.replay(model, start, schedule)
    reference.transitions(model, taken[-1].target if taken else start)


@cache
def every_slip() -> tuple[tuple[type[Policy], Path, str, int, int], ...]:
    """Every slip in every built-in policy, with the file of the policy."""
    found = []
    for policy in BUILT_IN.values():
        path = next(p for p in POLICIES if p.stem == policy.__module__.rpartition(".")[2])
        found += [(policy, path, *slip) for slip in slips(path.read_text())]
    return tuple(found)


def test_there_are_slips_of_every_kind_in_every_policy() -> None:
    kinds = Counter(kind for _, _, kind, _, _ in every_slip())
    policies = Counter(policy for policy, *_ in every_slip())
    assert len(every_slip()) >= 800
    assert (set(kinds), set(policies)) == (set(EDITS), set(BUILT_IN.values()))
    assert min(kinds.values()) >= 20


@pytest.mark.parametrize("part", every(30, range(PARTS)))
def test_a_slip_in_a_policy_is_refused_or_answered_as_the_reference_answers(part: int, tmp_path: Path) -> None:
    became: Counter[str] = Counter()
    for number, (policy, path, kind, nth, line) in islice(enumerate(every_slip()), part, None, PARTS):
        file = tmp_path / f"slip_{number}.py"
        file.write_text(with_slip(path.read_text(), kind, nth))
        asked = QUESTIONS[number // PARTS % len(QUESTIONS)]
        print(f"{path.name}: {kind}, line {line}, asked {asked}")  # noqa: T201 -- shown with a failure
        became[verdict(file, policy.__name__, asked)] += 1
    assert became.total() >= 12
    assert became["refused"] + became["agrees"] + became["trap"] == became.total(), became
    assert min(became["refused"], became["agrees"]) >= 1, became
